#include "kernel/netlink_encode.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>

namespace carrick::kernel {
namespace {

uint8_t family(const net::IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }
bool given(const net::MacAddress& mac) { return mac != net::MacAddress{}; }
unsigned up_flag(bool up) { return up ? IFF_UP : 0; }

ifinfomsg link_body(uint32_t ifindex, bool up) {
  return {.ifi_family = AF_UNSPEC,
          .ifi_index = static_cast<int>(ifindex),
          .ifi_flags = up_flag(up),
          .ifi_change = up_flag(up)};
}

void put_end(MessageBuffer& out, const VethEnd& end, uint32_t mtu, uint32_t group) {
  out.put_text(IFLA_IFNAME, end.name);
  if (given(end.mac)) out.put_mac(IFLA_ADDRESS, end.mac);
  if (mtu) out.put_u32(IFLA_MTU, mtu);
  if (group) out.put_u32(IFLA_GROUP, group);
  if (end.netns_fd >= 0) out.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(end.netns_fd));
}

struct Encoder {
  MessageBuffer& out;
  uint32_t sequence;

  void operator()(const CreateVeth& c) const {
    out.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence, link_body(c.here.ifindex, c.here.up));
    put_end(out, c.here, c.mtu, c.group);
    out.nest(IFLA_LINKINFO, [&] {
      out.put_text(IFLA_INFO_KIND, "veth");
      out.nest(IFLA_INFO_DATA, [&] {
        out.nest(VETH_INFO_PEER, [&] {
          ifinfomsg peer = link_body(c.there.ifindex, false);  // see apply_in_steps
          out.put_raw(&peer, sizeof peer);
          put_end(out, c.there, c.mtu, c.group);
        });
      });
    });
  }

  void operator()(const CreateVxlan& c) const {
    out.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence, link_body(c.ifindex, c.up));
    put_end(out, {.name = c.name, .mac = c.mac}, c.mtu, c.group);
    out.nest(IFLA_LINKINFO, [&] {
      out.put_text(IFLA_INFO_KIND, "vxlan");
      out.nest(IFLA_INFO_DATA, [&] {
        uint16_t port = htons(c.port);
        out.put_u8(IFLA_VXLAN_COLLECT_METADATA, 1);
        out.put_u8(IFLA_VXLAN_LEARNING, 0);
        out.put(IFLA_VXLAN_PORT, &port, sizeof port);
        out.put_u8(IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);  // RFC 6935: peers may send tunnels over IPv6 without checksum
      });
    });
  }

  void operator()(const SetLink& c) const {
    ifinfomsg body = link_body(c.link.ifindex, false);
    if (c.up) body.ifi_change = IFF_UP, body.ifi_flags = up_flag(*c.up);
    out.begin(RTM_NEWLINK, 0, sequence, body);
    if (!c.link.ifindex) out.put_text(IFLA_IFNAME, c.link.name);
    if (c.mtu) out.put_u32(IFLA_MTU, *c.mtu);
    if (c.mac) out.put_mac(IFLA_ADDRESS, *c.mac);
    if (c.group) out.put_u32(IFLA_GROUP, *c.group);
    if (!c.no_link_local && c.ipv4_conf.empty()) return;
    out.nest(IFLA_AF_SPEC, [&] {
      if (!c.ipv4_conf.empty()) {
        out.nest(AF_INET, [&] {
          out.nest(IFLA_INET_CONF, [&] {
            for (auto [key, value] : c.ipv4_conf) out.put_u32(static_cast<uint16_t>(key), value);
          });
        });
      }
      if (c.no_link_local) out.nest(AF_INET6, [&] { out.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
    });
  }

  void operator()(const DeleteLink& c) const {
    out.begin(RTM_DELLINK, 0, sequence, link_body(c.link.ifindex, false));
    if (!c.link.ifindex) out.put_text(IFLA_IFNAME, c.link.name);
  }

  void operator()(const DeleteLinkGroup& c) const {
    out.begin(RTM_DELLINK, 0, sequence, link_body(0, false));
    out.put_u32(IFLA_GROUP, c.group);
  }

  void address(const Address& a, uint8_t scope, uint16_t type, uint16_t flags) const {
    if (a.address.is_link_local() && !a.address.is_v4()) scope = RT_SCOPE_LINK;
    out.begin(type, flags, sequence,
              ifaddrmsg{.ifa_family = family(a.address),
                        .ifa_prefixlen = static_cast<uint8_t>(a.length),
                        .ifa_flags = 0,
                        .ifa_scope = scope,
                        .ifa_index = a.ifindex});
    out.put_address(IFA_LOCAL, a.address);
    out.put_address(IFA_ADDRESS, a.address);
    if (!a.address.is_v4()) out.put_u32(IFA_FLAGS, IFA_F_NODAD);
  }
  void operator()(const AddAddress& c) const {
    address(c.address, c.host_scope ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  }
  void operator()(const RemoveAddress& c) const { address(c.address, RT_SCOPE_UNIVERSE, RTM_DELADDR, 0); }

  void route(const Route& r, uint16_t type, uint16_t flags) const {
    bool has_nexthop = r.type == RouteType::kUnicast || r.type == RouteType::kLocal;
    uint8_t scope = !r.via && has_nexthop ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    if (r.type == RouteType::kLocal) scope = RT_SCOPE_HOST;
    out.begin(type, flags, sequence,
              rtmsg{.rtm_family = static_cast<uint8_t>(r.destination.is_v4() ? AF_INET : AF_INET6),
                    .rtm_dst_len = static_cast<uint8_t>(r.destination.family_length()),
                    .rtm_src_len = 0,
                    .rtm_tos = 0,
                    .rtm_table = static_cast<uint8_t>(r.table < 256 ? r.table : RT_TABLE_UNSPEC),
                    .rtm_protocol = r.protocol,
                    .rtm_scope = r.destination.is_v4() ? scope : static_cast<uint8_t>(RT_SCOPE_UNIVERSE),
                    .rtm_type = static_cast<uint8_t>(r.type),
                    .rtm_flags = r.onlink ? static_cast<unsigned>(RTNH_F_ONLINK) : 0});
    out.put_address(RTA_DST, r.destination.address());
    if (r.table >= 256) out.put_u32(RTA_TABLE, r.table);
    if (r.ifindex) out.put_u32(RTA_OIF, r.ifindex);
    if (r.metric) out.put_u32(RTA_PRIORITY, r.metric);
    if (r.prefsrc) out.put_address(RTA_PREFSRC, *r.prefsrc);
    if (r.mtu) out.nest(RTA_METRICS, [&] { out.put_u32(RTAX_MTU, r.mtu); });
    if (r.via && r.via->is_v4() == r.destination.is_v4()) out.put_address(RTA_GATEWAY, *r.via);
    if (r.via && r.via->is_v4() != r.destination.is_v4()) put_via(*r.via);
  }
  // RFC 8950 in spirit: an IPv4 destination behind an IPv6 next hop.
  void put_via(const net::IpAddress& via) const {
    struct {
      uint16_t family;
      uint8_t address[16];
    } body{family(via), {}};
    std::memcpy(body.address, via.bytes().data(), 16);
    out.put(RTA_VIA, &body, sizeof body);
  }
  void operator()(const AddRoute& c) const { route(c.route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE); }
  void operator()(const RemoveRoute& c) const { route(c.route, RTM_DELROUTE, 0); }

  void neighbor(const Neighbor& n, uint16_t type, uint16_t flags) const {
    out.begin(
        type, flags, sequence,
        ndmsg{.ndm_family = family(n.address), .ndm_ifindex = static_cast<int>(n.ifindex), .ndm_state = NUD_PERMANENT});
    out.put_address(NDA_DST, n.address);
    if (type == RTM_NEWNEIGH) out.put_mac(NDA_LLADDR, n.mac);
  }
  void operator()(const AddNeighbor& c) const { neighbor(c.neighbor, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE); }
  void operator()(const RemoveNeighbor& c) const { neighbor(c.neighbor, RTM_DELNEIGH, 0); }
};

}  // namespace

void encode(MessageBuffer& out, uint32_t sequence, const Change& change) { std::visit(Encoder{out, sequence}, change); }

}  // namespace carrick::kernel
