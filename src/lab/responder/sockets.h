#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "lab/responder/responder.h"

namespace carrick::lab {

// A non-blocking socket on [::]:port that takes both families (0.0.0.0 where the kernel has no IPv6), or on one address
// alone, in the current namespace.
Result<Fd> open_listener(const Listener& listener, const net::IpAddress& address = {});
// "10.1.0.7:40000" or "[2001:db8::1]:40000" of a sockaddr; v4-mapped addresses in their IPv4 form.
std::string socket_text(const void* address);

}  // namespace carrick::lab
