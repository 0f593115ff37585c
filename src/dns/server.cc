#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <random>
#include <thread>

#include "base/log.h"
#include "dns/dns.h"
#include "dns/forward/forwarder.h"
#include "dns/transport/transport.h"
#include "dns/zone/search_walk.h"

namespace carrick::dns {
namespace {

namespace asio = boost::asio;

// Zone first, forwarder for the rest.
class ClusterResponder : public Responder {
 public:
  ClusterResponder(std::shared_ptr<const desired::NameTable> table, const DnsOptions& options, PodRecords pods,
                   std::shared_ptr<Forwarder> forwarder, std::shared_ptr<Counters> counters)
      : pods_(pods),
        server_id_(options.server_id),
        autopath_(options.autopath),
        node_{.searches = options.node_searches},
        zone_(std::make_shared<Zone>(std::move(table), pods)),
        forwarder_(std::move(forwarder)),
        counters_(std::move(counters)) {}

  void take(std::shared_ptr<const desired::NameTable> table) {
    zone_ = std::make_shared<Zone>(std::move(table), pods_);
  }

  std::optional<Message> answer_now(const Message& query, const Asker& asker) override {
    Answer answer = zone_->resolve(*query.question);
    if (auto walk = walk_of(*zone_, query, answer, asker)) {
      while (walk->advance() == SearchWalk::State::kAsk) {
        auto cached = forwarder_->cached(outside_question(query, walk->asking()));
        if (!cached) return std::nullopt;
        walk->told(std::move(*cached));
      }
      return finish(query, std::move(answer), *walk);
    }
    if (!answer.outside && !answer.chase) return finish(query, std::move(answer), nullptr);
    if (answer.outside && forwarder_->is_own_probe(*query.question)) {
      answer.rcode = kRefused;
      return finish(query, std::move(answer), nullptr);
    }
    Message upstream;
    if (forwarder_->has_upstreams()) {
      auto cached = forwarder_->cached(outside_question(query, answer));
      if (!cached) return std::nullopt;
      upstream = std::move(*cached);
    } else {
      upstream.rcode = kServFail;
    }
    return finish(query, std::move(answer), &upstream);
  }

  asio::awaitable<std::optional<Message>> answer_later(Message query, Asker asker) override {
    const auto zone = zone_;  // this one to the end, whatever table comes meanwhile
    Answer answer = zone->resolve(*query.question);
    if (auto walk = walk_of(*zone, query, answer, asker)) {
      while (walk->advance() == SearchWalk::State::kAsk)
        walk->told(co_await forwarder_->ask(outside_question(query, walk->asking())));
      co_return finish(query, std::move(answer), *walk);
    }
    if (!answer.outside && !answer.chase) co_return finish(query, std::move(answer), nullptr);
    Message upstream = co_await forwarder_->ask(outside_question(query, answer));
    co_return finish(query, std::move(answer), &upstream);
  }

 private:
  static ForwardQuestion outside_question(const Message& query, const Answer& answer) {
    if (answer.chase) return outside_question(query, *answer.chase);
    return {*query.question, query.recursion_desired, query.edns && query.edns->dnssec_ok, query.checking_disabled};
  }

  // Another name than the one that was asked: the answer is ours, so finding its rest is too, wished or not.
  static ForwardQuestion outside_question(const Message& query, const Name& name) {
    ForwardQuestion out{*query.question, true, query.edns && query.edns->dnssec_ok, query.checking_disabled};
    out.question.name = name;
    return out;
  }

  // Of a question that has no answer as it is, and whose resolver has other names to try.
  std::optional<SearchWalk> walk_of(const Zone& zone, const Message& query, const Answer& answer,
                                    const Asker& asker) const {
    const Question& question = *query.question;
    if (!autopath_ || answer.outside || answer.rcode != kNxDomain || !answer.answer.empty() ||
        (question.type != kA && question.type != kAaaa) || !forwarder_->has_upstreams())
      return std::nullopt;
    auto names = names_tried_next(zone.table(), node_, question.name, asker.address.address);
    if (names.empty()) return std::nullopt;
    return SearchWalk(zone, question, std::move(names));
  }

  Message finish(const Message& query, Answer original, SearchWalk& walk) {
    if (walk.advance() != SearchWalk::State::kFound) return finish(query, std::move(original), nullptr);
    ++counters_->autopath;
    return finish(query, std::move(walk.answer()), walk.upstream());
  }

  Message finish(const Message& query, Answer answer, const Message* upstream) {
    Message reply = reply_to(query);
    reply.authoritative = !answer.outside;
    reply.recursion_available = forwarder_->has_upstreams();
    reply.rcode = answer.rcode;
    reply.answer = std::move(answer.answer);
    reply.authority = std::move(answer.authority);
    reply.additional = std::move(answer.additional);
    if (upstream) {
      reply.rcode = upstream->rcode;
      reply.authentic_data = answer.outside && upstream->authentic_data;
      auto append = [](std::vector<Record>& to, const std::vector<Record>& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      append(reply.answer, upstream->answer);
      append(reply.authority, upstream->authority);
      append(reply.additional, upstream->additional);
    }
    if (reply.answer.size() > 1) shuffle_addresses(reply.answer, random_());
    if (query.edns && query.edns->nsid && !server_id_.empty()) reply.edns->nsid = server_id_;
    return reply;
  }

  PodRecords pods_;
  std::string server_id_;
  bool autopath_;
  ResolvConf node_;
  std::shared_ptr<const Zone> zone_;
  std::shared_ptr<Forwarder> forwarder_;
  std::shared_ptr<Counters> counters_;
  std::minstd_rand random_{std::random_device{}()};
};

PodRecords pod_records(DnsOptions::PodRecords mode) {
  switch (mode) {
    case DnsOptions::PodRecords::kDisabled:
      return PodRecords::kDisabled;
    case DnsOptions::PodRecords::kVerified:
      return PodRecords::kVerified;
    case DnsOptions::PodRecords::kInsecure:
      break;
  }
  return PodRecords::kInsecure;
}

}  // namespace

struct DnsServer::Impl {
  explicit Impl(DnsOptions given)
      : options(std::move(given)), inbox([this] { asio::post(io, [this] { take_table(); }); }) {}

  ~Impl() {
    io.stop();
    if (thread.joinable()) thread.join();
  }

  void take_table() {
    auto table = inbox.take();
    if (!table) return;
    ++counters->tables;
    counters->table_names = table->names.size();
    counters->table_serial = table->serial;
    counters->synced = table->synced;
    responder->take(std::move(table));
  }

  Result<void> start();

  DnsOptions options;
  std::shared_ptr<Counters> counters = std::make_shared<Counters>();
  asio::io_context io{1};
  Mailbox<desired::NameTable> inbox;  // a table that comes before start() is the first thing the thread sees
  std::shared_ptr<ClusterResponder> responder;
  std::unique_ptr<Transport> transport;
  std::shared_ptr<Forwarder> forwarder;
  std::thread thread;
};

Result<void> DnsServer::Impl::start() {
  auto empty = std::make_shared<desired::NameTable>();
  empty->zone = options.zone;
  auto zone = Name::parse(options.zone);
  if (!zone || zone->is_root()) return fail(ErrorKind::kInvalid, "'{}' cannot be the cluster's DNS zone", options.zone);

  ForwardOptions forward;
  forward.upstreams = options.upstreams;
  forward.own = options.listen;
  forward.timeout = options.upstream_timeout;
  forward.max_concurrent = options.max_concurrent;
  forwarder = std::make_shared<Forwarder>(io.get_executor(), forward, counters);
  responder = std::make_shared<ClusterResponder>(empty, options, pod_records(options.pod_records), forwarder, counters);
  TransportLimits limits;
  limits.tcp_connections = options.tcp_connections;
  limits.tcp_idle = options.tcp_idle;
  transport = std::make_unique<Transport>(io, responder, limits, counters);
  TRY_VOID(transport->listen(options.listen));
  transport->start();
  forwarder->look_for_loop();
  thread = std::thread([this] { io.run(); });
  return {};
}

DnsServer::DnsServer(DnsOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
DnsServer::~DnsServer() = default;

Result<void> DnsServer::start() {
  try {
    return impl_->start();
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInternal, "DNS server: {}", error.what());
  }
}

std::vector<net::SocketAddress> DnsServer::listening() const {
  return impl_->transport ? impl_->transport->bound() : std::vector<net::SocketAddress>();
}
Mailbox<desired::NameTable>& DnsServer::inbox() { return impl_->inbox; }
DnsStats DnsServer::stats() const { return impl_->counters->read(); }

}  // namespace carrick::dns
