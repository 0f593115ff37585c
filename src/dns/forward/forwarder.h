#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <unordered_map>

#include "dns/counters.h"
#include "dns/forward/cache.h"

namespace carrick::dns {

struct ForwardOptions {
  std::vector<net::SocketAddress> upstreams;
  std::vector<net::SocketAddress> own;      // where this server listens: never an upstream
  bool sequential = false;                  // in the order given; else a random one first
  std::chrono::milliseconds timeout{2000};  // of one upstream
  std::chrono::milliseconds health_interval{500};
  size_t max_concurrent = 1000;
  Cache::Bounds cache;
};

struct ForwardQuestion {
  Question question;
  bool recursion_desired = true, dnssec_ok = false, checking_disabled = false;
};

// Everybody else's names: upstreams, their health, and the cache. Runs on one executor; always held by shared_ptr.
class Forwarder : public std::enable_shared_from_this<Forwarder> {
 public:
  Forwarder(boost::asio::any_io_executor executor, ForwardOptions options, std::shared_ptr<Counters> counters);

  bool has_upstreams() const { return !upstreams_.empty(); }
  std::optional<Message> cached(const ForwardQuestion& question);
  // rcode and sections are what counts. SERVFAIL when no upstream answers, REFUSED over max_concurrent. Equal questions
  // that are under way at the same time are asked once, which also bounds what a forwarding loop can cost.
  boost::asio::awaitable<Message> ask(ForwardQuestion question);

  // Sends a name that nobody else knows to each upstream. It comes back here when one leads to us (DNS-F3).
  void look_for_loop();
  // True, and forwarding ends, when the question is that name.
  bool is_own_probe(const Question& question);

 private:
  struct Upstream {
    net::SocketAddress address;
    int failures = 0;  // in a row
    bool probing = false;
    bool up() const { return failures < 2; }
  };
  struct Flight {
    explicit Flight(const boost::asio::any_io_executor& executor)
        : done(executor, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer done;
    std::optional<Message> result;
  };
  static std::string key_of(const ForwardQuestion& question);
  boost::asio::awaitable<Message> ask_upstreams(const ForwardQuestion& question);
  std::vector<size_t> order();
  void failed(size_t index);
  boost::asio::awaitable<void> probe(size_t index);

  boost::asio::any_io_executor executor_;
  ForwardOptions options_;
  std::shared_ptr<Counters> counters_;
  std::vector<Upstream> upstreams_;
  Cache cache_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
  Name loop_probe_;
  bool looped_ = false;
};

}  // namespace carrick::dns
