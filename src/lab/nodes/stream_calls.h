#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "lab/nodes/pod_streams.h"
#include "lab/pods/container_log.h"

// What each NodeCall does. Only for pod_streams.cc.
namespace carrick::lab {

// A program that runs beside a container's own.
class Program {
 public:
  Program(boost::asio::io_context& io, pid_t pid);
  ~Program();                         // it is killed
  boost::asio::awaitable<int> end();  // its exit code, 128 + signal when killed
  void kill();                        // it and the group that it leads

 private:
  boost::asio::posix::stream_descriptor pidfd_;
  pid_t pid_;
};

// Starts call.command; `streams` gets our ends of its pipes, or a terminal's.
Result<std::shared_ptr<Program>> start_program(boost::asio::io_context& io, const LabConfig& config,
                                               const RunningContainer& container, const apiserver::NodeCall& call,
                                               apiserver::NodeStreams& streams);

// A connection to a port of the pod over its own loopback, IPv4 first. kTransient: nobody listens.
boost::asio::awaitable<Result<Fd>> dial_pod(const Sandbox& sandbox, uint16_t port);

// A log on its way to a caller.
struct OpenLog {
  Fd to_caller;
  boost::asio::awaitable<void> copy();  // returns at its end, or when the caller reads no more

  struct Source;
  std::shared_ptr<Source> source;
};
Result<OpenLog> open_log(boost::asio::io_context& io, const LabConfig& config, const RunningContainer& container,
                         const apiserver::NodeCall& call);

}  // namespace carrick::lab
