#include "outside.h"

#include "base/text.h"
#include "kernel/netlink.h"
#include "kernel/netns.h"

namespace carrick::bench {
namespace {

constexpr std::chrono::seconds kPatience(120);

Result<void> write_status(const watch::Credentials& credentials, const std::string& service,
                          const net::IpAddress& address) {
  auto parts = split(service, '/');
  if (parts.size() != 2) return fail(ErrorKind::kInvalid, "'{}' is not NAMESPACE/SERVICE", service);
  auto answer = TRY(watch::request_once(
      credentials, {"PATCH", fmt::format("/api/v1/namespaces/{}/services/{}/status", parts[0], parts[1]),
                    fmt::format(R"({{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{}"}}]}}}}}})", address.str()),
                    "application/merge-patch+json"}));
  if (answer.status != 200) return fail(ErrorKind::kInvalid, "status of Service {}: {}", service, answer.body);
  return {};
}

Result<void> route_to(const lab::RunningLab& lab, const net::IpAddress& address, const std::string& node) {
  Fd fabric = TRY(kernel::open_netns(fmt::format("/proc/{}/ns/net", lab.record.pid)));
  auto netlink = TRY(kernel::open_netlink(fabric.get()));
  for (const auto& plan : lab::plan_nodes(lab.record.config)) {
    if (plan.name != node) continue;
    for (const auto& via : plan.addresses)
      if (via.is_v4() == address.is_v4()) {
        auto link = TRY(netlink->link(plan.fabric_link)).ifindex;
        return netlink->apply({kernel::AddRoute{
            {.destination = net::Prefix::host(address), .ifindex = link, .via = via, .onlink = true}}});
      }
  }
  return fail(ErrorKind::kInvalid, "there is no node {} with an address of the family of {}", node, address.str());
}

}  // namespace

Result<void> have_balancer(const lab::RunningLab& lab, const std::string& service, const net::IpAddress& address,
                           const std::string& node) {
  auto credentials = TRY(lab::connect(lab));
  TRY_VOID(write_status(credentials, service, address));
  TRY_VOID(route_to(lab, address, node));
  auto end = lab::wait_until_ready(lab, credentials, kPatience, [](const lab::Progress&) {});
  if (!end.problems.empty()) return fail(ErrorKind::kTransient, "{}", end.problems.front());
  return {};
}

}  // namespace carrick::bench
