#pragma once

#include "base/shared_text.h"
#include "k8s/meta.h"

namespace carrick::k8s {

// ---- Namespace ----
struct NamespaceStatus {
  std::string phase;
  bool operator==(const NamespaceStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(NamespaceStatus, (), (phase))
struct Namespace {
  ObjectMeta metadata;
  NamespaceStatus status;
  bool operator==(const Namespace&) const = default;
};
BOOST_DESCRIBE_STRUCT(Namespace, (), (metadata, status))

// ---- Node ----
struct Taint {
  std::string key, value, effect;
  bool operator==(const Taint&) const = default;
};
BOOST_DESCRIBE_STRUCT(Taint, (), (key, value, effect))
struct NodeSpec {
  std::string podCIDR, providerID;
  std::vector<std::string> podCIDRs;  // at most one of each family; podCIDRs[0] == podCIDR
  bool unschedulable = false;
  std::vector<Taint> taints;
  bool operator==(const NodeSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(NodeSpec, (), (podCIDR, providerID, podCIDRs, unschedulable, taints))
struct NodeAddress {
  std::string type, address;
  bool operator==(const NodeAddress&) const = default;
};  // InternalIP, ExternalIP, Hostname
BOOST_DESCRIBE_STRUCT(NodeAddress, (), (type, address))
struct NodeStatus {
  std::vector<NodeAddress> addresses;
  std::vector<Condition> conditions;
  bool operator==(const NodeStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(NodeStatus, (), (addresses, conditions))
struct Node {
  ObjectMeta metadata;
  NodeSpec spec;
  NodeStatus status;
  bool operator==(const Node&) const = default;
};
BOOST_DESCRIBE_STRUCT(Node, (), (metadata, spec, status))

// ---- Pod ----
struct ContainerPort {
  std::string name, protocol, hostIP;
  int32_t containerPort = 0, hostPort = 0;
  bool operator==(const ContainerPort&) const = default;
};
BOOST_DESCRIBE_STRUCT(ContainerPort, (), (name, protocol, hostIP, containerPort, hostPort))
struct HTTPGetAction {
  std::string path, host, scheme;
  IntOrString port;
  bool operator==(const HTTPGetAction&) const = default;
};
BOOST_DESCRIBE_STRUCT(HTTPGetAction, (), (path, host, scheme, port))
struct TCPSocketAction {
  std::string host;
  IntOrString port;
  bool operator==(const TCPSocketAction&) const = default;
};
BOOST_DESCRIBE_STRUCT(TCPSocketAction, (), (host, port))
struct GRPCAction {
  int32_t port = 0;
  std::string service;
  bool operator==(const GRPCAction&) const = default;
};
BOOST_DESCRIBE_STRUCT(GRPCAction, (), (port, service))
struct ExecAction {
  std::vector<std::string> command;
  bool operator==(const ExecAction&) const = default;
};
BOOST_DESCRIBE_STRUCT(ExecAction, (), (command))
struct Probe {
  std::optional<HTTPGetAction> httpGet;
  std::optional<TCPSocketAction> tcpSocket;
  std::optional<GRPCAction> grpc;
  std::optional<ExecAction> exec;
  int32_t initialDelaySeconds = 0, timeoutSeconds = 0, periodSeconds = 0, successThreshold = 0, failureThreshold = 0;
  bool operator==(const Probe&) const = default;
};
BOOST_DESCRIBE_STRUCT(Probe, (),
                      (httpGet, tcpSocket, grpc, exec, initialDelaySeconds, timeoutSeconds, periodSeconds,
                       successThreshold, failureThreshold))
struct EnvVar {
  std::string name, value;
  bool operator==(const EnvVar&) const = default;
};
BOOST_DESCRIBE_STRUCT(EnvVar, (), (name, value))
struct Container {
  std::string name, image, workingDir, restartPolicy;
  std::vector<std::string> command, args;
  std::vector<ContainerPort> ports;
  std::vector<EnvVar> env;
  std::optional<Probe> readinessProbe, livenessProbe, startupProbe;
  bool operator==(const Container&) const = default;
};
BOOST_DESCRIBE_STRUCT(Container, (),
                      (name, image, workingDir, restartPolicy, command, args, ports, env, readinessProbe, livenessProbe,
                       startupProbe))
struct PodDNSConfigOption {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const PodDNSConfigOption&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodDNSConfigOption, (), (name, value))
struct PodDNSConfig {
  std::vector<std::string> nameservers, searches;
  std::vector<PodDNSConfigOption> options;
  bool operator==(const PodDNSConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodDNSConfig, (), (nameservers, searches, options))
struct Toleration {
  std::string key, operator_, value, effect;
  bool operator==(const Toleration&) const = default;
};
BOOST_DESCRIBE_STRUCT(Toleration, (), (key, operator_, value, effect))
struct PodReadinessGate {
  std::string conditionType;
  bool operator==(const PodReadinessGate&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodReadinessGate, (), (conditionType))
struct PodSpec {
  std::string nodeName, hostname, subdomain, dnsPolicy, restartPolicy, serviceAccountName, schedulerName;
  bool hostNetwork = false;
  std::optional<bool> setHostnameAsFQDN;
  StringMap nodeSelector;
  std::vector<Container> containers, initContainers;
  std::optional<PodDNSConfig> dnsConfig;
  std::vector<Toleration> tolerations;
  std::vector<PodReadinessGate> readinessGates;
  std::optional<int64_t> terminationGracePeriodSeconds;
  bool operator==(const PodSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodSpec, (),
                      (nodeName, hostname, subdomain, dnsPolicy, restartPolicy, serviceAccountName, schedulerName,
                       hostNetwork, setHostnameAsFQDN, nodeSelector, containers, initContainers, dnsConfig, tolerations,
                       readinessGates, terminationGracePeriodSeconds))
struct PodIP {
  std::string ip;
  bool operator==(const PodIP&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodIP, (), (ip))
struct PodStatus {
  std::string phase, podIP, hostIP, reason, message;
  std::vector<PodIP> podIPs;
  std::vector<Condition> conditions;
  std::optional<std::string> startTime;
  bool operator==(const PodStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodStatus, (), (phase, podIP, hostIP, reason, message, podIPs, conditions, startTime))
struct Pod {
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;
};
BOOST_DESCRIBE_STRUCT(Pod, (), (metadata, spec, status))

// ---- Service ----
struct ServicePort {
  std::string name, protocol;
  std::optional<std::string> appProtocol;
  int32_t port = 0, nodePort = 0;
  IntOrString targetPort;
  bool operator==(const ServicePort&) const = default;
};
BOOST_DESCRIBE_STRUCT(ServicePort, (), (name, protocol, appProtocol, port, nodePort, targetPort))
struct ClientIPConfig {
  std::optional<int32_t> timeoutSeconds;
  bool operator==(const ClientIPConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClientIPConfig, (), (timeoutSeconds))
struct SessionAffinityConfig {
  std::optional<ClientIPConfig> clientIP;
  bool operator==(const SessionAffinityConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(SessionAffinityConfig, (), (clientIP))
struct ServiceSpec {
  std::string type, clusterIP, externalName, sessionAffinity, externalTrafficPolicy;
  std::optional<std::string> internalTrafficPolicy, ipFamilyPolicy, loadBalancerClass, trafficDistribution;
  std::vector<std::string> clusterIPs, ipFamilies, externalIPs, loadBalancerSourceRanges;
  std::vector<ServicePort> ports;
  StringMap selector;
  std::optional<SessionAffinityConfig> sessionAffinityConfig;
  std::optional<bool> allocateLoadBalancerNodePorts;
  bool publishNotReadyAddresses = false;
  int32_t healthCheckNodePort = 0;
  bool operator==(const ServiceSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(ServiceSpec, (),
                      (type, clusterIP, externalName, sessionAffinity, externalTrafficPolicy, internalTrafficPolicy,
                       ipFamilyPolicy, loadBalancerClass, trafficDistribution, clusterIPs, ipFamilies, externalIPs,
                       loadBalancerSourceRanges, ports, selector, sessionAffinityConfig, allocateLoadBalancerNodePorts,
                       publishNotReadyAddresses, healthCheckNodePort))
struct LoadBalancerIngress {
  std::string ip, hostname;
  std::optional<std::string> ipMode;
  bool operator==(const LoadBalancerIngress&) const = default;
};
BOOST_DESCRIBE_STRUCT(LoadBalancerIngress, (), (ip, hostname, ipMode))
struct LoadBalancerStatus {
  std::vector<LoadBalancerIngress> ingress;
  bool operator==(const LoadBalancerStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(LoadBalancerStatus, (), (ingress))
struct ServiceStatus {
  LoadBalancerStatus loadBalancer;
  bool operator==(const ServiceStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(ServiceStatus, (), (loadBalancer))
struct Service {
  ObjectMeta metadata;
  ServiceSpec spec;
  ServiceStatus status;
  bool operator==(const Service&) const = default;
};
BOOST_DESCRIBE_STRUCT(Service, (), (metadata, spec, status))

struct ObjectReference {
  SharedText kind, namespace_, name, uid, apiVersion;
  bool operator==(const ObjectReference&) const = default;
};
BOOST_DESCRIBE_STRUCT(ObjectReference, (), (kind, namespace_, name, uid, apiVersion))

struct ConfigMap {
  ObjectMeta metadata;
  StringMap data;
  bool operator==(const ConfigMap&) const = default;
};
BOOST_DESCRIBE_STRUCT(ConfigMap, (), (metadata, data))

}  // namespace carrick::k8s
