#include "dns/static_resolver.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "base/text.h"
#include "dns/transport/transport.h"

namespace carrick::dns {
namespace {

namespace asio = boost::asio;

class StaticResponder : public Responder {
 public:
  StaticResponder(asio::io_context& io, const StaticOptions& options) : io_(io), ttl_(options.ttl) {
    for (const auto& [text, name] : options.names)
      if (auto parsed = Name::parse(text)) names_.emplace(parsed->lower_wire(), name);
    soa_ = {
        Name(), kSoa, ttl_,
        soa_data(*Name::parse("ns.outside.test"), *Name::parse("hostmaster.outside.test"), 1, 7200, 1800, 86400, ttl_)};
  }

  std::optional<Message> answer_now(const Message& query, const Asker&) override {
    auto at = names_.find(query.question->name.lower_wire());
    if (at != names_.end() && (at->second.silent || at->second.delay.count() > 0)) return std::nullopt;
    return answer(query);
  }

  asio::awaitable<std::optional<Message>> answer_later(Message query, Asker) override {
    const StaticName& name = names_.at(query.question->name.lower_wire());
    if (name.silent) co_return std::nullopt;
    asio::steady_timer timer(io_, name.delay);
    co_await timer.async_wait(asio::use_awaitable);
    co_return answer(query);
  }

 private:
  Message answer(const Message& query) const {
    Message reply = reply_to(query);
    reply.recursion_available = true;
    Name owner = query.question->name;
    for (int hop = 0; hop < 8; ++hop) {
      auto at = names_.find(owner.lower_wire());
      if (at == names_.end()) {
        reply.rcode = kNxDomain;
        break;
      }
      const StaticName& name = at->second;
      if (name.refuses) {
        reply.rcode = kServFail;
        return reply;
      }
      auto target = name.cname.empty() ? Result<Name>() : Name::parse(name.cname);
      if (name.cname.empty() || !target) {
        add(*query.question, owner, name, reply.answer);
        break;
      }
      reply.answer.push_back({owner, kCname, ttl_, name_data(*target)});
      if (query.question->type == kCname) break;
      owner = std::move(*target);
    }
    if (reply.answer.empty() || reply.rcode == kNxDomain) reply.authority.push_back(soa_);
    return reply;
  }

  void add(const Question& question, const Name& owner, const StaticName& name, std::vector<Record>& out) const {
    if (question.type == kA || question.type == kAaaa)
      for (const net::IpAddress& address : name.addresses)
        if (address.is_v4() == (question.type == kA)) out.push_back(address_record(owner, address, ttl_));
    if (question.type == kTxt)
      for (const std::string& text : name.texts) out.push_back({owner, kTxt, ttl_, txt_data(text)});
  }

  asio::io_context& io_;
  uint32_t ttl_;
  std::map<std::string, StaticName> names_;  // by lower-case wire form
  Record soa_;
};

}  // namespace

std::map<std::string, StaticName> outside_names(const std::vector<net::IpAddress>& web) {
  StaticName site{.addresses = web, .texts = {"the world outside"}};
  StaticName v4, v6, big{.texts = {}};
  for (const net::IpAddress& address : web) (address.is_v4() ? v4 : v6).addresses.push_back(address);
  for (int i = 1; i <= 60; ++i) {  // 60 A records are 960 bytes and more: beyond 512, 60 AAAA beyond 1232
    big.addresses.push_back(net::IpAddress::v4(0xcb007100u + static_cast<uint32_t>(i)));  // 203.0.113.i
    big.addresses.push_back(net::IpAddress::parse("2001:db8:203::").value().plus(static_cast<uint64_t>(i)));
  }
  big.texts = {std::string(1000, 'x'), std::string(900, 'y')};
  StaticName slow = site;
  slow.delay = std::chrono::milliseconds(300);
  return {{"example.com", site},
          {"www.example.com", {.cname = "example.com"}},
          {"web.outside.test", site},
          {"v4.outside.test", v4},
          {"v6.outside.test", v6},
          {"big.example.com", big},
          {"slow.example.com", slow},
          {"none.example.com", {.silent = true}},
          {"broken.example.com", {.refuses = true}},
          {"loop.example.com", {.cname = "loop.example.com"}}};
}

struct StaticResolver::Impl {
  explicit Impl(StaticOptions given) : options(std::move(given)) {}
  ~Impl() {
    io.stop();
    if (thread.joinable()) thread.join();
  }

  StaticOptions options;
  std::shared_ptr<Counters> counters = std::make_shared<Counters>();
  asio::io_context io{1};
  std::unique_ptr<Transport> transport;
  std::thread thread;
};

StaticResolver::StaticResolver(StaticOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
StaticResolver::~StaticResolver() = default;

Result<void> StaticResolver::start() {
  try {
    Impl& impl = *impl_;
    impl.transport = std::make_unique<Transport>(impl.io, std::make_shared<StaticResponder>(impl.io, impl.options),
                                                 TransportLimits{}, impl.counters);
    TRY_VOID(impl.transport->listen(impl.options.listen));
    impl.transport->start();
    impl.thread = std::thread([&impl] { impl.io.run(); });
    return {};
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInternal, "static resolver: {}", error.what());
  }
}

std::vector<net::SocketAddress> StaticResolver::listening() const {
  return impl_->transport ? impl_->transport->bound() : std::vector<net::SocketAddress>();
}
uint64_t StaticResolver::questions() const { return impl_->counters->read().request_count(); }

}  // namespace carrick::dns
