#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

// A command's streams on their way through one connection: exec and attach, in each of the clients' dialects. Pure.
namespace carrick::apiserver {

struct ExecStreams {
  bool in = false, out = false, err = false, tty = false;
};

struct ExecEvent {
  enum class Kind { kInput, kInputEnd, kResize } kind;
  std::string_view data = {};  // of kInput; valid during the call only
  uint16_t width = 0, height = 0;
};

// How a command ended.
struct ExecEnd {
  int exit_code = 0;
  std::string failure;  // it could not be run, or nobody knows its end
};

enum class Output { kOut, kErr };

class ExecDialect {
 public:
  using OnEvent = std::function<void(const ExecEvent&)>;
  virtual ~ExecDialect() = default;
  // kInvalid: the client breaks its protocol; what is in the output is still to be sent.
  virtual Result<void> feed(std::string_view bytes, const OnEvent& on_event) = 0;
  virtual bool ready() const = 0;  // every stream that was asked for is there: the command may start
  virtual bool gone() const = 0;   // the client has said that it leaves
  virtual void write(Output output, std::string_view bytes) = 0;
  virtual void finish(const ExecEnd& end) = 0;  // the last thing that is said
  virtual std::string take_output() = 0;
  virtual size_t pending() const = 0;
};

// `base64`: text messages for clients that have no binary ones; `version`: of the protocol, 1 to 5.
std::unique_ptr<ExecDialect> websocket_exec(int version, bool base64, const ExecStreams& streams);
// Version 1 to 4. The streams are counted, not named: a client may open another than it asked for.
std::unique_ptr<ExecDialect> spdy_exec(int version, const ExecStreams& streams);

// What goes into the error stream: the API's Status from version 4 on, before that a sentence, or nothing on success.
std::string exec_status(int version, const ExecEnd& end);
// {"Width":80,"Height":24}
std::optional<ExecEvent> parse_resize(std::string_view text);

}  // namespace carrick::apiserver
