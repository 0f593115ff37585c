#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/ip.h"

// Network devices: what may be asked of them (values for Netlink::apply) and what is seen.
namespace carrick::kernel {

struct VethEnd {
  std::string name;
  uint32_t ifindex = 0;  // 0 = the kernel chooses; a number makes it usable by later changes of the same batch
  net::MacAddress mac;   // all zero = the kernel chooses
  int netns_fd = -1;     // -1 = the namespace of the Netlink
  bool up = true;
};

// Both ends come into being in one request, each directly in its namespace under its final name. `there.up` with a
// foreign namespace costs a second request there; a caller that goes on to configure that end does it in its own batch.
struct CreateVeth {
  VethEnd here, there;
  uint32_t mtu = 0;    // of both ends; 0 = 1500
  uint32_t group = 0;  // of both ends: DeleteLinkGroup removes many links in one request
};

// VXLAN in collect-metadata ("external") mode: BPF chooses VNI and remote per packet. One device takes both underlay
// families.
struct CreateVxlan {
  std::string name;
  uint32_t ifindex = 0;
  net::MacAddress mac;
  uint32_t mtu = 0;
  uint16_t port = 4789;  // IANA; the kernel's own default is 8472
  bool up = true;
  uint32_t group = 0;
};

// Names a link by number, or by name when the number is 0.
struct LinkRef {
  uint32_t ifindex = 0;
  std::string name;
  LinkRef(uint32_t number) : ifindex(number) {}
  LinkRef(std::string text) : name(std::move(text)) {}
  LinkRef(const char* text) : name(text) {}
  std::string str() const;
};

struct SetLink {
  LinkRef link;
  std::optional<bool> up = {};
  std::optional<uint32_t> mtu = {};
  std::optional<net::MacAddress> mac = {};
  std::optional<uint32_t> group = {};
  bool no_link_local = false;  // IPv6 addr_gen_mode none: no automatic fe80:: address, hence no DAD and no MLD for it
  std::vector<std::pair<int, uint32_t>> ipv4_conf =
      {};  // IPV4_DEVCONF_* of <linux/ip.h>: sysctls of the device without /proc
};

struct DeleteLink {
  LinkRef link;  // a missing link is success
};

struct DeleteLinkGroup {
  uint32_t group = 0;
};

struct Link {
  uint32_t ifindex = 0;
  std::string name, kind;  // kind: "veth", "vxlan", ... ; empty for lo and hardware
  net::MacAddress mac;
  uint32_t mtu = 0, group = 0;
  uint32_t peer_ifindex = 0;    // veth: number of the other end in its own namespace
  bool peer_elsewhere = false;  // the other end is in another namespace
  std::string qdisc;            // root queueing discipline: "noqueue" where nothing waits
  bool up = false;
};

}  // namespace carrick::kernel
