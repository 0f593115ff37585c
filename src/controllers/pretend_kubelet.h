#pragma once

#include <functional>
#include <set>

#include "controllers/cluster.h"
#include "k8s/core.h"
#include "net/ip.h"

namespace carrick::controllers {

// Nodes as offline plans and tests have them: every bound pod gets the next addresses of its node's pod CIDRs (from .2
// on) and is Ready; a deleted pod goes at once. Nothing runs.
class PretendKubelet {
 public:
  explicit PretendKubelet(Cluster& cluster);

  // Does what is to do; the number of pods it changed.
  size_t run();

  // Tests hold pods back, or let them end ("Succeeded", "Failed"), by name.
  std::function<bool(const std::string& pod)> ready = [](const std::string&) { return true; };
  std::function<std::string(const std::string& pod)> phase = [](const std::string&) { return "Running"; };
  std::string now = "2026-01-01T00:00:00Z";
  // Looks at every pod again, after `ready` or `phase` has changed.
  void look_again();

 private:
  Result<void> start(const Document& pod);
  std::vector<net::IpAddress> addresses(const Document& pod);

  Cluster& cluster_;
  std::shared_ptr<std::set<k8s::NamespacedName>> noted_ = std::make_shared<std::set<k8s::NamespacedName>>();
  std::map<net::Prefix, uint64_t> next_;  // host number of the next pod
};

}  // namespace carrick::controllers
