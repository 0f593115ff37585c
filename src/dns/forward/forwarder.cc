#include "dns/forward/forwarder.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>

#include "base/log.h"
#include "dns/forward/upstream.h"

namespace carrick::dns {
namespace {

namespace asio = boost::asio;
using asio::awaitable;

std::mt19937& random_source() {
  static thread_local std::mt19937 source{std::random_device{}()};
  return source;
}

Message failure(uint16_t rcode) {
  Message message;
  message.rcode = rcode;
  return message;
}

// What another upstream may do better.
bool unhelpful(uint16_t rcode) { return rcode != kNoError && rcode != kNxDomain; }

}  // namespace

Forwarder::Forwarder(asio::any_io_executor executor, ForwardOptions options, std::shared_ptr<Counters> counters)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      counters_(std::move(counters)),
      cache_(options_.cache) {
  for (const net::SocketAddress& address : options_.upstreams) {
    if (std::ranges::find(options_.own, address) != options_.own.end())
      log::warn("dns: upstream {} is this server itself and is left out", address.str());
    else
      upstreams_.push_back({address});
  }
  loop_probe_ = *Name::parse(
      fmt::format("{:016x}.loop.carrick.invalid", std::uniform_int_distribution<uint64_t>()(random_source())));
}

std::string Forwarder::key_of(const ForwardQuestion& q) {
  std::string key = q.question.name.lower_wire();
  key += static_cast<char>(q.question.type >> 8);
  key += static_cast<char>(q.question.type & 0xff);
  key += static_cast<char>(q.dnssec_ok | q.checking_disabled << 1 | q.recursion_desired << 2);
  return key;
}

std::optional<Message> Forwarder::cached(const ForwardQuestion& question) {
  auto found = cache_.find(key_of(question), Cache::Clock::now());
  counters_->cache_entries = cache_.size();
  if (!found) {
    ++counters_->cache_misses;
    return std::nullopt;
  }
  bool denial = found->rcode != kNoError || found->answer.empty();
  ++(denial ? counters_->cache_denial_hits : counters_->cache_hits);
  return found;
}

awaitable<Message> Forwarder::ask(ForwardQuestion question) {
  auto self = shared_from_this();
  if (upstreams_.empty() || looped_) co_return failure(kServFail);
  std::string key = key_of(question);
  if (auto at = flights_.find(key); at != flights_.end()) {
    auto flight = at->second;
    boost::system::error_code ended;
    co_await flight->done.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    co_return flight->result.value_or(failure(kServFail));
  }
  if (flights_.size() >= options_.max_concurrent) {
    ++counters_->forward_rejects;
    co_return failure(kRefused);
  }
  auto flight = std::make_shared<Flight>(executor_);
  flights_[key] = flight;
  Message result = co_await ask_upstreams(question);
  cache_.put(key, result, Cache::Clock::now());
  counters_->cache_entries = cache_.size();
  flights_.erase(key);
  flight->result = result;
  flight->done.cancel();
  co_return result;
}

std::vector<size_t> Forwarder::order() {
  std::vector<size_t> up, down;
  for (size_t i = 0; i < upstreams_.size(); ++i) (upstreams_[i].up() ? up : down).push_back(i);
  if (!options_.sequential) std::ranges::shuffle(up, random_source());
  std::ranges::shuffle(down, random_source());
  if (up.empty()) up.push_back(down.front());  // all down: a random one may have come back
  return up;
}

awaitable<Message> Forwarder::ask_upstreams(const ForwardQuestion& question) {
  Message query;
  query.question = question.question;
  query.question->klass = kClassIn;
  query.recursion_desired = question.recursion_desired;
  query.checking_disabled = question.checking_disabled;
  query.edns = Edns{.dnssec_ok = question.dnssec_ok};
  Message best = failure(kServFail);
  bool have = false;
  for (size_t index : order()) {
    ++counters_->forward_requests;
    auto answer =
        co_await ask_upstream(upstreams_[index].address, query, std::chrono::steady_clock::now() + options_.timeout);
    if (!answer) {
      log::debug("{}", answer.error().message);
      failed(index);
      continue;
    }
    upstreams_[index].failures = 0;
    answer->edns.reset();
    if (!unhelpful(answer->rcode)) co_return std::move(*answer);
    if (!have) best = std::move(*answer);
    have = true;
  }
  co_return best;
}

void Forwarder::failed(size_t index) {
  ++counters_->forward_failures;
  Upstream& upstream = upstreams_[index];
  if (++upstream.failures < 2 || upstream.probing) return;
  log::warn("dns: upstream {} does not answer", upstream.address.str());
  upstream.probing = true;
  asio::co_spawn(executor_, [self = shared_from_this(), index] { return self->probe(index); }, asio::detached);
}

awaitable<void> Forwarder::probe(size_t index) {
  auto self = shared_from_this();
  Message query;
  query.question = Question{Name(), kNs};
  asio::steady_timer timer(executor_);
  while (true) {
    timer.expires_after(options_.health_interval);
    co_await timer.async_wait(asio::use_awaitable);
    auto answer =
        co_await ask_upstream(upstreams_[index].address, query, std::chrono::steady_clock::now() + options_.timeout);
    if (answer) break;  // whatever it says, it is there
    ++counters_->forward_health_failures;
  }
  upstreams_[index].failures = 0;
  upstreams_[index].probing = false;
  log::info("dns: upstream {} answers again", upstreams_[index].address.str());
}

void Forwarder::look_for_loop() {
  for (const Upstream& upstream : upstreams_) {
    Message query;
    query.question = Question{loop_probe_, kHinfo};
    query.recursion_desired = true;
    asio::co_spawn(executor_,
                   ask_upstream(upstream.address, query, std::chrono::steady_clock::now() + options_.timeout),
                   [self = shared_from_this()](std::exception_ptr, Result<Message>) {});
  }
}

bool Forwarder::is_own_probe(const Question& question) {
  if (!(question.name == loop_probe_)) return false;
  if (!looped_) log::error("dns: an upstream leads back to this server; names outside of the cluster are not answered");
  looped_ = true;
  ++counters_->forward_loops;
  return true;
}

}  // namespace carrick::dns
