#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "k8s/apps.h"
#include "k8s/discovery.h"
#include "k8s/networking.h"
#include "k8s/objects.h"

namespace carrick::k8s {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

json::object document_of(const ResourceType& type, std::string_view text) {
  json::object document = json::parse(std::string(text)).as_object();
  json::object& metadata = document.emplace("metadata", json::object{}).first->value().as_object();
  metadata.emplace("name", "a");
  if (type.namespaced) metadata.emplace("namespace", "default");
  apply_defaults(type, document);
  return document;
}

std::vector<std::string> findings(const ResourceType& type, std::string_view text, std::string_view old = {}) {
  std::vector<std::string> sentences;
  json::object before;
  if (!old.empty()) before = document_of(type, old);
  for (const FieldError& error : validate(type, document_of(type, text), old.empty() ? nullptr : &before))
    sentences.push_back(error.str());
  return sentences;
}

// Each case: a document, and the only finding about it ("" = it is good).
struct Case {
  const char* document;
  const char* finding;
};
void expect(const ResourceType& type, std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    const auto found = findings(type, c.document);
    if (std::string_view(c.finding).empty())
      EXPECT_THAT(found, IsEmpty()) << c.document;
    else
      EXPECT_THAT(found, ElementsAre(c.finding)) << c.document;
  }
}
struct UpdateCase {
  const char* before;
  const char* after;
  const char* finding;
};
void expect_update(const ResourceType& type, std::initializer_list<UpdateCase> cases) {
  for (const UpdateCase& c : cases) {
    const auto found = findings(type, c.after, c.before);
    if (std::string_view(c.finding).empty())
      EXPECT_THAT(found, IsEmpty()) << c.after;
    else
      EXPECT_THAT(found, ElementsAre(c.finding)) << c.after;
  }
}

TEST(Validation, Service) {
  expect(
      resource<Service>(),
      {
          {R"({"spec":{"ports":[{"port":80}]}})", ""},
          {R"({"spec":{"ports":[{"port":0}]}})",
           "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
          {R"({"spec":{"ports":[{"port":70000,"targetPort":80}]}})",
           "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"},
          {R"({"spec":{"ports":[{"port":80,"targetPort":-1}]}})",
           "spec.ports[0].targetPort: Invalid value: -1: must be between 1 and 65535, inclusive"},
          {R"({"spec":{"ports":[{"port":80,"targetPort":"a-name-that-is-too-long"}]}})",
           "spec.ports[0].targetPort: Invalid value: \"a-name-that-is-too-long\": must be no more than 15 characters"},
          {R"({"spec":{"ports":[{"port":80,"protocol":"ICMP"}]}})",
           R"(spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP")"},
          {R"({"spec":{}})", "spec.ports: Required value"},
          {R"({"spec":{"clusterIP":"None"}})", ""},
          {R"({"spec":{"ports":[{"port":80},{"name":"b","port":81}]}})", "spec.ports[0].name: Required value"},
          {R"({"spec":{"ports":[{"name":"b","port":80},{"name":"b","port":81}]}})",
           R"(spec.ports[1].name: Duplicate value: "b")"},
          {R"({"spec":{"ports":[{"name":"a","port":53},{"name":"b","port":53,"protocol":"UDP"}]}})", ""},
          {R"({"spec":{"ports":[{"name":"a","port":80},{"name":"b","port":80,"targetPort":81}]}})",
           R"(spec.ports[1]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), Port:80, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0})"},
          {R"({"spec":{"ports":[{"port":80,"nodePort":30000}]}})",
           "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
          {R"({"spec":{"type":"NodePort","ports":[{"name":"a","port":80,"nodePort":30000},{"name":"b","port":81,"nodePort":30000}]}})",
           "spec.ports[1].nodePort: Duplicate value: 30000"},
          {R"({"spec":{"type":"NodePort","ports":[{"name":"a","port":53,"nodePort":30000},{"name":"b","port":53,"protocol":"UDP","nodePort":30000}]}})",
           ""},
          {R"({"spec":{"type":"Other","ports":[{"port":80}]}})",
           R"(spec.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort")"},
          {R"({"spec":{"type":"ExternalName"}})", "spec.externalName: Required value"},
          {R"({"spec":{"type":"ExternalName","externalName":"example.com."}})", ""},
          {R"({"spec":{"type":"NodePort","clusterIP":"None","ports":[{"port":80}]}})",
           R"(spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services)"},
          {R"({"spec":{"ports":[{"port":80}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":86401}}}})",
           "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less "
           "than 86400"},
          {R"({"spec":{"ports":[{"port":80}],"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.2"]}})",
           R"(spec.clusterIPs: Invalid value: []string{"10.96.0.2"}: first value must match `clusterIP`)"},
          {R"({"spec":{"ports":[{"port":80}],"clusterIP":"10.96.0.300"}})",
           R"(spec.clusterIPs[0]: Invalid value: "10.96.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff))"},
          {R"({"spec":{"ports":[{"port":80}],"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","10.96.0.2"]}})",
           R"(spec.clusterIPs: Invalid value: []string{"10.96.0.1", "10.96.0.2"}: may specify no more than one IP for each IP family)"},
          {R"({"spec":{"ports":[{"port":80}],"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ipFamilies":["IPv6"]}})",
           R"(spec.clusterIPs[0]: Invalid value: "10.96.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`)"},
          {R"({"spec":{"ports":[{"port":80}],"ipFamilies":["IPv4","IPv4"]}})",
           R"(spec.ipFamilies[1]: Duplicate value: "IPv4")"},
          {R"({"spec":{"ports":[{"port":80}],"externalIPs":["127.0.0.1"]}})",
           R"(spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128))"},
          {R"({"spec":{"type":"LoadBalancer","ports":[{"port":80}],"loadBalancerSourceRanges":[" 10.0.0.0/8 ","x"]}})",
           R"(spec.LoadBalancerSourceRanges[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64))"},
          {R"({"spec":{"ports":[{"port":80}],"externalTrafficPolicy":"Local"}})",
           R"(spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services)"},
          {R"({"spec":{"type":"NodePort","ports":[{"port":80}],"externalTrafficPolicy":"None"}})",
           R"(spec.externalTrafficPolicy: Unsupported value: "None": supported values: "Cluster", "Local")"},
          {R"({"spec":{"ports":[{"port":80}],"selector":{"app":"a b"}}})",
           R"(spec.selector: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'))"},
          {R"({"spec":{"ports":[{"port":"http"}]}})", R"(spec.ports[0].port: must be an integer, not a string "http")"},
      });
}

TEST(Validation, SVC_A6_ServiceUpdate) {  // SVC-A6, SVC-A7
  expect_update(
      resource<Service>(),
      {
          {R"({"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ports":[{"port":80}]}})",
           R"({"spec":{"clusterIP":"10.96.0.2","clusterIPs":["10.96.0.2"],"ports":[{"port":80}]}})",
           R"(spec.clusterIPs[0]: Invalid value: []string{"10.96.0.2"}: may not change once set)"},
          {R"({"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ports":[{"port":80}]}})",
           R"({"spec":{"ports":[{"port":80}]}})",
           R"(spec.clusterIPs[0]: Invalid value: []string(nil): primary clusterIP can not be unset)"},
          {R"({"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","2001:db8:96::1"],"ports":[{"port":80}]}})",
           R"({"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ports":[{"port":80}]}})",
           R"(spec.ipFamilyPolicy: Invalid value: "": must be set to 'SingleStack' when releasing the secondary clusterIP)"},
          {R"({"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ports":[{"port":80}]}})",
           R"({"spec":{"type":"ExternalName","externalName":"x"}})", ""},
          {R"({"spec":{"type":"LoadBalancer","loadBalancerClass":"a/b","ports":[{"port":80}]}})",
           R"({"spec":{"type":"LoadBalancer","ports":[{"port":80}]}})",
           R"(spec.loadBalancerClass: Invalid value: "": may not change once set)"},
      });
}

TEST(Validation, NetworkPolicy) {
  expect(
      resource<NetworkPolicy>(),
      {
          {R"({"spec":{"podSelector":{},"ingress":[{}],"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}})",
           ""},
          {R"({"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/33"}}]}]}})",
           R"(spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64))"},
          {R"({"spec":{"ingress":[{"from":[{"ipBlock":{}}]}]}})",
           "spec.ingress[0].from[0].ipBlock.cidr: Required value"},
          {R"({"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["11.0.0.0/16"]}}]}]}})",
           R"(spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`)"},
          {R"({"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.0.0.0/8"]}}]}]}})",
           R"(spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`)"},
          {R"({"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["2001:db8::/64"]}}]}]}})",
           R"(spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "2001:db8::/64": must be a strict subset of `cidr`)"},
          {R"({"spec":{"egress":[{"to":[{}]}]}})", "spec.egress[0].to[0]: Required value: must specify a peer"},
          {R"({"spec":{"egress":[{"to":[{"podSelector":{},"ipBlock":{"cidr":"10.0.0.0/8"}}]}]}})",
           "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"},
          {R"({"spec":{"ingress":[{"ports":[{"port":80,"endPort":79}]}]}})",
           "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"},
          {R"({"spec":{"ingress":[{"ports":[{"port":"http","endPort":79}]}]}})",
           "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric"},
          {R"({"spec":{"ingress":[{"ports":[{"endPort":79}]}]}})",
           "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is not specified"},
          {R"({"spec":{"ingress":[{"ports":[{"protocol":"ICMP"}]}]}})",
           R"(spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP")"},
          {R"({"spec":{"policyTypes":["Both"]}})",
           R"(spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress")"},
          {R"({"spec":{"podSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}}})",
           "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or "
           "'NotIn'"},
          {R"({"spec":{"podSelector":{"matchExpressions":[{"key":"a","operator":"Exists","values":["b"]}]}}})",
           "spec.podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' "
           "or 'DoesNotExist'"},
          {R"({"spec":{"podSelector":{"matchExpressions":[{"key":"a","operator":"Gt","values":["1"]}]}}})",
           R"(spec.podSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator)"},
      });
}

TEST(Validation, Names) {
  const auto name = [](const ResourceType& type, std::string_view name) {
    return join(
        findings(type, fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"clusterIP":"None","podSelector":{{}}}}}})",
                                   name)),
        "|");
  };
  EXPECT_EQ(name(resource<Service>(), "web"), "");
  EXPECT_THAT(name(resource<Service>(), "1web"),
              testing::StartsWith(R"(metadata.name: Invalid value: "1web": a DNS-1035 label must consist of)"));
  EXPECT_EQ(name(resource<NetworkPolicy>(), "1.web"), "");
  EXPECT_THAT(name(resource<NetworkPolicy>(), "Web"),
              "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of lower case "
              "alphanumeric characters, '-' or '.', and must start and end with an "
              "alphanumeric character (e.g. 'example.com', regex used for validation is "
              "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  EXPECT_EQ(name(resource<Namespace>(), "a.b"), "metadata.name: Invalid value: \"a.b\": must not contain dots");
  const std::string long_name(64, 'a');
  EXPECT_EQ(name(resource<Service>(), long_name),
            "metadata.name: Invalid value: \"" + long_name + "\": must be no more than 63 characters");
  EXPECT_EQ(name(*find_by_kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "system:node"), "");
  EXPECT_EQ(name(*find_by_kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "a/b"),
            "metadata.name: Invalid value: \"a/b\": may not contain '/'");
}

TEST(Validation, Metadata) {
  expect(
      resource<ConfigMap>(),
      {
          {R"({"metadata":{"generateName":"a-","name":"a-x"}})", ""},
          {R"({"metadata":{"labels":{"example.com/a":"b","c":""}}})", ""},
          {R"({"metadata":{"labels":{"/a":"b"}}})",
           R"(metadata.labels: Invalid value: "/a": prefix part must be non-empty)"},
          {R"({"metadata":{"annotations":{"Example.com/A":"any text at all"}}})", ""},
          {R"({"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p"}]}})",
           R"(metadata.ownerReferences.uid: Invalid value: "": uid must not be empty)"},
          {R"({"metadata":{"finalizers":["foregroundDeletion","orphan"]}})",
           R"(metadata.finalizers: Invalid value: []string{"foregroundDeletion", "orphan"}: finalizer orphan and foregroundDeletion cannot be both set)"},
          {R"({"data":{"a/b":""}})",
           R"(data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+'))"},
          {R"({"data":{"a":""},"binaryData":{"a":""}})",
           R"(data[a]: Invalid value: "a": duplicate of key present in binaryData)"},
      });
  expect_update(
      resource<ConfigMap>(),
      {
          {R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}})", R"({"metadata":{"finalizers":["a/b"]}})",
           R"(metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a/b"})"},
          {R"({"immutable":true,"data":{"a":"b"}})", R"({"immutable":true,"data":{"a":"c"}})",
           "data: Forbidden: field is immutable when `immutable` is set"},
          {R"({"metadata":{"name":"a"}})", R"({"metadata":{"name":"b"}})",
           R"(metadata.name: Invalid value: "b": field is immutable)"},
      });
}

TEST(Validation, Pod) {
  expect(
      resource<Pod>(),
      {
          {R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"name":"http"}],"readinessProbe":{"httpGet":{"port":"http"}}}]}})",
           ""},
          {R"({"spec":{}})", "spec.containers: Required value"},
          {R"({"spec":{"containers":[{"name":"C_1","image":"i"}]}})",
           R"(spec.containers[0].name: Invalid value: "C_1": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?'))"},
          {R"({"spec":{"containers":[{"name":"c"}]}})", "spec.containers[0].image: Required value"},
          {R"({"spec":{"containers":[{"name":"c","image":"i"},{"name":"c","image":"i"}]}})",
           R"(spec.containers[1].name: Duplicate value: "c")"},
          {R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{}]}]}})",
           "spec.containers[0].ports[0].containerPort: Required value"},
          {R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"name":"a"},{"containerPort":2,"name":"a"}]}]}})",
           R"(spec.containers[0].ports[1].name: Duplicate value: "a")"},
          {R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"hostPort":8},{"containerPort":2,"hostPort":8}]}]}})",
           R"(spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8")"},
          {R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"hostPort":8}]}]}})",
           "spec.containers[0].ports[0].hostPort: Invalid value: 8: must match `containerPort` when `hostNetwork` is "
           "true"},
          {R"({"spec":{"containers":[{"name":"c","image":"i","livenessProbe":{}}]}})",
           "spec.containers[0].livenessProbe: Required value: must specify a handler type"},
          {R"({"spec":{"containers":[{"name":"c","image":"i"}],"restartPolicy":"Maybe"}})",
           R"(spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never")"},
          {R"({"spec":{"containers":[{"name":"c","image":"i"}],"dnsPolicy":"None"}})",
           "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
          {R"({"spec":{"containers":[{"name":"c","image":"i"}],"volumes":"x"}})",
           R"(spec.volumes: must be a list, not a string "x")"},
      });
  const char* pod = R"({"spec":{"containers":[{"name":"c","image":"i"}]}})";
  expect_update(
      resource<Pod>(),
      {
          {pod, R"({"spec":{"containers":[{"name":"c","image":"j:1","imagePullPolicy":"Always"}],"nodeName":"n"}})",
           ""},
          {R"({"spec":{"containers":[{"name":"c","image":"i"}],"nodeName":"m"}})", pod,
           "spec: Forbidden: pod updates may not change fields other than "
           "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
           "(only additions to existing tolerations),"
           "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\ndiffers in: "
           "nodeName"},
      });
}

TEST(Validation, Workloads) {
  const char* good =
      R"({"spec":{"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";
  for (const ResourceType* type :
       {&resource<Deployment>(), &resource<ReplicaSet>(), &resource<StatefulSet>(), &resource<DaemonSet>()}) {
    EXPECT_THAT(findings(*type, good), IsEmpty()) << type->kind;
    EXPECT_THAT(
        findings(
            *type,
            R"({"spec":{"selector":{"matchLabels":{"app":"b"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})"),
        ElementsAre(
            R"(spec.template.metadata.labels: Invalid value: map[string]string{"app":"a"}: `selector` does not match template `labels`)"));
    EXPECT_THAT(findings(*type, R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i"}]}}}})"),
                ElementsAre("spec.selector: Required value"));
    EXPECT_THAT(
        findings(
            *type,
            R"({"spec":{"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[]}}}})"),
        ElementsAre("spec.template.spec.containers: Required value"));
  }
  EXPECT_THAT(
      findings(
          resource<Deployment>(),
          R"({"spec":{"selector":{"matchLabels":{"app":"b"}},"template":{"metadata":{"labels":{"app":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})",
          good),
      ElementsAre(
          R"(spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"b"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable)"));
  EXPECT_THAT(
      findings(
          resource<StatefulSet>(),
          R"({"spec":{"serviceName":"x","selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})",
          good),
      ElementsAre(HasSubstr("updates to statefulset spec for fields other than")));
  EXPECT_THAT(findings(resource<Job>(), R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i"}]}}}})"),
              ElementsAre(R"(spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never")"));
  EXPECT_THAT(
      findings(
          resource<Job>(),
          R"({"metadata":{"uid":"u"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})"),
      IsEmpty());
}

TEST(Validation, EndpointSliceAndNode) {
  expect(
      resource<EndpointSlice>(),
      {
          {R"({"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"]}],"ports":[{"port":80}]})", ""},
          {R"({"endpoints":[]})", "addressType: Required value"},
          {R"({"addressType":"IPv4","endpoints":[{"addresses":[]}]})",
           "endpoints[0].addresses: Required value: must contain at least 1 address"},
          {R"({"addressType":"IPv6","endpoints":[{"addresses":["10.1.0.1"]}]})",
           R"(endpoints[0].addresses: Invalid value: "10.1.0.1": must be an IPv6 address)"},
          {R"({"addressType":"IPv4","endpoints":[{"addresses":["169.254.1.1"]}]})",
           R"(endpoints[0].addresses[0]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10))"},
          {R"({"addressType":"IPv4","ports":[{"port":80},{"port":81}]})", R"(ports[1].name: Duplicate value: "")"},
      });
  expect_update(resource<EndpointSlice>(), {{R"({"addressType":"IPv4"})", R"({"addressType":"IPv6"})",
                                             R"(addressType: Invalid value: "IPv6": field is immutable)"}});
  expect(
      resource<Node>(),
      {{R"({"spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24","10.1.1.0/24"]}})",
        R"(spec.podCIDRs: Invalid value: []string{"10.1.0.0/24", "10.1.1.0/24"}: may specify no more than one CIDR for each IP family)"}});
  expect_update(resource<Node>(),
                {{R"({})", R"({"spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"]}})", ""},
                 {R"({"spec":{"podCIDRs":["10.1.0.0/24"]}})", R"({"spec":{}})",
                  "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"}});
}

TEST(Validation, UnknownFields) {
  const auto unknown = [](const ResourceType& type, std::string_view document) {
    return unknown_fields(type, json::parse(std::string(document)).as_object());
  };
  EXPECT_THAT(
      unknown(
          resource<Service>(),
          R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a","labels":{"x":"y"}},"spec":{"ports":[{"port":80}],"selector":{"any":"key"}}})"),
      IsEmpty());
  EXPECT_THAT(
      unknown(resource<Service>(), R"({"speck":{},"spec":{"foo":1,"ports":[{"prot":80}]}})"),
      ElementsAre(R"(unknown field "speck")", R"(unknown field "spec.foo")", R"(unknown field "spec.ports[0].prot")"));
  EXPECT_THAT(
      unknown(
          resource<Deployment>(),
          R"({"spec":{"template":{"spec":{"containers":[{"imagePullpolicy":"Always","volumeMounts":[{"mountPath":"/x"}]}]}}}})"),
      ElementsAre(R"(unknown field "spec.template.spec.containers[0].imagePullpolicy")"));
  for (const ResourceType& type : resource_types())
    EXPECT_THAT(unknown(type, R"({"apiVersion":"a","kind":"b","metadata":{}})"), IsEmpty()) << type.kind;
}

}  // namespace
}  // namespace carrick::k8s
