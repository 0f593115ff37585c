// rooms: apiserver

// What a client sends after the upgrade to SPDY/3.1. The first byte chooses exec, port-forward, or the latter inside
// WebSocket messages. However the bytes are cut, the same things happen.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "apiserver/streams/upgrade.h"

using namespace carrick::apiserver;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string run_exec(std::string_view bytes, size_t step) {
  const auto dialect = spdy_exec(4, {.in = true, .out = true, .err = true});
  std::string input, sizes;
  const auto hear = [&](const ExecEvent& event) {
    input += event.data;
    if (event.kind == ExecEvent::Kind::kInputEnd) input += "<end>";
    if (event.kind == ExecEvent::Kind::kResize)
      sizes += std::to_string(event.width) + "x" + std::to_string(event.height);
  };
  carrick::Result<void> read;
  for (size_t at = 0; read && at < bytes.size(); at += step) read = dialect->feed(bytes.substr(at, step), hear);
  dialect->write(Output::kOut, "out");
  dialect->finish({.exit_code = 1});
  return input + sizes + (read ? "" : read.error().message) + dialect->take_output();
}

// Data arrives in pieces that follow the cuts: it is compared by connection.
std::string run_forward(std::string_view bytes, size_t step, bool tunnelled) {
  const auto dialect = tunnelled ? tunnelled_forward() : spdy_forward();
  std::map<uint32_t, std::string> connections;
  const auto hear = [&](const ForwardEvent& event) {
    if (event.kind == ForwardEvent::Kind::kOpen) {
      require(event.port != 0);
      connections[event.id] += "<" + std::to_string(event.port) + ">";
      if (event.port % 2)
        dialect->fail(event.id, "nobody listens");
      else
        dialect->write(event.id, "hello");
      return;
    }
    require(connections.contains(event.id));
    connections[event.id] += event.data;
    if (event.kind == ForwardEvent::Kind::kEnd) connections[event.id] += "<end>";
    if (event.kind == ForwardEvent::Kind::kAbort) connections[event.id] += "<abort>";
  };
  carrick::Result<void> read;
  for (size_t at = 0; read && at < bytes.size(); at += step) read = dialect->feed(bytes.substr(at, step), hear);
  std::string out = read ? "" : read.error().message;
  for (const auto& [id, text] : connections) {
    dialect->end(id);
    out += std::to_string(id) + text;
  }
  (void)dialect->take_output();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto run = [&](size_t step) {
    return data[0] % 3 == 0 ? run_exec(bytes, step) : run_forward(bytes, step, data[0] % 3 == 2);
  };
  const std::string first = run(size);
  require(run(1) == first && run(13) == first);
  return 0;
}
