#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "desired/test_cluster.h"
#include "explain/explain.h"
#include "explain/policy.h"
#include "k8s/codec.h"
#include "tests/scenarios/api_text.h"

// The evaluator of api_text.h against the whole chain of compiler and explain on random clusters.
namespace {

using namespace carrick;
using desired::testing::Random;
using desired::testing::TestCluster;
using explain::Verdict;
namespace oracle = carrick::api_text;

const std::set<desired::Listener> kAsked = {
    {80, net::Protocol::kTcp}, {81, net::Protocol::kTcp}, {8080, net::Protocol::kTcp}, {90, net::Protocol::kTcp},
    {53, net::Protocol::kUdp}, {80, net::Protocol::kUdp}, {80, net::Protocol::kSctp}};

TestCluster random_cluster(uint64_t seed) {
  Random random(seed);
  TestCluster out;
  for (const char* name : {"x", "y", "z"})
    if (random.chance(90)) out.add_namespace(name, random.labels());
  for (int i = 0; i < 3; ++i) out.add_node(i).metadata.labels = random.labels();
  int most = random.chance(5) ? 30 : 8;
  for (int i = 2 + random.below(most - 1); i > 0; --i) {
    int node = random.below(3);
    auto& pod = out.add_pod(random.pick<std::string>({"x", "y", "z"}), fmt::format("pod-{}", i), random.labels(), node,
                            random.container_ports());
    if (random.chance(8)) {
      pod.spec.hostNetwork = true;
      pod.status.podIPs = {{fmt::format("192.0.2.{}", 10 + node)}, {fmt::format("2001:db8:2::{:x}", 10 + node)}};
    }
  }
  for (int i = random.below(random.chance(10) ? 20 : 6); i > 0; --i)
    out.add_policy(random.pick<std::string>({"x", "y", "z"}), fmt::format("policy-{}", i), random.policy());
  if (random.chance(60))
    for (int i = 1 + random.below(random.chance(10) ? 12 : 4); i > 0; --i)
      out.add_cluster_policy(fmt::format("cluster-{}", i), random.cluster_policy());
  out.publish();
  return out;
}

oracle::End end_of(const k8s::Snapshot& snapshot, const k8s::NamespacedName& key, bool v4) {
  const auto& pod = *snapshot.pods.at(key);
  return {&pod, pod.status.podIPs.at(v4 ? 0 : 1).ip, pod.spec.nodeName};
}

// The first disagreement, or empty.
std::string disagreement(const k8s::Snapshot& snapshot) {
  explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(snapshot));
  for (auto& [key, ports] : world.listeners) ports = kAsked;
  oracle::Evaluator evaluator{snapshot};
  for (bool v4 : {true, false}) {
    explain::MatrixOptions options;
    options.family = v4 ? explain::Family::kV4 : explain::Family::kV6;
    explain::Matrix matrix = explain::matrix(world, options);
    size_t pods = snapshot.pods.size();
    if (matrix.cells.size() != pods * (pods - 1) * kAsked.size())
      return fmt::format("{} cells for {} pods", matrix.cells.size(), pods);
    for (const auto& cell : matrix.cells) {
      const auto& from = matrix.sources[cell.from].pod;
      const auto& to = *matrix.targets[cell.to].pods.begin();
      bool allowed = evaluator.allowed(end_of(snapshot, from, v4), end_of(snapshot, to, v4), cell.port,
                                       std::string(net::protocol_name(cell.protocol)));
      if ((cell.expected == Verdict::kAllow) != allowed)
        return fmt::format("{} -> {} {}/{} {}: explain {}, the API's text {}", from.str(), to.str(), cell.port,
                           net::protocol_name(cell.protocol), v4 ? "v4" : "v6", verdict_word(cell.expected),
                           allowed ? "allow" : "deny");
    }
  }
  return {};
}

// `carrick policy` works on sets of ports and classes of pods and addresses; it must say the same of every member.
std::string disagreement_of_sets(const k8s::Snapshot& snapshot) {
  const oracle::Evaluator evaluator{snapshot};
  for (bool v4 : {true, false}) {
    const explain::PolicyReach reach(snapshot, v4);
    std::vector<std::pair<explain::PolicyParty, oracle::End>> ends;
    for (const auto& [key, pod] : snapshot.pods)
      if (!pod->spec.hostNetwork) ends.emplace_back(*reach.party_of(key), end_of(snapshot, key, v4));
    for (const char* address : {v4 ? "203.0.113.7" : "2001:db8:203::7", v4 ? "8.8.8.8" : "2001:db8:9::1"})
      ends.push_back({reach.region_of(TestCluster::ip(address)), {nullptr, address, {}}});
    for (const auto& [from, a] : ends)
      for (const auto& [to, b] : ends) {
        if (a.pod == b.pod) continue;
        const explain::PortSet ports = reach.between(from, to);
        for (const auto& port : kAsked)
          if (ports.contains(port) !=
              evaluator.allowed(a, b, port.port, std::string(net::protocol_name(port.protocol))))
            return fmt::format("{} -> {} {}: the set is {}", a.ip, b.ip, port.port, ports.str());
      }
  }
  return {};
}

// One question at a time: pods to themselves, to and from the outside; and explain() and matrix() agree.
std::string disagreement_of_questions(const k8s::Snapshot& snapshot, Random& random) {
  explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(snapshot));
  for (auto& [key, ports] : world.listeners) ports = kAsked;
  oracle::Evaluator evaluator{snapshot};
  std::vector<k8s::NamespacedName> pods;
  for (const auto& [key, pod] : snapshot.pods) pods.push_back(key);
  for (int i = 0; i < 4; ++i) {
    bool v4 = random.chance(50);
    std::string outside = v4 ? "203.0.113.7" : "2001:db8:203::7";
    auto port = *std::next(kAsked.begin(), random.below(static_cast<int>(kAsked.size())));
    explain::Question question{{}, {}, port.port, port.protocol, v4 ? explain::Family::kV4 : explain::Family::kV6};
    oracle::End a, b;
    auto choose = [&](explain::Party& party, oracle::End& end, bool may_be_outside) {
      if (may_be_outside && random.chance(50)) {
        party = {explain::Party::Kind::kAddress, {}, {}, TestCluster::ip(outside)};
        end = {nullptr, outside, {}};
      } else {
        party = {explain::Party::Kind::kPod, random.pick(pods), {}, {}};
        end = end_of(snapshot, party.object, v4);
      }
    };
    choose(question.from, a, true);
    choose(question.to, b, a.pod != nullptr);
    auto answer = explain::explain(world, question);
    bool allowed = evaluator.allowed(a, b, port.port, std::string(net::protocol_name(port.protocol)));
    if ((answer.verdict == Verdict::kAllow) != allowed)
      return fmt::format("{} -> {} {}: explain {} ({}), the API's text {}", question.from.str(), question.to.str(),
                         port.port, verdict_word(answer.verdict), answer.sentence, allowed ? "allow" : "deny");
  }
  return {};
}

// Leaves out whatever the disagreement does not need.
k8s::Snapshot shrink(k8s::Snapshot snapshot) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    auto attempt = [&](auto member) {
      auto keys = snapshot.*member;
      for (const auto& [key, object] : keys) {
        k8s::Snapshot without = snapshot;
        (without.*member).erase(key);
        if (!disagreement(without).empty()) snapshot = std::move(without), smaller = true;
      }
    };
    attempt(&k8s::Snapshot::networkpolicies);
    attempt(&k8s::Snapshot::clusternetworkpolicies);
    attempt(&k8s::Snapshot::pods);
  }
  return snapshot;
}

std::string describe(const k8s::Snapshot& snapshot) {
  std::string out;
  for (const auto& [key, pod] : snapshot.pods) {
    out += "pod " + key.str() + " " + pod->status.podIPs.at(0).ip;
    for (const auto& [k, v] : pod->metadata.labels) out += " " + k + "=" + v;
    for (const auto& port : pod->spec.containers.at(0).ports)
      out += fmt::format(" {}:{}/{}", port.name, port.containerPort, port.protocol);
    out += pod->spec.hostNetwork ? " hostNetwork\n" : "\n";
  }
  for (const auto& [key, policy] : snapshot.networkpolicies) {
    out += "policy " + key.str() + "\n";
    auto selector = [](const k8s::LabelSelector& s) {
      std::string text = "{";
      for (const auto& [k, v] : s.matchLabels) text += k + "=" + v + " ";
      for (const auto& e : s.matchExpressions) {
        text += e.key + " " + e.operator_;
        for (const auto& v : e.values) text += " " + v;
      }
      return text + "}";
    };
    auto rule = [&](const char* name, const auto& peers, const auto& ports) {
      out += fmt::format("  {}:", name);
      for (const auto& peer : peers) {
        if (peer.ipBlock) {
          out += " " + peer.ipBlock->cidr;
          for (const auto& except : peer.ipBlock->except) out += " except " + except;
        }
        if (peer.podSelector) out += " pods" + selector(*peer.podSelector);
        if (peer.namespaceSelector) out += " namespaces" + selector(*peer.namespaceSelector);
        out += ";";
      }
      for (const auto& port : ports)
        out +=
            fmt::format(" port {} {}-{}", port.protocol.value_or("nil"),
                        port.port ? std::visit([](const auto& v) { return fmt::format("{}", v); }, *port.port) : "nil",
                        port.endPort.value_or(0));
      out += "\n";
    };
    out += "  selects " + selector(policy->spec.podSelector);
    for (const auto& type : policy->spec.policyTypes) out += " " + type;
    out += "\n";
    for (const auto& one : policy->spec.ingress) rule("ingress", one.from, one.ports);
    for (const auto& one : policy->spec.egress) rule("egress", one.to, one.ports);
  }
  for (const auto& [key, policy] : snapshot.clusternetworkpolicies)
    out += k8s::json::serialize(k8s::encode(*policy)) + "\n";
  return out;
}

// CARRICK_SEEDS=10000 in CI; CARRICK_SEED=n runs one.
TEST(PolicyOracle, AgreesWithExplainOnRandomClusters) {
  const char* one = std::getenv("CARRICK_SEED");
  const char* many = std::getenv("CARRICK_SEEDS");
  uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1;
  uint64_t last = one ? first : many ? std::strtoull(many, nullptr, 10) : 500;
  size_t cells = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    TestCluster cluster = random_cluster(seed);
    cells += cluster.snapshot.pods.size() * (cluster.snapshot.pods.size() - 1) * kAsked.size() * 2;
    if (std::string found = disagreement(cluster.snapshot); !found.empty()) {
      k8s::Snapshot small = shrink(cluster.snapshot);
      FAIL() << "seed " << seed << ": " << found << "\nsmallest: " << disagreement(small) << "\n" << describe(small);
    }
    if (std::string found = disagreement_of_sets(cluster.snapshot); !found.empty())
      FAIL() << "seed " << seed << ": " << found << "\n" << describe(cluster.snapshot);
    Random random(seed);
    if (std::string found = disagreement_of_questions(cluster.snapshot, random); !found.empty())
      FAIL() << "seed " << seed << ": " << found << "\n" << describe(cluster.snapshot);
  }
  EXPECT_GT(cells, 0u);
  std::printf("%llu clusters, %zu cells\n", static_cast<unsigned long long>(last - first + 1), cells);
}

}  // namespace
