#include "tests/support/generated_cases.h"

#include "base/text.h"
#include "net/ip.h"

namespace carrick::testing {
namespace {

constexpr const char* kDns = "{ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}";
constexpr const char* kBasePorts = "[{port: 80, protocol: TCP}]";
constexpr const char* kPodA = "{matchLabels: {pod: a}}";

std::string in(const char* key, const char* values) {
  return fmt::format("{{matchExpressions: [{{key: {}, operator: In, values: [{}]}}]}}", key, values);
}

// Every case changes one thing of this.
struct Base {
  std::string namespace_ = "x", target = kPodA;
  std::string from = fmt::format("[{{podSelector: {}, namespaceSelector: {}}}]", in("pod", "b, c"), in("ns", "x, 'y'"));
  std::string to = fmt::format("[{{podSelector: {}, namespaceSelector: {}}}]", in("pod", "a, b"), in("ns", "'y', z"));
  std::string ingress_ports = kBasePorts, egress_ports = kBasePorts;
  std::string ingress, egress;  // whole lists of rules in place of the above

  std::string spec() const {
    const std::string ins = ingress.empty() ? fmt::format("[{{from: {}, ports: {}}}]", from, ingress_ports) : ingress;
    const std::string outs =
        egress.empty() ? fmt::format("[{{to: {}, ports: {}}}, {}]", to, egress_ports, kDns) : egress;
    return fmt::format("{{podSelector: {}, policyTypes: [Ingress, Egress], ingress: {}, egress: {}}}", target, ins,
                       outs);
  }
  GeneratedStep step() const { return {{{namespace_, "base", spec()}}, {}}; }
};

class Cases {
 public:
  explicit Cases(const std::string& address) {
    const auto ip = net::IpAddress::parse(address).value();
    const int bits = ip.is_v4() ? 32 : 128;
    const auto block = [&](int zeroes) {
      const net::Prefix prefix(ip, (ip.is_v4() ? 96 : 0) + bits - zeroes);
      return fmt::format("\"{}\"", prefix.str());
    };
    blocks_ = {fmt::format("{{ipBlock: {{cidr: {}}}}}", block(8)),
               fmt::format("{{ipBlock: {{cidr: {}, except: [{}]}}}}", block(8), block(4))};
    everywhere_ = ip.is_v4() ? "0.0.0.0/0" : "::/0";
    nowhere_ = ip.is_v4() ? "0.0.0.0/31" : "::/127";
  }

  std::vector<GeneratedCase> run() {
    targets();
    rules();
    peers();
    ports();
    example();
    actions();
    conflicts();
    namespaces();
    end_to_end();
    return std::move(out_);
  }

 private:
  void add(const char* family, std::string name, std::vector<GeneratedStep> steps) {
    out_.push_back({family, std::move(name), std::move(steps)});
  }
  void add(const char* family, std::string name, const Base& base) { add(family, std::move(name), {base.step()}); }

  void targets() {
    for (const char* ns : {"x", "y", "z"}) {
      Base base;
      base.namespace_ = ns;
      add("target", fmt::format("namespace {}", ns), base);
    }
    for (const std::string& selector : {std::string("{}"), std::string(kPodA), in("pod", "a, b")}) {
      Base base;
      base.target = selector;
      add("target", "pods " + selector, base);
    }
  }

  void rules() {
    for (bool ingress : {false, true})
      for (const char* list : {"[]", "[{}]"}) {
        Base base;
        (ingress ? base.ingress : base.egress) = list;
        add("rules", fmt::format("{}: {}", ingress ? "ingress" : "egress", list), base);
      }
  }

  std::vector<std::string> single_peers() const {
    std::vector<std::string> out;
    const char* const kC = "{matchLabels: {pod: c}}";
    const char* const kX = "{matchLabels: {ns: x}}";
    for (const char* pods : {"{}", kC}) out.push_back(fmt::format("{{podSelector: {}}}", pods));
    for (const char* ns : {"{}", kX}) {
      out.push_back(fmt::format("{{namespaceSelector: {}}}", ns));
      for (const char* pods : {"{}", kC})
        out.push_back(fmt::format("{{podSelector: {}, namespaceSelector: {}}}", pods, ns));
    }
    out.insert(out.end(), blocks_.begin(), blocks_.end());
    return out;
  }

  void add_peers(const char* family, bool ingress, const std::string& list) {
    Base base;
    (ingress ? base.from : base.to) = "[" + list + "]";
    add(family, fmt::format("{}: {}", ingress ? "ingress" : "egress", list), base);
  }

  void peers() {
    const auto all = single_peers();
    for (bool ingress : {true, false}) add_peers("no peers", ingress, "");
    for (bool ingress : {true, false})
      for (const auto& one : all) add_peers("one peer", ingress, one);
    for (bool ingress : {true, false})
      for (size_t i = 0; i < all.size(); ++i)
        for (size_t j = i + 1; j < all.size(); ++j) add_peers("two peers", ingress, all[i] + ", " + all[j]);
  }

  static std::vector<std::string> single_ports() {
    std::vector<std::string> out;
    for (const char* protocol : {"", "TCP", "UDP", "SCTP"})
      for (const char* port : {"", "80", "81"}) {
        std::vector<std::string> parts;
        if (*protocol) parts.push_back(fmt::format("protocol: {}", protocol));
        if (*port) parts.push_back(fmt::format("port: {}", port));
        out.push_back("{" + join(parts, ", ") + "}");
      }
    for (const char* protocol : {"TCP", "UDP", "SCTP"})
      for (int port : {80, 81})
        out.push_back(fmt::format("{{protocol: {}, port: serve-{}-{}}}", protocol, port, lower(protocol)));
    for (const char* protocol : {"TCP", "UDP", "SCTP"})
      for (int end : {80, 84}) out.push_back(fmt::format("{{protocol: {}, port: 53, endPort: {}}}", protocol, end));
    for (const char* port : {"serve-81-udp", "serve-7981-udp", "7981"})  // another protocol's name, nobody's
      out.push_back(fmt::format("{{protocol: TCP, port: {}}}", port));
    return out;
  }

  void add_ports(const char* family, bool ingress, const std::string& list) {
    Base base;
    (ingress ? base.ingress_ports : base.egress_ports) = "[" + list + "]";
    add(family, fmt::format("{}: {}", ingress ? "ingress" : "egress", list), base);
  }

  void ports() {
    for (bool ingress : {false, true}) add_ports("no ports", ingress, "");
    for (bool ingress : {false, true})
      for (const auto& one : single_ports()) add_ports("one port", ingress, one);
    for (bool ingress : {false, true})
      for (const char* two :
           {"{}, {port: 80}", "{}, {port: serve-80-tcp}", "{}, {protocol: UDP}", "{port: 80}, {port: 81}",
            "{port: 80}, {port: serve-81-tcp}", "{port: 80}, {protocol: UDP, port: serve-81-udp}",
            "{protocol: UDP, port: 80}, {protocol: UDP, port: serve-81-udp}"})
        add_ports("two ports", ingress, two);
  }

  void example() {
    add("example", "one named port, and a namespace that comes and goes",
        {{{{"x", "allow-all", "{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: serve-81-tcp}]}]}"}},
          {}},
         {{}, {"+namespace w ns=w", "+pod w/a pod=a"}},
         {{}, {"-pod w/a"}},
         {{}, {"-namespace w"}}});
  }

  void actions() {
    const Base base;
    add("action", "policy created and deleted", {base.step(), {{{"x", "base", ""}}, {}}});
    Base other;
    other.ingress_ports = "[{protocol: UDP, port: serve-81-udp}]";
    add("action", "policy created and updated", {base.step(), other.step()});
    add("action", "namespace created and deleted",
        {base.step(),
         {{}, {"+namespace y-2 ns=y", "+pod y-2/a pod=a", "+pod y-2/b pod=b"}},
         {{}, {"-pod y-2/a", "-pod y-2/b", "-namespace y-2"}}});
    Base labelled;
    labelled.from = "[{namespaceSelector: {matchLabels: {new-ns: qrs}}}]";
    add("action", "namespace relabelled",
        {labelled.step(), {{}, {"=namespace y ns=y new-ns=qrs"}}, {{}, {"=namespace y ns=y"}}});
    add("action", "pod created and deleted", {base.step(), {{}, {"+pod x/d pod=d"}}, {{}, {"-pod x/d"}}});
    labelled.from = fmt::format("[{{podSelector: {{matchLabels: {{new-label: abc}}}}, namespaceSelector: {}}}]",
                                in("ns", "'y', z"));
    add("action", "pod relabelled",
        {labelled.step(), {{}, {"=pod y/b pod=b new-label=abc"}}, {{}, {"=pod y/b pod=b"}}});
  }

  // One direction of x/b or y/c, with these rules.
  static GeneratedStep::Policy one_way(const char* name, bool source, bool ingress, const std::string& rules) {
    return {source ? "x" : "y", name,
            fmt::format("{{podSelector: {{matchLabels: {{pod: {}}}}}, policyTypes: [{}], {}: {}}}", source ? "b" : "c",
                        ingress ? "Ingress" : "Egress", ingress ? "ingress" : "egress", rules)};
  }

  void conflict(const char* name, std::vector<GeneratedStep::Policy> policies, bool egress) {
    if (egress) policies.push_back(one_way("allow-dns", true, false, fmt::format("[{}]", kDns)));
    add("conflict", name, {{std::move(policies), {}}});
  }

  void conflicts() {
    const std::string none = "[]", all = "[{}]";
    conflict("source may not, destination would",
             {one_way("deny", true, false, none), one_way("allow", false, true, all)}, true);
    conflict("source would, destination may not",
             {one_way("allow", true, false, all), one_way("deny", false, true, none)}, true);
    conflict("deny and allow, egress", {one_way("deny", true, false, none), one_way("allow", true, false, all)}, true);
    conflict("deny and allow, ingress", {one_way("deny", false, true, none), one_way("allow", false, true, all)},
             false);
    for (bool ingress : {false, true}) {
      const char* key = ingress ? "from" : "to";
      const std::string by_pod = fmt::format("[{{{}: [{{namespaceSelector: {{}}}}]}}]", key);
      const std::string by_ip = fmt::format("[{{{}: [{{ipBlock: {{cidr: \"{}\"}}}}]}}]", key, everywhere_);
      const std::string no_ip = fmt::format("[{{{}: [{{ipBlock: {{cidr: \"{}\"}}}}]}}]", key, nowhere_);
      const std::string no_pod =
          fmt::format("[{{{}: [{{namespaceSelector: {{matchLabels: {{this-will-never-happen: qrs123}}}}}}]}}]", key);
      const auto two = [&](const char* name, const std::string& deny, const std::string& allow) {
        conflict(name, {one_way("deny", true, ingress, deny), one_way("allow", true, ingress, allow)}, !ingress);
      };
      two("deny, and allow by pod", none, by_pod);
      two("deny, and allow by address", none, by_ip);
      two("deny by address, allow by pod", no_ip, by_pod);
      two("deny by pod, allow by address", no_pod, by_ip);
      conflict("deny by address", {one_way("deny", true, ingress, no_ip)}, !ingress);
      conflict("deny by pod", {one_way("deny", true, ingress, no_pod)}, !ingress);
    }
  }

  void namespaces() {
    for (bool ingress : {true, false})
      add_peers("namespace", ingress, "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: z}}}");
  }

  static GeneratedStep one(const char* name, const std::string& spec, const char* ns = "x") {
    return {{{ns, name, spec}}, {}};
  }

  void end_to_end() {
    const std::string a = fmt::format("podSelector: {}", kPodA);
    const std::string ingress = "policyTypes: [Ingress], ingress: ";
    const char* const kFamily = "upstream";
    add(kFamily, "default deny ingress", {one("p", "{podSelector: {}, " + ingress + "[]}")});
    add(kFamily, "default deny all",
        {one("p", fmt::format("{{podSelector: {{}}, policyTypes: [Ingress, Egress], egress: [{}]}}", kDns))});
    add(kFamily, "multiple PodSelectors and NamespaceSelectors",
        {one("p", fmt::format("{{{}, {}[{{from: [{{namespaceSelector: {{matchExpressions: [{{key: ns, operator: NotIn, "
                              "values: [x]}}]}}, podSelector: {}}}]}}]}}",
                              a, ingress, in("pod", "b, c")))});
    const auto from_y = [&](int port) {
      return fmt::format(
          "{{{}, {}[{{from: [{{namespaceSelector: {{matchLabels: {{ns: 'y'}}}}}}], ports: [{{port: {}, "
          "protocol: TCP}}]}}]}}",
          a, ingress, port);
    };
    add(kFamily, "stacked policies", {one("p81", from_y(81)), {}, one("p80", from_y(80))});
    add(kFamily, "allow all", {one("p", "{podSelector: {}, " + ingress + "[{}]}"), {}});
    add(kFamily, "one named port",
        {one("p", "{podSelector: {}, " + ingress + "[{ports: [{port: serve-81-tcp}]}]}"), {}});
    add(kFamily, "updated policy",
        {one("p", "{podSelector: {}, " + ingress + "[{}]}"), one("p", "{podSelector: {}, " + ingress + "[]}")});
    add(kFamily, "updated namespace",
        {one("p", fmt::format("{{{}, {}[{{from: [{{namespaceSelector: {{matchLabels: {{ns2: updated}}}}}}]}}]}}", a,
                              ingress)),
         {{}, {"=namespace y ns=y ns2=updated"}}});
    add(kFamily, "updated pod, allowed",
        {one("p", fmt::format("{{{}, {}[{{from: [{{podSelector: {{matchLabels: {{pod: b, pod2: updated}}}}}}]}}]}}", a,
                              ingress)),
         {{}, {"=pod x/b pod=b pod2=updated"}}});
    add(kFamily, "updated pod, denied",
        {one("p", "{podSelector: {matchLabels: {target: isolated}}, " + ingress + "[]}"),
         {{}, {"=pod x/a target=isolated"}}});
    add(kFamily, "ingress and egress together",
        {one("p", fmt::format(
                      "{{{}, policyTypes: [Ingress, Egress], ingress: [{{from: [{{podSelector: {{matchLabels: {{pod: "
                      "b}}}}}}]}}], egress: [{{ports: [{{port: 80}}, {{protocol: UDP, port: 53}}]}}]}}",
                      a)),
         {}});
    const std::string from_xa =
        "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: x}}, podSelector: {matchLabels: {pod: a}}}]}]}";
    add(kFamily, "denied at the client, allowed at the server",
        {{{{"x", "p",
            fmt::format(
                "{{{}, policyTypes: [Egress], egress: [{{to: [{{namespaceSelector: {{matchLabels: {{ns: 'y'}}}}, "
                "podSelector: {}}}]}}, {{ports: [{{protocol: UDP, port: 53}}]}}]}}",
                a, kPodA)},
           {"y", "a", fmt::format("{{{}, policyTypes: [Ingress], {}", a, from_xa)},
           {"y", "b", "{podSelector: {matchLabels: {pod: b}}, policyTypes: [Ingress], " + from_xa}},
          {}}});
    add(kFamily, "deleted policy",
        {one("p", "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [], egress: []}"), one("p", "")});
  }

  std::vector<std::string> blocks_;
  std::string everywhere_, nowhere_;
  std::vector<GeneratedCase> out_;
};

}  // namespace

std::vector<GeneratedCase> generated_cases(const std::string& address) { return Cases(address).run(); }

}  // namespace carrick::testing
