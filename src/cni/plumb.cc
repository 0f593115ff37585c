#include "cni/plumb.h"

#include <linux/ip.h>

#include <algorithm>

namespace carrick::cni {
namespace {

using namespace kernel;

// Explicit numbers let one batch create a link and use it. Above what a node counts up to by itself; dense, because the
// kernel keeps them in a radix tree.
constexpr uint32_t kFirstIfindex = 1u << 16;
constexpr int kIfindexAttempts = 16;
// Links on their way out. One remover at a time.
constexpr uint32_t kDyingLinkGroup = 0xcb;

net::IpAddress gateway(bool v4) {
  static const net::IpAddress four = *net::IpAddress::parse(desired::kPodGatewayV4),
                              six = *net::IpAddress::parse(desired::kPodGatewayV6);
  return v4 ? four : six;
}

net::Prefix everything(bool v4) {
  return v4 ? net::Prefix(net::IpAddress::v4(0), 96) : net::Prefix(net::IpAddress(), 0);
}

// RFC 4291 2.1: every interface has a link-local address. Made here, from the MAC (modified EUI-64), because the kernel
// would run duplicate address detection on its own.
net::IpAddress link_local(const net::MacAddress& mac) {
  std::array<uint8_t, 16> bytes{0xfe, 0x80};
  for (size_t i = 0; i < 3; ++i) bytes[8 + i] = mac.bytes[i], bytes[13 + i] = mac.bytes[3 + i];
  bytes[8] ^= 2, bytes[11] = 0xff, bytes[12] = 0xfe;
  return net::IpAddress(bytes);
}

bool has_v6(const std::vector<net::IpAddress>& addresses) {
  return std::ranges::any_of(addresses, [](const net::IpAddress& a) { return !a.is_v4(); });
}

std::vector<Sysctl> conf_v6(const std::string& link) {
  std::string folder = "net/ipv6/conf/" + link;
  return {{.name = folder + "/disable_ipv6", .value = "0", .optional = true},
          {.name = folder + "/accept_ra", .value = "0", .optional = true},
          {.name = folder + "/accept_dad", .value = "0", .optional = true}};
}

}  // namespace

std::string host_link_name(const std::string& id) {
  constexpr const char* kDigits = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648 base32, lower case
  uint64_t hash = net::stable_hash(id);
  std::string name = "cr";
  for (int i = 0; i < 13; ++i, hash >>= 5) name += kDigits[hash & 31];
  return name;
}

Result<Plumber> Plumber::open(Network& network) {
  Plumber plumber(network, TRY(network.netlink(-1)));
  plumber.next_ifindex_ = kFirstIfindex;
  for (const Link& link : TRY(plumber.node_->links())) {
    if (link.ifindex < INT32_MAX) plumber.next_ifindex_ = std::max(plumber.next_ifindex_, link.ifindex + 1);
  }
  return plumber;
}

Result<desired::LocalPod> Plumber::plumb(const PodPlumbRequest& request) {
  Fd netns = TRY(network_->open_netns(request.netns));
  desired::LocalPod pod;
  pod.container_id = request.id;
  pod.host_link = host_link_name(request.id);
  pod.host_mac = net::MacAddress::derived_from("host " + request.id);
  pod.pod_mac =
      request.pod_mac != net::MacAddress{} ? request.pod_mac : net::MacAddress::derived_from("pod " + request.id);
  pod.addresses = request.addresses;
  TRY_VOID(create(request, netns.get(), pod));
  Result<void> outcome = [&]() -> Result<void> {
    if (request.attach) TRY_VOID(request.attach(pod.ifindex));
    TRY_VOID(fill_pod(request, netns.get(), pod));
    return open_host_end(pod);
  }();
  if (outcome) return pod;
  (void)node_->apply({DeleteLink{pod.ifindex}});  // takes everything else with it
  return std::unexpected(outcome.error());
}

Result<void> Plumber::create(const PodPlumbRequest& request, int netns_fd, desired::LocalPod& pod) {
  CreateVeth veth{.here = {.name = pod.host_link, .mac = pod.host_mac, .up = false},
                  .there = {.name = request.ifname, .mac = pod.pod_mac, .netns_fd = netns_fd, .up = false},
                  .mtu = request.mtu,
                  .group = kPodLinkGroup};
  bool retried = false;
  for (int attempt = 0; attempt < kIfindexAttempts; ++attempt) {
    veth.here.ifindex = pod.ifindex = next_ifindex_++;
    if (next_ifindex_ > INT32_MAX) next_ifindex_ = kFirstIfindex;
    auto made = node_->apply({veth});
    if (made) return {};
    if (made.error().kind == ErrorKind::kTransient) continue;  // EBUSY: the number is taken
    if (made.error().kind != ErrorKind::kAlreadyExists) return made;
    // A host end of that name is the remainder of an attachment nobody answers for any more; else it is the pod's name.
    if (!std::exchange(retried, true) && node_->link(pod.host_link)) {
      TRY_VOID(node_->apply({DeleteLink{pod.host_link}}));
      continue;
    }
    return fail(ErrorKind::kAlreadyExists, "{} has a link {} already", request.netns, request.ifname);
  }
  return fail(ErrorKind::kTransient, "no free link number after {} attempts", kIfindexAttempts);
}

Result<void> Plumber::fill_pod(const PodPlumbRequest& request, int netns_fd, const desired::LocalPod& pod) {
  auto inside = TRY(network_->netlink(netns_fd));
  uint32_t ifindex = TRY(inside->link(request.ifname)).ifindex;
  if (has_v6(pod.addresses)) TRY_VOID(network_->write_sysctls(netns_fd, conf_v6(request.ifname)));
  std::vector<Change> changes{SetLink{.link = ifindex, .up = true, .no_link_local = true}};
  if (has_v6(pod.addresses)) changes.push_back(AddAddress{{ifindex, link_local(pod.pod_mac), 64}});
  for (const net::IpAddress& address : pod.addresses) {
    bool v4 = address.is_v4();
    changes.push_back(AddAddress{{ifindex, address, v4 ? 32 : 128}});
    changes.push_back(AddNeighbor{{ifindex, gateway(v4), pod.host_mac}});
    changes.push_back(
        AddRoute{{.destination = everything(v4), .ifindex = ifindex, .via = gateway(v4), .onlink = true}});
  }
  return inside->apply(changes);
}

Result<void> Plumber::open_host_end(const desired::LocalPod& pod) {
  if (has_v6(pod.addresses)) TRY_VOID(network_->write_sysctls(-1, conf_v6(pod.host_link)));
  std::vector<Change> changes{
      SetLink{.link = pod.ifindex,
              .up = true,
              .no_link_local = true,
              .ipv4_conf = {{IPV4_DEVCONF_RP_FILTER, 0}, {IPV4_DEVCONF_PROXY_ARP, 0}, {IPV4_DEVCONF_FORWARDING, 1}}}};
  for (const net::IpAddress& address : pod.addresses) {
    changes.push_back(AddRoute{{.destination = net::Prefix::host(address), .ifindex = pod.ifindex}});
    changes.push_back(AddNeighbor{{pod.ifindex, address, pod.pod_mac}});
  }
  return node_->apply(changes);
}

Result<void> Plumber::check(const desired::LocalPod& pod, const std::string& netns_path, const std::string& ifname) {
  Link host = TRY(node_->link(pod.host_link));
  if (host.ifindex != pod.ifindex || !host.up)
    return fail(ErrorKind::kInternal, "host link {} is not the one of this pod, or down", pod.host_link);
  Fd netns = TRY(network_->open_netns(netns_path));
  auto inside = TRY(network_->netlink(netns.get()));
  Link link = TRY(inside->link(ifname));
  if (link.mac != pod.pod_mac || !link.up)
    return fail(ErrorKind::kInternal, "{} in {} has another MAC address or is down", ifname, netns_path);
  auto addresses = TRY(inside->addresses());
  auto routes = TRY(inside->routes());
  for (const net::IpAddress& address : pod.addresses) {
    auto is_it = [&](const Address& a) { return a.ifindex == link.ifindex && a.address == address; };
    if (std::ranges::none_of(addresses, is_it))
      return fail(ErrorKind::kInternal, "{} in {} has lost its address {}", ifname, netns_path, address.str());
    bool v4 = address.is_v4();
    auto leads_out = [&](const Route& r) {
      return r.destination == everything(v4) && r.ifindex == link.ifindex && r.via == gateway(v4);
    };
    if (std::ranges::none_of(routes, leads_out))
      return fail(ErrorKind::kInternal, "{} in {} has lost its default route by {}", ifname, netns_path,
                  gateway(v4).str());
    auto back = TRY(node_->route_to(address));
    if (back.ifindex != pod.ifindex)
      return fail(ErrorKind::kInternal, "the node has lost its route to {}", address.str());
  }
  return {};
}

Result<std::vector<Link>> Plumber::host_links() {
  auto links = TRY(node_->links());
  std::erase_if(links, [](const Link& link) { return link.group != kPodLinkGroup || link.kind != "veth"; });
  return links;
}

Result<void> remove_host_links(Network& network, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  auto node = TRY(network.netlink(-1));
  std::vector<Change> changes;
  for (const std::string& name : names) {
    // A link of that name but not of our group is somebody else's.
    auto link = node->link(name);
    if (link && link->group == kPodLinkGroup)
      changes.push_back(SetLink{.link = link->ifindex, .group = kDyingLinkGroup});
  }
  if (!changes.empty()) (void)node->apply(changes);  // one that vanished meanwhile is gone as wanted
  return node->apply({DeleteLinkGroup{kDyingLinkGroup}});
}

Result<void> prepare_node(Network& network) {
  std::vector<Sysctl> sysctls{{.name = "net/ipv4/ip_forward", .value = "1"},
                              {.name = "net/ipv6/conf/all/forwarding", .value = "1", .optional = true}};
  return network.write_sysctls(-1, sysctls);
}

}  // namespace carrick::cni
