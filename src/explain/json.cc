#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"
#include "explain/explain.h"

namespace carrick::explain {
namespace {

namespace json = boost::json;

constexpr size_t kPiece = 1 << 16;

json::object owner_json(const desired::Owner& owner, const Locate& locate) {
  json::object out{{"kind", owner.kind.view()}, {"namespace", owner.namespace_.view()}, {"name", owner.name.view()}};
  if (owner.namespace_.empty()) out.erase("namespace");
  if (!owner.clause.empty()) out["clause"] = owner.clause.view();
  std::string place = locate ? locate(owner) : "";
  size_t colon = place.rfind(':');
  if (colon == std::string::npos) return out;
  int line = 0;
  std::from_chars(place.data() + colon + 1, place.data() + place.size(), line);
  out["file"] = place.substr(0, colon);
  out["line"] = line;
  return out;
}

json::array owners_json(const std::vector<desired::Owner>& owners, const Locate& locate) {
  json::array out;
  for (const auto& owner : owners) out.push_back(owner_json(owner, locate));
  return out;
}

json::array decisions_json(const std::vector<Decision>& decisions, const Locate& locate) {
  json::array out;
  for (const auto& decision : decisions) {
    json::object one{{"stage", decision.stage},
                     {"passed", decision.passed},
                     {"sentence", decision.sentence},
                     {"owners", owners_json(decision.owners, locate)}};
    if (!decision.nearest.empty())
      one["nearest"] =
          json::object{{"sentence", decision.nearest}, {"owners", owners_json(decision.nearest_owner, locate)}};
    out.push_back(std::move(one));
  }
  return out;
}

std::string quoted(const std::string& text) { return json::serialize(json::string(text)); }

std::string address_text(const net::IpAddress& address) { return address == net::IpAddress() ? "" : address.str(); }

}  // namespace

std::string to_json(const Answer& answer, const Locate& locate) {
  json::object out{{"from", answer.question.from.str()},
                   {"to", answer.question.to.str()},
                   {"port", answer.question.port},
                   {"protocol", net::protocol_name(answer.question.protocol)},
                   {"verdict", verdict_word(answer.verdict)},
                   {"mixed", answer.mixed},
                   {"sentence", answer.sentence},
                   {"decisions", decisions_json(answer.decisions, locate)}};
  json::array paths;
  for (const auto& path : answer.paths)
    paths.push_back(json::object{{"target", path.target_name},
                                 {"address", path.target.str()},
                                 {"verdict", verdict_word(path.verdict)},
                                 {"decisions", decisions_json(path.decisions, locate)}});
  out["paths"] = std::move(paths);
  return json::serialize(out);
}

void write_json(const Matrix& matrix, const Locate& locate, const std::function<void(std::string_view)>& write) {
  std::string out = "{\"pods\":{";
  std::vector<std::string> sources, targets, owners;
  for (const auto& source : matrix.sources) {
    if (!sources.empty()) out += ',';
    sources.push_back(quoted(source.pod.str()));
    out += fmt::format("{}:{{\"ip\":\"{}\",\"ip6\":\"{}\",\"node\":{}}}", sources.back(), address_text(source.address),
                       address_text(source.address6), quoted(source.node));
  }
  for (const auto& target : matrix.targets) targets.push_back(quoted(target.name));
  for (const auto& set : matrix.owner_sets) owners.push_back(json::serialize(owners_json(set, locate)));
  out += "},\n\"cells\":[";
  bool first = true;
  for (const auto& cell : matrix.cells) {
    if (!first) out += ",\n";
    first = false;
    fmt::format_to(std::back_inserter(out),
                   "{{\"from\":{},\"to\":{},\"port\":{},\"protocol\":\"{}\",\"expected\":\"{}\",", sources[cell.from],
                   targets[cell.to], cell.port, net::protocol_name(cell.protocol), verdict_word(cell.expected));
    if ((cell.possible & (cell.possible - 1)) != 0) {
      out += "\"possible\":[";
      bool comma = false;
      for (Verdict verdict : {Verdict::kAllow, Verdict::kDeny, Verdict::kRefuse}) {
        if (!(cell.possible & (1u << static_cast<unsigned>(verdict)))) continue;
        out += fmt::format("{}\"{}\"", comma ? "," : "", verdict_word(verdict));
        comma = true;
      }
      out += "],";
    }
    fmt::format_to(std::back_inserter(out), "\"owners\":{}}}", owners[cell.owners]);
    if (out.size() < kPiece) continue;
    write(out);
    out.clear();
  }
  out += "]}\n";
  write(out);
}

}  // namespace carrick::explain
