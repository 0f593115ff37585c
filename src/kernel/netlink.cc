#include "kernel/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

#include "kernel/netlink_encode.h"
#include "kernel/netns.h"

namespace carrick::kernel {
namespace {

// Changes in one sendmsg: bounded so that error replies always fit the receive buffer.
constexpr size_t kBatch = 128;
constexpr size_t kReceiveBytes = 1 << 18;

bool is_removal(const Change& change) {
  return std::holds_alternative<DeleteLink>(change) || std::holds_alternative<DeleteLinkGroup>(change) ||
         std::holds_alternative<RemoveAddress>(change) || std::holds_alternative<RemoveRoute>(change) ||
         std::holds_alternative<RemoveNeighbor>(change);
}

// What the change wanted to bring about holds already.
bool is_done(const Change& change, int error) {
  if (std::holds_alternative<AddAddress>(change)) return error == EEXIST;
  return is_removal(change) && (error == ENODEV || error == ENOENT || error == ESRCH || error == EADDRNOTAVAIL);
}

struct Reply {
  uint16_t type;
  uint32_t sequence;
  std::string_view body;  // after the nlmsghdr
  uint16_t flags;
};

class LinuxNetlink final : public Netlink {
 public:
  explicit LinuxNetlink(Fd socket) : socket_(std::move(socket)), receive_(kReceiveBytes) {}

  Result<void> apply(std::span<const Change> changes) override {
    Result<void> first_error;
    for (const Change& change : changes) {
      const auto* veth = std::get_if<CreateVeth>(&change);
      if (veth && veth->there.up) return apply_in_steps(changes);
    }
    while (!changes.empty()) {
      auto batch = changes.first(std::min(kBatch, changes.size()));
      auto done = apply_batch(batch);
      if (!done && first_error) first_error = done;
      changes = changes.subspan(batch.size());
    }
    return first_error;
  }

  Result<Link> link(const LinkRef& ref) override {
    MessageBuffer out;
    out.begin(RTM_GETLINK, NLM_F_ACK, ++sequence_,
              ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = static_cast<int>(ref.ifindex)});
    if (!ref.ifindex) out.put_text(IFLA_IFNAME, ref.name);
    Link found;
    TRY_VOID(ask(out, fmt::format("link {}", ref.str()), [&](const Reply& reply) { decode_link(reply.body, found); }));
    return found;
  }

  Result<std::vector<Link>> links() override {
    std::vector<Link> out;
    TRY_VOID(dump(RTM_GETLINK, AF_UNSPEC, "list links", [&](std::string_view body) {
      Link link;
      if (decode_link(body, link)) out.push_back(std::move(link));
    }));
    return out;
  }

  Result<std::vector<Address>> addresses() override {
    std::vector<Address> out;
    TRY_VOID(dump(RTM_GETADDR, AF_UNSPEC, "list addresses", [&](std::string_view body) {
      ifaddrmsg header;
      if (!take(body, header)) return;
      Address address{.ifindex = header.ifa_index, .address = {}, .length = header.ifa_prefixlen};
      bool local = false;  // IFA_LOCAL wins over IFA_ADDRESS (the peer of a point-to-point address)
      for_each_attribute(body, [&](uint16_t type, std::string_view payload) {
        if (type == IFA_LOCAL || (type == IFA_ADDRESS && !local)) address.address = read_address(payload);
        if (type == IFA_LOCAL) local = true;
      });
      out.push_back(address);
    }));
    return out;
  }

  Result<std::vector<Route>> routes() override {
    std::vector<Route> out;
    TRY_VOID(dump(RTM_GETROUTE, AF_UNSPEC, "list routes", [&](std::string_view body) {
      Route route;
      if (decode_route(body, route)) out.push_back(route);
    }));
    return out;
  }

  Result<std::vector<Neighbor>> neighbors() override {
    std::vector<Neighbor> out;
    TRY_VOID(dump(RTM_GETNEIGH, AF_UNSPEC, "list neighbours", [&](std::string_view body) {
      ndmsg header;
      if (!take(body, header) || !(header.ndm_state & NUD_PERMANENT) ||
          (header.ndm_family != AF_INET && header.ndm_family != AF_INET6))
        return;
      Neighbor neighbor{.ifindex = static_cast<uint32_t>(header.ndm_ifindex)};
      for_each_attribute(body, [&](uint16_t type, std::string_view payload) {
        if (type == NDA_DST) neighbor.address = read_address(payload);
        if (type == NDA_LLADDR && payload.size() == 6) std::memcpy(neighbor.mac.bytes.data(), payload.data(), 6);
      });
      out.push_back(neighbor);
    }));
    return out;
  }

  Result<RouteAnswer> route_to(const net::IpAddress& destination) override {
    MessageBuffer out;
    bool v4 = destination.is_v4();
    out.begin(RTM_GETROUTE, NLM_F_ACK, ++sequence_,
              rtmsg{.rtm_family = static_cast<uint8_t>(v4 ? AF_INET : AF_INET6),
                    .rtm_dst_len = static_cast<uint8_t>(v4 ? 32 : 128)});
    out.put_address(RTA_DST, destination);
    RouteAnswer answer;
    TRY_VOID(ask(out, fmt::format("route to {}", destination.str()), [&](const Reply& reply) {
      Route route;
      rtmsg header{};
      std::memcpy(&header, reply.body.data(), std::min(sizeof header, reply.body.size()));
      decode_route(reply.body, route);
      answer = {.ifindex = route.ifindex,
                .via = route.via,
                .prefsrc = route.prefsrc,
                .mtu = route.mtu,
                .local = header.rtm_type == RTN_LOCAL};
    }));
    return answer;
  }

 private:
  template <class Header>
  static bool take(std::string_view& body, Header& header) {
    if (body.size() < sizeof header) return false;
    body.copy(reinterpret_cast<char*>(&header), sizeof header);
    body.remove_prefix(NLMSG_ALIGN(sizeof header));
    return true;
  }

  static bool decode_link(std::string_view body, Link& link) {
    ifinfomsg header;
    if (!take(body, header)) return false;
    link.ifindex = static_cast<uint32_t>(header.ifi_index);
    link.up = header.ifi_flags & IFF_UP;
    for_each_attribute(body, [&](uint16_t type, std::string_view payload) {
      if (type == IFLA_IFNAME) link.name = payload.substr(0, payload.find('\0'));
      if (type == IFLA_ADDRESS && payload.size() == 6) std::memcpy(link.mac.bytes.data(), payload.data(), 6);
      if (type == IFLA_MTU) link.mtu = read_u32(payload);
      if (type == IFLA_GROUP) link.group = read_u32(payload);
      if (type == IFLA_LINK_NETNSID) link.peer_elsewhere = true;
      if (type == IFLA_QDISC) link.qdisc = payload.substr(0, payload.find('\0'));
      if (type == IFLA_LINK) link.peer_ifindex = read_u32(payload);
      if (type == IFLA_LINKINFO) {
        for_each_attribute(payload, [&](uint16_t inner, std::string_view text) {
          if (inner == IFLA_INFO_KIND) link.kind = text.substr(0, text.find('\0'));
        });
      }
    });
    return true;
  }

  // False for what is not a route of its own: clones, multicast, local and broadcast entries that come with an address.
  static bool decode_route(std::string_view body, Route& route) {
    rtmsg header;
    if (!take(body, header)) return false;
    std::array<uint8_t, 16> unspecified{};
    net::IpAddress destination = header.rtm_family == AF_INET ? net::IpAddress::v4(0) : net::IpAddress(unspecified);
    route.table = header.rtm_table;
    route.protocol = header.rtm_protocol;
    route.type = static_cast<RouteType>(header.rtm_type);
    route.onlink = header.rtm_flags & RTNH_F_ONLINK;
    for_each_attribute(body, [&](uint16_t type, std::string_view payload) {
      if (type == RTA_DST) destination = read_address(payload);
      if (type == RTA_OIF) route.ifindex = read_u32(payload);
      if (type == RTA_GATEWAY) route.via = read_address(payload);
      if (type == RTA_VIA && payload.size() > 2) route.via = read_address(payload.substr(2));
      if (type == RTA_PREFSRC) route.prefsrc = read_address(payload);
      if (type == RTA_PRIORITY) route.metric = read_u32(payload);
      if (type == RTA_TABLE) route.table = read_u32(payload);
      if (type == RTA_METRICS) {
        for_each_attribute(payload, [&](uint16_t metric, std::string_view value) {
          if (metric == RTAX_MTU) route.mtu = read_u32(value);
        });
      }
    });
    route.destination = net::Prefix(destination, header.rtm_dst_len + (header.rtm_family == AF_INET ? 96 : 0));
    bool kind = header.rtm_type == RTN_UNICAST || header.rtm_type == RTN_BLACKHOLE ||
                header.rtm_type == RTN_UNREACHABLE ||
                (header.rtm_type == RTN_LOCAL && header.rtm_table != RT_TABLE_LOCAL);
    return kind && !(header.rtm_flags & RTM_F_CLONED) &&
           (header.rtm_family == AF_INET || header.rtm_family == AF_INET6);
  }

  Result<void> send(const MessageBuffer& out) {
    sockaddr_nl kernel{.nl_family = AF_NETLINK};
    ssize_t sent = sendto(socket_.get(), out.bytes().data(), out.bytes().size(), 0,
                          reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent < 0) return fail_errno(errno, "netlink send");
    return {};
  }

  // Calls f for every message of the answer until f says stop (true).
  template <class F>
  Result<void> receive(F&& f) {
    for (;;) {
      ssize_t size = recv(socket_.get(), receive_.data(), receive_.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail_errno(errno, "netlink receive");
      std::string_view rest(receive_.data(), static_cast<size_t>(size));
      bool stop = false;
      while (rest.size() >= sizeof(nlmsghdr)) {
        nlmsghdr header;
        std::memcpy(&header, rest.data(), sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) break;
        stop |= f(Reply{header.nlmsg_type, header.nlmsg_seq,
                        rest.substr(sizeof header, header.nlmsg_len - sizeof header), header.nlmsg_flags});
        rest.remove_prefix(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
      }
      if (stop) return {};
    }
  }

  // Sentence of the kernel about the failure (NETLINK_EXT_ACK), when it has one.
  static std::string kernel_words(const Reply& reply) {
    std::string words;
    if (!(reply.flags & NLM_F_ACK_TLVS) || reply.body.size() <= sizeof(nlmsgerr)) return words;
    for_each_attribute(reply.body.substr(sizeof(nlmsgerr)), [&](uint16_t type, std::string_view payload) {
      if (type == NLMSGERR_ATTR_MSG) words = fmt::format(" ({})", payload.substr(0, payload.find('\0')));
    });
    return words;
  }

  static int error_of(const Reply& reply) {
    nlmsgerr error{};
    std::memcpy(&error, reply.body.data(), std::min(sizeof error, reply.body.size()));
    return -error.error;
  }

  // A veth's far end cannot be up at its birth (the kernel opens it before the ends know each other: ENOTCONN), so that
  // takes a change more, in the far namespace.
  Result<void> apply_in_steps(std::span<const Change> changes) {
    std::vector<Change> near(changes.begin(), changes.end());
    std::vector<std::pair<int, std::string>> far;
    for (size_t i = 0; i < near.size(); ++i) {
      auto* veth = std::get_if<CreateVeth>(&near[i]);
      if (!veth || !std::exchange(veth->there.up, false)) continue;
      if (veth->there.netns_fd >= 0)
        far.emplace_back(veth->there.netns_fd, veth->there.name);
      else
        near.insert(near.begin() + static_cast<ptrdiff_t>(i) + 1,
                    SetLink{.link = std::string(veth->there.name), .up = true});
    }
    Result<void> outcome = apply(std::span<const Change>(near));
    for (auto& [netns_fd, name] : far) {
      auto there = open_netlink(netns_fd);
      Result<void> up =
          there ? (*there)->apply({SetLink{.link = name, .up = true}}) : Result<void>(std::unexpected(there.error()));
      if (!up && outcome) outcome = up;
    }
    return outcome;
  }

  // Only the last message asks for an acknowledgement; failures of the others are reported anyway, before it.
  Result<void> apply_batch(std::span<const Change> batch) {
    MessageBuffer out;
    uint32_t first = sequence_ + 1;
    for (const Change& change : batch) encode(out, ++sequence_, change);
    out.or_flags(NLM_F_ACK);
    TRY_VOID(send(out));
    Result<void> outcome;
    TRY_VOID(receive([&](const Reply& reply) {
      if (reply.type != NLMSG_ERROR || reply.sequence - first >= batch.size()) return false;
      const Change& change = batch[reply.sequence - first];
      int error = error_of(reply);
      if (error && !is_done(change, error) && outcome)
        outcome = fail_errno(error, describe(change) + kernel_words(reply));
      return reply.sequence == sequence_;
    }));
    return outcome;
  }

  // One request with one data message and an acknowledgement.
  template <class F>
  Result<void> ask(const MessageBuffer& out, const std::string& what, F&& f) {
    TRY_VOID(send(out));
    Result<void> outcome;
    TRY_VOID(receive([&](const Reply& reply) {
      if (reply.sequence != sequence_) return false;
      if (reply.type != NLMSG_ERROR) return f(reply), false;
      if (int error = error_of(reply)) outcome = fail_errno(error, what + kernel_words(reply));
      return true;
    }));
    return outcome;
  }

  template <class F>
  Result<void> dump(uint16_t type, uint8_t family, const char* what, F&& f) {
    MessageBuffer out;
    if (type == RTM_GETADDR)
      out.begin(type, NLM_F_DUMP, ++sequence_, ifaddrmsg{.ifa_family = family});
    else if (type == RTM_GETNEIGH)
      out.begin(type, NLM_F_DUMP, ++sequence_, ndmsg{.ndm_family = family});
    else if (type == RTM_GETROUTE)
      out.begin(type, NLM_F_DUMP, ++sequence_, rtmsg{.rtm_family = family});
    else
      out.begin(type, NLM_F_DUMP, ++sequence_, ifinfomsg{.ifi_family = family});
    TRY_VOID(send(out));
    Result<void> outcome;
    TRY_VOID(receive([&](const Reply& reply) {
      if (reply.sequence != sequence_) return false;
      if (reply.flags & NLM_F_DUMP_INTR)
        outcome = fail(ErrorKind::kTransient, "{}: the list changed while it was read", what);
      if (reply.type == NLMSG_ERROR) return outcome = fail_errno(error_of(reply), what), true;
      if (reply.type == NLMSG_DONE) return true;
      f(reply.body);
      return false;
    }));
    return outcome;
  }

  Fd socket_;
  std::vector<char> receive_;
  uint32_t sequence_ = 0;
};

Result<std::unique_ptr<Netlink>> open_here() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl self{.nl_family = AF_NETLINK};
  if (!socket || bind(socket.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) < 0)
    return fail_errno(errno, "open rtnetlink");
  int on = 1, bytes = 1 << 20;
  setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
             sizeof bytes);  // without CAP_NET_ADMIN it stays at the default
  return std::make_unique<LinuxNetlink>(std::move(socket));
}

class LinuxNetwork final : public Network {
 public:
  Result<Fd> open_netns(const std::string& path) override { return kernel::open_netns(path); }
  Result<uint64_t> netns_id(int netns_fd) override { return kernel::netns_id(netns_fd); }
  Result<std::unique_ptr<Netlink>> netlink(int netns_fd) override { return open_netlink(netns_fd); }
  Result<void> write_sysctls(int netns_fd, std::span<const Sysctl> sysctls) override {
    return kernel::write_sysctls(netns_fd, sysctls);
  }
};

}  // namespace

Result<std::unique_ptr<Netlink>> open_netlink(int netns_fd) {
  if (netns_fd < 0) return open_here();
  return in_netns(netns_fd, open_here);
}

Network& linux_network() {
  static LinuxNetwork network;
  return network;
}

}  // namespace carrick::kernel
