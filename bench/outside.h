#pragma once

#include "base/result.h"
#include "lab/lab.h"
#include "net/ip.h"

// What a lab's client outside the cluster needs beside NodePorts.
namespace carrick::bench {

// A load balancer's address of a Service, as a controller writes it into its status, and the fabric's route that leads
// it to `node`. Returns when every agent has realized it.
Result<void> have_balancer(const lab::RunningLab& lab, const std::string& service, const net::IpAddress& address,
                           const std::string& node);

}  // namespace carrick::bench
