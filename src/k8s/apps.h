#pragma once

#include "k8s/core.h"

// apps/v1 and batch/v1
namespace carrick::k8s {

struct PodTemplateSpec {
  ObjectMeta metadata;
  PodSpec spec;
  bool operator==(const PodTemplateSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(PodTemplateSpec, (), (metadata, spec))

struct ReplicaSetSpec {
  std::optional<int32_t> replicas;  // nil = 1
  int32_t minReadySeconds = 0;
  LabelSelector selector;
  PodTemplateSpec template_;
  bool operator==(const ReplicaSetSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(ReplicaSetSpec, (), (replicas, minReadySeconds, selector, template_))
struct ReplicaSetStatus {
  int32_t replicas = 0, fullyLabeledReplicas = 0, readyReplicas = 0, availableReplicas = 0;
  int64_t observedGeneration = 0;
  bool operator==(const ReplicaSetStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(ReplicaSetStatus, (),
                      (replicas, fullyLabeledReplicas, readyReplicas, availableReplicas, observedGeneration))
struct ReplicaSet {
  ObjectMeta metadata;
  ReplicaSetSpec spec;
  ReplicaSetStatus status;
  bool operator==(const ReplicaSet&) const = default;
};
BOOST_DESCRIBE_STRUCT(ReplicaSet, (), (metadata, spec, status))

struct RollingUpdateDeployment {
  std::optional<IntOrString> maxUnavailable, maxSurge;
  bool operator==(const RollingUpdateDeployment&) const = default;
};
BOOST_DESCRIBE_STRUCT(RollingUpdateDeployment, (), (maxUnavailable, maxSurge))
struct DeploymentStrategy {
  std::string type;
  std::optional<RollingUpdateDeployment> rollingUpdate;
  bool operator==(const DeploymentStrategy&) const = default;
};
BOOST_DESCRIBE_STRUCT(DeploymentStrategy, (), (type, rollingUpdate))
struct DeploymentSpec {
  std::optional<int32_t> replicas;  // nil = 1
  int32_t minReadySeconds = 0;
  std::optional<int32_t> revisionHistoryLimit, progressDeadlineSeconds;
  bool paused = false;
  LabelSelector selector;
  DeploymentStrategy strategy;
  PodTemplateSpec template_;
  bool operator==(const DeploymentSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(DeploymentSpec, (),
                      (replicas, minReadySeconds, revisionHistoryLimit, progressDeadlineSeconds, paused, selector,
                       strategy, template_))
struct DeploymentStatus {
  int64_t observedGeneration = 0;
  int32_t replicas = 0, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0, unavailableReplicas = 0;
  std::vector<Condition> conditions;
  bool operator==(const DeploymentStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(DeploymentStatus, (),
                      (observedGeneration, replicas, updatedReplicas, readyReplicas, availableReplicas,
                       unavailableReplicas, conditions))
struct Deployment {
  ObjectMeta metadata;
  DeploymentSpec spec;
  DeploymentStatus status;
  bool operator==(const Deployment&) const = default;
};
BOOST_DESCRIBE_STRUCT(Deployment, (), (metadata, spec, status))

struct StatefulSetSpec {
  std::optional<int32_t> replicas;
  std::string serviceName, podManagementPolicy;
  LabelSelector selector;
  PodTemplateSpec template_;
  bool operator==(const StatefulSetSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(StatefulSetSpec, (), (replicas, serviceName, podManagementPolicy, selector, template_))
struct StatefulSet {
  ObjectMeta metadata;
  StatefulSetSpec spec;
  bool operator==(const StatefulSet&) const = default;
};
BOOST_DESCRIBE_STRUCT(StatefulSet, (), (metadata, spec))

struct DaemonSetSpec {
  LabelSelector selector;
  PodTemplateSpec template_;
  bool operator==(const DaemonSetSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(DaemonSetSpec, (), (selector, template_))
struct DaemonSet {
  ObjectMeta metadata;
  DaemonSetSpec spec;
  bool operator==(const DaemonSet&) const = default;
};
BOOST_DESCRIBE_STRUCT(DaemonSet, (), (metadata, spec))

struct JobSpec {
  std::optional<int32_t> parallelism, completions, backoffLimit;
  std::optional<LabelSelector> selector;
  std::optional<bool> manualSelector, suspend;
  PodTemplateSpec template_;
  bool operator==(const JobSpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobSpec, (),
                      (parallelism, completions, backoffLimit, selector, manualSelector, suspend, template_))
struct Job {
  ObjectMeta metadata;
  JobSpec spec;
  bool operator==(const Job&) const = default;
};
BOOST_DESCRIBE_STRUCT(Job, (), (metadata, spec))

}  // namespace carrick::k8s
