#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>
#include <tuple>

#include "answers.h"
#include "base/text.h"
#include "commands.h"
#include "explain/explain.h"
#include "kernel/programs.h"
#include "lab/connect.h"
#include "world.h"

namespace carrick::app {
namespace {

namespace json = boost::json;

constexpr auto kLook = std::chrono::milliseconds(250);         // --follow
constexpr auto kObjectsAge = std::chrono::milliseconds(1000);  // explain may answer from objects that old
constexpr size_t kMostAtOnce = 50;                             // of a flood of kinds, at each look

// Ends that follow from objects: explain names the one that decides. The others follow from the packet or the machine.
constexpr std::array<std::string_view, 9> kDecidedByObjects = {"egress_denied",   "ingress_denied",   "revoked",
                                                               "no_backend",      "no_local_backend", "no_such_port",
                                                               "no_such_service", "source_range",     "no_such_pod"};

struct Flags {
  std::string lab = "carrick", node, output = "text";
  bool follow = false;
};

std::string sentence_of(const std::string& word) {
  for (uint8_t reason = 1; reason < DROP_COUNT; ++reason)
    if (kernel::drop_word(reason) == word) return std::string(kernel::drop_sentence(reason));
  return word;
}

class Drops {
 public:
  explicit Drops(Flags flags) : flags_(std::move(flags)) {}

  Result<void> run() {
    lab::RunningLab running = TRY(lab::find_running_lab(flags_.lab));
    doors_ = lab::agent_doors(running);
    if (!flags_.node.empty()) std::erase_if(doors_, [&](const auto& door) { return door.node != flags_.node; });
    if (doors_.empty()) return fail(ErrorKind::kInvalid, "lab \"{}\" has no node \"{}\"", flags_.lab, flags_.node);
    if (!flags_.follow) {
      auto entries = look(true);
      if (flags_.output == "json")
        std::printf("%s\n", json::serialize(json::object{{"lab", flags_.lab}, {"drops", std::move(entries)}}).c_str());
      else if (entries.empty())
        std::printf("No packet was ended lately.\n");
      else
        print(entries);
      return {};
    }
    while (lab::find_running_lab(flags_.lab)) {
      print(look(false));
      std::fflush(stdout);
      std::this_thread::sleep_for(kLook);
    }
    return {};
  }

 private:
  // What has changed since the last look, of all nodes, by time.
  json::array look(bool say_errors) {
    json::array out;
    for (const auto& door : doors_) {
      uint64_t& seen = seen_[door.node];
      auto answer = lab::ask_agent(door, json::object{{"verb", "drops"}, {"after", seen}});
      if (!answer || !answer->is_object()) {
        if (say_errors) {
          std::fprintf(stderr, "carrick drops: %s\n", answer ? "not understood" : answer.error().message.c_str());
          exit_code = 1;
        }
        seen = 0;  // an agent that starts again begins to count again
        continue;
      }
      const json::object& document = answer->as_object();
      const auto change = static_cast<uint64_t>(number(document, "change"));
      if (change < seen) {
        seen = 0;
        continue;
      }
      seen = change;
      for (const auto& value : document.at("entries").as_array()) {
        json::object entry = value.as_object();
        entry["node"] = door.node;
        out.push_back(std::move(entry));
      }
    }
    std::ranges::sort(out, {}, [](const json::value& entry) {
      const json::object& object = entry.as_object();
      return std::tuple(text(object, "time"), text(object, "node"), number(object, "change"));
    });
    for (auto& value : out) describe(value.as_object());
    return out;
  }

  void describe(json::object& entry) {
    const std::string reason = text(entry, "reason");
    entry["sentence"] = sentence_of(reason);
    if (std::ranges::find(kDecidedByObjects, reason) == kDecidedByObjects.end()) return;
    if (auto why = ask(entry)) entry["why"] = std::move(*why);
  }

  // explain, of the same connection, by the objects as they are now.
  std::optional<json::object> ask(const json::object& entry) {
    const explain::World* world = objects();
    const auto &from = entry.at("from").as_object(), &to = entry.at("to").as_object();
    auto protocol = net::parse_protocol(text(entry, "protocol"));
    auto address = net::IpAddress::parse(text(to, "address"));
    if (!world || !protocol || !address) return std::nullopt;
    auto source = explain::parse_party(*world, text(from, "address"), true);
    auto target = explain::parse_party(*world, text(to, "address"), false);
    if (!source || !target) return std::nullopt;
    explain::Answer answer =
        explain::explain(*world, {source->front(), target->front(), static_cast<uint16_t>(number(to, "port")),
                                  *protocol, address->is_v4() ? explain::Family::kV4 : explain::Family::kV6});
    if (answer.verdict == explain::Verdict::kAllow)
      return json::object{{"sentence", "the objects as they are now allow it"}, {"owners", json::array()}};
    const explain::Decision* decision = failed(answer.decisions);
    for (const auto& path : answer.paths)
      if (!decision) decision = failed(path.decisions);
    if (!decision) return std::nullopt;
    json::array owners;
    for (const auto& owner : decision->owners) owners.emplace_back(owner.str());
    json::object out{{"sentence", decision->sentence}, {"owners", std::move(owners)}};
    if (!decision->nearest.empty()) out["nearest"] = decision->nearest;
    return out;
  }

  static const explain::Decision* failed(const std::vector<explain::Decision>& decisions) {
    auto found = std::ranges::find(decisions, false, &explain::Decision::passed);
    return found == decisions.end() ? nullptr : &*found;
  }

  const explain::World* objects() {
    const auto now = std::chrono::steady_clock::now();
    if (!world_ || now - world_time_ > kObjectsAge) {
      auto world = load_world({.lab = flags_.lab}, "drops");
      if (!world) return nullptr;
      world_ = std::make_unique<explain::World>(std::move(*world));
      world_time_ = now;
    }
    return world_.get();
  }

  void print(const json::array& entries) const {
    const size_t first = flags_.follow && entries.size() > kMostAtOnce ? entries.size() - kMostAtOnce : 0;
    for (size_t i = first; i < entries.size(); ++i) {
      if (flags_.output == "json")
        std::printf("%s\n", json::serialize(entries[i]).c_str());
      else
        print(entries[i].as_object());
    }
    if (first > 0) std::fprintf(stderr, "(%zu more kinds of packets; the newest are shown)\n", first);
  }

  static std::string party(const json::object& party, const std::string& protocol, bool target) {
    const std::string name = text(party, "name"), address = text(party, "address");
    std::string where = address.find(':') == std::string::npos || !target ? address : "[" + address + "]";
    if (target && number(party, "port")) where += fmt::format(":{}", number(party, "port"));
    if (target) where += "/" + lower(protocol);
    return name.empty() ? where : fmt::format("{} ({})", name, where);
  }

  static void print(const json::object& entry) {
    const auto packets = number(entry, "packets");
    const std::string protocol = text(entry, "protocol");
    std::printf("%s  %s  %s  %lld %s  %s -> %s\n", text(entry, "time").c_str(), text(entry, "node").c_str(),
                text(entry, "reason").c_str(), static_cast<long long>(packets), packets == 1 ? "packet" : "packets",
                party(entry.at("from").as_object(), protocol, false).c_str(),
                party(entry.at("to").as_object(), protocol, true).c_str());
    const auto* why = entry.if_contains("why");
    if (!why) {
      std::printf("    %s\n", text(entry, "sentence").c_str());
      return;
    }
    const json::object& reasons = why->as_object();
    std::vector<std::string> owners;
    for (const auto& owner : reasons.at("owners").as_array()) owners.emplace_back(owner.as_string());
    std::printf("    %s%s\n", text(reasons, "sentence").c_str(),
                owners.empty() ? "" : fmt::format(" ({})", join(owners, ", ")).c_str());
    if (std::string nearest = text(reasons, "nearest"); !nearest.empty())
      std::printf("    nearest rule: %s\n", nearest.c_str());
  }

  Flags flags_;
  std::vector<lab::AgentDoor> doors_;
  std::map<std::string, uint64_t> seen_;  // by node
  std::unique_ptr<explain::World> world_;
  std::chrono::steady_clock::time_point world_time_;
};

}  // namespace

void add_drops(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command =
      app.add_subcommand("drops", "Packets that were ended lately: between whom, why, and which object decided it");
  command->add_option("--lab", flags->lab, "name of the lab")->capture_default_str();
  command->add_option("--node", flags->node, "of this node alone");
  command->add_flag("--follow", flags->follow, "then go on with what comes (as JSON: an object a line)");
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->footer(
      "Packets that differ in their source port alone are one entry; each node remembers the newest 256. A flood is "
      "read\n"
      "at its own pace: the counters of `carrick status` have every packet. The words are in "
      "docs/guide/drop-reasons.md.");
  command->callback([flags] {
    auto done = Drops(*flags).run();
    if (done) return;
    std::fprintf(stderr, "carrick drops: %s\n", done.error().message.c_str());
    exit_code = done.error().kind == ErrorKind::kTransient || done.error().kind == ErrorKind::kInternal ? 1 : 2;
  });
}

}  // namespace carrick::app
