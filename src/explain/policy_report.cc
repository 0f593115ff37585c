#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "explain/policy.h"

// Who reaches whom as lists, and what differs between two states.
namespace carrick::explain {
namespace {

namespace json = boost::json;

std::string namespace_of(const PolicyParty& party) { return party.workload.substr(0, party.workload.find('/')); }

// "every pod", "shop/*", "shop/api, shop/db, outside".
class Names {
 public:
  explicit Names(const std::vector<PolicyParty>& parties) : parties_(parties) {
    for (const auto& party : parties)
      if (!party.workload.empty()) ++in_[namespace_of(party)], ++pods_;
  }
  std::string of(const std::vector<size_t>& indexes) const {
    std::map<std::string, std::vector<std::string>> named;
    std::vector<std::string> out, regions;
    size_t pods = 0;
    for (size_t index : indexes) {
      const auto& party = parties_[index];
      if (party.workload.empty()) {
        regions.push_back(party.name);
      } else {
        named[namespace_of(party)].push_back(party.name);
        ++pods;
      }
    }
    if (pods == pods_ && pods > 1) {
      out.push_back("every pod");
    } else {
      for (auto& [ns, names] : named) {
        if (names.size() == in_.at(ns) && names.size() > 1) names = {ns + "/*"};
        std::ranges::sort(names);
        out.insert(out.end(), names.begin(), names.end());
      }
    }
    out.insert(out.end(), regions.begin(), regions.end());
    return join(out, ", ");
  }

 private:
  const std::vector<PolicyParty>& parties_;
  std::map<std::string, size_t> in_;
  size_t pods_ = 0;
};

// A pod or a region in two states; null where a state does not have it.
struct Both {
  std::string name;
  const PolicyParty *before = nullptr, *after = nullptr;
  size_t pods = 0;
  bool region = false;
};

using PodsOfWorkload = std::map<std::string, std::vector<k8s::NamespacedName>>;

PodsOfWorkload pods_of(const PolicyReach& reach) {
  PodsOfWorkload out;
  for (const auto& party : reach.parties())
    if (!party.workload.empty()) {
      auto& pods = out[party.workload];
      pods.insert(pods.end(), party.pods.begin(), party.pods.end());
    }
  for (auto& [workload, pods] : out) std::ranges::sort(pods);
  return out;
}

class Comparison {
 public:
  Comparison(const PolicyReach& before, const PolicyReach& after) : before_(before), after_(after) {
    pair_pods();
    pair_regions();
  }

  std::vector<PolicyDifference> run() const {
    std::vector<PolicyDifference> out;
    for (const auto& from : sides_)
      for (const auto& to : sides_) {
        if (from.region && to.region) continue;
        if (&from == &to && from.pods <= 1) continue;
        const PortSet old = from.before && to.before ? before_.between(*from.before, *to.before) : PortSet();
        const PortSet now = from.after && to.after ? after_.between(*from.after, *to.after) : PortSet();
        if (old != now) out.push_back({from.name, to.name, now - old, old - now});
      }
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

 private:
  void pair_pods() {
    const PodsOfWorkload old = pods_of(before_), now = pods_of(after_);
    std::set<std::string> workloads;
    for (const auto& [name, pods] : old) workloads.insert(name);
    for (const auto& [name, pods] : now) workloads.insert(name);
    for (const auto& name : workloads) {
      std::map<std::pair<const PolicyParty*, const PolicyParty*>, Both> groups;
      const auto a = old.find(name), b = now.find(name);
      const size_t olds = a == old.end() ? 0 : a->second.size(), nows = b == now.end() ? 0 : b->second.size();
      for (size_t i = 0; i < std::max(olds, nows); ++i) {
        const PolicyParty* was = i < olds ? before_.party_of(a->second[i]) : nullptr;
        const PolicyParty* is = i < nows ? after_.party_of(b->second[i]) : nullptr;
        auto& group = groups[{was, is}];
        group.before = was, group.after = is;
        group.name = name;
        ++group.pods;
      }
      for (auto& [key, group] : groups) sides_.push_back(std::move(group));
    }
  }

  void pair_regions() {
    auto edges = before_.region_edges();
    for (const auto& edge : after_.region_edges())
      if (std::ranges::find(edges, edge) == edges.end()) edges.push_back(edge);
    std::map<std::pair<desired::CidrClass, desired::CidrClass>, std::vector<std::string>> names;
    std::map<std::pair<desired::CidrClass, desired::CidrClass>, std::pair<PolicyParty, PolicyParty>> found;
    for (const auto& edge : edges) {
      const auto address = address_in_region(edge, edges);
      if (!address) continue;
      PolicyParty was = before_.region_of(*address), is = after_.region_of(*address);
      const std::pair key(was.region, is.region);
      names[key].push_back(region_name(edge, edges));
      found.try_emplace(key, std::move(was), std::move(is));
    }
    for (auto& [key, parties] : found) regions_.push_back(std::move(parties));
    size_t i = 0;
    for (auto& [key, list] : names) {
      sides_.push_back({join(list, " and "), &regions_[i].first, &regions_[i].second, 0, true});
      ++i;
    }
  }

  const PolicyReach &before_, &after_;
  std::vector<Both> sides_;
  std::vector<std::pair<PolicyParty, PolicyParty>> regions_;
};

std::string csv_field(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::vector<PolicyEdge> policy_edges(const PolicyReach& reach) {
  const auto& parties = reach.parties();
  std::map<PortSet, int> numbers{{PortSet(), 0}};
  std::vector<const PortSet*> sets{&numbers.begin()->first};
  std::map<std::vector<int>, std::vector<size_t>> alike;  // row -> sources that have it
  for (size_t from = 0; from < parties.size(); ++from) {
    std::vector<int> row;
    for (const auto& to : parties) {
      PortSet ports;
      if (!parties[from].workload.empty() || !to.workload.empty()) ports = reach.between(parties[from], to);
      auto [number, fresh] = numbers.try_emplace(std::move(ports), static_cast<int>(numbers.size()));
      if (fresh) sets.push_back(&number->first);
      row.push_back(number->second);
    }
    alike[std::move(row)].push_back(from);
  }
  const Names names(parties);
  std::vector<PolicyEdge> out;
  std::vector<std::pair<size_t, const std::vector<int>*>> order;  // by their first source: pods, then regions
  for (const auto& [row, sources] : alike) order.emplace_back(sources.front(), &row);
  std::ranges::sort(order);
  for (const auto& [first, found] : order) {
    const auto& row = *found;
    const auto& sources = alike.at(row);
    std::map<int, std::vector<size_t>> targets;
    for (size_t to = 0; to < row.size(); ++to) {
      const bool itself = sources.size() == 1 && sources[0] == to && parties[to].pods.size() == 1;
      if (row[to] && !itself) targets[row[to]].push_back(to);
    }
    for (const auto& [number, list] : targets)
      out.push_back({names.of(sources), names.of(list), *sets[static_cast<size_t>(number)]});
  }
  return out;
}

std::vector<PolicyDifference> policy_diff(const PolicyReach& before, const PolicyReach& after) {
  return Comparison(before, after).run();
}

std::string edges_text(const std::vector<PolicyEdge>& edges) {
  std::string out;
  for (const auto& edge : edges) out += fmt::format("{} -> {}: {}\n", edge.from, edge.to, edge.ports.str());
  return out;
}

std::string edges_json(const std::vector<PolicyEdge>& edges) {
  json::array out;
  for (const auto& edge : edges)
    out.push_back(json::object{{"from", edge.from}, {"to", edge.to}, {"ports", edge.ports.str()}});
  return json::serialize(json::object{{"edges", std::move(out)}}) + "\n";
}

std::string edges_csv(const std::vector<PolicyEdge>& edges) {
  std::string out = "from,to,ports\n";
  for (const auto& edge : edges)
    out += csv_field(edge.from) + "," + csv_field(edge.to) + "," + csv_field(edge.ports.str()) + "\n";
  return out;
}

std::string edges_dot(const std::vector<PolicyEdge>& edges) {
  const auto quoted = [](const std::string& text) { return json::serialize(json::string(text)); };
  std::string out = "digraph policies {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const auto& edge : edges)
    out += fmt::format("  {} -> {} [label={}];\n", quoted(edge.from), quoted(edge.to), quoted(edge.ports.str()));
  return out + "}\n";
}

std::string diff_text(const std::vector<PolicyDifference>& differences) {
  std::string out;
  for (const auto& one : differences) {
    if (!one.added.empty()) out += fmt::format("+ {} -> {}: {}\n", one.from, one.to, one.added.str());
    if (!one.removed.empty()) out += fmt::format("- {} -> {}: {}\n", one.from, one.to, one.removed.str());
  }
  return out.empty() ? "no difference\n" : out;
}

std::string diff_json(const std::vector<PolicyDifference>& differences) {
  json::array out;
  for (const auto& one : differences) {
    json::object entry{{"from", one.from}, {"to", one.to}};
    if (!one.added.empty()) entry["added"] = one.added.str();
    if (!one.removed.empty()) entry["removed"] = one.removed.str();
    out.push_back(std::move(entry));
  }
  return json::serialize(json::object{{"differences", std::move(out)}}) + "\n";
}

}  // namespace carrick::explain
