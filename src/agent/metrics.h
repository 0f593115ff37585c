#pragma once

#include <string>

#include "agent/status.h"

namespace carrick::agent {

// What the status says, and the DNS server's own counters, as Prometheus reads it.
std::string metrics_page(const StatusInputs& in);

}  // namespace carrick::agent
