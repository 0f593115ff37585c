#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kernel/netlink.h"

// A machine without a kernel, for unit tests: it keeps what it is told, refuses what Linux refuses (names and numbers
// taken, routes over links that are down or absent) and loses what Linux loses (a veth with its peer, routes with their
// link).
namespace carrick::kernel {

struct FakeNamespace {
  std::map<uint32_t, Link> links;  // by ifindex; 1 is lo
  std::vector<Address> addresses;
  std::vector<Route> routes;
  std::vector<Neighbor> neighbors;
  std::map<std::string, std::string> sysctls;
  uint32_t next_ifindex = 2;
  std::map<uint32_t, std::pair<std::weak_ptr<FakeNamespace>, uint32_t>> peers;  // veth: where its other end is

  const Link* find(const std::string& name) const;
};

class FakeNetwork final : public Network {
 public:
  FakeNetwork();

  std::shared_ptr<FakeNamespace> own() { return own_; }
  std::shared_ptr<FakeNamespace> add_netns(const std::string& path);
  void remove_netns(const std::string& path);  // its links go, and their peers

  // Fault injection: asked with the description of every change and call ("create veth a <-> b", "open netns /x"); an
  // answer is the failure, and the change does not happen.
  std::function<std::optional<Error>(const std::string& what)> fault;

  Result<Fd> open_netns(const std::string& path) override;
  Result<uint64_t> netns_id(int netns_fd) override;
  Result<std::unique_ptr<Netlink>> netlink(int netns_fd) override;
  Result<void> write_sysctls(int netns_fd, std::span<const Sysctl> sysctls) override;

  Result<void> ask_fault(const std::string& what) const;
  std::shared_ptr<FakeNamespace> by_fd(int netns_fd) const;  // null when there is none

 private:
  struct Named {
    Fd file;  // a memfd stands for the nsfs file: its inode is the identity
    std::shared_ptr<FakeNamespace> space;
  };
  std::shared_ptr<FakeNamespace> own_;
  std::map<std::string, Named> named_;
};

}  // namespace carrick::kernel
