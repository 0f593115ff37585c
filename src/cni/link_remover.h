#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cni/plumb.h"

namespace carrick::cni {

// Removes host ends on a thread of its own, all that came in while the last request ran in one request: the kernel
// takes as long for a hundred links as for one. The thread inherits the network namespace of the one that makes this
// object.
class LinkRemover {
 public:
  LinkRemover(boost::asio::io_context& io, kernel::Network& network) : io_(io), network_(network), thread_(1) {}
  ~LinkRemover() { thread_.join(); }

  // `done` runs on the io_context.
  void remove(std::vector<std::string> links, std::function<void(Result<void>)> done) {
    waiting_.links.insert(waiting_.links.end(), links.begin(), links.end());
    waiting_.done.push_back(std::move(done));
    if (!busy_) start();
  }

 private:
  struct Batch {
    std::vector<std::string> links;
    std::vector<std::function<void(Result<void>)>> done;
  };

  void start() {
    busy_ = true;
    auto batch = std::make_shared<Batch>(std::exchange(waiting_, {}));
    // `work` keeps the io_context running until the answer is there.
    boost::asio::post(thread_, [this, batch, work = boost::asio::make_work_guard(io_)] {
      Result<void> outcome = remove_host_links(network_, batch->links);
      boost::asio::post(io_, [this, batch, outcome] {
        busy_ = false;
        for (auto& done : batch->done) done(outcome);
        if (!waiting_.done.empty() && !busy_) start();
      });
    });
  }

  boost::asio::io_context& io_;
  kernel::Network& network_;
  Batch waiting_;
  bool busy_ = false;
  boost::asio::thread_pool thread_;
};

}  // namespace carrick::cni
