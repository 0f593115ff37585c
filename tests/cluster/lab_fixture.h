#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "lab/lab.h"

// Labs as a user has them: through the built program, judged by its exit codes and by what is on the machine.
namespace carrick::cluster_tests {

struct Ended {
  int code = -1;
  std::string out, err;
};
// Waits for the end. `arguments` as a shell would take them.
Ended carrick(const std::string& arguments);
std::string write_manifest(const std::string& text);  // path; removed at exit

// Asks until the answer is right or 20 s have passed.
template <class F>
bool eventually(F&& f) {
  for (int i = 0; i < 2000; ++i) {
    if (f()) return true;
    ::usleep(10'000);
  }
  return false;
}

// What one lab has of the machine, found while it is up, by its own processes and mounts: other labs do not disturb.
struct Belongings {
  std::map<std::string, std::string> netns;  // "net:[4026532001]" -> its cookie
  std::set<std::string> bpf;                 // "prog 12", "map 7"
  std::set<int> processes;
};
Belongings belongings_of(const std::string& lab);
// What of it is still there (sentences); waits a little for what the kernel frees later.
std::vector<std::string> remains_of(const std::string& lab, const Belongings& belongings);

// What the machine itself shows: links, mounts.
std::string machine_state();

// Kills a process of the lab by its name ("agent-node1") and waits until another one has taken its place.
void kill_and_wait(const lab::RunningLab& running, const std::string& child);

class LabTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  std::string name_;
  std::string machine_before_;
};

inline constexpr const char* kTwoTiers = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web, ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: 8080}}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: db, ports: [{containerPort: 5432}, {containerPort: 53, protocol: UDP}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{name: sql, port: 5432}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
)";

}  // namespace carrick::cluster_tests
