#pragma once

#include <cstdint>
#include <vector>

#include "net/ip.h"
#include "wire/choice.h"

// The table of the consistent choice of a backend (Maglev, Eisenbud et al., NSDI 2016, section 3.4). PURE.
namespace carrick::realize {

// The number of the backend at each of CHOICE_PLACES places. Every backend has as many places as any other, or one
// less; what a backend is called decides about its places, not its position. Empty for less than two backends, and for
// more than have numbers.
std::vector<uint16_t> choice_table(const std::vector<net::SocketAddress>& backends);

// The same in the chunks of the map `choices`.
std::vector<choice_value> choice_chunks(const std::vector<net::SocketAddress>& backends);

}  // namespace carrick::realize
