#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "net/ip.h"

// One-byte request/response between two processes pinned to one CPU: what a transaction costs, without wake-up noise
// (KERNEL.md B).
namespace carrick::bench {

enum class Kind { kTcpRr, kTcpCrr, kUdpRr };  // CRR: connect, one exchange, close by RST
const char* kind_name(Kind kind);

// What a second is: of the clock on the wall (the processes have the CPU to themselves), or of CPU time spent by client
// and server together, softirqs in their context included (a kernel without CONFIG_IRQ_TIME_ACCOUNTING counts those).
// The two agree on a quiet machine; on a busy one only the second means something.
enum class Seconds { kWall, kCpu };

struct Endpoints {
  int client_netns = -1, server_netns = -1;
  std::string client_cgroup;  // folder; empty = where we are. Socket hooks apply to what runs there
  net::IpAddress server;      // what the server is known by; it listens on every address
  net::SocketAddress target;  // what the client connects to
};

inline constexpr uint16_t kServerPort = 7777;

// Transactions per second. Forks a server and a client, both gone afterwards.
Result<double> measure(const Endpoints& endpoints, Kind kind, std::chrono::milliseconds duration, int cpu,
                       Seconds seconds);

}  // namespace carrick::bench
