#include "kernel/fake_network.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace carrick::kernel {
namespace {

using Space = std::shared_ptr<FakeNamespace>;

uint64_t inode(int fd) {
  struct stat info{};
  return fd >= 0 && fstat(fd, &info) == 0 ? info.st_ino : 0;
}

void erase_link(FakeNamespace& space, uint32_t ifindex) {
  auto peer = space.peers.extract(ifindex);
  space.links.erase(ifindex);
  std::erase_if(space.addresses, [&](const Address& a) { return a.ifindex == ifindex; });
  std::erase_if(space.routes, [&](const Route& r) { return r.ifindex == ifindex; });
  std::erase_if(space.neighbors, [&](const Neighbor& n) { return n.ifindex == ifindex; });
  if (peer.empty()) return;
  if (auto there = peer.mapped().first.lock(); there && there->links.contains(peer.mapped().second)) {
    there->peers.erase(peer.mapped().second);
    erase_link(*there, peer.mapped().second);
  }
}

class FakeNetlink final : public Netlink {
 public:
  FakeNetlink(FakeNetwork& network, Space space) : network_(network), space_(std::move(space)) {}

  Result<void> apply(std::span<const Change> changes) override {
    Result<void> first_error;
    for (const Change& change : changes) {
      auto done = network_.ask_fault(describe(change));
      if (done) done = std::visit(*this, change);
      if (!done && first_error) first_error = with_context(done.error(), "{}", describe(change));
    }
    return first_error;
  }

  Result<Link> link(const LinkRef& ref) override {
    const Link* found = at(ref);
    if (!found) return fail(ErrorKind::kNotFound, "link {}: No such device", ref.str());
    return *found;
  }
  Result<std::vector<Link>> links() override {
    std::vector<Link> out;
    for (auto& [number, link] : space_->links) out.push_back(link);
    return out;
  }
  Result<std::vector<Address>> addresses() override { return space_->addresses; }
  Result<std::vector<Route>> routes() override { return space_->routes; }
  Result<std::vector<Neighbor>> neighbors() override { return space_->neighbors; }

  Result<RouteAnswer> route_to(const net::IpAddress& destination) override {
    for (const Address& address : space_->addresses) {
      if (address.address == destination) return RouteAnswer{.ifindex = 1, .prefsrc = destination, .local = true};
    }
    const Route* best = nullptr;
    for (const Route& route : space_->routes) {
      if (route.destination.contains(destination) && (!best || route.destination.length() > best->destination.length()))
        best = &route;
    }
    if (!best) return fail(ErrorKind::kInternal, "route to {}: Network is unreachable", destination.str());
    RouteAnswer answer{.ifindex = best->ifindex, .via = best->via, .prefsrc = best->prefsrc, .mtu = best->mtu};
    for (const Address& address : space_->addresses) {
      bool usable = address.address.is_v4() == destination.is_v4() && !address.address.is_loopback() &&
                    !address.address.is_link_local();
      if (!answer.prefsrc && usable) answer.prefsrc = address.address;
    }
    return answer;
  }

  Result<void> operator()(const CreateVeth& c) {
    Space there = c.there.netns_fd < 0 ? space_ : network_.by_fd(c.there.netns_fd);
    if (!there) return fail_errno(EINVAL, "namespace");
    TRY_VOID(check_free(*space_, c.here));
    TRY_VOID(check_free(*there, c.there));
    uint32_t near = add(*space_, c.here, "veth", c.mtu, c.group), far = add(*there, c.there, "veth", c.mtu, c.group);
    space_->links[near].peer_ifindex = far, there->links[far].peer_ifindex = near;
    space_->peers[near] = {there, far}, there->peers[far] = {space_, near};
    return {};
  }
  Result<void> operator()(const CreateVxlan& c) {
    VethEnd end{.name = c.name, .ifindex = c.ifindex, .mac = c.mac, .up = c.up};
    TRY_VOID(check_free(*space_, end));
    add(*space_, end, "vxlan", c.mtu, c.group);
    return {};
  }
  Result<void> operator()(const SetLink& c) {
    Link* link = at(c.link);
    if (!link) return fail_errno(ENODEV, "link");
    if (c.mtu) link->mtu = *c.mtu;
    if (c.mac) link->mac = *c.mac;
    if (c.group) link->group = *c.group;
    if (c.up) link->up = *c.up;
    if (!link->up) std::erase_if(space_->routes, [&](const Route& r) { return r.ifindex == link->ifindex; });
    return {};
  }
  Result<void> operator()(const DeleteLink& c) {
    if (const Link* link = at(c.link)) erase_link(*space_, link->ifindex);
    return {};
  }
  Result<void> operator()(const DeleteLinkGroup& c) {
    std::vector<uint32_t> doomed;
    for (auto& [number, link] : space_->links) {
      if (link.group == c.group) doomed.push_back(number);
    }
    for (uint32_t number : doomed) erase_link(*space_, number);
    return {};
  }
  Result<void> operator()(const AddAddress& c) {
    if (!space_->links.contains(c.address.ifindex)) return fail_errno(ENODEV, "address");
    if (!std::ranges::count(space_->addresses, c.address)) space_->addresses.push_back(c.address);
    return {};
  }
  Result<void> operator()(const RemoveAddress& c) {
    std::erase(space_->addresses, c.address);
    return {};
  }
  Result<void> operator()(const AddRoute& c) {
    bool has_link = c.route.type == RouteType::kUnicast;
    if (has_link && !space_->links.contains(c.route.ifindex)) return fail_errno(ENODEV, "route");
    if (has_link && !space_->links[c.route.ifindex].up) return fail_errno(ENETDOWN, "route");
    TRY_VOID((*this)(RemoveRoute{c.route}));
    space_->routes.push_back(c.route);
    return {};
  }
  Result<void> operator()(const RemoveRoute& c) {
    std::erase_if(space_->routes, [&](const Route& r) {
      return r.destination == c.route.destination && r.table == c.route.table && r.metric == c.route.metric;
    });
    return {};
  }
  Result<void> operator()(const AddNeighbor& c) {
    if (!space_->links.contains(c.neighbor.ifindex)) return fail_errno(ENODEV, "neighbour");
    TRY_VOID((*this)(RemoveNeighbor{c.neighbor}));
    space_->neighbors.push_back(c.neighbor);
    return {};
  }
  Result<void> operator()(const RemoveNeighbor& c) {
    std::erase_if(space_->neighbors, [&](const Neighbor& n) {
      return n.ifindex == c.neighbor.ifindex && n.address == c.neighbor.address;
    });
    return {};
  }

 private:
  Link* at(const LinkRef& ref) const {
    for (auto& [number, link] : space_->links) {
      if (ref.ifindex ? number == ref.ifindex : link.name == ref.name) return &link;
    }
    return nullptr;
  }
  static Result<void> check_free(const FakeNamespace& space, const VethEnd& end) {
    if (space.find(end.name)) return fail_errno(EEXIST, "link");
    if (end.ifindex && space.links.contains(end.ifindex)) return fail_errno(EBUSY, "link");
    return {};
  }
  static uint32_t add(FakeNamespace& space, const VethEnd& end, const char* kind, uint32_t mtu, uint32_t group) {
    uint32_t number = end.ifindex;
    while (!number || (!end.ifindex && space.links.contains(number))) number = space.next_ifindex++;
    space.links[number] = {.ifindex = number,
                           .name = end.name,
                           .kind = kind,
                           .mac = end.mac,
                           .mtu = mtu ? mtu : 1500,
                           .group = group,
                           .up = end.up};
    return number;
  }

  FakeNetwork& network_;
  Space space_;
};

}  // namespace

const Link* FakeNamespace::find(const std::string& name) const {
  for (auto& [number, link] : links) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

FakeNetwork::FakeNetwork() : own_(std::make_shared<FakeNamespace>()) {
  own_->links[1] = {.ifindex = 1, .name = "lo", .mtu = 65536, .up = true};
}

std::shared_ptr<FakeNamespace> FakeNetwork::add_netns(const std::string& path) {
  auto space = std::make_shared<FakeNamespace>();
  space->links[1] = {.ifindex = 1, .name = "lo", .mtu = 65536, .up = true};
  named_[path] = {Fd(memfd_create("fake-netns", MFD_CLOEXEC)), space};
  return space;
}

void FakeNetwork::remove_netns(const std::string& path) {
  auto node = named_.extract(path);
  if (node.empty()) return;
  FakeNamespace& space = *node.mapped().space;
  while (!space.links.empty()) erase_link(space, space.links.begin()->first);
}

Result<void> FakeNetwork::ask_fault(const std::string& what) const {
  if (!fault) return {};
  if (auto error = fault(what)) return std::unexpected(*error);
  return {};
}

Result<Fd> FakeNetwork::open_netns(const std::string& path) {
  TRY_VOID(ask_fault("open netns " + path));
  auto it = named_.find(path);
  if (it == named_.end()) return fail(ErrorKind::kNotFound, "network namespace {}: No such file or directory", path);
  return Fd(fcntl(it->second.file.get(), F_DUPFD_CLOEXEC, 0));
}

std::shared_ptr<FakeNamespace> FakeNetwork::by_fd(int netns_fd) const {
  for (auto& [path, named] : named_) {
    if (inode(named.file.get()) == inode(netns_fd)) return named.space;
  }
  return nullptr;
}

Result<uint64_t> FakeNetwork::netns_id(int netns_fd) { return inode(netns_fd); }

Result<std::unique_ptr<Netlink>> FakeNetwork::netlink(int netns_fd) {
  TRY_VOID(ask_fault("open netlink"));
  auto space = netns_fd < 0 ? own_ : by_fd(netns_fd);
  if (!space) return fail(ErrorKind::kNotFound, "open netlink: no such namespace");
  return std::make_unique<FakeNetlink>(*this, space);
}

Result<void> FakeNetwork::write_sysctls(int netns_fd, std::span<const Sysctl> sysctls) {
  auto space = netns_fd < 0 ? own_ : by_fd(netns_fd);
  if (!space) return fail(ErrorKind::kNotFound, "sysctls: no such namespace");
  for (const Sysctl& sysctl : sysctls) {
    TRY_VOID(ask_fault("sysctl " + sysctl.name));
    space->sysctls[sysctl.name] = sysctl.value;
  }
  return {};
}

}  // namespace carrick::kernel
