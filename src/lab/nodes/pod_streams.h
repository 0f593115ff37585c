#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "apiserver/apiserver.h"
#include "lab/config.h"
#include "lab/nodes/sandbox.h"

// The nodes' answers to apiserver::NodeCall: a unix socket a node, a connection a call. The call is one line; the
// answer is one line with the descriptors that belong to it: {"streams":["in","out","err"]} or
// {"failure":{"code":404,"reason":"NotFound","message":"..."}}. Of a program a second line follows with its end, and
// closing the connection before that kills it.
namespace carrick::lab {

// A container as it is now.
struct RunningContainer {
  Sandbox sandbox;
  std::shared_ptr<const k8s::Pod> pod;
  std::function<bool()> is_running;
};

class PodStreams {
 public:
  // kNotFound: no such pod or container runs here. An empty container name asks for the pod alone.
  using Find = std::function<Result<RunningContainer>(const apiserver::NodeCall& call)>;
  PodStreams(boost::asio::io_context& io, const LabConfig& config, Find find);
  ~PodStreams();
  Result<void> listen(const std::string& node);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace carrick::lab
