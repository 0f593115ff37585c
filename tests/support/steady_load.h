#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "net/ip.h"
#include "watch/client.h"

// New connections at a steady rate, whatever becomes of those before, and rolling updates under them.
namespace carrick::load {

struct Plan {
  int netns = -1;      // of the client
  std::string cgroup;  // folder to be in, so that socket hooks apply; empty: packets only
  net::SocketAddress target;
  int per_second = 2000;
};

struct Outcome {
  uint64_t opened = 0, failed = 0, endpoints = 0;  // endpoints: how many pods answered
  double seconds = 0, slowest_ms = 0;
  char first_failure[160] = {};
};

// A process of its own. Each connection asks, has an answer and is closed; one that has none within 3 s has failed.
class SteadyLoad {
 public:
  static Result<SteadyLoad> start(const Plan& plan);
  SteadyLoad(SteadyLoad&&) noexcept;
  ~SteadyLoad();             // kills
  Result<Outcome> finish();  // opens none any more, waits for those that are open

 private:
  SteadyLoad() = default;
  pid_t child_ = -1;
  Fd outcome_, go_on_;
};

// Changes the template of Deployment default/NAME and waits until every replica is of it and of its pods (app=NAME)
// nothing else is left.
Result<void> roll(const watch::Credentials& credentials, const std::string& name, int round);

}  // namespace carrick::load
