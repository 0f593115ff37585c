#include <algorithm>

#include "base/text.h"
#include "explain/policy.h"
#include "k8s/yaml.h"

// Assertions over all flows. A rule is one of deny, allow, only, isolated, dns; docs/guide/policy.md says what each
// means.
namespace carrick::explain {
namespace {

using desired::Direction;
using k8s::yaml::Node;

struct Rule {
  std::string kind, name, place;
  std::vector<std::string> from, to;
  PortSet ports = PortSet::everything();
  Direction direction = Direction::kIngress;
};

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  Result<std::vector<Rule>> read(std::string_view text) {
    std::vector<Rule> out;
    for (const auto& document : TRY(k8s::yaml::parse(text, file_))) {
      const Node* list = document.find("rules");
      if (!list || list->kind != Node::Kind::kList) return wrong(document, "there must be a list called rules");
      for (const auto& item : list->items) out.push_back(TRY(rule(item)));
    }
    if (out.empty()) return fail(ErrorKind::kInvalid, "{}: there are no rules", file_);
    return out;
  }

 private:
  std::unexpected<Error> wrong(const Node& at, std::string_view what) const {
    return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", file_, at.mark.line, at.mark.column, what);
  }

  Result<std::string> word(const Node& node) const {
    if (node.kind != Node::Kind::kScalar) return wrong(node, "must be a text");
    if (node.scalar.is_string()) return std::string(node.scalar.get_string());
    if (node.scalar.is_number()) return k8s::json::serialize(node.scalar);
    return wrong(node, "must be a text");
  }

  Result<std::vector<std::string>> words(const Node& node) const {
    std::vector<std::string> out;
    if (node.kind != Node::Kind::kList) {
      out.push_back(TRY(word(node)));
      return out;
    }
    for (const auto& item : node.items) out.push_back(TRY(word(item)));
    return out;
  }

  // 80, 80/tcp, 8000-8010/tcp, tcp.
  Result<PortSet> ports(const Node& node) const {
    PortSet out;
    for (const auto& text : TRY(words(node))) {
      if (auto protocol = net::parse_protocol(text)) {
        out = out | PortSet::range(*protocol, 0, 65535);
        continue;
      }
      const size_t dash = text.find('-');
      auto first = parse_port(dash == text.npos ? text : text.substr(0, dash));
      auto last = dash == text.npos ? first : parse_port(text.substr(dash + 1));
      if (!first || !last || last->port < first->port)
        return wrong(node, fmt::format("\"{}\" is not a port; write 80, 53/udp, 8000-8010/tcp or tcp", text));
      out = out | PortSet::range(last->protocol, first->port, last->port);
    }
    return out;
  }

  Result<Rule> rule(const Node& item) const {
    if (item.kind != Node::Kind::kMap) return wrong(item, "a rule is a map: deny, allow, only, isolated or dns");
    Rule out;
    out.place = fmt::format("{}:{}", file_, item.mark.line);
    for (size_t i = 0; i < item.keys.size(); ++i) {
      if (item.keys[i] == "name") {
        out.name = TRY(word(item.items[i]));
        continue;
      }
      if (!out.kind.empty()) return wrong(item.items[i], fmt::format("a rule has one of them: {} is there", out.kind));
      out.kind = item.keys[i];
      TRY_VOID(body(out, item.items[i]));
    }
    if (out.kind.empty()) return wrong(item, "a rule says one of deny, allow, only, isolated, dns");
    return out;
  }

  Result<void> body(Rule& out, const Node& node) const {
    const bool flows = out.kind == "deny" || out.kind == "allow" || out.kind == "only";
    if (!flows && out.kind != "isolated" && out.kind != "dns")
      return wrong(node, fmt::format("\"{}\" is no rule; there are deny, allow, only, isolated, dns", out.kind));
    if (node.kind != Node::Kind::kMap) return wrong(node, "must be a map");
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const std::string& key = node.keys[i];
      const Node& value = node.items[i];
      if (flows && key == "from")
        out.from = TRY(words(value));
      else if (flows && key == "to")
        out.to = TRY(words(value));
      else if (flows && key == "ports")
        out.ports = TRY(ports(value));
      else if (!flows && key == "pods")
        out.from = TRY(words(value));
      else if (out.kind == "isolated" && key == "direction")
        TRY_VOID(direction(out, value));
      else
        return wrong(value, fmt::format("{} does not know \"{}\"", out.kind, key));
    }
    if (out.from.empty()) return wrong(node, fmt::format("{} needs {}", out.kind, flows ? "from" : "pods"));
    if (flows && out.to.empty()) return wrong(node, fmt::format("{} needs to", out.kind));
    return {};
  }

  Result<void> direction(Rule& out, const Node& value) const {
    const std::string text = TRY(word(value));
    if (text != "ingress" && text != "egress") return wrong(value, "direction is ingress or egress");
    out.direction = text == "ingress" ? Direction::kIngress : Direction::kEgress;
    return {};
  }

  std::string file_;
};

class Checker {
 public:
  Checker(const PolicyReach& reach, std::vector<PolicyFinding>& out) : reach_(reach), out_(out) {}

  Result<void> run(const Rule& rule) {
    const auto from = TRY(parties(rule, rule.from));
    if (rule.kind == "isolated") {
      for (const auto& party : from)
        if (!reach_.isolated(rule.direction, party))
          violated(rule, fmt::format("no NetworkPolicy isolates {} for {}", shown(party),
                                     rule.direction == Direction::kIngress ? "ingress" : "egress"));
      return {};
    }
    if (rule.kind == "dns") {
      dns(rule, from);
      return {};
    }
    const auto to = TRY(parties(rule, rule.to));
    if (rule.kind != "only") {
      each_pair(from, to, [&](const auto& a, const auto& b) { flow(rule, a, b, rule.kind == "allow"); });
      return {};
    }
    std::vector<PolicyParty> others;
    for (const auto& party : reach_.parties())
      if (std::ranges::none_of(from, [&](const auto& one) { return same(one, party); })) others.push_back(party);
    each_pair(others, to, [&](const auto& a, const auto& b) { flow(rule, a, b, false); });
    return {};
  }

 private:
  static bool same(const PolicyParty& a, const PolicyParty& b) {
    return a.identity == b.identity && a.region == b.region && a.workload == b.workload;
  }

  template <class Each>
  static void each_pair(const std::vector<PolicyParty>& from, const std::vector<PolicyParty>& to, Each each) {
    for (const auto& a : from)
      for (const auto& b : to) {
        const bool itself = same(a, b) && a.pods.size() <= 1;
        if (!itself && !(a.workload.empty() && b.workload.empty())) each(a, b);
      }
  }

  static std::string shown(const PolicyParty& party) {
    return party.pods.empty() ? party.address.str() : party.pods.front().str();
  }

  void violated(const Rule& rule, std::string sentence) {
    PolicyFinding finding{rule.kind, Severity::kError, {}, std::move(sentence), rule.place};
    if (!rule.name.empty()) finding.sentence = rule.name + ": " + finding.sentence;
    const auto known = [&](const PolicyFinding& other) {
      return other.place == finding.place && other.sentence == finding.sentence;
    };
    if (std::ranges::none_of(out_, known)) out_.push_back(std::move(finding));
  }

  void flow(const Rule& rule, const PolicyParty& from, const PolicyParty& to, bool wanted) {
    const PortSet open = reach_.between(from, to);
    const PortSet bad = wanted ? rule.ports - open : rule.ports & open;
    if (bad.empty()) return;
    // Two pods of one party, where there are two.
    PolicyParty other = to;
    if (same(from, to)) other.pods = {to.pods.back()};
    violated(rule, fmt::format("{} {} {} on {} (as {} -> {} {})", from.name, wanted ? "does not reach" : "reaches",
                               to.name, bad.str(), shown(from), shown(other), one_port(bad)));
  }

  static std::string one_port(const PortSet& ports) {
    const auto first = ports.first();
    return first.protocol == net::Protocol::kAny
               ? "icmp"
               : fmt::format("{}/{}", first.port, lower(net::protocol_name(first.protocol)));
  }

  void dns(const Rule& rule, const std::vector<PolicyParty>& from) {
    PolicyParty server;
    server.identity = desired::kNodeDnsIdentity;
    server.address = net::IpAddress::parse(reach_.ipv4() ? desired::kNodeDnsV4 : desired::kNodeDnsV6).value();
    server.region = reach_.region_of(server.address).region;
    const PortSet needed = PortSet::range(net::Protocol::kUdp, 53, 53) | PortSet::range(net::Protocol::kTcp, 53, 53);
    for (const auto& party : from)
      if (const PortSet missing = needed - reach_.allowed(Direction::kEgress, party, server); !missing.empty())
        violated(rule, fmt::format("{} cannot ask the cluster's DNS on {}", shown(party), missing.str()));
  }

  // "*", "NS/*", "NS/NAME" (a pod or a workload), "outside", an address.
  Result<std::vector<PolicyParty>> parties(const Rule& rule, const std::vector<std::string>& names) const {
    std::vector<PolicyParty> out;
    for (const auto& name : names) {
      const size_t before = out.size();
      if (auto address = net::IpAddress::parse(name)) {
        if (address->is_v4() == reach_.ipv4()) out.push_back(reach_.region_of(*address));
        continue;
      }
      for (const auto& party : reach_.parties()) {
        const bool pods = !party.workload.empty();
        const bool whole_namespace =
            name.ends_with("/*") && pods && party.workload.starts_with(name.substr(0, name.size() - 1));
        const bool named = pods && (party.workload == name || std::ranges::any_of(party.pods, [&](const auto& pod) {
                                      return pod.str() == name;
                                    }));
        if ((name == "*" && pods) || (name == "outside" && !pods) || whole_namespace || named) out.push_back(party);
      }
      if (out.size() == before)
        return fail(ErrorKind::kInvalid,
                    "{}: nothing is called \"{}\" (there are *, NS/*, NS/NAME, outside, addresses)", rule.place, name);
    }
    return out;
  }

  const PolicyReach& reach_;
  std::vector<PolicyFinding>& out_;
};

}  // namespace

Result<std::vector<PolicyFinding>> policy_check(const k8s::Snapshot& snapshot, std::string_view rules,
                                                const std::string& file, size_t* count) {
  const auto parsed = TRY(Reader(file).read(rules));
  if (count) *count = parsed.size();
  std::vector<PolicyFinding> out;
  bool any = false;
  for (const bool ipv4 : {true, false}) {
    const PolicyReach reach(snapshot, ipv4);
    const bool has_pods =
        std::ranges::any_of(reach.parties(), [](const auto& party) { return !party.workload.empty(); });
    if (!has_pods && (ipv4 || any)) continue;
    any = true;
    for (const auto& rule : parsed) TRY_VOID(Checker(reach, out).run(rule));
  }
  return out;
}

}  // namespace carrick::explain
