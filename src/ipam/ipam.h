#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/ip.h"

// Addresses of the node's pods, out of its podCIDRs.
namespace carrick::ipam {

// One address of each family per owner. The state is a file that every change replaces at once (temp + rename, mode
// 0600); it is not flushed to disk, because a state of another boot is void: no pod survives a reboot.
class Pool {
 public:
  // `file` empty = in memory only. A file of another boot id is discarded; one that cannot be read is an error: handing
  // out addresses in use is worse than handing out none.
  static Result<Pool> open(std::string file, std::string boot_id);

  // At most one of each family, the primary one first. Addresses of owners outside the new CIDRs stay taken.
  Result<void> set_cidrs(std::vector<net::Prefix> cidrs);
  const std::vector<net::Prefix>& cidrs() const { return cidrs_; }

  // One address from every CIDR, all or none; round robin behind the last one given (NET-7). An owner that has
  // addresses gets the same again. `wanted` fixes the address of its family. Errors: kTransient exhausted or not
  // configured yet; kConflict a wanted address is taken; kInvalid it is outside or reserved.
  Result<std::vector<net::IpAddress>> allocate(const std::string& owner,
                                               const std::vector<net::IpAddress>& wanted = {});
  Result<void> release(const std::string& owner);                 // unknown owner is success
  Result<size_t> keep_only(const std::set<std::string>& owners);  // releases all others; how many
  Result<void> adopt(const std::string& owner,
                     const std::vector<net::IpAddress>& addresses);  // found in use after a loss of state

  const std::string* owner_of(const net::IpAddress& address) const;  // null = free
  size_t owners() const { return by_owner_.size(); }
  Result<void> can_allocate() const;  // the error that allocate() of a new owner would give

 private:
  // Offsets of a CIDR that may be given out: network, broadcast (IPv4) and the first address, the gateway's by custom,
  // may not.
  struct Range {
    uint64_t first, last;
  };
  static Range range_of(const net::Prefix& cidr);
  static uint64_t offset_in(const net::Prefix& cidr, const net::IpAddress& address);
  size_t taken_in(const net::Prefix& cidr) const;
  Result<net::IpAddress> next_free(const net::Prefix& cidr) const;
  Result<net::IpAddress> check_wanted(const net::Prefix& cidr, const net::IpAddress& address) const;
  void take(const std::string& owner, std::vector<net::IpAddress> addresses);
  void drop(const std::string& owner);
  static std::string state_text(const std::string& owner, const std::vector<net::IpAddress>& addresses);
  Result<void> load();
  Result<void> save() const;

  std::string file_, boot_id_;
  std::vector<net::Prefix> cidrs_;
  std::map<std::string, net::IpAddress> last_;  // by CIDR: the address given most recently
  struct Holding {
    std::vector<net::IpAddress> addresses;
    std::string text;  // its member of the state file, made once: a save is O(owners) concatenation and nothing else
  };
  std::map<std::string, Holding> by_owner_;
  std::map<net::IpAddress, std::string> by_address_;
};

// Identity of this boot of the machine.
std::string boot_id();

}  // namespace carrick::ipam
