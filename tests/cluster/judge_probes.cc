#include "tests/cluster/judge_probes.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "desired/object_facts.h"
#include "dns/client.h"
#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "lab/prober/node_processes.h"
#include "lab/prober/workers.h"

namespace carrick::cluster_tests {
namespace {

using explain::Party;
using testing::Asked;
using testing::Expectation;
using testing::Seen;

constexpr size_t kManyTries = 64, kFewTries = 4, kMostAddresses = 16;
constexpr uint16_t kDnsPort = 53;
constexpr auto kTimeout = std::chrono::milliseconds(300), kPatience = std::chrono::milliseconds(2000);

// What a client's resolver said; shared with the process that asked.
struct NameSeen {
  bool answered = false;
  size_t count = 0;
  std::array<net::IpAddress, kMostAddresses> addresses;
};

// Of one expectation.
struct Cell {
  const Expectation* expectation = nullptr;
  Asked asked;
  lab::ProbeSource client;
  std::string name;                      // to be asked by the client; empty: the targets are known
  std::optional<net::IpAddress> server;  // the DNS server itself is the target: it answers questions only
  std::vector<net::IpAddress> targets;
  Seen seen;
};

bool may_be(const Expectation& expectation, std::string_view verdict) {
  return expectation.verdict == verdict || expectation.verdict == "mixed";
}

class Probes {
 public:
  Probes(JudgeLab& lab, const explain::World& world, const testing::Scenario& scenario, const testing::Step& step)
      : lab_(lab), running_(lab.running()), world_(world), scenario_(scenario), step_(step) {}

  Result<std::vector<Probed>> run() {
    TRY_VOID(prepare_endpoints_outside());
    cells_.reserve(step_.expectations.size());
    for (const auto& expectation : step_.expectations) {
      cells_.push_back({.expectation = &expectation});
      TRY_VOID(prepare(cells_.back()));
    }
    TRY_VOID(ask_names());
    TRY_VOID(connect());
    std::vector<Probed> out;
    out.reserve(cells_.size());
    for (auto& cell : cells_) out.push_back({std::move(cell.asked), std::move(cell.seen)});
    return out;
  }

 private:
  // External databases and the like: what manual slices point at.
  Result<void> prepare_endpoints_outside() {
    for (const auto& [key, slice] : world_.snapshot->endpointslices)
      for (const auto& endpoint : slice->endpoints)
        for (const auto& text : endpoint.addresses)
          for (const auto& port : slice->ports)
            if (auto address = net::IpAddress::parse(text); address && testing::is_outside(*address))
              TRY_VOID(lab_.have_outside({*address, static_cast<uint16_t>(port.port.value_or(0))},
                                         desired::protocol_or_tcp(port.protocol.value_or("TCP"))));
    return {};
  }

  Result<void> prepare(Cell& cell) {
    cell.asked = TRY(testing::understand(world_, scenario_, step_, *cell.expectation));
    const auto& question = cell.asked.question;
    if (question.protocol == net::Protocol::kSctp)
      return fail(ErrorKind::kInvalid, "{}:{}: this judge speaks no SCTP: mark it (not lab: why)", scenario_.file,
                  cell.expectation->line);
    TRY_VOID(find_client(cell));
    return find_targets(cell);
  }

  Result<void> find_client(Cell& cell) {
    const auto& from = cell.asked.question.from;
    if (from.kind == Party::Kind::kPod) {
      std::string folder = running_.paths.pod(from.object.namespace_, from.object.name);
      auto sandbox = TRY(lab::load_sandbox(folder));
      cell.client = {sandbox.node, running_.paths.prefix + sandbox.netns, folder + "/resolv.conf"};
      return {};
    }
    if (!cell.asked.node.empty()) {
      cell.client = {cell.asked.node, running_.paths.node_netns(cell.asked.node), ""};
      return {};
    }
    // No node: in the lab's own cgroup, where there are no socket programs.
    cell.client = {"", running_.paths.outside_netns(), ""};
    return lab_.have_outside({cell.asked.source, 0}, net::Protocol::kTcp);
  }

  Result<void> find_targets(Cell& cell) {
    const auto& question = cell.asked.question;
    const auto& to = question.to;
    std::vector<net::IpAddress> all;
    if (to.kind == Party::Kind::kName) {
      cell.name = to.name;
      return {};
    }
    if (to.kind == Party::Kind::kAddress) {
      all = {to.address};
      if (testing::is_outside(to.address)) TRY_VOID(lab_.have_outside({to.address, question.port}, question.protocol));
    }
    if (to.kind == Party::Kind::kPod) all = desired::addresses_of(*world_.snapshot->pods.at(to.object));
    if (to.kind == Party::Kind::kService) {
      for (const auto& text : world_.snapshot->services.at(to.object)->spec.clusterIPs)
        if (auto address = net::IpAddress::parse(text)) all.push_back(*address);
      if (all.empty()) {
        cell.name = fmt::format("{}.{}.svc.cluster.local.", to.object.name, to.object.namespace_);
        return {};
      }
    }
    choose(cell, std::move(all));
    bool dns = to.kind == Party::Kind::kService && to.object == k8s::NamespacedName{"kube-system", "kube-dns"};
    if (dns && question.port == kDnsPort && question.protocol == net::Protocol::kUdp && !cell.targets.empty())
      cell.server = cell.targets.front();
    return {};
  }

  // As programs do: IPv4 where both ends have it.
  void choose(Cell& cell, std::vector<net::IpAddress> all) const {
    const auto& question = cell.asked.question;
    std::vector<net::IpAddress> own{cell.asked.source};
    if (cell.asked.source.is_unspecified())
      own = desired::addresses_of(*world_.snapshot->pods.at(question.from.object));
    std::erase_if(all, [&](const auto& target) {
      bool wanted =
          question.family == explain::Family::kAny || target.is_v4() == (question.family == explain::Family::kV4);
      return !wanted || std::ranges::none_of(own, [&](const auto& a) { return a.is_v4() == target.is_v4(); });
    });
    if (std::ranges::any_of(all, [](const auto& a) { return a.is_v4(); }))
      std::erase_if(all, [](const auto& a) { return !a.is_v4(); });
    if (all.empty()) cell.seen.verdicts.insert("refuse");
    cell.targets = std::move(all);
  }

  Result<void> ask_names() {
    auto shared = TRY(lab::SharedArray<NameSeen>::make(cells_.size()));
    std::set<std::string> nodes;
    for (const auto& cell : cells_)
      if (!cell.name.empty() || cell.server) nodes.insert(cell.client.node);
    if (nodes.empty()) return {};
    TRY_VOID(lab::in_node_processes(running_, {nodes.begin(), nodes.end()}, [&](const std::string& node) {
      for (size_t i = 0; i < cells_.size(); ++i)
        if (cells_[i].client.node == node && (!cells_[i].name.empty() || cells_[i].server))
          if (auto asked = ask(cells_[i], shared.span()[i]); !asked) return asked;
      return Result<void>();
    }));
    for (size_t i = 0; i < cells_.size(); ++i) {
      const NameSeen& seen = shared.span()[i];
      Cell& cell = cells_[i];
      if (cell.server) {
        cell.seen.verdicts = {seen.answered ? "allow" : "deny"};
        cell.targets.clear();
      } else if (!cell.name.empty() && !seen.answered) {
        cell.seen.verdicts = {"deny"};
        cell.seen.story = "  no DNS server answers";
      } else if (!cell.name.empty()) {
        cell.seen.story = fmt::format("  {} has {} addresses\n", cell.name, seen.count);
        choose(cell, {seen.addresses.begin(), seen.addresses.begin() + static_cast<ptrdiff_t>(seen.count)});
      }
    }
    return {};
  }

  // In a process of the client's node.
  static Result<void> ask(const Cell& cell, NameSeen& out) {
    Fd netns = TRY(kernel::open_netns(cell.client.netns));
    if (::setns(netns.get(), CLONE_NEWNET) != 0) return fail_errno(errno, cell.client.netns);
    auto patience = may_be(*cell.expectation, "deny") ? kTimeout : kPatience;
    if (cell.server) {
      out.answered =
          dns::query(
              {.server = {*cell.server, kDnsPort}, .name = "kubernetes.default.svc.cluster.local", .timeout = patience})
              .has_value();
      return {};
    }
    std::string text = TRY(read_file(cell.client.resolv_conf));
    auto found = dns::lookup(dns::parse_resolv_conf(text), cell.name, patience);
    if (!found) return {};
    out.answered = true;
    for (const auto& address : found->addresses)
      if (out.count < kMostAddresses) out.addresses[out.count++] = address;
    return {};
  }

  Result<void> connect() {
    std::vector<lab::ProbeSource> sources;
    std::vector<lab::ProbeTask> tasks;
    std::vector<size_t> cell_of;
    for (size_t i = 0; i < cells_.size(); ++i) {
      const Cell& cell = cells_[i];
      sources.push_back(cell.client);
      for (const auto& target : cell.targets)
        for (size_t n = 0; n < (testing::wants_many_tries(*cell.expectation) ? kManyTries : kFewTries); ++n) {
          tasks.push_back({.source = static_cast<uint32_t>(i),
                           .address = target,
                           .port = cell.asked.question.port,
                           .protocol = cell.asked.question.protocol});
          if (cell.client.node.empty()) tasks.back().from = cell.asked.source;
          cell_of.push_back(i);
        }
    }
    std::set<int> late;
    auto expects_answer = [&](size_t task) {
      const Expectation& expectation = *cells_[cell_of[task]].expectation;
      if (may_be(expectation, "deny")) return false;
      late.insert(expectation.line);
      return true;
    };
    auto outcomes = TRY(lab::probe_from_nodes(running_, sources, tasks, kTimeout, kPatience, expects_answer));
    // A packet that was lost, or a busy machine; said, for it may also be a bug.
    for (int line : late)
      std::printf("[          ] %s:%d: silence at first, asked again\n", scenario_.file.c_str(), line);
    TRY_VOID(ask_who(sources, tasks, cell_of, outcomes));
    for (size_t i = 0; i < tasks.size(); ++i) note(cells_[cell_of[i]], tasks[i], outcomes[i]);
    return {};
  }

  // On a busy machine a handshake may be done in time and the word of who answers late: where that word is due, it is
  // waited for.
  Result<void> ask_who(const std::vector<lab::ProbeSource>& sources, const std::vector<lab::ProbeTask>& tasks,
                       const std::vector<size_t>& cell_of, std::vector<lab::ProbeOutcome>& outcomes) {
    std::vector<lab::ProbeTask> again;
    std::vector<size_t> which;
    for (size_t i = 0; i < tasks.size(); ++i) {
      const Expectation& expectation = *cells_[cell_of[i]].expectation;
      bool due = !expectation.reaching.empty() || !expectation.seen_as.empty();
      if (!due || outcomes[i].verdict != lab::Verdict::kAllow || outcomes[i].answered_by != 0) continue;
      again.push_back(tasks[i]);
      which.push_back(i);
    }
    if (again.empty()) return {};
    auto late =
        TRY(lab::probe_from_nodes(running_, sources, again, kPatience, kPatience, [](size_t) { return false; }));
    for (size_t i = 0; i < which.size(); ++i) outcomes[which[i]] = late[i];
    return {};
  }

  void note(Cell& cell, const lab::ProbeTask& task, const lab::ProbeOutcome& outcome) const {
    auto& seen = cell.seen;
    seen.verdicts.insert(std::string(lab::verdict_word(outcome.verdict)));
    std::string who = who_answered(cell, outcome.answered_by);
    auto line = fmt::format("  {}: {} {} by {} as {}\n", net::SocketAddress{task.address, task.port}.str(),
                            lab::verdict_word(outcome.verdict), outcome.error ? std::strerror(outcome.error) : "",
                            who.empty() ? "nobody said who" : who, outcome.seen_as.str());
    if (seen.story.find(line) == std::string::npos) seen.story += line;
    if (outcome.verdict != lab::Verdict::kAllow) return;
    if (!outcome.seen_as.is_unspecified()) seen.clients.insert(outcome.seen_as.str());
    if (!who.empty()) seen.reached.insert(who);
  }

  // Empty when it was not said.
  std::string who_answered(const Cell& cell, uint64_t hash) const {
    if (hash == 0) return {};
    for (const auto& [key, pod] : world_.snapshot->pods)
      if (net::stable_hash(key.str()) == hash) return key.str();
    for (const auto& place : cell.expectation->reaching)
      if (net::stable_hash("outside/" + place) == hash) return place;
    return "somebody else";
  }

  JudgeLab& lab_;
  const lab::RunningLab& running_;
  const explain::World& world_;
  const testing::Scenario& scenario_;
  const testing::Step& step_;
  std::vector<Cell> cells_;
};

}  // namespace

Result<std::vector<Probed>> probe_step(JudgeLab& lab, const explain::World& world, const testing::Scenario& scenario,
                                       const testing::Step& step) {
  return Probes(lab, world, scenario, step).run();
}

}  // namespace carrick::cluster_tests
