#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/result.h"

// What this process may do beyond an ordinary one.
namespace carrick::kernel {

// The calling thread, and the threads that it makes from now on, keep of these capabilities (numbers of
// linux/capability.h) what they have, lose all others for good, and gain none by executing a program. kInternal when
// other threads are there already, which would keep theirs.
Result<void> keep_capabilities(std::initializer_list<int> capabilities);

struct Privileges {
  std::vector<std::string> capabilities;  // effective in any thread: "CAP_NET_ADMIN"; by number
  bool no_new_privileges = false;         // in every thread
};
Privileges own_privileges();

}  // namespace carrick::kernel
