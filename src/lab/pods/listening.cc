#include "lab/pods/listening.h"

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "desired/object_facts.h"
#include "kernel/netns.h"
#include "lab/nodes/containers.h"
#include "lab/nodes/listeners.h"
#include "lab/nodes/sandbox.h"

namespace carrick::lab {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(10);  // the kernel tells nobody when a socket begins to listen
constexpr std::string_view kTcpListen = "0A", kUdpUnconnected = "07";

bool runs_a_program(const LabConfig& config, const k8s::Pod& pod) {
  return std::ranges::any_of(pod.spec.containers,
                             [&](const k8s::Container& container) { return runs_as_process(config, container); });
}

std::vector<std::string_view> words_of(std::string_view line) {
  auto words = split(line, ' ');
  std::erase(words, "");
  return words;
}

// "0100007F" or 32 digits: words in the machine's byte order.
bool is_loopback(std::string_view address) {
  if (address.size() == 8) return address.ends_with("7F");
  return address == "00000000000000000000000001000000" ||
         (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
}

std::set<desired::Listener> open_ports(const Fd& netns) {
  std::set<desired::Listener> out;
  auto inside = kernel::NetnsScope::enter(netns.get());
  if (!inside) return out;
  for (const auto& [name, protocol] : {std::pair("tcp", net::Protocol::kTcp),
                                       {"tcp6", net::Protocol::kTcp},
                                       {"udp", net::Protocol::kUdp},
                                       {"udp6", net::Protocol::kUdp}})
    if (auto table = read_file(fmt::format("/proc/thread-self/net/{}", name))) add_open_ports(*table, protocol, out);
  return out;
}

}  // namespace

std::string SilentPort::str() const {
  return fmt::format("{}: {}/{}", pod.str(), port.port, lower(net::protocol_name(port.protocol)));
}

void add_open_ports(std::string_view table, net::Protocol protocol, std::set<desired::Listener>& out) {
  const std::string_view wanted = protocol == net::Protocol::kTcp ? kTcpListen : kUdpUnconnected;
  for (std::string_view line : split(table, '\n')) {
    auto words = words_of(line);  // sl local_address rem_address st ...
    if (words.size() < 4 || words[3] != wanted) continue;
    std::string_view local = words[1];
    size_t colon = local.find(':');
    uint16_t port = 0;
    if (colon == std::string_view::npos || is_loopback(local.substr(0, colon))) continue;
    auto [end, error] = std::from_chars(local.data() + colon + 1, local.data() + local.size(), port, 16);
    if (error == std::errc() && port != 0) out.insert({port, protocol});
  }
}

std::vector<SilentPort> silent_ports(const RunningLab& lab, const k8s::Snapshot& snapshot, const PodFilter& filter) {
  std::vector<SilentPort> out;
  for (const auto& [key, pod] : snapshot.pods) {
    if (pod->status.phase != "Running" || pod->metadata.deletionTimestamp || !runs_a_program(lab.record.config, *pod))
      continue;
    if (filter && !filter(*pod)) continue;
    auto sandbox = load_sandbox(lab.paths.pod(key.namespace_, key.name));
    if (!sandbox) continue;  // it comes or goes
    auto netns = kernel::open_netns(lab.paths.prefix + sandbox->netns);
    if (!netns) continue;
    auto open = open_ports(*netns);
    for (const Listener& wanted : listeners_of(*pod, snapshot)) {
      desired::Listener port{wanted.port, wanted.protocol};
      if (port.protocol != net::Protocol::kSctp && !open.contains(port)) out.push_back({key, port});
    }
  }
  return out;
}

std::vector<SilentPort> wait_for_programs(const RunningLab& lab, const k8s::Snapshot& snapshot, const PodFilter& filter,
                                          std::chrono::milliseconds limit,
                                          const std::function<void(const std::vector<SilentPort>&)>& meanwhile) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto silent = silent_ports(lab, snapshot, filter);
    if (silent.empty() || std::chrono::steady_clock::now() >= deadline) return silent;
    if (meanwhile) meanwhile(silent);
    std::this_thread::sleep_for(kPeriod);
  }
}

}  // namespace carrick::lab
