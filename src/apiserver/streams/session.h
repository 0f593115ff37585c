#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "apiserver/api.h"

// Carries the streams of a node through an upgraded connection, and logs through an answer in pieces. Only for
// connection.cc and the files of these sessions. Each returns when both sides are done; the connection is closed by
// then, and the descriptors too.
namespace carrick::apiserver {

namespace asio = boost::asio;
using TlsStream = boost::beast::ssl_stream<boost::beast::tcp_stream>;

struct StreamTimes {
  std::chrono::milliseconds creation{30'000};  // until the client has opened all its streams
  std::chrono::milliseconds drain{1'000};      // for output after the program's end: a child of it may hold the pipe
  std::chrono::milliseconds write{60'000};     // for one piece
};

// `head`: the answer 101, `leftover`: what the client sent behind its request.
asio::awaitable<void> run_exec(std::shared_ptr<TlsStream> stream, std::string head, std::string leftover,
                               std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes, StreamTimes times);
asio::awaitable<void> run_forward(std::shared_ptr<TlsStream> stream, std::string head, std::string leftover,
                                  std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes, StreamTimes times);
// The whole answer, or the failure that is to be answered.
asio::awaitable<StatusOr<>> run_log(std::shared_ptr<TlsStream> stream, std::shared_ptr<StreamAnswer> answer,
                                    NodeDoor& nodes, StreamTimes times);

asio::awaitable<StatusOr<NodeStreams>> ask_node(NodeDoor& nodes, NodeCall call);

// What a program's end is told as (NodeStreams::control).
ExecEnd parse_exec_end(std::string_view line);

}  // namespace carrick::apiserver
