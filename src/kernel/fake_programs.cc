#include <sys/eventfd.h>
#include <unistd.h>

#include "kernel/programs.h"
#include "wire/choice.h"
#include "wire/config.h"
#include "wire/pods.h"
#include "wire/policy.h"
#include "wire/services.h"

namespace carrick::kernel {

FakePrograms::FakePrograms(const MapSizes& sizes) : event_signal(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  const auto add = [&](std::string name, uint32_t key, uint32_t value, uint32_t entries) {
    maps.push_back(std::make_unique<FakeMap>(MapShape{std::move(name), key, value, entries}));
  };
  add("config", 4, sizeof(node_config), 1);
  add("pods", 4, sizeof(pod_value), sizes.pods);
  add("peers", sizeof(address_lpm_key), sizeof(peer_value), sizes.peers);
  add("cidrs", sizeof(address_lpm_key), 4, sizes.cidrs);
  add("policy", sizeof(policy_lpm_key), sizeof(policy_value), sizes.policy);
  add("frontends", sizeof(frontend_key), sizeof(frontend_value), sizes.frontends);
  add("backends", sizeof(backend_key), sizeof(backend_value), sizes.backends);
  add("choices", sizeof(choice_key), sizeof(choice_value), sizes.choices);
  add("sources", sizeof(source_lpm_key), 4, sizes.sources);
  add("hits", sizeof(hit_key), sizeof(uint64_t), sizes.hits);
  add("sockets", sizeof(socket_key), sizeof(socket_value), sizes.sockets);
  add("members", sizeof(member_key), 4, sizes.members);
  // An array always has its rows.
  fake_map("config").rows[std::string(4, '\0')] = std::string(sizeof(node_config), '\0');
}

Map* FakePrograms::map(std::string_view name) {
  for (const auto& each : maps)
    if (each->shape().name == name) return each.get();
  return nullptr;
}

FakeMap& FakePrograms::fake_map(std::string_view name) { return static_cast<FakeMap&>(*FakePrograms::map(name)); }

Result<void> FakePrograms::attach(uint32_t ifindex, Attachment as) {
  attached[ifindex] = as;
  return {};
}

Result<void> FakePrograms::detach(uint32_t ifindex) {
  attached.erase(ifindex);
  return {};
}

Result<void> FakePrograms::attach_busy(uint32_t ifindex) {
  busy.insert(ifindex);
  return {};
}

Result<void> FakePrograms::attach_cgroup(const std::string& path) {
  cgroups.insert(path);
  return {};
}

void FakePrograms::fail_one_in(uint32_t n, std::mt19937& random) {
  for (const auto& map : maps)
    map->fault = [n, &random]() -> std::optional<Error> {
      if (random() % n) return {};
      return Error{ErrorKind::kTransient, "bad luck"};
    };
}

void FakePrograms::put_event(const drop_event& event) {
  events.push_back(event);
  ::eventfd_write(event_signal.get(), 1);
}

Result<size_t> FakePrograms::read_events(const std::function<void(const drop_event&)>& sink, size_t at_most) {
  size_t count = 0;
  for (; !events.empty() && count < at_most; ++count) {
    sink(events.front());
    events.pop_front();
  }
  eventfd_t ignored;
  if (events.empty()) ::eventfd_read(event_signal.get(), &ignored);
  return count;
}

Result<std::vector<uint64_t>> FakePrograms::counters() {
  std::vector<uint64_t> out(HOOK_COUNT * WIRE_DROP_SLOTS);
  out[HOOK_FROM_POD * WIRE_DROP_SLOTS + DROP_NONE] = accepted;
  return out;
}

Result<flow_sweep> FakePrograms::sweep_flows() {
  ++sweeps;
  return swept;
}

}  // namespace carrick::kernel
