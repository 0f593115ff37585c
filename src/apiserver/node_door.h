#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/status.h"
#include "base/fd.h"

// What the API server asks of the node that runs a pod, and how the streams come back: as descriptors, so that bytes
// pass through nobody else.
namespace carrick::apiserver {

struct LogOptions {
  bool follow = false, previous = false, timestamps = false;
  std::optional<int64_t> tail_lines, since_seconds, limit_bytes;
  std::string since_time;  // RFC 3339
};

struct NodeCall {
  enum class Kind {
    kExec,    // `command` in a container, with the streams that are wanted
    kAttach,  // the streams of the container's own program
    kLog,     // its output so far (`out`)
    kDial,    // a TCP connection (`out`, both ways) to `port` of the pod, as its own processes would reach it
  } kind = Kind::kExec;
  std::string node, namespace_, pod, uid, container;
  std::vector<std::string> command;
  bool in = false, out = false, err = false, tty = false;
  LogOptions log;
  uint16_t port = 0;
};
std::string encode_node_call(const NodeCall& call);  // one line of JSON
Result<NodeCall> decode_node_call(std::string_view line);

struct NodeStreams {
  Fd in, out, err;  // non-blocking; those that were asked for. A terminal is `in` and `out`.
  // Of kExec and kAttach: gives one line when the program has ended, {"exitCode":0} or {"failure":"why"}; closing it
  // before that ends the program.
  Fd control;
};

class NodeDoor {
 public:
  virtual ~NodeDoor() = default;
  // `done` is called once, on the server's thread, now or later. A failure is what the client is told.
  virtual void call(const NodeCall& call, std::function<void(StatusOr<NodeStreams>)> done) = 0;
};

}  // namespace carrick::apiserver
