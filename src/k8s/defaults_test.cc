#include <gtest/gtest.h>

#include "k8s/apps.h"
#include "k8s/discovery.h"
#include "k8s/networking.h"
#include "k8s/objects.h"

namespace carrick::k8s {
namespace {

json::object defaulted(const ResourceType& type, std::string_view document) {
  json::object object = json::parse(std::string(document)).as_object();
  apply_defaults(type, object);
  return object;
}

std::string spec_of(const ResourceType& type, std::string_view document) {
  return json::serialize(defaulted(type, document).at("spec"));
}

TEST(Defaults, SVC_A1_ServiceClusterIp) {  // SVC-A1
  EXPECT_EQ(
      spec_of(resource<Service>(),
              R"({"spec":{"ports":[{"port":80},{"port":81,"targetPort":"http","protocol":"UDP"}]}})"),
      R"({"ports":[{"port":80,"protocol":"TCP","targetPort":80},{"port":81,"targetPort":"http","protocol":"UDP"}],)"
      R"("sessionAffinity":"None","type":"ClusterIP","internalTrafficPolicy":"Cluster"})");
}

TEST(Defaults, SVC_A1_ServiceOfOtherTypes) {
  EXPECT_EQ(
      spec_of(resource<Service>(), R"({"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP"}})"),
      R"({"type":"LoadBalancer","sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":10800}},)"
      R"("externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster","allocateLoadBalancerNodePorts":true})");
  EXPECT_EQ(spec_of(resource<Service>(), R"({"spec":{"type":"ExternalName","externalName":"x.y"}})"),
            R"({"type":"ExternalName","externalName":"x.y","sessionAffinity":"None"})");
  EXPECT_EQ(
      spec_of(resource<Service>(), R"({"spec":{"externalIPs":["203.0.113.1"]}})"),
      R"({"externalIPs":["203.0.113.1"],"sessionAffinity":"None","type":"ClusterIP","externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster"})");
}

TEST(Defaults, Pod) {
  const json::object pod =
      defaulted(resource<Pod>(), R"({"metadata":{"creationTimestamp":null},"spec":{"hostNetwork":true,
    "volumes":[{"name":"a"},{"name":"b","configMap":{"name":"c"}}],
    "containers":[{"name":"c","image":"r.io:5000/i","ports":[{"containerPort":80}],
      "resources":{"limits":{"cpu":"1"}},
      "readinessProbe":{"httpGet":{"port":80}},"livenessProbe":{"tcpSocket":{"port":80},"periodSeconds":3}}]}})");
  EXPECT_EQ(json::serialize(pod.at("metadata")), "{}");
  EXPECT_EQ(
      json::serialize(pod.at("spec").at("containers").at(0)),
      R"({"name":"c","image":"r.io:5000/i","ports":[{"containerPort":80,"protocol":"TCP","hostPort":80}],)"
      R"("resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}},)"
      R"("readinessProbe":{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},)"
      R"("livenessProbe":{"tcpSocket":{"port":80},"periodSeconds":3,"timeoutSeconds":1,"successThreshold":1,"failureThreshold":3},)"
      R"("imagePullPolicy":"Always","terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"})");
  json::object spec = pod.at("spec").as_object();
  EXPECT_EQ(json::serialize(spec.at("volumes")),
            R"([{"name":"a","emptyDir":{}},{"name":"b","configMap":{"name":"c","defaultMode":420}}])");
  spec.erase("containers");
  spec.erase("volumes");
  for (
      const auto& [name, value] :
      json::parse(
          R"({"hostNetwork":true,"dnsPolicy":"ClusterFirst","restartPolicy":"Always","terminationGracePeriodSeconds":30,
      "schedulerName":"default-scheduler","securityContext":{},"enableServiceLinks":true,"serviceAccountName":"default"})")
          .as_object()) {
    EXPECT_EQ(spec[name], value) << name;
    spec.erase(name);
  }
  EXPECT_TRUE(spec.empty()) << json::serialize(spec);
  EXPECT_EQ(json::serialize(pod.at("status")), R"({"phase":"Pending","qosClass":"Burstable"})");
}

TEST(Defaults, ImagePullPolicy) {
  for (const auto& [image, policy] : {std::pair{"nginx", "Always"},
                                      {"nginx:1.27", "IfNotPresent"},
                                      {"a:5000/nginx", "Always"},
                                      {"a:5000/nginx:latest", "Always"},
                                      {"nginx@sha256:00", "IfNotPresent"}}) {
    const json::object pod =
        defaulted(resource<Pod>(), fmt::format(R"({{"spec":{{"containers":[{{"image":"{}"}}]}}}})", image));
    EXPECT_EQ(pod.at("spec").at("containers").at(0).at("imagePullPolicy"), policy) << image;
  }
}

TEST(Defaults, Workloads) {
  json::object deployment =
      defaulted(resource<Deployment>(), R"({"spec":{"replicas":null,"template":{"spec":{"containers":[]}}}})")
          .at("spec")
          .as_object();
  EXPECT_EQ(deployment["replicas"], 1);
  EXPECT_EQ(json::serialize(deployment["strategy"]),
            R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}})");
  EXPECT_EQ(deployment["revisionHistoryLimit"], 10);
  EXPECT_EQ(deployment["progressDeadlineSeconds"], 600);
  const json::object& pod = deployment["template"].at("spec").as_object();
  EXPECT_EQ(pod.at("restartPolicy"), "Always");
  EXPECT_FALSE(pod.contains("enableServiceLinks"));  // only a Pod has it
  EXPECT_FALSE(pod.contains("serviceAccountName"));
  EXPECT_EQ(
      json::serialize(
          defaulted(resource<Deployment>(), R"({"spec":{"strategy":{"type":"Recreate"}}})").at("spec").at("strategy")),
      R"({"type":"Recreate"})");
  EXPECT_EQ(defaulted(resource<ReplicaSet>(), R"({"spec":{"replicas":0}})").at("spec").at("replicas"), 0);
  EXPECT_EQ(json::serialize(defaulted(resource<DaemonSet>(), "{}").at("spec").at("updateStrategy")),
            R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1,"maxSurge":0}})");
  json::object set =
      defaulted(resource<StatefulSet>(), R"({"spec":{"volumeClaimTemplates":[{"metadata":{"name":"d"}}]}})")
          .at("spec")
          .as_object();
  EXPECT_EQ(set["podManagementPolicy"], "OrderedReady");
  EXPECT_EQ(
      json::serialize(set["volumeClaimTemplates"].at(0)),
      R"({"metadata":{"name":"d"},"apiVersion":"v1","kind":"PersistentVolumeClaim","spec":{"volumeMode":"Filesystem"},"status":{"phase":"Pending"}})");
}

TEST(Defaults, Job) {
  const json::object job = defaulted(
      resource<Job>(), R"({"metadata":{"name":"j","uid":"u"},"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}})");
  EXPECT_EQ(job.at("spec").at("completions"), 1);
  EXPECT_EQ(job.at("spec").at("parallelism"), 1);
  EXPECT_EQ(job.at("spec").at("backoffLimit"), 6);
  EXPECT_EQ(job.at("metadata").at("labels"), job.at("spec").at("template").at("metadata").at("labels"));
  EXPECT_EQ(json::serialize(job.at("spec").at("selector")),
            R"({"matchLabels":{"batch.kubernetes.io/controller-uid":"u"}})");
  EXPECT_EQ(job.at("spec").at("template").at("metadata").at("labels").at("job-name"), "j");
  const json::object parallel = defaulted(resource<Job>(), R"({"metadata":{"name":"j"},"spec":{"parallelism":2}})");
  EXPECT_FALSE(parallel.at("spec").as_object().contains("completions"));
  EXPECT_FALSE(parallel.at("spec").as_object().contains("selector"));  // no uid yet
}

TEST(Defaults, NetworkPolicyTypes) {  // NP-2
  EXPECT_EQ(spec_of(resource<NetworkPolicy>(), R"({"spec":{}})"), R"({"podSelector":{},"policyTypes":["Ingress"]})");
  EXPECT_EQ(
      spec_of(resource<NetworkPolicy>(),
              R"({"spec":{"podSelector":{},"egress":[{"ports":[{"port":53,"protocol":"UDP"},{}]}]}})"),
      R"({"podSelector":{},"egress":[{"ports":[{"port":53,"protocol":"UDP"},{"protocol":"TCP"}]}],"policyTypes":["Ingress","Egress"]})");
  EXPECT_EQ(spec_of(resource<NetworkPolicy>(), R"({"spec":{"podSelector":{},"egress":[]}})"),
            R"({"podSelector":{},"egress":[],"policyTypes":["Ingress"]})");
  EXPECT_EQ(spec_of(resource<NetworkPolicy>(), R"({"spec":{"podSelector":{},"policyTypes":["Egress"]}})"),
            R"({"podSelector":{},"policyTypes":["Egress"]})");
}

TEST(Defaults, Namespace) {
  EXPECT_EQ(
      json::serialize(defaulted(resource<Namespace>(), R"({"metadata":{"name":"n"}})")),
      R"({"metadata":{"name":"n","labels":{"kubernetes.io/metadata.name":"n"}},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})");
  // One that is being deleted does not get its finalizer back.
  const json::object leaving = defaulted(
      resource<Namespace>(), R"({"metadata":{"name":"n","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{}})");
  EXPECT_TRUE(leaving.at("spec").as_object().empty());
}

TEST(Defaults, Others) {
  EXPECT_EQ(
      json::serialize(
          defaulted(resource<EndpointSlice>(), R"({"endpoints":[{"addresses":["10.1.0.1"]}],"ports":[{"port":80}]})")),
      R"({"endpoints":[{"addresses":["10.1.0.1"],"conditions":{}}],"ports":[{"port":80,"name":"","protocol":"TCP"}]})");
  EXPECT_EQ(json::serialize(defaulted(*find_by_kind("v1", "Secret"), R"({"stringData":{"a":"hi","b":"","c":"abc"}})")),
            R"({"type":"Opaque","data":{"a":"aGk=","b":"","c":"YWJj"}})");
  EXPECT_EQ(
      json::serialize(defaulted(*find_by_kind("autoscaling/v2", "HorizontalPodAutoscaler"), "{}").at("spec")),
      R"({"minReplicas":1,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]})");
}

TEST(Defaults, NullsAreAbsenceExceptInTextMaps) {
  EXPECT_EQ(
      spec_of(resource<Service>(),
              R"({"spec":{"selector":{"app":null},"clusterIP":null,"type":"ExternalName","sessionAffinity":"None"}})"),
      R"({"selector":{"app":""},"type":"ExternalName","sessionAffinity":"None"})");
  EXPECT_EQ(json::serialize(defaulted(resource<ConfigMap>(), R"({"data":{"a":null},"binaryData":null})")),
            R"({"data":{"a":""}})");
}

TEST(Defaults, TwiceIsOnce) {
  for (const ResourceType& type : resource_types()) {
    json::object document{{"kind", type.kind}, {"metadata", {{"name", "a"}, {"uid", "u"}}}, {"spec", json::object{}}};
    apply_defaults(type, document);
    json::object again = document;
    apply_defaults(type, again);
    EXPECT_EQ(json::serialize(again), json::serialize(document)) << type.kind;
  }
}

TEST(Defaults, WrongTypesAreLeftAlone) {
  for (const ResourceType& type : resource_types())
    for (
        const char* document :
        {R"({"metadata":5,"spec":"x","status":[],"endpoints":{},"ports":3,"subsets":"y","roleRef":1,"subjects":2,"data":7,"stringData":{"a":1}})",
         R"({"metadata":{"labels":4},"spec":{"template":3,"strategy":[],"updateStrategy":1,"ports":[5],"containers":[1],"volumes":"v","jobTemplate":6,"ingress":[{"ports":9}]}})",
         R"({"spec":{"template":{"metadata":1,"spec":2},"containers":[{"resources":1,"ports":1,"env":[{"valueFrom":2}],"readinessProbe":3,"lifecycle":4}]}})"})
      defaulted(type, document);
}

}  // namespace
}  // namespace carrick::k8s
