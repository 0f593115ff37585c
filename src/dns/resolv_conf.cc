#include "dns/resolv_conf.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace carrick::dns {
namespace {

constexpr size_t kMaxNameservers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchChars = 2048;  // joined by spaces
constexpr const char* kClusterOption = "ndots:5";

std::vector<std::string> fields(std::string_view line) {
  std::vector<std::string> out;
  std::string word;
  for (char c : line) {
    if (c == ' ' || c == '\t' || c == '\r') {
      if (!word.empty()) out.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) out.push_back(std::move(word));
  return out;
}

// "svc.example." and "svc.example" are one search path; "." stays.
std::string without_dot(std::string path) {
  if (path.size() > 1 && path.ends_with('.')) path.pop_back();
  return path;
}

void add_once(std::vector<std::string>& to, const std::string& value) {
  if (std::ranges::find(to, value) == to.end()) to.push_back(value);
}

std::string option_name(std::string_view option) { return std::string(option.substr(0, option.find(':'))); }

// An option of dnsConfig replaces the one of the same name.
void set_option(std::vector<std::string>& options, const std::string& name, const std::optional<std::string>& value) {
  std::string text = value && !value->empty() ? fmt::format("{}:{}", name, *value) : name;
  auto same = std::ranges::find_if(options, [&](const std::string& option) { return option_name(option) == name; });
  if (same == options.end())
    options.push_back(text);
  else
    *same = text;
}

void apply_limits(PodResolvConf& out) {
  ResolvConf& conf = out.conf;
  if (conf.nameservers.size() > kMaxNameservers) {
    conf.nameservers.resize(kMaxNameservers);
    out.warnings.push_back(fmt::format(
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
        join(conf.nameservers, " ")));
  }
  bool cut = conf.searches.size() > kMaxSearches;
  if (cut) conf.searches.resize(kMaxSearches);
  while (join(conf.searches, " ").size() > kMaxSearchChars) {
    conf.searches.pop_back();
    cut = true;
  }
  if (cut)
    out.warnings.push_back(fmt::format(
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
        join(conf.searches, " ")));
}

ResolvConf cluster_conf(const PodDns& pod, const std::vector<net::IpAddress>& cluster_dns, std::string_view zone,
                        const ResolvConf& node) {
  ResolvConf conf;
  for (const net::IpAddress& address : cluster_dns) conf.nameservers.push_back(address.str());
  conf.searches = {fmt::format("{}.svc.{}", pod.namespace_, zone), fmt::format("svc.{}", zone), std::string(zone)};
  for (const std::string& path : node.searches) add_once(conf.searches, path);
  conf.options = {kClusterOption};
  return conf;
}

}  // namespace

int ResolvConf::ndots() const {
  int value = 1;
  for (const std::string& option : options)
    if (option.starts_with("ndots:")) std::from_chars(option.data() + 6, option.data() + option.size(), value);
  return std::clamp(value, 0, 15);  // RES_MAXNDOTS
}

std::string ResolvConf::str() const {
  std::string out;
  if (!searches.empty()) out += fmt::format("search {}\n", join(searches, " "));
  for (const std::string& server : nameservers) out += fmt::format("nameserver {}\n", server);
  if (!options.empty()) out += fmt::format("options {}\n", join(options, " "));
  return out;
}

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  for (std::string_view line : split(text, '\n')) {
    auto words = fields(line);
    if (words.empty() || words[0][0] == '#' || words[0][0] == ';') continue;
    if (words[0] == "nameserver" && words.size() > 1) conf.nameservers.push_back(words[1]);
    if (words[0] == "search" || words[0] == "domain") {
      conf.searches.clear();
      for (size_t i = 1; i < words.size(); ++i) conf.searches.push_back(without_dot(words[i]));
    }
    if (words[0] == "options")
      for (size_t i = 1; i < words.size(); ++i)
        set_option(conf.options, option_name(words[i]),
                   words[i].find(':') == std::string::npos ? std::nullopt
                                                           : std::optional(words[i].substr(words[i].find(':') + 1)));
  }
  return conf;
}

Result<PodResolvConf> pod_resolv_conf(const PodDns& pod, const std::vector<net::IpAddress>& cluster_dns,
                                      std::string_view zone, const ResolvConf& node) {
  PodResolvConf out;
  bool cluster = pod.policy == "ClusterFirstWithHostNet" ||
                 ((pod.policy == "ClusterFirst" || pod.policy.empty()) && !pod.host_network);
  bool host = pod.policy == "Default" || ((pod.policy == "ClusterFirst" || pod.policy.empty()) && pod.host_network);
  if (!cluster && !host && pod.policy != "None")
    return fail(ErrorKind::kInvalid, "dnsPolicy '{}' is unknown", pod.policy);
  if (cluster && cluster_dns.empty()) {
    out.warnings.push_back("the cluster has no DNS Service: falling back to \"Default\" policy");
    cluster = false;
    host = true;
  }
  if (cluster) out.conf = cluster_conf(pod, cluster_dns, zone, node);
  if (host) out.conf = node;
  for (const std::string& server : pod.nameservers) add_once(out.conf.nameservers, server);
  for (const std::string& path : pod.searches) add_once(out.conf.searches, without_dot(path));
  for (const auto& [name, value] : pod.options) set_option(out.conf.options, name, value);
  if (pod.policy == "None" && out.conf.nameservers.empty())
    return fail(ErrorKind::kInvalid, "dnsPolicy None needs at least one nameserver in dnsConfig");
  apply_limits(out);
  return out;
}

std::vector<net::SocketAddress> upstreams_of(const ResolvConf& conf) {
  std::vector<net::SocketAddress> out;
  for (const std::string& server : conf.nameservers)
    if (auto address = net::IpAddress::parse(server)) out.push_back({*address, 53});
  return out;
}

std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view name) {
  if (name.ends_with('.')) return {std::string(name)};
  std::vector<std::string> out;
  bool enough_dots = std::ranges::count(name, '.') >= conf.ndots();
  if (enough_dots) out.push_back(fmt::format("{}.", name));
  for (const std::string& path : conf.searches) {
    std::string candidate = path == "." ? fmt::format("{}.", name) : fmt::format("{}.{}.", name, path);
    add_once(out, candidate);
  }
  add_once(out, fmt::format("{}.", name));
  return out;
}

}  // namespace carrick::dns
