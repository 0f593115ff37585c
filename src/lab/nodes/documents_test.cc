#include "lab/nodes/documents.h"

#include <gtest/gtest.h>

#include "lab/nodes/readiness.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

std::string status_of(const json::object& patch, const char* type) {
  for (const auto& condition : patch.at("status").at("conditions").as_array())
    if (condition.at("type").as_string() == type) return std::string(condition.at("status").as_string());
  return "absent";
}

k8s::Pod one_pod() {
  k8s::Pod pod;
  pod.metadata.uid = "u1";
  pod.spec.containers.push_back({.name = "c", .image = "i"});
  pod.status.conditions.push_back({.type = "PodScheduled", .status = "True"});
  return pod;
}

ContainerLife running(const std::string& name) {
  return {.state = ContainerLife::State::kRunning, .name = name, .passed_startup = true, .ran = true};
}

TEST(Documents, AReadyPodSaysSoWithItsAddresses) {
  Sandbox sandbox{.uid = "u1",
                  .container_id = std::string(64, 'a'),
                  .addresses = {"10.1.1.2", "2001:db8::2"},
                  .started_at = "2026-01-01T00:00:00Z"};
  PodState state{
      .phase = "Running", .host_addresses = {"192.0.2.11"}, .containers = {{running("c"), true}}, .initialized = true};
  auto patch = pod_status_patch(one_pod(), &sandbox, state, "now");
  EXPECT_EQ(patch.at("metadata").at("uid"), "u1");
  EXPECT_EQ(status_of(patch, "Ready"), "True");
  EXPECT_EQ(status_of(patch, "PodScheduled"), "True");  // the scheduler's stays
  EXPECT_EQ(patch.at("status").at("podIP"), "10.1.1.2");
  EXPECT_EQ(patch.at("status").at("podIPs").as_array().size(), 2u);
  EXPECT_EQ(patch.at("status").at("hostIP"), "192.0.2.11");
}

TEST(Documents, OneContainerThatIsNotReadyIsEnough) {
  Sandbox sandbox{.uid = "u1", .container_id = std::string(64, 'a'), .addresses = {"10.1.1.2"}};
  PodState state{
      .phase = "Running", .containers = {{running("c"), true}, {running("d"), false}}, .message = "probe fails"};
  auto pod = one_pod();
  pod.spec.containers.push_back({.name = "d"});
  auto patch = pod_status_patch(pod, &sandbox, state, "now");
  EXPECT_EQ(status_of(patch, "Ready"), "False");
  EXPECT_EQ(patch.at("status").at("message"), "probe fails");
}

TEST(Documents, StatesAreSpelledAsTheKubeletDoes) {
  Sandbox sandbox{.uid = "u1", .container_id = std::string(64, 'a'), .addresses = {"10.1.1.2"}};
  auto pod = one_pod();
  pod.spec.initContainers = {{.name = "i"}};
  ContainerLife crashes{.reason = "CrashLoopBackOff", .message = "back-off", .name = "c"};
  crashes.restarts = 3;
  crashes.last_end = TerminatedState{.exit_code = 7, .reason = "Error", .finished = LifeTime(std::chrono::seconds(61))};
  PodState state{.containers = {{{.kind = ContainerLife::Kind::kInit, .name = "i"}, false}, {crashes, false}},
                 .inits = 1};
  const auto status = pod_status_patch(pod, &sandbox, state, "now").at("status");
  const auto& container = status.at("containerStatuses").at(0);
  EXPECT_EQ(container.at("state").at("waiting").at("reason"), "CrashLoopBackOff");
  EXPECT_EQ(container.at("lastState").at("terminated").at("exitCode"), 7);
  EXPECT_EQ(container.at("lastState").at("terminated").at("finishedAt"), "1970-01-01T00:01:01Z");
  EXPECT_EQ(container.at("restartCount"), 3);
  EXPECT_EQ(container.at("started"), false);
  EXPECT_EQ(status.at("initContainerStatuses").at(0).at("state").at("waiting").at("reason"), "PodInitializing");
  for (const auto& condition : status.at("conditions").as_array()) {
    if (condition.at("type") == "Initialized") {
      EXPECT_EQ(condition.at("message"), "containers with incomplete status: [i]");
    }
    if (condition.at("type") == "ContainersReady") {
      EXPECT_EQ(condition.at("message"), "containers with unready status: [c]");
    }
  }
}

TEST(Documents, ReadinessGatesHoldAPodBack) {
  Sandbox sandbox{.uid = "u1", .container_id = std::string(64, 'a'), .addresses = {"10.1.1.2"}};
  PodState state{.phase = "Running", .containers = {{running("c"), true}}, .initialized = true};
  auto pod = one_pod();
  pod.spec.readinessGates.push_back({"x/y"});
  EXPECT_EQ(status_of(pod_status_patch(pod, &sandbox, state, "now"), "Ready"), "False");
  pod.status.conditions.push_back({.type = "x/y", .status = "True"});
  EXPECT_EQ(status_of(pod_status_patch(pod, &sandbox, state, "now"), "Ready"), "True");
}

TEST(Readiness, ProbesAskForNumbersAndNames) {
  k8s::Container container{.name = "c", .ports = {{.name = "http", .containerPort = 8080}}};
  k8s::Probe by_name{.httpGet = k8s::HTTPGetAction{.path = "/ok", .port = std::string("http")}};
  auto target = probe_target(by_name, container, "10.1.1.2");
  ASSERT_TRUE(target && *target);
  EXPECT_EQ((*target)->port, 8080);
  EXPECT_TRUE((*target)->http);
  EXPECT_EQ((*target)->path, "/ok");
  by_name.httpGet->port = std::string("nope");
  EXPECT_FALSE(probe_target(by_name, container, "10.1.1.2"));
  k8s::Probe exec{.exec = k8s::ExecAction{{"true"}}};
  EXPECT_FALSE(*probe_target(exec, container, "10.1.1.2"));
}

}  // namespace
}  // namespace carrick::lab
