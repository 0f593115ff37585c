#include <gtest/gtest.h>

#include "base/text.h"
#include "desired/test_cluster.h"
#include "explain/explain.h"
#include "k8s/codec.h"
#include "k8s/objects.h"

// The cases of upstream's end-to-end suite of NetworkPolicy (spec/policy.md 5.2), as data, judged by explain: every
// cell of every step, both families.
namespace {

using namespace carrick;
using desired::testing::TestCluster;
using explain::Verdict;

// "80: *>x X" = on port 80/TCP everything to pods of x is denied; later lines win; what no line names is allowed.
struct Step {
  std::vector<std::pair<std::string, std::string>> policies;  // "x/name" -> spec as YAML, "" = deleted
  std::vector<std::string> labels;                            // "xb pod2=updated", "namespace y ns2=updated"
  std::vector<std::string> expect;
};
struct Case {
  const char* name;
  const char* pods;
  std::vector<Step> steps;
};

// Peers.
#define POD(p) "{podSelector: {matchLabels: {pod: " p "}}}"
#define POD_IN(p) "{podSelector: {matchExpressions: [{key: pod, operator: In, values: [" p "]}]}}"
#define NS(n) "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: '" n "'}}}"
#define NS_OP(op, n) "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: " op ", values: ['" n "']}]}"
#define TARGET(p) "podSelector: {matchLabels: {pod: " p "}}, "
#define EVERY "podSelector: {}, "
#define INGRESS "policyTypes: [Ingress], ingress: "
#define EGRESS "policyTypes: [Egress], egress: "

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"support a 'default-deny-ingress' policy", "xa xb ya yb", {{{{"x/p", EVERY INGRESS "[]"}}, {}, {"80: *>x X"}}}},
      {"support a 'default-deny-all' policy",
       "xa xb ya",
       {{{{"x/p", EVERY "policyTypes: [Ingress, Egress]"}}, {}, {"80: *>x X", "80: x>* X"}}}},
      {"allow traffic from pods within server namespace based on PodSelector",
       "xa xb xc ya",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" POD("b") "]}]"}}, {}, {"80: *>xa X", "80: xb>xa ."}}}},
      {"allow ingress traffic for a target",
       "xa xb ya",
       {{{{"x/deny", EVERY INGRESS "[]"},
          {"x/p", TARGET("a") INGRESS "[{from: [{podSelector: {}, namespaceSelector: {}}]}]"}},
         {},
         {"80: *>xb X"}}}},
      {"allow ingress traffic from pods in all namespaces",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{namespaceSelector: {}}]}]"}}, {}, {}}}},
      {"allow traffic only from a different namespace, based on NamespaceSelector",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "]}]"}}, {}, {"80: x>xa X", "80: z>xa X"}}}},
      {"based on PodSelector with MatchExpressions",
       "xa xb ya",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" POD_IN("b") "]}]"}}, {}, {"80: *>xa X", "80: xb>xa ."}}}},
      {"based on NamespaceSelector with MatchExpressions",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{namespaceSelector: " NS_OP("In", "y") "}]}]"}},
         {},
         {"80: x>xa X", "80: z>xa X"}}}},
      {"based on PodSelector or NamespaceSelector",
       "xa xb xc ya",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{namespaceSelector: " NS_OP("NotIn", "x") "}, " POD("b") "]}]"}},
         {},
         {"80: xc>xa X"}}}},
      {"based on PodSelector and NamespaceSelector",
       "xa xb ya yb zb",
       {{{{"x/p", TARGET("a") INGRESS
           "[{from: [{podSelector: {matchLabels: {pod: b}}, namespaceSelector: " NS_OP("NotIn", "x") "}]}]"}},
         {},
         {"80: *>xa X", "80: yb>xa .", "80: zb>xa ."}}}},
      {"based on Multiple PodSelectors and NamespaceSelectors",
       "xa xb ya yb yc",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, "
                                      "c]}]}, namespaceSelector: " NS_OP("NotIn", "x") "}]}]"}},
         {},
         {"80: x>xa X", "80: ya>xa X"}}}},
      {"based on any PodSelectors",
       "xa xb xc",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" POD("b") ", " POD("c") "]}]"}},
         {},
         {"80: *>xa X", "80: xb>xa .", "80: xc>xa ."}}}},
      {"only from a pod in a different namespace based on PodSelector and NamespaceSelector",
       "xa xb ya yb za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'y'}}, "
                                      "podSelector: {matchLabels: {pod: a}}}]}]"}},
         {},
         {"80: *>xa X", "80: ya>xa ."}}}},
      {"based on Ports",
       "xa xb ya yb za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: 81, protocol: TCP}]}]"}},
         {},
         {"81: *>xa X", "81: y>xa .", "80: *>xa X"}}}},
      {"multiple, stacked policies with overlapping podSelectors",
       "xa xb ya yb za",
       {{{{"x/p81", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: 81}]}]"}},
         {},
         {"81: *>xa X", "81: y>xa .", "80: *>xa X"}},
        {{{"x/p80", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: 80}]}]"}},
         {},
         {"81: *>xa X", "81: y>xa .", "80: *>xa X", "80: y>xa ."}}}},
      {"support allow-all policy", "xa xb ya", {{{{"x/p", EVERY INGRESS "[{}]"}}, {}, {}}}},
      {"allow ingress access on one named port",
       "xa xb ya",
       {{{{"x/p", EVERY INGRESS "[{ports: [{port: serve-81-tcp}]}]"}}, {}, {"80: *>x X"}}}},
      {"allow ingress access from namespace on one named port",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: serve-80-tcp}]}]"}},
         {},
         {"80: *>xa X", "80: y>xa .", "81: *>xa X"}}}},
      {"allow egress access on one named port",
       "xa ya",
       {{{{"x/p", EVERY EGRESS "[{ports: [{port: serve-80-tcp}]}]"}}, {}, {"81: x>* X"}}}},
      {"enforce updated policy",
       "xa ya",
       {{{{"x/p", EVERY INGRESS "[{}]"}}, {}, {}}, {{{"x/p", EVERY INGRESS "[]"}}, {}, {"81: *>x X", "80: *>x X"}}}},
      {"allow ingress access from updated namespace",
       "xa ya",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{namespaceSelector: {matchLabels: {ns2: updated}}}]}]"}},
         {},
         {"80: *>xa X"}},
        {{}, {"namespace y ns2=updated"}, {"80: *>xa X", "80: y>xa ."}}}},
      {"allow ingress access from updated pod",
       "xa xb",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [{podSelector: {matchLabels: {pod: b, pod2: updated}}}]}]"}},
         {},
         {"80: *>xa X"}},
        {{}, {"xb pod2=updated"}, {}}}},
      {"deny ingress from pods on other namespaces",
       "xa xb ya za",
       {{{{"x/p", EVERY INGRESS "[{from: [{podSelector: {}}]}]"}}, {}, {"80: y>x X", "80: z>x X"}}}},
      {"deny ingress access to updated pod",
       "xa ya",
       {{{{"x/p", "podSelector: {matchLabels: {target: isolated}}, " INGRESS "[]"}}, {}, {}},
        {{}, {"xa target=isolated"}, {"80: *>xa X"}}}},
      {"deny egress from pods based on PodSelector",
       "xa xb ya",
       {{{{"x/p", TARGET("a") EGRESS "[]"}}, {}, {"80: xa>* X"}}}},
      {"deny egress from all pods in a namespace", "xa xb ya", {{{{"x/p", EVERY EGRESS "[]"}}, {}, {"80: x>* X"}}}},
      {"work with Ingress, Egress specified together",
       "xa xb xc ya",
       {{{{"x/p", TARGET("a") "policyTypes: [Ingress, Egress], ingress: [{from: [" POD(
                      "b") "]}], egress: [{ports: [{port: 80}]}]"}},
         {},
         {"80: *>xa X", "80: xb>xa .", "81: *>xa X", "81: xb>xa .", "81: xa>* X"}}}},
      {"denying of egress traffic on the client side (even if the server explicitly allows this traffic)",
       "xa ya yb",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'y'}}, "
                                     "podSelector: {matchLabels: {pod: a}}}]}]"},
          {"y/a", TARGET("a") INGRESS "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'x'}}, "
                                      "podSelector: {matchLabels: {pod: a}}}]}]"},
          {"y/b", TARGET("b") INGRESS "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'x'}}, "
                                      "podSelector: {matchLabels: {pod: a}}}]}]"}},
         {},
         {"80: xa>yb X", "80: ya>yb X", "80: yb>ya X"}}}},
      {"egress to a server in a different namespace",
       "xa ya yb",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'y'}}, "
                                     "podSelector: {matchLabels: {pod: a}}}]}]"}},
         {},
         {"80: xa>* X", "80: xa>ya ."}}}},
      {"any port traffic to a server on a specific protocol",
       "xa ya",
       {{{{"x/p", TARGET("a") INGRESS "[{ports: [{protocol: TCP}]}]"}}, {}, {"80/udp: *>xa X", "81/udp: *>xa X"}}}},
      {"ingress allow-all policy taking precedence",
       "xa ya",
       {{{{"x/p", EVERY INGRESS "[{ports: [{port: 80}]}]"}}, {}, {"81: *>x X"}},
        {{{"x/all", EVERY INGRESS "[{}]"}}, {}, {}}}},
      {"egress allow-all policy taking precedence",
       "xa ya",
       {{{{"x/p", EVERY EGRESS "[{ports: [{port: 80}]}]"}}, {}, {"81: x>* X"}},
        {{{"x/all", EVERY EGRESS "[{}]"}}, {}, {}}}},
      {"stop enforcing policies after they are deleted",
       "xa ya",
       {{{{"x/p", EVERY "policyTypes: [Ingress, Egress]"}}, {}, {"80: *>x X", "80: x>* X"}}, {{{"x/p", ""}}, {}, {}}}},
      {"egress access to server in CIDR block",
       "xa ya yb",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{ipBlock: {cidr: $yb/32}}]}]"}}, {}, {"80: xa>* X", "80: xa>yb ."}}}},
      {"except clause while egress access to server in CIDR block",
       "xa xb xc",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{ipBlock: {cidr: $xb/4, except: [$xb/32]}}]}]"}}, {}, {"80: xa>xb X"}}}},
      {"an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed",
       "xa xb xc",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{ipBlock: {cidr: $xb/4, except: [$xb/32]}}]}]"}}, {}, {"80: xa>xb X"}},
        {{{"x/p", TARGET("a") EGRESS "[{to: [{ipBlock: {cidr: $xb/32}}]}]"}}, {}, {"80: xa>* X", "80: xa>xb ."}}}},
      {"ingress and egress policies can be controlled independently based on PodSelector",
       "xa xb ya",
       {{{{"x/e", TARGET("a") EGRESS "[{}]"}}, {}, {}}, {{{"x/i", TARGET("a") INGRESS "[]"}}, {}, {"80: *>xa X"}}}},
      {"not mistakenly treat 'protocol: SCTP' as 'protocol: TCP'",
       "xa ya",
       {{{{"x/deny", EVERY INGRESS "[]"}, {"x/p", TARGET("a") INGRESS "[{ports: [{protocol: SCTP, port: 81}]}]"}},
         {},
         {"81: *>x X"}}}},
      {"properly isolate pods that are selected by a policy allowing SCTP",
       "xa ya",
       {{{{"x/p", TARGET("a") INGRESS "[{ports: [{protocol: SCTP, port: 80}]}]"}},
         {},
         {"81: *>xa X", "80: *>xa X", "80/udp: *>xa X"}}}},
      {"not allow access by TCP when a policy specifies only UDP",
       "xa ya",
       {{{{"x/p", TARGET("a") INGRESS "[{ports: [{protocol: UDP, port: 81}]}]"}}, {}, {"81: *>xa X"}}}},
      {"NamespaceSelector with MatchLabels using default ns label",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "]}]"}}, {}, {"80: x>xa X", "80: z>xa X"}}}},
      {"NamespaceSelector with MatchExpressions using default ns label",
       "xa xb ya za",
       {{{{"x/p", TARGET("a") EGRESS "[{to: [{namespaceSelector: " NS_OP("NotIn", "y") "}]}]"}}, {}, {"80: xa>y X"}}}},
      {"U1 default-deny-ingress using UDP", "xa xb ya yb", {{{{"x/p", EVERY INGRESS "[]"}}, {}, {"80/udp: *>x X"}}}},
      {"U2 based on Ports using UDP",
       "xa xb ya yb za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: 81, protocol: UDP}]}]"}},
         {},
         {"81/udp: *>xa X", "81/udp: y>xa .", "81: *>xa X"}}}},
      {"S2 based on Ports using SCTP",
       "xa xb ya yb za",
       {{{{"x/p", TARGET("a") INGRESS "[{from: [" NS("y") "], ports: [{port: 81, protocol: SCTP}]}]"}},
         {},
         {"81/sctp: *>xa X", "81/sctp: y>xa .", "81: *>xa X"}}}},
  };
  return kCases;
}

std::string address_of(const TestCluster& cluster, const std::string& pod, bool v4) {
  return cluster.snapshot.pods.at({pod.substr(0, 1), pod.substr(1)})->status.podIPs.at(v4 ? 0 : 1).ip;
}

// "$xb/32": the address of a pod; prefix lengths are IPv4's, IPv6 takes /128 for /32 and the same /4.
std::string with_addresses(const TestCluster& cluster, std::string text, bool v4) {
  for (size_t at; (at = text.find('$')) != std::string::npos;) {
    std::string address = address_of(cluster, text.substr(at + 1, 2), v4);
    bool host = text.substr(at + 3, 3) == "/32";
    text.replace(at, host ? 6 : 5, "\"" + address + (host ? (v4 ? "/32" : "/128") : "/4") + "\"");
  }
  return text;
}

k8s::NetworkPolicy policy_of(const std::string& name, const std::string& spec) {
  auto parts = split(name, '/');
  auto objects = k8s::parse_manifest(fmt::format("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: "
                                                 "{{namespace: '{}', name: '{}'}}\nspec: {{{}}}\n",
                                                 parts[0], parts[1], spec),
                                     name);
  if (!objects) throw std::runtime_error(objects.error().message);
  auto decoded = k8s::decode<k8s::NetworkPolicy>(objects->at(0).document);
  EXPECT_TRUE(decoded.has_value());
  return *decoded;
}

void apply(TestCluster& cluster, const Step& step, bool v4) {
  for (const auto& [name, spec] : step.policies) {
    auto parts = split(name, '/');
    if (spec.empty())
      cluster.erase(cluster.snapshot.networkpolicies, cluster.changes.networkpolicies,
                    {std::string(parts[0]), std::string(parts[1])});
    else
      cluster.put(cluster.snapshot.networkpolicies, cluster.changes.networkpolicies,
                  policy_of(name, with_addresses(cluster, spec, v4)));
  }
  for (const auto& text : step.labels) {
    auto words = split(text, ' ');
    auto label = split(words.back(), '=');
    std::string key(label[0]), value(label[1]);
    if (words.size() == 3) {
      auto object = *cluster.snapshot.namespaces.at({"", std::string(words[1])});
      object.metadata.labels[key] = value;
      cluster.put(cluster.snapshot.namespaces, cluster.changes.namespaces, object);
    } else {
      auto object = *cluster.snapshot.pods.at({std::string(words[0].substr(0, 1)), std::string(words[0].substr(1))});
      object.metadata.labels[key] = value;
      cluster.put(cluster.snapshot.pods, cluster.changes.pods, object);
    }
  }
}

bool means(std::string_view set, const k8s::NamespacedName& pod) {
  return set == "*" || set == pod.namespace_ || set == pod.namespace_ + pod.name;
}

Verdict expected(const Step& step, const k8s::NamespacedName& from, const k8s::NamespacedName& to,
                 const std::string& port) {
  Verdict out = Verdict::kAllow;
  for (const auto& line : step.expect) {
    size_t colon = line.find(':'), arrow = line.find('>'), space = line.rfind(' ');
    std::string where = line.substr(0, colon);
    if (where.find('/') == std::string::npos) where += "/tcp";
    if (where != port || !means(std::string_view(line).substr(colon + 2, arrow - colon - 2), from) ||
        !means(std::string_view(line).substr(arrow + 1, space - arrow - 1), to))
      continue;
    out = line.substr(space + 1) == "X" ? Verdict::kDeny : Verdict::kAllow;
  }
  return out;
}

// Ports that a step says something of; about others upstream says nothing.
bool judged(const Step& step, const std::string& port) {
  for (const auto& line : step.expect) {
    std::string where = line.substr(0, line.find(':'));
    if (where == port || where + "/tcp" == port) return true;
  }
  return step.expect.empty() && port.ends_with("/tcp");
}

class NetpolMatrix : public ::testing::TestWithParam<size_t> {};

TEST_P(NetpolMatrix, EveryCell) {
  const Case& one = cases()[GetParam()];
  for (bool v4 : {true, false}) {
    TestCluster cluster;
    for (int i = 0; i < 2; ++i) cluster.add_node(i);
    for (const char* name : {"x", "y", "z"}) cluster.add_namespace(name);
    int node = 0;
    for (auto pod : split(one.pods, ' ')) {
      std::vector<TestCluster::Port> ports;
      for (int number : {80, 81})
        for (const char* protocol : {"TCP", "UDP", "SCTP"})
          ports.push_back({fmt::format("serve-{}-{}", number, lower(protocol)), number, protocol});
      cluster.add_pod(std::string(pod.substr(0, 1)), std::string(pod.substr(1)), {{"pod", std::string(pod.substr(1))}},
                      node++ % 2, ports);
    }
    size_t cells = 0;
    for (const Step& step : one.steps) {
      apply(cluster, step, v4);
      cluster.publish();
      explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(cluster.snapshot));
      explain::MatrixOptions options;
      options.family = v4 ? explain::Family::kV4 : explain::Family::kV6;
      explain::Matrix matrix = explain::matrix(world, options);
      for (const auto& cell : matrix.cells) {
        std::string port = fmt::format("{}/{}", cell.port, lower(net::protocol_name(cell.protocol)));
        if (!judged(step, port)) continue;
        ++cells;
        const auto& from = matrix.sources[cell.from].pod;
        const auto& to = *matrix.targets[cell.to].pods.begin();
        Verdict want = expected(step, from, to, port);
        EXPECT_EQ(verdict_word(cell.expected), verdict_word(want))
            << one.name << " step " << (&step - one.steps.data()) << ": " << from.str() << " -> " << to.str() << " "
            << port << (v4 ? " v4" : " v6");
      }
    }
    EXPECT_GT(cells, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Upstream, NetpolMatrix, ::testing::Range<size_t>(0, cases().size()));

}  // namespace
