#include "agent/health.h"

#include <algorithm>

namespace carrick::agent {
namespace {

constexpr const char* kToBeDeletedTaint = "ToBeDeletedByClusterAutoscaler";
constexpr unsigned kOk = 200, kNotFound = 404, kUnavailable = 503;

std::string text_of(const Timestamp& at) { return timestamp_text(at, 9).value_or(""); }

}  // namespace

bool node_eligible(const k8s::Node& node) {
  return !node.metadata.deletionTimestamp &&
         std::ranges::none_of(node.spec.taints, [](const auto& taint) { return taint.key == kToBeDeletedTaint; });
}

HttpAnswer proxy_answer(std::string_view path, const ProxyHealth& health) {
  const bool live = path == "/livez";
  if (!live && path != "/healthz") return {kNotFound, "404 page not found\n", "text/plain; charset=utf-8", {}};
  const bool good = health.healthy && (live || health.node_eligible);
  return {.status = good ? kOk : kUnavailable,
          .body = fmt::format(R"({{"lastUpdated": "{}","currentTime": "{}"{}}})",
                              text_of(good ? health.now : health.last_updated), text_of(health.now),
                              live ? "" : fmt::format(R"(, "nodeEligible": {})", health.node_eligible)),
          .headers = {}};
}

HttpAnswer proxy_mode_answer(std::string_view path) {
  if (path == "/proxyMode") return {kOk, "carrick", "text/plain; charset=utf-8", {}};
  if (path == "/healthz") return {kOk, "ok", "text/plain; charset=utf-8", {}};
  return {kNotFound, "404 page not found\n", "text/plain; charset=utf-8", {}};
}

HttpAnswer service_answer(const desired::HealthCheckRow& row, bool proxy_healthy) {
  // Names of objects have no character that JSON would escape.
  return {.status = row.local_endpoints > 0 && proxy_healthy ? kOk : kUnavailable,
          .body = fmt::format(R"({{
	"service": {{
		"namespace": "{}",
		"name": "{}"
	}},
	"localEndpoints": {},
	"serviceProxyHealthy": {}
}})",
                              row.service.namespace_, row.service.name, row.local_endpoints, proxy_healthy),
          .headers = {{"X-Load-Balancing-Endpoint-Weight", std::to_string(row.local_endpoints)}}};
}

void HealthPorts::keep(const net::SocketAddress& at, std::string owner, HttpPort::Answer answer) {
  kept_[at] = {std::move(owner), std::move(answer)};
}

void HealthPorts::set(const desired::HealthCheckTable& checks, const std::vector<net::IpAddress>& addresses,
                      const std::function<bool()>& healthy) {
  checks_ = checks;
  auto wanted = kept_;
  for (const auto& [port, row] : checks) {
    auto answer = [this, healthy, port](std::string_view) {
      auto now = checks_.find(port);
      return now == checks_.end() ? HttpAnswer{.status = kUnavailable, .body = {}, .headers = {}}
                                  : service_answer(now->second, healthy());
    };
    for (const auto& address : addresses) wanted.try_emplace({address, port}, Wanted{row.owner.str(), answer});
  }
  std::erase_if(ports_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  problems_.clear();
  for (auto& [at, want] : wanted) {
    if (ports_.contains(at)) continue;
    auto opened = HttpPort::open(io_, at, std::move(want.answer));
    if (opened)
      ports_.emplace(at, std::move(*opened));
    else
      problems_[want.owner] = opened.error().message;
  }
}

}  // namespace carrick::agent
