#include <algorithm>

#include "desired/compiler_state.h"
#include "desired/object_facts.h"

namespace carrick::desired {
namespace {

// Both sorted by key: calls gone(row) and fresh(row) for what only one of them has, or what differs.
template <class Old, class New, class KeyOf, class Gone, class Fresh>
void compare(const Old& old, const New& now, KeyOf key_of, Gone gone, Fresh fresh) {
  auto a = old.begin();
  auto b = now.begin();
  while (a != old.end() || b != now.end()) {
    if (b == now.end() || (a != old.end() && key_of(*a) < key_of(*b))) {
      gone(*a++);
    } else if (a == old.end() || key_of(*b) < key_of(*a)) {
      fresh(*b++);
    } else {
      if (!(*a == *b)) fresh(*b);
      ++a;
      ++b;
    }
  }
}

// Rows of a map as a list, those that did not change in the memory they had.
template <class Map>
std::vector<typename Map::Entry> entries_of(const Map& map, const std::vector<typename Map::Entry>& old) {
  std::vector<typename Map::Entry> out;
  out.reserve(map.size());
  auto known = old.begin();
  for (auto at = map.begin(); at != map.end(); ++at) {
    while (known != old.end() && (*known)->first < at->first) ++known;
    const bool same = known != old.end() && **known == *at;
    out.push_back(same ? *known : at.entry());
  }
  return out;
}

const auto kKeyOfEntry = [](const auto& entry) -> const auto& { return entry->first; };

std::optional<k8s::NamespacedName> service_of(const k8s::Snapshot& snapshot, const k8s::NamespacedName& slice) {
  auto object = snapshot.endpointslices.find(slice);
  if (object == snapshot.endpointslices.end()) return std::nullopt;
  const auto& labels = object->second->metadata.labels;
  auto label = labels.find(k8s::kServiceNameLabel);
  if (label == labels.end()) return std::nullopt;
  return k8s::NamespacedName{slice.namespace_, label->second};
}

bool belongs_to(const FrontendRow& row, const k8s::NamespacedName& service) {
  return row.owner.kind == "Service" && row.owner.namespace_ == service.namespace_ && row.owner.name == service.name;
}

}  // namespace

// A changed slice dirties the Service it belonged to and the one it belongs to.
void Compiler::State::note_slices(Round& round, const Keys& changed) {
  for (const auto& key : changed) {
    const auto was = service_of(before, key), now = service_of(round.snapshot, key);
    if (was) round.services.insert(*was);
    if (now) round.services.insert(*now);
    if (was == now) continue;
    if (was) std::erase(services[*was].slices, key.name);
    if (!now) continue;
    auto& slices = services[*now].slices;
    slices.insert(std::ranges::lower_bound(slices, key.name), key.name);
  }
}

SliceList Compiler::State::slices(const k8s::Snapshot& snapshot, const k8s::NamespacedName& service) const {
  SliceList out;
  if (auto state = services.find(service); state != services.end())
    for (const auto& name : state->second.slices) out.push_back(snapshot.endpointslices.at({service.namespace_, name}));
  return out;
}

// Among Services the first by name has the key; hostPorts come after all of them.
void Compiler::State::claim(const FrontendTable::Entry& entry, const k8s::NamespacedName& service) {
  const FrontendKey& key = entry->first;
  auto current = tables.frontends.find(key);
  if (current != tables.frontends.end() && current->second.owner.kind == "Service" &&
      !belongs_to(current->second, service)) {
    k8s::NamespacedName holder{current->second.owner.namespace_, current->second.owner.name};
    if (holder < service) {
      contested[key].insert(service);
      return;
    }
    contested[key].insert(std::move(holder));
  }
  tables.frontends.insert_or_assign(entry);
}

void Compiler::State::give_up(const FrontendKey& key, const k8s::NamespacedName& service) {
  auto others = contested.find(key);
  if (!belongs_to(tables.frontends.at(key), service)) {
    others->second.erase(service);
    if (others->second.empty()) contested.erase(others);
    return;
  }
  if (others != contested.end()) {
    const auto& rows = services.at(*others->second.begin()).frontends;
    tables.frontends.insert_or_assign(*std::ranges::lower_bound(rows, key, {}, kKeyOfEntry));
    others->second.erase(others->second.begin());
    if (others->second.empty()) contested.erase(others);
  } else if (auto host = host_ports.find(key); host != host_ports.end()) {
    tables.frontends.insert_or_assign(host.entry());
  } else {
    tables.frontends.erase(key);
  }
}

void Compiler::State::set_frontends(const k8s::NamespacedName& service, ServiceState& state,
                                    const FrontendTable& fresh) {
  auto entries = entries_of(fresh, state.frontends);
  auto old = std::exchange(state.frontends, std::move(entries));
  compare(
      old, state.frontends, kKeyOfEntry, [&](const auto& entry) { give_up(entry->first, service); },
      [&](const auto& entry) { claim(entry, service); });
}

void Compiler::State::update_host_ports() {
  FrontendTable fresh = compile_host_ports(node);
  FrontendTable::diff(host_ports, fresh, [&](const auto* was, const auto* now) {
    const FrontendKey& key = (was ? was : now)->first;
    auto current = tables.frontends.find(key);
    if (current != tables.frontends.end() && current->second.owner.kind == "Service") return;
    if (now)
      tables.frontends.insert_or_assign(fresh.find(key).entry());
    else
      tables.frontends.erase(key);
  });
  host_ports = std::move(fresh);
}

void Compiler::State::set_health_check(const k8s::NamespacedName& service,
                                       std::optional<std::pair<uint16_t, HealthCheckRow>> fresh) {
  if (!fresh && !health_checks.contains(service)) return;
  health_checks.erase(service);
  if (fresh) health_checks.emplace(service, std::move(*fresh));
  tables.health_checks.clear();
  for (const auto& [key, check] : health_checks) tables.health_checks.insert(check);
}

void Compiler::State::set_findings(const k8s::NamespacedName& service, Findings fresh) {
  if (fresh.empty())
    tables.findings.erase(service);
  else
    tables.findings.insert_or_assign(service, std::move(fresh));
}

void Compiler::State::update_services(Round& round) {
  for (const auto& key : round.services) {
    auto object = round.snapshot.services.find(key);
    const bool exists = object != round.snapshot.services.end();
    auto [at, fresh] = services.try_emplace(key);
    ServiceState& state = at->second;
    if (state.exists != exists) {
      auto count = services_in.try_emplace(key.namespace_, 0).first;
      count->second += exists ? 1 : size_t(-1);
      round.service_namespaces |= count->second == (exists ? 1u : 0u);
      if (count->second == 0) services_in.erase(count);
      state.exists = exists;
    }
    if (exists) {
      const SliceList own = slices(round.snapshot, key);
      set_frontends(key, state, compile_service(*object->second, own, round.snapshot, node));
      set_service_names(state, compile_service_names(*object->second, own));
      set_health_check(key, compile_health_check(*object->second, own, node));
      set_findings(key, service_findings(*object->second, own));
    } else {
      set_health_check(key, std::nullopt);
      set_findings(key, {});
      set_frontends(key, state, {});
      set_service_names(state, {});
      if (state.slices.empty()) services.erase(at);
    }
  }
  if (round.local_pods) update_host_ports();
}

void Compiler::State::set_service_names(ServiceState& state, ServiceNames fresh) {
  auto& names = tables.names.names;
  auto entries = entries_of(fresh.names, state.names);
  compare(
      state.names, entries, kKeyOfEntry, [&](const auto& entry) { names.erase(entry->first); },
      [&](const auto& entry) { names.insert_or_assign(entry); });
  state.names = std::move(entries);
  compare(
      state.reverse, fresh.reverse, [](const auto& pair) -> const auto& { return pair; },
      [&](const auto& pair) { remove_reverse(tables.names, pair.first, pair.second); },
      [&](const auto& pair) { add_reverse(tables.names, pair.first, pair.second); });
  state.reverse = std::move(fresh.reverse);
  compare(
      state.endpoints, fresh.endpoints, [](const auto& address) -> const auto& { return address; },
      [&](const auto& address) { remove_endpoint(tables.names, address, state.own_name); },
      [&](const auto& address) { add_endpoint(tables.names, address, fresh.service); });
  state.endpoints = std::move(fresh.endpoints);
  state.own_name = fresh.service;
}

void Compiler::State::set_resolver(const net::IpAddress& address, const std::optional<PodResolver>& fresh) {
  auto& resolvers = tables.names.resolvers;
  auto known = resolvers.find(address);
  if (fresh && (known == resolvers.end() || known->second != *fresh)) resolvers.insert_or_assign(address, *fresh);
  if (!fresh && known != resolvers.end()) resolvers.erase(address);
}

void Compiler::State::set_pod_name(const k8s::NamespacedName& key, const k8s::Snapshot& snapshot) {
  auto object = snapshot.pods.find(key);
  const k8s::Pod* pod = object == snapshot.pods.end() ? nullptr : object->second.get();
  std::set<net::IpAddress> touched;
  auto known = pod_addresses.find(key);
  std::vector<net::IpAddress> fresh;
  if (pod && has_identity(*pod)) fresh = addresses_of(*pod);
  if (known != pod_addresses.end()) {
    for (const auto& address : known->second) {
      touched.insert(address);
      pod_names[address].erase(key);
    }
    pod_addresses.erase(known);
  }
  for (const auto& address : fresh) {
    touched.insert(address);
    pod_names[address].insert(key);
  }
  if (!fresh.empty()) pod_addresses.emplace(key, std::move(fresh));
  for (const auto& address : touched) {
    auto claim_of = pod_names.find(address);
    if (!claim_of->second.empty()) {
      const auto& first = *claim_of->second.begin();
      if (auto at = tables.names.pods.find(address); at == tables.names.pods.end() || at->second != first.namespace_)
        tables.names.pods.insert_or_assign(address, first.namespace_);
      auto holder = snapshot.pods.find(first);  // not there: its turn in this round comes
      set_resolver(address, holder == snapshot.pods.end() ? std::nullopt : resolver_of(*holder->second));
    } else {
      tables.names.pods.erase(address);
      set_resolver(address, std::nullopt);
      pod_names.erase(claim_of);
    }
  }
}

void Compiler::State::update_names(Round& round) {
  for (const auto& key : round.pods) {
    set_pod_name(key, round.snapshot);
  }
  if (!round.nodes && !round.namespaces && !round.service_namespaces && !round.services.contains(node.dns_service) &&
      tables.names.synced == round.snapshot.synced)
    return;
  NameTable fresh = compile_zone(round.snapshot, node);
  NameRows::diff(zone_rows, fresh.names, [&](const auto* was, const auto* now) {
    if (now)
      tables.names.names.insert_or_assign(fresh.names.find(now->first).entry());
    else
      tables.names.names.erase(was->first);
  });
  zone_rows = std::move(fresh.names);
  fresh.names = std::move(tables.names.names);
  fresh.reverse = std::move(tables.names.reverse);
  fresh.endpoints = std::move(tables.names.endpoints);
  fresh.pods = std::move(tables.names.pods);
  fresh.resolvers = std::move(tables.names.resolvers);
  tables.names = std::move(fresh);
}

}  // namespace carrick::desired
