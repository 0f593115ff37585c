#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

// Unix stream sockets that carry lines: the control sockets of agent, lab and responder.
namespace carrick::kernel {

// Listening, non-blocking, mode 0600; whatever is at `path` is replaced.
Result<Fd> listen_unix(const std::string& path);

// Blocking; a send or receive that takes longer than the limit fails. kTransient when nobody listens there.
Result<Fd> connect_unix(const std::string& path, int timeout_ms);

// Sends the line and waits for one in answer; neither has its line end. For lock-step use: nothing may follow the
// answer.
Result<std::string> exchange_line(int socket, std::string_view line);

// One question on a connection of its own.
Result<std::string> ask_line(const std::string& path, std::string_view line, int timeout_ms);

}  // namespace carrick::kernel
