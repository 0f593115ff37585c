#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace carrick::kernel {

// Packets received by every link of the calling thread's network namespace, by its name. Takes no lock of the kernel's.
Result<std::map<std::string, uint64_t>> received_packets();

// The same from the text of /proc/net/dev; lines that are not understood are left out.
std::map<std::string, uint64_t> parse_received_packets(std::string_view text);

}  // namespace carrick::kernel
