#include <algorithm>

#include "desired/compiler_state.h"
#include "desired/object_facts.h"

namespace carrick::desired {

// A changed slice dirties the Service it belonged to and the one it belongs to.
void Compiler::State::note_slices(Round& round, const Keys& changed) {
  for (const auto& key : changed) {
    if (auto known = service_of_slice.find(key); known != service_of_slice.end()) {
      round.services.insert(known->second);
      slices_of_service[known->second].erase(key);
      service_of_slice.erase(known);
    }
    auto object = round.snapshot.endpointslices.find(key);
    if (object == round.snapshot.endpointslices.end()) continue;
    auto label = object->second->metadata.labels.find(k8s::kServiceNameLabel);
    if (label == object->second->metadata.labels.end()) continue;
    k8s::NamespacedName service{key.namespace_, label->second};
    round.services.insert(service);
    slices_of_service[service].insert(key);
    service_of_slice.emplace(key, std::move(service));
  }
}

SliceList Compiler::State::slices(const k8s::Snapshot& snapshot, const k8s::NamespacedName& service) const {
  SliceList out;
  if (auto keys = slices_of_service.find(service); keys != slices_of_service.end())
    for (const auto& key : keys->second) out.push_back(snapshot.endpointslices.at(key));
  return out;
}

void Compiler::State::settle_frontend(const FrontendKey& key) {
  if (auto claim = claims.find(key); claim != claims.end()) {
    tables.frontends.insert_or_assign(key, frontends.at(*claim->second.begin()).at(key));
  } else if (auto host = host_ports.find(key); host != host_ports.end()) {
    tables.frontends.insert_or_assign(key, host->second);
  } else {
    tables.frontends.erase(key);
  }
}

void Compiler::State::update_services(Round& round) {
  std::set<FrontendKey> touched;
  for (const auto& key : round.services) {
    if (auto known = frontends.find(key); known != frontends.end()) {
      for (const auto& [frontend, row] : known->second) {
        touched.insert(frontend);
        auto claim = claims.find(frontend);
        claim->second.erase(key);
        if (claim->second.empty()) claims.erase(claim);
      }
      frontends.erase(known);
    }
    auto object = round.snapshot.services.find(key);
    if (object == round.snapshot.services.end()) continue;
    FrontendTable fresh = compile_service(*object->second, slices(round.snapshot, key), round.snapshot, node);
    for (const auto& [frontend, row] : fresh) {
      touched.insert(frontend);
      claims[frontend].insert(key);
    }
    frontends.emplace(key, std::move(fresh));
  }
  if (round.local_pods) {
    for (const auto& [frontend, row] : host_ports) touched.insert(frontend);
    host_ports = compile_host_ports(node);
    for (const auto& [frontend, row] : host_ports) touched.insert(frontend);
  }
  for (const auto& key : touched) settle_frontend(key);
}

void Compiler::State::set_service_names(const k8s::NamespacedName& key, ServiceNames fresh) {
  if (auto known = names.find(key); known != names.end()) {
    for (const auto& [name, row] : known->second.names) tables.names.names.erase(name);
    for (const auto& [address, name] : known->second.reverse) {
      auto list = tables.names.reverse.find(address);
      std::erase(list->second, name);
      if (list->second.empty()) tables.names.reverse.erase(list);
    }
    names.erase(known);
  }
  for (const auto& [name, row] : fresh.names) tables.names.names.insert_or_assign(name, row);
  for (const auto& [address, name] : fresh.reverse) {
    auto& list = tables.names.reverse[address];
    list.insert(std::ranges::lower_bound(list, name), name);
  }
  if (!fresh.names.empty() || !fresh.reverse.empty()) names.emplace(key, std::move(fresh));
}

void Compiler::State::set_pod_name(const k8s::NamespacedName& key, const k8s::Pod* pod) {
  std::set<net::IpAddress> touched;
  auto known = pod_addresses.find(key);
  std::vector<net::IpAddress> fresh;
  if (pod && has_identity(*pod)) fresh = addresses_of(*pod);
  if (known != pod_addresses.end()) {
    if (known->second == fresh) return;
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
    auto claim = pod_names.find(address);
    if (!claim->second.empty()) {
      tables.names.pods.insert_or_assign(address, claim->second.begin()->namespace_);
    } else {
      tables.names.pods.erase(address);
      pod_names.erase(claim);
    }
  }
}

void Compiler::State::update_names(Round& round) {
  bool zone =
      round.nodes || round.namespaces || !round.services.empty() || tables.names.synced != round.snapshot.synced;
  for (const auto& key : round.services) {
    auto object = round.snapshot.services.find(key);
    set_service_names(key, object == round.snapshot.services.end()
                               ? ServiceNames()
                               : compile_service_names(*object->second, slices(round.snapshot, key)));
  }
  for (const auto& key : round.pods) {
    auto object = round.snapshot.pods.find(key);
    set_pod_name(key, object == round.snapshot.pods.end() ? nullptr : object->second.get());
  }
  if (!zone) return;
  NameTable fresh = compile_zone(round.snapshot, node);
  for (const auto& [name, row] : zone_rows)
    if (!fresh.names.contains(name)) tables.names.names.erase(name);
  for (const auto& [name, row] : fresh.names) tables.names.names.insert_or_assign(name, row);
  zone_rows = std::move(fresh.names);
  fresh.names = std::move(tables.names.names);
  fresh.reverse = std::move(tables.names.reverse);
  fresh.pods = std::move(tables.names.pods);
  tables.names = std::move(fresh);
}

}  // namespace carrick::desired
