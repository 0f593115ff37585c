#include "cni/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "cni/attachments.h"
#include "cni/link_remover.h"
#include "cni/pages.h"

namespace carrick::cni {
namespace asio = boost::asio;
namespace json = boost::json;
using asio::awaitable, asio::use_awaitable, asio::redirect_error;
using Stream = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr size_t kMaxRequest = 2u << 20;
constexpr std::chrono::seconds kRequestTime{10};  // to send the request line
constexpr std::chrono::seconds kSweepPeriod{30};
// What the undo of an ADD at its deadline may take, so that the caller still hears of it.
constexpr std::chrono::milliseconds kUndoTime{250};

// One event that a coroutine waits for and plain callbacks bring about.
class Event {
 public:
  explicit Event(const asio::any_io_executor& executor) : timer_(executor, asio::steady_timer::time_point::max()) {}
  void set() {
    set_ = true;
    timer_.cancel();
  }
  bool is_set() const { return set_; }
  void until(std::chrono::steady_clock::time_point deadline) { timer_.expires_at(deadline); }
  awaitable<void> wait() {
    error_code ignored;
    if (!set_) co_await timer_.async_wait(redirect_error(use_awaitable, ignored));
  }

 private:
  asio::steady_timer timer_;
  bool set_ = false;
};

json::object error_answer(const CniError& error, std::string_view version) {
  return {{"error", error_object(error, version)}};
}

std::string string_at(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& context, ServerOptions server_options, Hooks server_hooks, Attachments attached)
      : io(context),
        options(std::move(server_options)),
        hooks(std::move(server_hooks)),
        attachments(std::move(attached)),
        remover(context, *options.network),
        acceptor(context),
        sweep_timer(context) {}

  // An ADD that waits for the data plane. `outcome` empty = not told yet.
  struct PendingAdd {
    explicit PendingAdd(const asio::any_io_executor& executor) : event(executor) {}
    Event event;
    std::optional<Result<void>> outcome;
    bool caller_gone = false, overtaken = false;  // overtaken: a DEL came meanwhile, and does the undo
  };

  struct Request {
    Call call;
    NetConf conf;
    std::chrono::steady_clock::time_point deadline;
  };

  Result<void> listen();
  void drain_spool();
  awaitable<void> accept_all(std::shared_ptr<Impl> self);
  awaitable<void> serve(std::shared_ptr<Impl> self, std::shared_ptr<Stream::socket> socket);
  awaitable<json::object> answer(const json::object& request, Stream::socket& socket, std::string* added);
  awaitable<json::object> run(const Request& request, Stream::socket& socket, std::string* added);
  CniResultOf<Request> read(const json::object& request) const;
  awaitable<json::object> add(const Request& request, Stream::socket& socket, std::string* added);
  awaitable<CniResultOf<>> remove(std::vector<std::string> ids, std::vector<std::string> links);
  awaitable<json::object> collect(const Request& request);
  json::object check(const Request& request);
  json::object status(const Request& request);
  void sweep();

  asio::io_context& io;
  ServerOptions options;
  Hooks hooks;
  Attachments attachments;
  LinkRemover remover;
  Stream::acceptor acceptor;
  asio::steady_timer sweep_timer;
  std::map<std::string, std::shared_ptr<PendingAdd>> pending;
  std::multiset<std::string> removing;
  std::map<std::string, std::function<Result<json::value>(const json::object&)>> verbs;
  Pages pages;
  Stats stats;
  bool stopped = false;
};

Result<void> Server::Impl::listen() {
  std::filesystem::path folder = std::filesystem::path(options.socket).parent_path();
  TRY_VOID(make_directories(folder.string(), 0700));
  error_code error;
  Stream::endpoint endpoint;
  try {
    endpoint = Stream::endpoint(options.socket);
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInvalid, "socket path {}: {}", options.socket, e.what());
  }
  Stream::socket probe(io);
  probe.connect(endpoint, error);
  if (!error) return fail(ErrorKind::kAlreadyExists, "another agent answers at {}", options.socket);
  unlink(options.socket.c_str());
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error && chmod(options.socket.c_str(), 0600) < 0) return fail_errno(errno, options.socket);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(ErrorKind::kInternal, "listen at {}: {}", options.socket, error.message());
  return {};
}

// Releases that the plugin queued while no agent was there.
void Server::Impl::drain_spool() {
  std::filesystem::path folder = std::filesystem::path(options.socket).parent_path() / "cni-spool";
  std::error_code error;
  std::vector<std::string> ids;
  for (auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".json") continue;
    auto text = read_file(entry.path().string());
    error_code bad;
    json::value document = json::parse(text ? *text : "", bad);
    const json::value* env = !bad && document.is_object() ? document.get_object().if_contains("env") : nullptr;
    if (env && env->is_object())
      ids.push_back(
          attachment_id(string_at(env->get_object(), "CNI_CONTAINERID"), string_at(env->get_object(), "CNI_IFNAME")));
    std::filesystem::remove(entry.path(), error);
  }
  if (ids.empty()) return;
  log::info("{} releases were queued while the agent was down", ids.size());
  asio::co_spawn(io, remove(std::move(ids), {}),
                 [self = shared_from_this()](std::exception_ptr, const CniResultOf<>&) {});
}

awaitable<void> Server::Impl::accept_all(std::shared_ptr<Impl> self) {
  while (!stopped) {
    error_code error;
    Stream::socket socket = co_await acceptor.async_accept(redirect_error(use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
    if (error) {  // out of descriptors: those in use come back
      asio::steady_timer pause(io, std::chrono::milliseconds(50));
      co_await pause.async_wait(redirect_error(use_awaitable, error));
      continue;
    }
    asio::co_spawn(io, serve(self, std::make_shared<Stream::socket>(std::move(socket))), asio::detached);
  }
}

// One request a connection.
awaitable<void> Server::Impl::serve(std::shared_ptr<Impl> self, std::shared_ptr<Stream::socket> socket) {
  std::string line, added;
  error_code error;
  bool http = false;
  {
    asio::steady_timer limit(io, kRequestTime);
    limit.async_wait([socket](error_code fired) {
      error_code ignored;
      if (!fired) socket->cancel(ignored);
    });
    co_await asio::async_read_until(*socket, asio::dynamic_buffer(line, kMaxRequest), '\n',
                                    redirect_error(use_awaitable, error));
    http = line.starts_with("GET ");
    if (!error && http)  // to the end of its head
      co_await asio::async_read_until(*socket, asio::dynamic_buffer(line, kMaxRequest), "\n\r\n",
                                      redirect_error(use_awaitable, error));
  }
  if (error) co_return;
  if (http) {
    std::string text = pages.answer(line);
    co_await asio::async_write(*socket, asio::buffer(text), redirect_error(use_awaitable, error));
    co_return;
  }
  json::object reply;
  try {
    json::value request = json::parse(line);
    reply = co_await answer(request.as_object(), *socket, &added);
  } catch (const std::exception& e) {
    reply = error_answer({kDecodingFailure, std::string("request is not understood: ") + e.what(), {}}, "1.1.0");
  }
  std::string text = json::serialize(reply) + "\n";
  co_await asio::async_write(*socket, asio::buffer(text), redirect_error(use_awaitable, error));
  // The runtime never heard of this pod: it must not exist.
  if (error && !added.empty()) co_await remove({added}, {});
}

CniResultOf<Server::Impl::Request> Server::Impl::read(const json::object& request) const {
  const json::value *env_value = request.if_contains("env"), *config = request.if_contains("config");
  const json::object* env = env_value ? env_value->if_object() : nullptr;
  std::map<std::string, std::string> variables{{"CNI_COMMAND", string_at(request, "verb")}};
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"})
    variables[name] = env ? string_at(*env, name) : "";
  auto call = read_environment([&](const char* name) -> const char* {
    auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
  if (!call) return std::unexpected(call.error());
  if (auto named = check_names(*call); !named) return std::unexpected(named.error());
  auto conf = parse_netconf(config ? json::serialize(*config) : "");
  if (!conf) return std::unexpected(conf.error());
  if (auto version = check_version(call->verb, conf->version); !version) return std::unexpected(version.error());
  const json::value* asked = request.if_contains("deadlineMs");
  error_code error;
  int64_t ms = asked ? asked->to_number<int64_t>(error) : NetConf::kDeadline;
  ms = std::clamp<int64_t>(error ? NetConf::kDeadline : ms, 1, NetConf::kDeadline);
  auto margin = std::min<std::chrono::milliseconds>(kUndoTime, std::chrono::milliseconds(ms / 4));
  return Request{std::move(*call), std::move(*conf),
                 std::chrono::steady_clock::now() + std::chrono::milliseconds(ms) - margin};
}

awaitable<json::object> Server::Impl::answer(const json::object& request, Stream::socket& socket, std::string* added) {
  std::string verb = string_at(request, "verb");
  if (auto extra = verbs.find(verb); extra != verbs.end()) {
    auto value = extra->second(request);
    if (value) co_return json::object{{"result", std::move(*value)}};
    co_return error_answer(to_cni(value.error()), "1.1.0");
  }
  const auto began = std::chrono::steady_clock::now();
  auto parsed = read(request);
  if (!parsed) co_return error_answer(parsed.error(), "1.1.0");
  json::object reply = co_await run(*parsed, socket, added);
  Stats::Verb& counts = stats.verbs[verb];
  ++(reply.contains("error") ? counts.failed : counts.done);
  counts.durations.add(std::chrono::steady_clock::now() - began);
  co_return reply;
}

awaitable<json::object> Server::Impl::run(const Request& request, Stream::socket& socket, std::string* added) {
  switch (request.call.verb) {
    case Verb::kAdd:
      co_return co_await add(request, socket, added);
    case Verb::kDel: {
      std::vector<std::string> ids{attachment_id(request.call.container_id, request.call.ifname)};
      auto done = co_await remove(std::move(ids), {});
      if (!done) co_return error_answer(done.error(), request.conf.version);
      co_return json::object{};
    }
    case Verb::kCheck:
      co_return check(request);
    case Verb::kGc:
      co_return co_await collect(request);
    case Verb::kStatus:
      co_return status(request);
    case Verb::kVersion:
      break;
  }
  co_return json::object{};
}

awaitable<json::object> Server::Impl::add(const Request& request, Stream::socket& socket, std::string* added) {
  const std::string& version = request.conf.version;
  std::string id = attachment_id(request.call.container_id, request.call.ifname);
  if (removing.contains(id))
    co_return error_answer({kTryAgainLater, "an earlier attachment of " + id + " is still being removed", {}}, version);
  const auto began = std::chrono::steady_clock::now();
  auto record = attachments.add(request.call, request.conf);
  stats.plumbing.add(std::chrono::steady_clock::now() - began);
  if (!record) co_return error_answer(record.error(), version);

  auto wait = std::make_shared<PendingAdd>(io.get_executor());
  pending[id] = wait;
  socket.async_wait(Stream::socket::wait_read,
                    [wait](error_code error) {  // the caller has said all it had to say: this is its end
                      if (error) return;
                      wait->caller_gone = true;
                      wait->event.set();
                    });
  wait->event.until(request.deadline);
  if (hooks.add) {
    hooks.add(id, record->pod, [wait](Result<void> outcome) {
      if (wait->outcome) return;
      wait->outcome = std::move(outcome);
      wait->event.set();
    });
  } else {
    wait->outcome.emplace();
  }
  if (!wait->outcome) co_await wait->event.wait();
  error_code ignored;
  socket.cancel(ignored);
  if (auto mine = pending.find(id); mine != pending.end() && mine->second == wait) pending.erase(mine);

  CniError problem;
  if (wait->overtaken) co_return error_answer({kTryAgainLater, "DEL came before the pod was ready", {}}, version);
  if (wait->caller_gone)
    problem = {kTryAgainLater, "the caller gave up", {}};
  else if (!wait->outcome)
    problem = {kTryAgainLater, "the pod's network is not ready in time",
               "its rows were not realized before the deadline"};
  else if (!*wait->outcome)
    problem = {kTryAgainLater, "the pod's network is not ready", wait->outcome->error().message};
  else if (auto stored = attachments.complete(id); !stored)
    problem = stored.error();
  else {
    *added = id;
    const json::value* previous = request.conf.document.if_contains("prevResult");
    co_return json::object{
        {"result", render(Attachments::result_of(*record), version, previous ? previous->if_object() : nullptr,
                          request.conf.document.if_contains("dns"))}};
  }
  (void)co_await remove({id}, {});
  co_return error_answer(problem, version);
}

// Of what is there: unknown ids are success, their link (a name that follows from the id) is removed all the same.
awaitable<CniResultOf<>> Server::Impl::remove(std::vector<std::string> ids, std::vector<std::string> links) {
  auto self = shared_from_this();
  for (const std::string& id : ids) {
    if (auto waiting = pending.find(id); waiting != pending.end()) {
      waiting->second->overtaken = true;
      waiting->second->event.set();
      pending.erase(waiting);
    }
    if (attachments.find(id) && hooks.remove) hooks.remove(id);
    links.push_back(host_link_name(id));
    removing.insert(id);
  }
  auto gone = std::make_shared<Event>(io.get_executor());
  auto outcome = std::make_shared<Result<void>>();
  remover.remove(std::move(links), [gone, outcome](Result<void> result) {
    *outcome = std::move(result);
    gone->set();
  });
  co_await gone->wait();
  CniResultOf<> first;
  if (!*outcome) first = std::unexpected(to_cni(outcome->error()));
  for (const std::string& id : ids) {
    removing.erase(removing.find(id));
    if (!*outcome) continue;  // an address stays taken as long as its link may live
    auto forgotten = attachments.forget(id);
    if (!forgotten && first) first = forgotten;
  }
  co_return first;
}

json::object Server::Impl::check(const Request& request) {
  auto done = attachments.check(request.call, request.conf);
  if (!done) return error_answer(done.error(), request.conf.version);
  if (!hooks.check) return {};
  auto realized = hooks.check(attachment_id(request.call.container_id, request.call.ifname));
  if (!realized) return error_answer(to_cni(realized.error()), request.conf.version);
  return {};
}

json::object Server::Impl::status(const Request& request) {
  if (hooks.status) {
    auto ready = hooks.status();
    if (!ready)
      return error_answer({kNotAvailable, "no pod can be added", ready.error().message}, request.conf.version);
  }
  auto done = attachments.status();
  return done ? json::object{} : error_answer(done.error(), request.conf.version);
}

awaitable<json::object> Server::Impl::collect(const Request& request) {
  auto valid = valid_attachments(request.conf);
  if (!valid) co_return error_answer(valid.error(), request.conf.version);
  auto done = co_await remove(attachments.not_in(*valid, request.conf.name), attachments.orphaned_links());
  if (!done) co_return error_answer(done.error(), request.conf.version);
  co_return json::object{};
}

void Server::Impl::sweep() {
  sweep_timer.expires_after(kSweepPeriod);
  sweep_timer.async_wait([weak = weak_from_this()](error_code error) {
    auto self = weak.lock();
    if (error || !self) return;
    auto ids = self->attachments.vanished();
    std::erase_if(ids, [&](const std::string& id) { return self->removing.contains(id); });
    if (!ids.empty()) {
      log::info("{} pods went with their namespaces and without a DEL: released", ids.size());
      asio::co_spawn(self->io, self->remove(std::move(ids), {}), [self](std::exception_ptr, const CniResultOf<>&) {});
    }
    self->sweep();
  });
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  impl_->stopped = true;
  error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->sweep_timer.cancel();
  unlink(impl_->options.socket.c_str());
}

Result<std::unique_ptr<Server>> Server::open(asio::io_context& io, ServerOptions options, Hooks hooks) {
  if (!options.network) options.network = &kernel::linux_network();
  if (options.boot_id.empty()) options.boot_id = ipam::boot_id();
  auto attachments = TRY(Attachments::open({.state_dir = options.state_dir,
                                            .boot_id = options.boot_id,
                                            .network = options.network,
                                            .attach = hooks.attach,
                                            .mtu = options.mtu}));
  auto impl = std::make_shared<Impl>(io, std::move(options), std::move(hooks), std::move(attachments));
  TRY_VOID(impl->listen());  // first: two agents must not both undo
  std::unique_ptr<Server> server(new Server(impl));
  TRY_VOID(impl->attachments.recover());
  impl->drain_spool();
  impl->sweep();
  asio::co_spawn(io, impl->accept_all(impl), asio::detached);
  return server;
}

std::vector<std::pair<std::string, desired::LocalPod>> Server::pods() const {
  std::vector<std::pair<std::string, desired::LocalPod>> out;
  for (auto& [id, record] : impl_->attachments.records()) {
    if (record.complete) out.emplace_back(id, record.pod);
  }
  return out;
}

std::vector<std::string> Server::namespaces() const {
  std::vector<std::string> out;
  for (auto& [id, record] : impl_->attachments.records())
    if (record.complete) out.push_back(record.netns);
  return out;
}

Result<void> Server::set_pod_cidrs(std::vector<net::Prefix> cidrs) {
  return impl_->attachments.pool().set_cidrs(std::move(cidrs));
}

void Server::set_mtu(uint32_t mtu) { impl_->attachments.set_mtu(mtu); }

void Server::register_page(std::string path, std::string content_type, std::function<std::string()> body) {
  impl_->pages.put(std::move(path), std::move(content_type), std::move(body));
}

const Stats& Server::stats() const { return impl_->stats; }

void Server::register_verb(std::string name, std::function<Result<json::value>(const json::object&)> answer) {
  impl_->verbs[std::move(name)] = std::move(answer);
}

}  // namespace carrick::cni
