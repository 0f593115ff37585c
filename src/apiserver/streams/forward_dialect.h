#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// Many TCP connections into a pod through one connection of a client: port-forward, in each of the clients' dialects.
// Pure.
namespace carrick::apiserver {

struct ForwardEvent {
  enum class Kind {
    kOpen,   // the client wants a connection to `port`
    kData,   // bytes for it
    kEnd,    // the client sends no more
    kAbort,  // it is of no more use
  } kind;
  uint32_t id = 0;  // of the connection
  uint16_t port = 0;
  std::string_view data = {};  // valid during the call only
};

class ForwardDialect {
 public:
  using OnEvent = std::function<void(const ForwardEvent&)>;
  virtual ~ForwardDialect() = default;
  // kInvalid: the client breaks its protocol; what is in the output is still to be sent. An empty feed begins.
  virtual Result<void> feed(std::string_view bytes, const OnEvent& on_event) = 0;
  virtual bool gone() const = 0;
  virtual void write(uint32_t id, std::string_view bytes) = 0;
  virtual void end(uint32_t id) = 0;  // the pod sends no more
  virtual void fail(uint32_t id, std::string_view sentence) = 0;
  virtual std::string take_output() = 0;
  virtual size_t pending() const = 0;
};

std::unique_ptr<ForwardDialect> spdy_forward();
// SPDY inside binary messages of a WebSocket, as kubectl has it from 1.31 on.
std::unique_ptr<ForwardDialect> tunnelled_forward();
// Two channels a port, of data and of errors; the first two bytes of each are the port.
std::unique_ptr<ForwardDialect> websocket_forward(bool base64, std::vector<uint16_t> ports);

}  // namespace carrick::apiserver
