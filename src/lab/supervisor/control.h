#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

// Control sockets of a lab: one JSON document a line, one answer a line, over a unix socket of mode 0600.
namespace carrick::lab {

// A listening socket at `path` (an old one is replaced).
Result<Fd> listen_at(const std::string& path);

// One question, one answer. kTransient when nobody answers within the time.
Result<std::string> ask(const std::string& path, const std::string& question, int timeout_ms = 5000);

}  // namespace carrick::lab
