#pragma once

#include <boost/asio/io_context.hpp>

#include "apiserver/apiserver.h"
#include "lab/host/paths.h"

namespace carrick::lab {

// Calls the lab's nodes over their sockets (nodes/pod_streams.h).
class LabNodeDoor : public apiserver::NodeDoor {
 public:
  LabNodeDoor(boost::asio::io_context& io, LabPaths paths) : io_(io), paths_(std::move(paths)) {}
  void call(const apiserver::NodeCall& call,
            std::function<void(apiserver::StatusOr<apiserver::NodeStreams>)> done) override;

 private:
  boost::asio::io_context& io_;
  LabPaths paths_;
};

}  // namespace carrick::lab
