#include "tests/support/scenario_world.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "controllers/plan.h"
#include "desired/object_facts.h"
#include "k8s/codec.h"

namespace carrick::testing {
namespace {

namespace json = boost::json;

constexpr const char* kOutsideV6 = "2001:db8:203::1";  // the twin of what explain takes for `outside`

void merge(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  for (const auto& pair : patch.get_object()) {
    if (pair.value().is_null())
      target.get_object().erase(pair.key());
    else
      merge(target.get_object()[pair.key()], pair.value());
  }
}

class Counters : public ::testing::Environment {
 public:
  void TearDown() override {
    for (const auto& [judge, counts] : by_judge)
      std::printf("[          ] %s: %zu expectations judged, %zu marked in their files as not for this judge\n",
                  std::string(judge_word(judge)).c_str(), counts.first, counts.second);
  }
  std::map<Judge, std::pair<size_t, size_t>> by_judge;
};
Counters* const counters = static_cast<Counters*>(::testing::AddGlobalTestEnvironment(new Counters));

std::string place(const Scenario& scenario, int line) { return fmt::format("{}:{}", scenario.file, line); }

Result<std::string> with_addresses(const explain::World& world, const Scenario& scenario, const Step& step) {
  std::string out = step.yaml;
  for (size_t at; (at = out.find("$(")) != std::string::npos;) {
    size_t end = out.find(')', at);
    std::string asked = out.substr(at + 2, end == std::string::npos ? end : end - at - 2), found;
    auto parts = split(asked, ' ');
    size_t slash = parts[0].find('/');
    if (end == std::string::npos || slash == std::string::npos)
      return fail(ErrorKind::kInvalid, "{}: $({}: write $(NS/POD) or $(NS/POD ipv6)", place(scenario, step.line),
                  asked);
    auto pod =
        world.snapshot->pods.find({std::string(parts[0].substr(0, slash)), std::string(parts[0].substr(slash + 1))});
    bool v6 = parts.size() > 1 && parts[1] == "ipv6";
    if (pod != world.snapshot->pods.end())
      for (const auto& address : desired::addresses_of(*pod->second))
        if (address.is_v4() != v6) found = address.str();
    if (found.empty())
      return fail(ErrorKind::kInvalid, "{}: no pod has the address $({})", place(scenario, step.line), asked);
    out.replace(at, end + 1 - at, found);
  }
  return out;
}

class Understander {
 public:
  Understander(const explain::World& world, const Scenario& scenario, const Step& step, const Expectation& expectation)
      : world_(world), scenario_(scenario), expectation_(expectation), v6_(step.family == "ipv6") {
    out_.question.family = step.family.empty() ? explain::Family::kAny
                           : v6_               ? explain::Family::kV6
                                               : explain::Family::kV4;
  }

  Result<Asked> run() {
    auto port = explain::parse_port(expectation_.port);
    if (!port) return bad(port.error().message);
    out_.question.port = port->port;
    out_.question.protocol = port->protocol;
    TRY_VOID(source());
    TRY_VOID(target());
    return std::move(out_);
  }

 private:
  std::unexpected<Error> bad(std::string_view why) const {
    return fail(ErrorKind::kInvalid, "{}: {} {}: {}", place(scenario_, expectation_.line), expectation_.from,
                expectation_.to, why);
  }

  Result<net::IpAddress> node_address(const std::string& name) const {
    auto view = world_.views.find(name);
    if (view == world_.views.end()) return bad("there is no node " + name);
    for (const auto& address : view->second.addresses)
      if (address.is_v4() != v6_) return address;
    return bad("node " + name + " has no address of that family");
  }

  // node/NAME and `outside` follow the family that is asked; the rest is for explain to read.
  Result<std::optional<explain::Party>> of_ours(const std::string& text) const {
    std::optional<explain::Party> out;
    net::IpAddress address;
    if (text.starts_with("node/"))
      address = TRY(node_address(text.substr(5)));
    else if (text == "outside" && v6_)
      address = net::IpAddress::parse(kOutsideV6).value();
    else
      return out;
    out = explain::Party{explain::Party::Kind::kAddress, {}, {}, address};
    return out;
  }

  Result<void> source() {
    auto& from = out_.question.from;
    auto ours = TRY(of_ours(expectation_.from));
    if (ours) {
      from = *ours;
    } else {
      auto parties = explain::parse_party(world_, expectation_.from, true);
      if (!parties) return bad(parties.error().message);
      from = parties->front();
    }
    if (from.kind == explain::Party::Kind::kAddress) {
      out_.source = from.address;
      for (const auto& [name, view] : world_.views)
        if (std::ranges::find(view.addresses, from.address) != view.addresses.end()) out_.node = name;
      return {};
    }
    auto pod = world_.snapshot->pods.find(from.object);
    if (pod == world_.snapshot->pods.end()) return bad("there is no such pod");
    if (!pod->second->spec.hostNetwork) return {};
    out_.node = pod->second->spec.nodeName;
    out_.source = TRY(node_address(out_.node));
    return {};
  }

  Result<void> target() {
    auto& to = out_.question.to;
    auto ours = TRY(of_ours(expectation_.to));
    if (ours) {
      to = *ours;
      return {};
    }
    auto parties = explain::parse_party(world_, expectation_.to, false);
    // A bare word that is no pod is a DNS name to the pod that asks.
    if (parties)
      to = parties->front();
    else if (expectation_.to.find('/') == std::string::npos)
      to = {explain::Party::Kind::kName, {}, expectation_.to, {}};
    else
      return bad(parties.error().message);
    return {};
  }

  const explain::World& world_;
  const Scenario& scenario_;
  const Expectation& expectation_;
  bool v6_;
  Asked out_;
};

}  // namespace

bool needs_world(const Step& step) { return step.yaml.find("$(") != std::string::npos; }

Result<std::vector<k8s::ManifestObject>> ScenarioWorld::apply(const Step& step, const explain::World& world) {
  std::string yaml = TRY(with_addresses(world, scenario_, step));
  // Lines of the file, not of the step.
  auto parsed =
      TRY(k8s::parse_manifest(std::string(static_cast<size_t>(step.yaml_line) - 1, '\n') + yaml, scenario_.file));
  std::vector<k8s::ManifestObject> out;
  for (auto& object : parsed) {
    auto known =
        std::ranges::find_if(objects_, [&](const auto& o) { return o.kind == object.kind && o.key == object.key; });
    if (known == objects_.end()) {
      objects_.push_back(object);
      out.push_back(std::move(object));
      continue;
    }
    json::value merged = known->document;
    merge(merged, object.document);
    known->document = std::move(merged.as_object());
    known->lines.insert(object.lines.begin(), object.lines.end());
    out.push_back(std::move(object));
  }
  return out;
}

Result<k8s::ManifestObject> ScenarioWorld::remove(const Step& step) {
  auto known = std::ranges::find_if(objects_, [&](const auto& o) {
    return o.kind == step.object_kind && (o.key.str() == step.object || "default/" + step.object == o.key.str());
  });
  if (known == objects_.end())
    return fail(ErrorKind::kNotFound, "{}: there is no {} {}", place(scenario_, step.line), step.object_kind,
                step.object);
  k8s::ManifestObject out = std::move(*known);
  objects_.erase(known);
  return out;
}

Result<explain::World> ScenarioWorld::plan() const {
  auto plan = TRY(controllers::make_plan(objects_, {.nodes = scenario_.nodes}));
  auto snapshot = std::make_shared<const k8s::Snapshot>(std::move(plan.snapshot));
  return explain::make_world(std::move(snapshot), {.routing = scenario_.routing == "vxlan" ? desired::Routing::kVxlan
                                                                                           : desired::Routing::kNative,
                                                   .dsr = scenario_.lb_mode == "dsr"});
}

Result<Asked> understand(const explain::World& world, const Scenario& scenario, const Step& step,
                         const Expectation& expectation) {
  return Understander(world, scenario, step, expectation).run();
}

bool is_outside(const net::IpAddress& address) {
  return net::Prefix::parse("203.0.113.0/24").value().contains(address) ||
         net::Prefix::parse("2001:db8:203::/64").value().contains(address);
}

std::string who_has(const explain::World& world, const net::IpAddress& address, const desired::Listener& port) {
  for (const auto& [key, pod] : world.snapshot->pods) {
    if (desired::is_finished(*pod)) continue;
    const auto addresses = desired::addresses_of(*pod);
    if (std::ranges::find(addresses, address) == addresses.end()) continue;
    if (!pod->spec.hostNetwork) return key.str();
    auto listeners = world.listeners.find(key);
    if (listeners != world.listeners.end() && listeners->second.contains(port)) return key.str();
  }
  return address.str();
}

bool wants_many_tries(const Expectation& expectation) {
  return expectation.verdict == "mixed" || !expectation.reaching.empty();
}

std::string disagreement(const explain::World& world, const Scenario& scenario, const Step& step,
                         const Expectation& expectation, const Asked& asked, const Seen& seen) {
  std::string why;
  if (expectation.verdict == "mixed" ? seen.verdicts.size() < 2
                                     : seen.verdicts != std::set<std::string>{expectation.verdict})
    why = fmt::format("expected {}, seen {}", expectation.verdict, fmt::join(seen.verdicts, " and "));
  std::set<std::string> reaching(expectation.reaching.begin(), expectation.reaching.end());
  if (why.empty() && !reaching.empty() && reaching != seen.reached)
    why = fmt::format("expected to reach {}, reached {}", fmt::join(reaching, ","), fmt::join(seen.reached, ","));
  if (why.empty() && !expectation.seen_as.empty()) {
    std::set<std::string> wanted{expectation.seen_as};
    if (expectation.seen_as == "client") {
      wanted = {asked.source.str()};
      if (asked.node.empty() && asked.source.is_unspecified())
        for (const auto& own : desired::addresses_of(*world.snapshot->pods.at(asked.question.from.object)))
          if (own.is_v4() != (step.family == "ipv6")) wanted = {own.str()};
    } else if (expectation.seen_as.starts_with("node/")) {
      auto view = world.views.find(expectation.seen_as.substr(5));
      if (view != world.views.end())
        for (const auto& own : view->second.addresses)
          if (own.is_v4() != (step.family == "ipv6")) wanted = {own.str()};
    }
    if (seen.clients != wanted)
      why = fmt::format("expected the client to be seen as {}, it was {}", fmt::join(wanted, ","),
                        fmt::join(seen.clients, ","));
  }
  if (why.empty()) return {};
  return fmt::format("{}: {} {} {}: {}\n{}", place(scenario, expectation.line), expectation.from, expectation.to,
                     expectation.port, why, seen.story);
}

void count_expectations(Judge judge, size_t asked, size_t marked) {
  auto& counts = counters->by_judge[judge];
  counts.first += asked;
  counts.second += marked;
}

}  // namespace carrick::testing
