#include "tests/support/generated_cases.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "desired/test_cluster.h"
#include "explain/explain.h"
#include "k8s/codec.h"
#include "k8s/objects.h"
#include "tests/scenarios/api_text.h"

// The 230 generated cases (spec/policy.md 5.3) before explain, every cell of every step in both families, by pod
// address and through Services; what is expected is the evaluator's (api_text.h). In a lab: tests/cluster.
namespace carrick::testing {
namespace {

using desired::testing::TestCluster;
using explain::Verdict;

k8s::StringMap labels_of(const std::vector<std::string_view>& words, size_t first) {
  k8s::StringMap out;
  for (size_t i = first; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    out.emplace(words[i].substr(0, equals), words[i].substr(equals + 1));
  }
  return out;
}

class World {
 public:
  World() {
    for (int i = 0; i < 2; ++i) cluster_.add_node(i);
    for (const char* ns : {"x", "y", "z"}) cluster_.add_namespace(ns, {{"ns", ns}});
    for (const char* ns : {"x", "y", "z"})
      for (const char* name : {"a", "b", "c"}) add_pod(ns, name, {{"pod", name}});
  }

  std::string address(const k8s::NamespacedName& pod, bool v4) const {
    return cluster_.snapshot.pods.at(pod)->status.podIPs.at(v4 ? 0 : 1).ip;
  }

  void apply(const GeneratedStep& step) {
    for (const auto& policy : step.policies) {
      const k8s::NamespacedName key{policy.namespace_, policy.name};
      if (policy.spec.empty()) {
        cluster_.snapshot.networkpolicies.erase(key);
        continue;
      }
      auto parsed = k8s::parse_manifest(
          fmt::format(
              "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: '{}', name: '{}'}}\n"
              "spec: {}\n",
              policy.namespace_, policy.name, policy.spec),
          policy.name);
      ASSERT_TRUE(parsed) << parsed.error().message << "\n" << policy.spec;
      const auto errors = k8s::validate(*parsed->at(0).type, parsed->at(0).document);
      ASSERT_TRUE(errors.empty()) << errors.front().str() << "\n" << policy.spec;
      cluster_.snapshot.networkpolicies.insert_or_assign(
          key, std::make_shared<k8s::NetworkPolicy>(k8s::decode<k8s::NetworkPolicy>(parsed->at(0).document).value()));
    }
    for (const auto& object : step.objects) change(object);
    cluster_.publish();
  }

  const k8s::Snapshot& snapshot() const { return cluster_.snapshot; }

 private:
  void add_pod(const std::string& ns, const std::string& name, k8s::StringMap labels) {
    std::vector<TestCluster::Port> ports;
    std::vector<k8s::ServicePort> offered;
    for (int number : {80, 81})
      for (const char* protocol : {"TCP", "UDP", "SCTP"}) {
        const std::string port_name = fmt::format("serve-{}-{}", number, lower(protocol));
        ports.push_back({port_name, number, protocol});
        offered.push_back({port_name, protocol, {}, number, number});
      }
    // The Service finds its pod by a label of its own, as `pod` may be replaced.
    labels["who"] = name;
    cluster_.add_pod(ns, name, std::move(labels), next_node_++ % 2, std::move(ports));
    const int number = ++services_;
    auto& service = cluster_.add_service(
        ns, "s-" + name, {fmt::format("10.96.1.{}", number), fmt::format("2001:db8:96::1:{:x}", number)}, offered,
        {{"who", name}});
    service.spec.ipFamilies = {"IPv4", "IPv6"};
    cluster_.slices_for(ns, "s-" + name);
  }

  void change(const std::string& text) {
    const auto words = split(text, ' ');
    const bool is_pod = words[0].substr(1) == "pod";
    const size_t slash = words[1].find('/');
    const k8s::NamespacedName key =
        is_pod ? k8s::NamespacedName{std::string(words[1].substr(0, slash)), std::string(words[1].substr(slash + 1))}
               : k8s::NamespacedName{{}, std::string(words[1])};
    k8s::StringMap labels = labels_of(words, 2);
    if (text[0] == '-') {
      if (is_pod)
        cluster_.snapshot.pods.erase(key), cluster_.snapshot.services.erase({key.namespace_, "s-" + key.name}),
            cluster_.slices_for_nobody(key.namespace_, "s-" + key.name);
      else
        cluster_.snapshot.namespaces.erase(key);
    } else if (!is_pod) {
      cluster_.add_namespace(key.name, std::move(labels));
    } else if (text[0] == '+') {
      add_pod(key.namespace_, key.name, std::move(labels));
    } else {
      k8s::Pod pod = *cluster_.snapshot.pods.at(key);
      labels["who"] = key.name;
      pod.metadata.labels = std::move(labels);
      cluster_.put(cluster_.snapshot.pods, cluster_.changes.pods, std::move(pod));
    }
  }

  TestCluster cluster_;
  int next_node_ = 0, services_ = 0;
};

api_text::End end_of(const k8s::Snapshot& snapshot, const k8s::NamespacedName& key, bool v4) {
  const auto& pod = *snapshot.pods.at(key);
  return {&pod, pod.status.podIPs.at(v4 ? 0 : 1).ip, pod.spec.nodeName};
}

size_t judge(const k8s::Snapshot& snapshot, bool v4, explain::Via via, const std::string& where) {
  const explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(snapshot));
  const api_text::Evaluator evaluator{snapshot};
  explain::MatrixOptions options;
  options.via = via;
  options.family = v4 ? explain::Family::kV4 : explain::Family::kV6;
  const explain::Matrix matrix = explain::matrix(world, options);
  const size_t pods = snapshot.pods.size();
  EXPECT_EQ(matrix.cells.size(), (via == explain::Via::kPod ? pods - 1 : pods) * pods * 6) << where;
  size_t denied = 0;
  for (const auto& cell : matrix.cells) {
    const auto& from = matrix.sources[cell.from].pod;
    const auto& to = *matrix.targets[cell.to].pods.begin();
    const bool allowed = evaluator.allowed(end_of(snapshot, from, v4), end_of(snapshot, to, v4), cell.port,
                                           std::string(net::protocol_name(cell.protocol)));
    denied += !allowed;
    EXPECT_EQ(cell.expected, allowed ? Verdict::kAllow : Verdict::kDeny)
        << where << ": " << from.str() << " -> " << to.str() << " " << cell.port << "/"
        << net::protocol_name(cell.protocol) << (v4 ? " v4" : " v6");
  }
  return denied;
}

TEST(GeneratedCases, AreAsManyAsUpstreamMakes) {
  std::map<std::string, int> counts;
  for (const auto& one : generated_cases("10.1.0.9")) ++counts[one.family];
  const std::map<std::string, int> expected{{"target", 6},     {"rules", 4},     {"no peers", 2},  {"one peer", 20},
                                            {"two peers", 90}, {"no ports", 2},  {"one port", 54}, {"two ports", 14},
                                            {"action", 6},     {"conflict", 16}, {"namespace", 2}, {"upstream", 13},
                                            {"example", 1}};
  EXPECT_EQ(counts, expected);
  int all = 0;
  for (const auto& [family, count] : counts) all += count;
  EXPECT_EQ(all, 230);
}

class Generated : public ::testing::TestWithParam<int> {};

// Ten cases a test, so that a failure is near its case and the report stays short.
TEST_P(Generated, EveryCell) {
  for (bool v4 : {true, false}) {
    const auto cases = generated_cases(World().address({"z", "c"}, v4));
    for (size_t i = static_cast<size_t>(GetParam()) * 10;
         i < cases.size() && i < static_cast<size_t>(GetParam() + 1) * 10; ++i) {
      World world;
      for (size_t step = 0; step < cases[i].steps.size(); ++step) {
        world.apply(cases[i].steps[step]);
        const std::string where =
            fmt::format("case {} {} {}, step {}", i + 1, cases[i].family, cases[i].name, step + 1);
        const size_t denied = judge(world.snapshot(), v4, explain::Via::kPod, where);
        judge(world.snapshot(), v4, explain::Via::kService, where);
        if (step == 0 && cases[i].family == "one port") EXPECT_GT(denied, 0u) << where << ": nothing is denied";
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policy, Generated, ::testing::Range(0, 23));

}  // namespace
}  // namespace carrick::testing
