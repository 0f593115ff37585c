#include "lab/nodes/pod_machine.h"

#include <gtest/gtest.h>

namespace carrick::lab {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using State = ContainerLife::State;
using Indexes = std::vector<size_t>;

const LifeTime kStart{std::chrono::hours(1)};

k8s::Pod pod_with(const std::string& policy, std::vector<std::string> inits, std::vector<std::string> mains) {
  k8s::Pod pod;
  pod.metadata.name = "p";
  pod.metadata.namespace_ = "n";
  pod.metadata.uid = "u";
  pod.spec.restartPolicy = policy;
  for (std::string& name : inits)
    pod.spec.initContainers.push_back({.name = name, .restartPolicy = name.starts_with("side") ? "Always" : ""});
  for (std::string& name : mains) pod.spec.containers.push_back({.name = name});
  return pod;
}

TEST(PodMachine, InitContainersRunInOrderAndSidecarsGoOn) {
  PodMachine pod(pod_with("Always", {"one", "side", "two"}, {"a", "b"}));
  EXPECT_EQ(pod.due(kStart), Indexes({0}));
  pod.started(0, kStart);
  EXPECT_EQ(pod.due(kStart), Indexes());
  EXPECT_EQ(pod.phase(), "Pending");
  EXPECT_EQ(pod.containers()[3].reason, "PodInitializing");
  pod.ended(0, 0, kStart);
  EXPECT_EQ(pod.containers()[0].end->reason, "Completed");
  EXPECT_EQ(pod.due(kStart), Indexes({1}));
  pod.started(1, kStart);
  EXPECT_EQ(pod.due(kStart), Indexes({2})) << "the sidecar runs, which is enough";
  pod.started(2, kStart);
  pod.ended(2, 0, kStart);
  EXPECT_TRUE(pod.initialized());
  EXPECT_EQ(pod.due(kStart), Indexes({3, 4}));
  pod.started(3, kStart);
  pod.started(4, kStart);
  EXPECT_EQ(pod.phase(), "Running");
  EXPECT_EQ(pod.to_end(), Indexes());
  pod.ended(1, 1, kStart);
  EXPECT_EQ(pod.due(kStart), Indexes({1})) << "a sidecar is started again";
}

TEST(PodMachine, ASidecarIsWaitedForUntilItHasStartedUp) {
  k8s::Pod with_probe = pod_with("Always", {"side"}, {"a"});
  with_probe.spec.initContainers[0].startupProbe.emplace();
  PodMachine pod(with_probe);
  pod.started(0, kStart);
  EXPECT_EQ(pod.due(kStart), Indexes());
  pod.passed_startup(0);
  EXPECT_EQ(pod.due(kStart), Indexes({1}));
}

TEST(PodMachine, BackOffIsTheKubelets) {
  PodMachine pod(pod_with("Always", {}, {"a"}));
  LifeTime now = kStart;
  pod.started(0, now);
  pod.ended(0, 3, now);
  EXPECT_EQ(pod.due(now), Indexes({0})) << "the first time at once";
  for (const int pause : {10, 20, 40, 80, 160, 300, 300}) {
    pod.started(0, now);
    pod.ended(0, 3, now);
    EXPECT_EQ(pod.containers()[0].state, State::kWaiting);
    EXPECT_EQ(pod.containers()[0].reason, "CrashLoopBackOff");
    EXPECT_EQ(pod.containers()[0].last_end->exit_code, 3);
    EXPECT_EQ(pod.due(now + seconds(pause) - seconds(1)), Indexes()) << pause;
    EXPECT_EQ(pod.next_look(now), now + seconds(pause));
    now += seconds(pause);
    EXPECT_EQ(pod.due(now), Indexes({0})) << pause;
  }
  EXPECT_EQ(pod.containers()[0].message, "back-off 5m0s restarting failed container=a pod=p_n(u)");
  EXPECT_EQ(pod.containers()[0].restarts, 7);
  pod.started(0, now);
  now += minutes(10);
  pod.ended(0, 3, now);
  EXPECT_EQ(pod.due(now), Indexes({0})) << "it had run for long";
}

TEST(PodMachine, PoliciesDecideWhatAnEndMeans) {
  for (const auto& [policy, code, phase] :
       std::vector<std::tuple<std::string, int, std::string>>{{"Never", 0, "Succeeded"},
                                                              {"Never", 1, "Failed"},
                                                              {"OnFailure", 0, "Succeeded"},
                                                              {"OnFailure", 1, "Running"},
                                                              {"Always", 0, "Running"}}) {
    PodMachine pod(pod_with(policy, {}, {"a"}));
    pod.started(0, kStart);
    pod.ended(0, code, kStart);
    EXPECT_EQ(pod.phase(), phase) << policy << code;
    EXPECT_EQ(pod.due(kStart).empty(), phase != "Running") << policy << code;
  }
}

TEST(PodMachine, AnInitContainerThatFailsEndsThePodWherePolicySaysNever) {
  PodMachine never(pod_with("Never", {"one"}, {"a"}));
  never.started(0, kStart);
  never.ended(0, 1, kStart);
  EXPECT_EQ(never.phase(), "Failed");
  EXPECT_EQ(never.due(kStart), Indexes());
  PodMachine again(pod_with("OnFailure", {"one"}, {"a"}));
  again.started(0, kStart);
  again.ended(0, 1, kStart);
  EXPECT_EQ(again.phase(), "Pending");
  EXPECT_EQ(again.due(kStart), Indexes({0}));
}

TEST(PodMachine, SidecarsGoWhenTheOthersHaveEnded) {
  PodMachine pod(pod_with("Never", {"side"}, {"a"}));
  pod.started(0, kStart);
  pod.started(1, kStart);
  pod.ended(1, 0, kStart);
  EXPECT_EQ(pod.to_end(), Indexes({0}));
  EXPECT_EQ(pod.phase(), "Running");
  pod.ended(0, 143, kStart);
  EXPECT_EQ(pod.phase(), "Succeeded");
  EXPECT_EQ(pod.due(kStart + minutes(10)), Indexes());
}

TEST(PodMachine, WhatWaitsSaysWhyAndIsLookedAtAgain) {
  PodMachine pod(pod_with("Always", {}, {"a"}));
  pod.waits(0, "CreateContainerConfigError", "configmap \"c\" not found", kStart + seconds(1));
  EXPECT_EQ(pod.phase(), "Pending");
  EXPECT_EQ(pod.due(kStart), Indexes());
  EXPECT_EQ(pod.next_look(kStart), kStart + seconds(1));
  pod.terminate();
  EXPECT_EQ(pod.due(kStart + seconds(1)), Indexes());
}

}  // namespace
}  // namespace carrick::lab
