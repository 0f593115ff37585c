#include "realize/realize.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <unordered_map>

#include "realize/encode.h"
#include "realize/lists.h"

namespace carrick::realize {
namespace {

// A map as a store of rows.
class MapStore : public reconcile::Store {
 public:
  explicit MapStore(kernel::Map& map) : map_(map) {}

  Result<std::vector<reconcile::Row>> read() override {
    std::vector<reconcile::Row> rows;
    for (auto& [key, value] : TRY(map_.read_all())) rows.push_back({std::move(key), std::move(value), {}});
    return rows;
  }
  Outcome write(std::span<const reconcile::Row> rows) override {
    if (entries_.size() < rows.size()) entries_.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      entries_[i].key.assign(rows[i].key);
      entries_[i].value.assign(rows[i].value);
    }
    auto outcome = map_.update(std::span(entries_).first(rows.size()));
    return {outcome.done, std::move(outcome.error)};
  }
  Outcome erase(std::span<const std::string> keys) override {
    auto outcome = map_.remove(keys);
    return {outcome.done, std::move(outcome.error)};
  }
  size_t capacity() const { return map_.shape().max_entries; }

 private:
  kernel::Map& map_;
  std::vector<kernel::MapEntry> entries_;  // of one batch; their memory is used again
};

// In the order of dependencies: what a row points at comes first. Removals go the other way.
enum Index { kBackends, kMembers, kChoices, kSources, kFrontends, kCidrs, kPolicy, kPods, kPeers, kTables };
constexpr std::array<const char*, kTables> kNames = {"backends", "members", "choices", "sources", "frontends",
                                                     "cidrs",    "policy",  "pods",    "peers"};

// The maps that hold the lists of frontends.
constexpr std::array<std::pair<ListMap, Index>, 4> kListMaps = {{{ListMap::kBackends, kBackends},
                                                                 {ListMap::kMembers, kMembers},
                                                                 {ListMap::kChoices, kChoices},
                                                                 {ListMap::kSources, kSources}}};

bool is_cidr_rule(const reconcile::Row& row) {
  policy_lpm_key key;
  std::memcpy(&key, row.key.data(), sizeof key);
  return key.peer_kind == POLICY_PEER_CIDR_CLASS;
}

// How many frontends use each list that is named by its content.
using Uses = std::unordered_map<uint64_t, uint32_t>;

// Lists that the frontends of one change use or used.
template <class List>
class Touched {
 public:
  void note(List list, const SharedText& owner, int more) {
    if (const uint64_t name = list.name) lists_.try_emplace(name, std::move(list), owner).first->second.more += more;
  }
  // Brings the counts up to date; calls changed(list, owner, wanted) for each that is used for the first time or no
  // more.
  template <class Changed>
  void settle(Uses& uses, Changed changed) const {
    for (const auto& [name, each] : lists_) {
      uint32_t& count = uses[name];
      const bool was_used = count > 0;
      count += static_cast<uint32_t>(each.more);
      const bool is_used = count > 0;
      if (!is_used) uses.erase(name);
      if (was_used != is_used) changed(each.list, each.owner, is_used);
    }
  }

 private:
  struct Each {
    Each(List given, SharedText owned_by) : list(std::move(given)), owner(std::move(owned_by)) {}
    List list;
    SharedText owner;
    int more = 0;
  };
  std::map<uint64_t, Each> lists_;
};

}  // namespace

struct Realizer::State {
  std::vector<std::unique_ptr<MapStore>> stores;
  std::vector<reconcile::Table> tables;
  kernel::Map* config_map = nullptr;
  node_config config{};
  NodeConfig node;
  bool tiered_closed = false;
  bool rejudge = false;  // rows changed since the epoch was last raised
  // What the plans of the tables were made from, so that an unchanged table costs a comparison.
  desired::PodTable pods;
  desired::PeerTable peers;
  desired::FrontendTable frontends;
  desired::PolicyTable policy;
  bool prune = false, planned = false;
  uint64_t wanted_revision = 0;
  Status status;

  Uses set_uses, source_uses, choice_uses;
  std::unordered_set<uint64_t> waiting_lists;  // not whole: frontends that name them wait

  void plan(const desired::Tables& desired);
  void plan_all_services(const desired::Tables& desired);
  void plan_changed_services(const desired::FrontendTable& now);
  void plan_changed_peers(const desired::PeerTable& now);
  void adjust(Index table, Rows rows, const Rows& gone);
  std::vector<Room> rooms() const;
  void refuse_what_does_not_fit();
  void hold_frontends_of_unfinished_lists();
  void keep_lists_in_use();
  bool waits(const reconcile::Row& frontend) const;
  void close_tiered(bool closed);
  void carry_out(reconcile::Time now);
  Result<void> publish_config();
  void report();
  void report_waiting_frontends();
};

// Plans only what changed. A table whose rows failed keeps its plan.
void Realizer::State::plan(const desired::Tables& desired) {
  const bool all = !planned || desired.prune != prune;
  if (all)
    plan_all_services(desired);
  else
    plan_changed_services(desired.frontends);
  frontends = desired.frontends;
  if (all || desired.policy.cidrs != policy.cidrs || desired.policy.rows != policy.rows) {
    tables[kCidrs].desire(encode_cidrs(desired.policy.cidrs), desired.prune);
    tables[kPolicy].desire(encode_policy(desired.policy), desired.prune);
    policy.cidrs = desired.policy.cidrs;
    policy.rows = desired.policy.rows;
  }
  if (all || desired.pods != pods) {
    tables[kPods].desire(encode_pods(desired.pods, tiered_closed), desired.prune);
    pods = desired.pods;
  }
  if (all)
    tables[kPeers].desire(encode_peers(desired.peers), desired.prune);
  else
    plan_changed_peers(desired.peers);
  peers = desired.peers;
  prune = desired.prune;
  planned = true;
}

void Realizer::State::plan_all_services(const desired::Tables& desired) {
  ServiceRows rows;
  for (Uses* uses : {&set_uses, &source_uses, &choice_uses}) uses->clear();
  for (const auto& [key, frontend] : desired.frontends) {
    const FrontendLists lists = lists_of(key, frontend);
    rows.frontends.push_back(encode_frontend(key, frontend, lists));
    const SharedText owner = rows.frontends.back().owner;
    const auto first = [](Uses& uses, const auto& list) { return list.name && ++uses[list.name] == 1; };
    if (first(set_uses, lists.set)) encode_set(lists.set, owner, rows.backends, rows.members);
    if (first(source_uses, lists.sources)) encode_sources(lists.sources, owner, rows.sources);
    if (first(choice_uses, lists.choice)) encode_choice(lists.choice, owner, rows.choices);
  }
  tables[kBackends].desire(std::move(rows.backends), desired.prune);
  tables[kMembers].desire(std::move(rows.members), desired.prune);
  tables[kChoices].desire(std::move(rows.choices), desired.prune);
  tables[kSources].desire(std::move(rows.sources), desired.prune);
  tables[kFrontends].desire(std::move(rows.frontends), desired.prune);
}

void Realizer::State::plan_changed_services(const desired::FrontendTable& now) {
  ServiceRows rows, gone;
  Touched<BackendSet> sets;
  Touched<SourceList> sources;
  Touched<ChoiceTable> choices;
  auto encode = [&](const desired::FrontendTable::value_type& row, int more) {
    FrontendLists lists = lists_of(row.first, row.second);
    reconcile::Row encoded = encode_frontend(row.first, row.second, lists);
    sets.note(std::move(lists.set), encoded.owner, more);
    sources.note(std::move(lists.sources), encoded.owner, more);
    choices.note(std::move(lists.choice), encoded.owner, more);
    return encoded;
  };
  desired::FrontendTable::diff(frontends, now, [&](const auto* was, const auto* is) {
    if (was) {
      reconcile::Row encoded = encode(*was, -1);
      if (!is) gone.frontends.push_back(std::move(encoded));
    }
    if (is) rows.frontends.push_back(encode(*is, 1));
  });
  if (rows.frontends.empty() && gone.frontends.empty()) return;
  sets.settle(set_uses, [&](const BackendSet& set, const SharedText& owner, bool wanted) {
    encode_set(set, owner, (wanted ? rows : gone).backends, (wanted ? rows : gone).members);
  });
  sources.settle(source_uses, [&](const SourceList& list, const SharedText& owner, bool wanted) {
    encode_sources(list, owner, (wanted ? rows : gone).sources);
  });
  choices.settle(choice_uses, [&](const ChoiceTable& table, const SharedText& owner, bool wanted) {
    encode_choice(table, owner, (wanted ? rows : gone).choices);
  });
  adjust(kBackends, std::move(rows.backends), gone.backends);
  adjust(kMembers, std::move(rows.members), gone.members);
  adjust(kChoices, std::move(rows.choices), gone.choices);
  adjust(kSources, std::move(rows.sources), gone.sources);
  adjust(kFrontends, std::move(rows.frontends), gone.frontends);
}

void Realizer::State::plan_changed_peers(const desired::PeerTable& now) {
  Rows rows, gone;
  desired::PeerTable::diff(peers, now, [&](const auto* was, const auto* is) {
    if (is)
      rows.push_back(encode_peer(is->first, is->second));
    else if (was->first == v4_guard())
      rows.push_back(encode_peer(v4_guard(), {}));
    else
      gone.push_back(encode_peer(was->first, was->second));
  });
  if (!rows.empty() || !gone.empty()) adjust(kPeers, std::move(rows), gone);
}

void Realizer::State::adjust(Index table, Rows rows, const Rows& gone) {
  std::vector<std::string> keys;
  for (const auto& row : gone) keys.push_back(row.key);
  tables[table].adjust(std::move(rows), keys, prune);
}

std::vector<Room> Realizer::State::rooms() const {
  std::vector<Room> out;
  for (const auto& [map, index] : kListMaps) out.push_back({map, tables[index], stores[index]->capacity()});
  return out;
}

void Realizer::State::refuse_what_does_not_fit() {
  const auto refused = std::make_shared<const std::unordered_map<uint64_t, Refusal>>(without_room(rooms()));
  for (const auto& [list_map, index] : kListMaps) {
    const ListMap map = list_map;
    if (refused->empty()) {
      tables[index].hold(nullptr);
      tables[index].refuse(nullptr);
      continue;
    }
    const auto refusal_of = [refused, map](const reconcile::Row& row) -> const Refusal* {
      const auto found = refused->find(list_of(map, row.key));
      return found == refused->end() ? nullptr : &found->second;
    };
    const auto speaks = [map](const Refusal& refusal, const reconcile::Row& row) {
      return refusal.map == map && refusal.key == row.key;
    };
    tables[index].hold([=](const reconcile::Row& row) {
      const Refusal* refusal = refusal_of(row);
      return refusal && !speaks(*refusal, row);
    });
    tables[index].refuse([=](const reconcile::Row& row) -> std::optional<Error> {
      const Refusal* refusal = refusal_of(row);
      if (!refusal || !speaks(*refusal, row)) return {};
      return refusal->error;
    });
  }
}

bool Realizer::State::waits(const reconcile::Row& frontend) const {
  return std::ranges::any_of(lists_in(frontend.value), [&](uint64_t name) { return waiting_lists.contains(name); });
}

void Realizer::State::hold_frontends_of_unfinished_lists() {
  waiting_lists = unfinished(rooms());
  if (waiting_lists.empty())
    tables[kFrontends].hold(nullptr);
  else
    tables[kFrontends].hold([this](const reconcile::Row& row) { return waits(row); });
}

void Realizer::State::keep_lists_in_use() {
  const auto used = std::make_shared<const std::unordered_set<uint64_t>>(still_in_use(tables[kFrontends]));
  for (const auto& [map, index] : kListMaps) {
    if (used->empty())
      tables[index].keep(nullptr);
    else
      tables[index].keep([used, of = map](const std::string& key) { return used->contains(list_of(of, key)); });
  }
}

// A missing row of a NetworkPolicy denies; a missing Deny of a ClusterNetworkPolicy would not. Until every row is there
// the pods that one has rules for are closed.
void Realizer::State::close_tiered(bool closed) {
  if (closed == tiered_closed) return;
  tiered_closed = closed;
  tables[kPods].desire(encode_pods(pods, closed), prune);
}

void Realizer::State::carry_out(reconcile::Time now) {
  size_t changed = 0;
  refuse_what_does_not_fit();
  for (auto& table : tables) {
    if (&table == &tables[kFrontends]) hold_frontends_of_unfinished_lists();
    changed += table.write(now);
    // An address whose cidr row is missing would be taken for one of the wider prefix, with rights it must not have
    // ("except"). Until every cidr row is there, no rule by ipBlock is added: fails closed.
    if (&table == &tables[kCidrs]) tables[kPolicy].hold(table.pending().empty() ? nullptr : &is_cidr_rule);
    if (&table == &tables[kPolicy]) close_tiered(!tables[kCidrs].pending().empty() || !table.pending().empty());
  }
  for (size_t i = tables.size(); i-- > 0;) {
    if (i + 1 == kFrontends) keep_lists_in_use();  // the frontends that go are gone by now
    const size_t erased = tables[i].erase(now);
    if (i == kBackends || i == kMembers || i == kPeers) status.retired_backends += erased;
    changed += erased;
  }
  if (changed) rejudge = true;
}

Result<void> Realizer::State::publish_config() {
  const uint32_t epoch = config.epoch + (rejudge ? 1 : 0);
  const node_config wanted = encode_config(node, epoch);
  if (bytes_of(wanted) == bytes_of(config)) return {};
  TRY_VOID(config_map->put(bytes_of(uint32_t{0}), bytes_of(wanted)));
  config = wanted;
  rejudge = false;
  return {};
}

void Realizer::State::report() {
  status.epoch = config.epoch;
  status.tables.clear();
  status.failures.clear();
  status.next_retry.reset();
  status.settled = true;
  for (const auto& table : tables) {
    auto failures = table.failures();
    status.tables.push_back({table.name(), table.size(), failures.size()});
    status.settled &= table.settled();
    std::ranges::move(failures, std::back_inserter(status.failures));
    if (const auto next = table.next_retry(); next && (!status.next_retry || *next < *status.next_retry))
      status.next_retry = next;
  }
  report_waiting_frontends();
  if (status.settled) status.revision = wanted_revision;
}

// A list may be of several Services, and its rows fail in the name of one: the others are named as well.
void Realizer::State::report_waiting_frontends() {
  if (waiting_lists.empty()) return;
  std::set<std::string> named;
  for (const auto& failure : status.failures) named.insert(failure.owner);
  for (const auto& row : tables[kFrontends].pending())
    if (waits(row) && named.insert(row.owner).second)
      status.failures.push_back({.table = kNames[kFrontends],
                                 .key = row.key,
                                 .owner = row.owner,
                                 .error = {ErrorKind::kTransient, "a list that it names is not in the maps yet"}});
}

Realizer::Realizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Realizer::~Realizer() = default;

Result<std::unique_ptr<Realizer>> Realizer::create(kernel::Programs& programs, reconcile::Options options) {
  auto state = std::make_unique<State>();
  state->config_map = programs.map("config");
  if (!state->config_map) return fail(ErrorKind::kInternal, "the data plane has no map config");
  for (const char* name : kNames) {
    kernel::Map* map = programs.map(name);
    if (!map) return fail(ErrorKind::kInternal, "the data plane has no map {}", name);
    state->stores.push_back(std::make_unique<MapStore>(*map));
    state->tables.emplace_back(name, *state->stores.back(), options);
  }
  for (auto& table : state->tables) TRY_VOID(table.read_back());
  const auto config = TRY(state->config_map->lookup(bytes_of(uint32_t{0})));
  if (config && config->size() == sizeof(node_config)) std::memcpy(&state->config, config->data(), sizeof(node_config));
  return std::unique_ptr<Realizer>(new Realizer(std::move(state)));
}

Result<Status> Realizer::apply(const desired::Tables& tables, const NodeConfig& node, reconcile::Time now) {
  state_->node = node;
  state_->wanted_revision = tables.revision;
  state_->plan(tables);
  return retry(now);
}

Result<Status> Realizer::retry(reconcile::Time now) {
  state_->carry_out(now);
  TRY_VOID(state_->publish_config());
  state_->report();
  return state_->status;
}

const Status& Realizer::status() const { return state_->status; }

}  // namespace carrick::realize
