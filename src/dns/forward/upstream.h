#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>

#include "dns/message/message.h"

namespace carrick::dns {

// Asks one server one question: over UDP from a fresh socket (so the kernel picks a random source port) with a random
// id, and again over TCP when the answer is truncated. Answers that do not match in address, id or question are ignored
// until the deadline. kTransient: no usable answer.
boost::asio::awaitable<Result<Message>> ask_upstream(net::SocketAddress server, Message query,
                                                     std::chrono::steady_clock::time_point deadline);

}  // namespace carrick::dns
