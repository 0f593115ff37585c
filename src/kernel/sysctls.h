#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace carrick::kernel {

struct Sysctl {
  std::string name;  // below /proc/sys with slashes: "net/ipv4/conf/eth0/rp_filter"
  std::string value;
  bool optional = false;  // absent on this kernel (a module that is not there): success
};

// In the network namespace `netns_fd` (-1 = the calling thread's).
Result<void> write_sysctls(int netns_fd, std::span<const Sysctl> sysctls);
Result<std::string> read_sysctl(int netns_fd, const std::string& name);

}  // namespace carrick::kernel
