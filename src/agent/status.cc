#include "agent/status.h"

#include <map>

#include "wire/drops.h"

namespace carrick::agent {
namespace {

namespace json = boost::json;

// "reason" -> packets over all hooks; accepted connections stand under "accepted".
json::object drops_of(const std::vector<uint64_t>& counters) {
  std::map<std::string, uint64_t> by_word;
  for (size_t i = 0; i < counters.size(); ++i) {
    auto reason = static_cast<uint8_t>(i % WIRE_DROP_SLOTS);
    if (counters[i]) by_word[reason == 0 ? "accepted" : std::string(kernel::drop_word(reason))] += counters[i];
  }
  json::object out;
  for (const auto& [word, count] : by_word) out[word] = count;
  return out;
}

}  // namespace

json::object status_document(const StatusInputs& in) {
  json::array tables, failures;
  for (const auto& table : in.realized.tables)
    tables.push_back({{"name", table.name}, {"rows", table.rows}, {"failing", table.failing}});
  tables.push_back({{"name", "routes"}, {"rows", in.routes.rows}, {"failing", in.routes.failures.size()}});
  for (const auto& failure : in.realized.failures)
    failures.push_back({{"table", failure.table}, {"owner", failure.owner}, {"error", failure.error.message}});
  for (const auto& sentence : in.routes.failures)
    failures.push_back({{"table", "routes"}, {"owner", ""}, {"error", sentence}});
  for (const auto& [owner, sentence] : in.health_problems)
    failures.push_back({{"table", "health ports"}, {"owner", owner}, {"error", sentence}});
  json::array findings;
  for (const auto& [service, all] : in.findings)
    for (const auto& finding : all)
      findings.push_back({{"service", service.str()}, {"owner", finding.owner.str()}, {"sentence", finding.sentence}});
  json::array dns_addresses;
  for (const auto& address : in.links.dns_addresses) dns_addresses.emplace_back(address.str());
  json::array capabilities(in.privileges.capabilities.begin(), in.privileges.capabilities.end());
  json::object privileges{{"capabilities", std::move(capabilities)},
                          {"noNewPrivileges", in.privileges.no_new_privileges}};
  return {{"node", in.node},
          {"version", in.version},
          {"revision", in.known_revision},
          {"realized", in.realized.revision},
          {"ready", in.not_ready_because.empty()},
          {"notReadyBecause", in.not_ready_because},
          {"pods", in.local_pods},
          {"waitingAdds", in.waiting_adds},
          {"lastApplyMs", in.last_apply_ms},
          {"unrealizedSeconds", in.unrealized_seconds},
          {"epoch", in.realized.epoch},
          {"tables", std::move(tables)},
          {"failures", std::move(failures)},
          {"findings", std::move(findings)},
          {"links",
           {{"uplink", in.links.uplink},
            {"uplinkMtu", in.links.uplink_mtu},
            {"podMtu", in.links.pod_mtu},
            {"vxlan", in.links.overlay_ifindex != 0},
            {"dsr", in.links.dsr}}},
          {"versions",
           {{"namespaces", in.watch.versions.namespaces},
            {"nodes", in.watch.versions.nodes},
            {"pods", in.watch.versions.pods},
            {"services", in.watch.versions.services},
            {"endpointslices", in.watch.versions.endpointslices},
            {"networkpolicies", in.watch.versions.networkpolicies},
            {"clusternetworkpolicies", in.watch.versions.clusternetworkpolicies}}},
          {"watch",
           {{"lists", in.watch.lists},
            {"events", in.watch.events},
            {"restarts", in.watch.restarts},
            {"decodeFailures", in.watch.decode_failures},
            {"lastError", in.watch.last_error}}},
          {"dns",
           {{"addresses", std::move(dns_addresses)},
            {"synced", in.dns.synced},
            {"names", in.dns.table_names},
            {"requests", in.dns.request_count()}}},
          {"privileges", std::move(privileges)},
          {"flows",
           {{"entries", in.flows.entries},
            {"capacity", in.flows.capacity},
            {"sweeps", in.flows.sweeps},
            {"removed", in.flows.removed}}},
          {"abortedConnections", in.aborted_connections},
          {"drops", drops_of(in.counters)}};
}

}  // namespace carrick::agent
