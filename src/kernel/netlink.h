#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/addresses.h"
#include "kernel/links.h"
#include "kernel/neighbors.h"
#include "kernel/routes.h"
#include "kernel/sysctls.h"

namespace carrick::kernel {

using Change = std::variant<CreateVeth, CreateVxlan, SetLink, DeleteLink, DeleteLinkGroup, AddAddress, RemoveAddress,
                            AddRoute, RemoveRoute, AddNeighbor, RemoveNeighbor>;

std::string describe(const Change& change);  // "add route 10.1.0.7/32 dev 12", for error sentences

// Links, addresses, routes and neighbours of one network namespace. Synchronous; not for two threads at once.
// The namespace stays alive as long as this object.
class Netlink {
 public:
  virtual ~Netlink() = default;

  // All changes in order, as few system calls as possible. A failing change does not stop those behind it (the kernel
  // works off the whole batch): the error names the first that failed, and the caller undoes.
  virtual Result<void> apply(std::span<const Change> changes) = 0;
  Result<void> apply(std::initializer_list<Change> changes) {
    return apply(std::span(changes.begin(), changes.size()));
  }

  virtual Result<Link> link(const LinkRef& ref) = 0;  // kNotFound
  virtual Result<std::vector<Link>> links() = 0;
  virtual Result<std::vector<Address>> addresses() = 0;
  virtual Result<std::vector<Route>> routes() = 0;  // of all tables and protocols; cached and cloned ones left out
  virtual Result<std::vector<Neighbor>> neighbors() = 0;  // permanent ones
  virtual Result<RouteAnswer> route_to(const net::IpAddress& destination) = 0;

  // Number of the `here` end.
  Result<uint32_t> create_veth(const CreateVeth& veth);
};

// Every namespace of a machine: the door that rooms get, so that tests can hand them a FakeNetwork.
class Network {
 public:
  virtual ~Network() = default;
  virtual Result<Fd> open_netns(const std::string& path) = 0;
  virtual Result<uint64_t> netns_id(int netns_fd) = 0;
  virtual Result<std::unique_ptr<Netlink>> netlink(int netns_fd) = 0;  // -1 = the calling thread's namespace
  virtual Result<void> write_sysctls(int netns_fd, std::span<const Sysctl> sysctls) = 0;
};

// The real ones.
Result<std::unique_ptr<Netlink>> open_netlink(int netns_fd = -1);
Network& linux_network();

}  // namespace carrick::kernel
