#include "controllers/scheduling/node_ipam.h"

#include <algorithm>
#include <charconv>

#include "controllers/event_log.h"

namespace carrick::controllers {

namespace {

bool overlap(const net::Prefix& a, const net::Prefix& b) { return a.contains(b) || b.contains(a); }

// Block number `index` of that many bits inside the cluster CIDR; nothing when it does not fit.
std::optional<net::Prefix> block(const net::Prefix& cluster, int mask, uint64_t index) {
  const int length = cluster.is_v4() ? mask + 96 : mask;
  const int bits = length - cluster.length();
  if (bits < 0 || (bits < 63 && index >= (uint64_t{1} << bits))) return std::nullopt;
  auto bytes = cluster.address().bytes();
  for (int bit = length - 1; index != 0 && bit >= 0; --bit, index >>= 1) {
    if (index & 1) bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> (bit % 8));
  }
  return net::Prefix(net::IpAddress(bytes), length);
}

std::optional<uint64_t> trailing_number(std::string_view name) {
  const size_t begin = name.find_last_not_of("0123456789") + 1;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + begin, name.data() + name.size(), number);
  if (begin == name.size() || error != std::errc{} || number == 0) return std::nullopt;
  return number;
}

std::vector<net::Prefix> pod_cidrs(const k8s::Node& node) {
  std::vector<net::Prefix> prefixes;
  auto texts = node.spec.podCIDRs;
  if (texts.empty() && !node.spec.podCIDR.empty()) texts.push_back(node.spec.podCIDR);
  for (const auto& text : texts) {
    if (const auto prefix = net::Prefix::parse(text)) prefixes.push_back(*prefix);
  }
  return prefixes;
}

}  // namespace

Result<void> check_no_overlap(const Options& options) {
  std::vector<std::pair<std::string, net::Prefix>> all;
  for (const auto& prefix : options.cluster_cidrs) all.emplace_back("cluster CIDR", prefix);
  for (const auto& prefix : options.service_cidrs) all.emplace_back("service CIDR", prefix);
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (overlap(all[i].second, all[j].second)) {
        return fail(ErrorKind::kInvalid, "{} {} overlaps {} {}", all[j].first, all[j].second.str(), all[i].first,
                    all[i].second.str());
      }
    }
  }
  return {};
}

void NodeIpam::observe(const Change& change) {
  if (!change.is<k8s::Node>()) return;
  std::erase_if(taken_, [&](const auto& entry) { return entry.second == change.key.name; });
  if (const auto* node = change.becomes<k8s::Node>()) {
    for (const auto& prefix : pod_cidrs(*node)) taken_.try_emplace(prefix, change.key.name);
  }
  const auto* was = change.was<k8s::Node>();
  const auto* now = change.becomes<k8s::Node>();
  if (now && (!was || pod_cidrs(*was) != pod_cidrs(*now) || was->status.addresses != now->status.addresses))
    queue.add(change.key);
}

Result<std::vector<net::Prefix>> NodeIpam::choose(const std::string& node) const {
  auto blocks = [&](uint64_t index) -> std::vector<net::Prefix> {
    std::vector<net::Prefix> prefixes;
    for (const auto& cluster : desk_.options.cluster_cidrs) {
      const auto prefix =
          block(cluster, cluster.is_v4() ? desk_.options.node_mask_v4 : desk_.options.node_mask_v6, index);
      const bool free =
          prefix && std::ranges::none_of(taken_, [&](const auto& entry) { return overlap(entry.first, *prefix); });
      if (!free) return {};
      prefixes.push_back(*prefix);
    }
    return prefixes;
  };
  if (const auto number = trailing_number(node)) {
    if (auto prefixes = blocks(*number); !prefixes.empty()) return prefixes;
  }
  // One block more than there are nodes is always enough, unless the range ends.
  for (uint64_t index = 1; index <= taken_.size() + 1; ++index) {
    if (auto prefixes = blocks(index); !prefixes.empty()) return prefixes;
  }
  if (auto prefixes = blocks(0); !prefixes.empty()) return prefixes;
  return fail(ErrorKind::kTransient, "Node {}: no pod CIDR is left in the cluster CIDRs", node);
}

void NodeIpam::report_overlaps(const k8s::Node& node) const {
  auto warn = [&](const std::string& message) {
    desk_.events.warning(k8s::resource<k8s::Node>(), node.metadata, name(), "CIDROverlap", message);
  };
  for (const auto& prefix : pod_cidrs(node)) {
    for (const auto& [other, owner] : taken_) {
      if (owner != node.metadata.name && overlap(prefix, other))
        warn(fmt::format("pod CIDR {} overlaps {} of node {}", prefix.str(), other.str(), owner));
    }
    for (const auto& service : desk_.options.service_cidrs) {
      if (overlap(prefix, service))
        warn(fmt::format("pod CIDR {} overlaps service CIDR {}", prefix.str(), service.str()));
    }
  }
  for (const auto& address : node.status.addresses) {
    const auto ip = net::IpAddress::parse(address.address);
    if (!ip) continue;
    for (const auto* cidrs : {&desk_.options.cluster_cidrs, &desk_.options.service_cidrs}) {
      for (const auto& cidr : *cidrs) {
        if (cidr.contains(*ip)) warn(fmt::format("node address {} is inside {}", ip->str(), cidr.str()));
      }
    }
  }
}

Result<void> NodeIpam::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Node>(key);
  if (!found || (*found)->metadata.deletionTimestamp) return {};
  const Stored<k8s::Node> node = *found;
  report_overlaps(*node);
  if (!pod_cidrs(*node).empty() || desk_.options.cluster_cidrs.empty()) return {};
  const auto prefixes = TRY(choose(key.name));
  json::object changed = *node.document;
  auto& spec = child(changed, "spec");
  json::array texts;
  for (const auto& prefix : prefixes) texts.push_back(json::string(prefix.str()));
  spec["podCIDR"] = texts.front();
  spec["podCIDRs"] = std::move(texts);
  TRY_VOID(cluster().update(k8s::resource<k8s::Node>(), std::move(changed)));
  return {};
}

}  // namespace carrick::controllers
