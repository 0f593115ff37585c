#include "lab/config.h"

#include <algorithm>
#include <boost/json.hpp>

namespace carrick::lab {
namespace {

namespace json = boost::json;

// 192.0.2.0/24 holds node addresses from .11 on.
constexpr int kMaxNodes = 240;
constexpr int kFirstNodeOffset = 10;

std::string_view family_word(IpFamily family) {
  switch (family) {
    case IpFamily::kDual:
      return "dual";
    case IpFamily::kIpv4:
      return "ipv4";
    case IpFamily::kIpv6:
      return "ipv6";
  }
  return "dual";
}

net::IpAddress address(std::string_view text) { return *net::IpAddress::parse(text); }

std::vector<net::IpAddress> of_families(const LabConfig& config, const char* v4, const char* v6) {
  std::vector<net::IpAddress> out;
  if (config.has_v4()) out.push_back(address(v4));
  if (config.has_v6()) out.push_back(address(v6));
  return out;
}

}  // namespace

Result<void> check_config(const LabConfig& config) {
  bool dns_label = !config.name.empty() && config.name.size() <= 30 && config.name.front() != '-' &&
                   config.name.back() != '-' && std::ranges::all_of(config.name, [](char c) {
                     return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                   });
  if (!dns_label)
    return fail(ErrorKind::kInvalid, "lab name \"{}\": up to 30 lower-case letters, digits and '-', not at the ends",
                config.name);
  if (config.nodes < 1 || config.nodes > kMaxNodes)
    return fail(ErrorKind::kInvalid, "--nodes {}: a lab has 1 to {} nodes", config.nodes, kMaxNodes);
  if (config.api_port < 0 || config.api_port > 65535)
    return fail(ErrorKind::kInvalid, "--api-port {}: not a port", config.api_port);
  for (const auto& [name, path] : config.images)
    if (name.empty() || !path.starts_with('/'))
      return fail(ErrorKind::kInvalid, "--image {}={}: NAME=PATH, with the absolute path of a program", name, path);
  return {};
}

std::string encode_config(const LabConfig& config) {
  json::array images;
  for (const auto& [name, path] : config.images) images.push_back(json::object{{"name", name}, {"path", path}});
  return json::serialize(json::object{{"name", config.name},
                                      {"nodes", config.nodes},
                                      {"family", family_word(config.family)},
                                      {"vxlan", config.vxlan},
                                      {"dsr", config.dsr},
                                      {"fullMaps", config.full_maps},
                                      {"uplinkQueue", config.uplink_queue},
                                      {"images", images},
                                      {"resetRemoved", config.reset_removed},
                                      {"data_dir", config.data_dir},
                                      {"kubeconfig_path", config.kubeconfig_path},
                                      {"api_port", config.api_port},
                                      {"cni_binary", config.cni_binary},
                                      {"cgroup_mount", config.cgroup_mount}});
}

Result<LabConfig> decode_config(std::string_view text) try {
  json::value document = json::parse(json::string_view(text.data(), text.size()));
  auto word = [&](const char* key) { return std::string(document.at(key).as_string()); };
  LabConfig config;
  config.name = word("name");
  config.nodes = document.at("nodes").to_number<int>();
  std::string family = word("family");
  config.family = family == "ipv4" ? IpFamily::kIpv4 : family == "ipv6" ? IpFamily::kIpv6 : IpFamily::kDual;
  config.vxlan = document.at("vxlan").as_bool();
  config.dsr = document.at("dsr").as_bool();
  config.full_maps = document.at("fullMaps").as_bool();
  config.uplink_queue = document.at("uplinkQueue").as_bool();
  for (const json::value& image : document.at("images").as_array())
    config.images.emplace_back(std::string(image.at("name").as_string()), std::string(image.at("path").as_string()));
  config.reset_removed = document.at("resetRemoved").as_bool();
  config.data_dir = word("data_dir");
  config.kubeconfig_path = word("kubeconfig_path");
  config.api_port = document.at("api_port").to_number<int>();
  config.cni_binary = word("cni_binary");
  config.cgroup_mount = word("cgroup_mount");
  TRY_VOID(check_config(config));
  return config;
} catch (const std::exception& e) {
  return fail(ErrorKind::kInvalid, "lab configuration: {}", e.what());
}

NodePlan plan_node(const LabConfig& config, int index) {
  NodePlan plan;
  plan.index = index;
  plan.name = fmt::format("node{}", index);
  plan.zone = fmt::format("z{}", (index - 1) % 3 + 1);
  plan.fabric_link = fmt::format("to-{}", plan.name);
  plan.uplink_mac = net::MacAddress::derived_from(plan.name + "/uplink");
  plan.fabric_mac = net::MacAddress::derived_from(plan.name + "/fabric");
  uint64_t offset = static_cast<uint64_t>(kFirstNodeOffset) + static_cast<uint64_t>(index);
  if (config.has_v4()) {
    plan.addresses.push_back(address("192.0.2.0").plus(offset));
    plan.pod_cidrs.push_back(*net::Prefix::parse(fmt::format("10.1.{}.0/24", index)));
  }
  if (config.has_v6()) {
    plan.addresses.push_back(address("2001:db8:2::").plus(offset));
    plan.pod_cidrs.push_back(*net::Prefix::parse(fmt::format("2001:db8:1:{:x}::/64", index)));
  }
  return plan;
}

std::vector<NodePlan> plan_nodes(const LabConfig& config) {
  std::vector<NodePlan> plans;
  for (int i = 1; i <= config.nodes; ++i) plans.push_back(plan_node(config, i));
  return plans;
}

std::vector<net::IpAddress> fabric_addresses(const LabConfig& config) {
  return of_families(config, kFabricV4, kFabricV6);
}
std::vector<net::IpAddress> web_addresses(const LabConfig& config) {
  return of_families(config, kOutsideWebV4, kOutsideWebV6);
}
std::vector<net::IpAddress> resolver_addresses(const LabConfig& config) {
  return of_families(config, kOutsideResolverV4, kOutsideResolverV6);
}

}  // namespace carrick::lab
