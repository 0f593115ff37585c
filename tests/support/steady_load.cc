#include "tests/support/steady_load.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <set>
#include <utility>

#include "lab/host/cgroups.h"
#include "net/raw_address.h"

namespace carrick::load {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::chrono::seconds kPatience(3);
constexpr std::chrono::minutes kLongestRoll(3);
constexpr std::string_view kQuestion = "CARRICK?\n";

class Generator {
 public:
  Generator(const Plan& plan, int go_on)
      : to_(plan.target),
        between_(std::chrono::nanoseconds(1'000'000'000 / plan.per_second)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        go_on_(go_on) {}

  Outcome run() {
    const auto began = Clock::now();
    auto due = began;
    bool opening = true;
    while (opening || !open_.empty()) {
      for (auto now = Clock::now(); opening && due <= now; due += between_) open_one(now);
      serve();
      give_up(Clock::now() - kPatience);
      pollfd parent{go_on_, POLLIN, 0};
      if (opening && ::poll(&parent, 1, 0) > 0) {
        opening = false;
        outcome_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
      }
    }
    outcome_.endpoints = answers_.size();
    return outcome_;
  }

 private:
  struct Connection {
    Fd fd;
    Clock::time_point began;
    bool asked = false;
    std::list<Connection>::iterator self;
  };

  void fail_with(const char* what, int error) {
    if (outcome_.failed++ == 0)
      std::snprintf(outcome_.first_failure, sizeof outcome_.first_failure, "%s: %s after %lu connections", what,
                    std::strerror(error), static_cast<unsigned long>(outcome_.opened));
  }

  void open_one(Clock::time_point now) {
    ++outcome_.opened;
    Fd fd(::socket(to_.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    linger reset{1, 0};  // no TIME_WAIT: 2,000 a second would have used up the ports after 14 s
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (!fd || (::connect(fd.get(), to_.get(), to_.size()) != 0 && errno != EINPROGRESS))
      return fail_with("connect", errno);
    auto at = open_.insert(open_.end(), Connection{.fd = std::move(fd), .began = now, .self = {}});
    at->self = at;
    epoll_event event{.events = EPOLLOUT, .data = {.ptr = &*at}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, at->fd.get(), &event);
  }

  void serve() {
    epoll_event events[256];
    int n = ::epoll_wait(epoll_.get(), events, 256, 1);
    for (int i = 0; i < n; ++i) {
      auto& one = *static_cast<Connection*>(events[i].data.ptr);
      if (one.asked)
        hear(one);
      else
        ask(one);
    }
  }

  void ask(Connection& one) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(one.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return end(one, "connect", error);
    if (::send(one.fd.get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kQuestion.size()))
      return end(one, "send", errno);
    one.asked = true;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &one}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, one.fd.get(), &event);
  }

  void hear(Connection& one) {
    char answer[256];
    ssize_t n = ::recv(one.fd.get(), answer, sizeof answer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(one, n == 0 ? "closed without an answer" : "receive", n == 0 ? 0 : errno);
    const std::string_view line(answer, static_cast<size_t>(n));
    answers_.emplace(line.substr(0, line.find(' ')));  // "namespace/pod port client"
    outcome_.slowest_ms = std::max(outcome_.slowest_ms, Milliseconds(Clock::now() - one.began).count());
    open_.erase(one.self);
  }

  void end(Connection& one, const char* what, int error) {
    fail_with(what, error);
    open_.erase(one.self);
  }

  void give_up(Clock::time_point before) {
    while (!open_.empty() && open_.front().began < before)
      end(open_.front(), open_.front().asked ? "no answer" : "no connection", ETIMEDOUT);
  }

  net::RawAddress to_;
  Clock::duration between_;
  Fd epoll_;
  int go_on_;
  std::list<Connection> open_;  // the oldest first
  std::set<std::string> answers_;
  Outcome outcome_;
};

// The child's life.
Outcome generate(const Plan& plan, int go_on) {
  Outcome broken;
  auto stop = [&](const std::string& why) {
    broken.failed = 1;
    std::strncpy(broken.first_failure, why.c_str(), sizeof broken.first_failure - 1);
    return broken;
  };
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!plan.cgroup.empty())
    if (auto entered = lab::enter_cgroup(plan.cgroup); !entered) return stop(entered.error().message);
  if (::setns(plan.netns, CLONE_NEWNET) != 0) return stop(std::string("network namespace: ") + std::strerror(errno));
  return Generator(plan, go_on).run();
}

// Old pods serve until they end, which is part of an update.
bool has_only_new_pods(const json::object& pods, int wanted) {
  const auto& items = pods.at("items").as_array();
  return items.size() == static_cast<size_t>(wanted) && std::ranges::none_of(items, [](const json::value& pod) {
           return pod.at("metadata").as_object().contains("deletionTimestamp");
         });
}

bool is_rolled_out(const json::object& deployment) {
  auto number = [](const json::value& object, const char* key) {
    const auto* value = object.as_object().if_contains(key);
    return value ? value->to_number<int>() : 0;
  };
  const auto& status = deployment.at("status");
  int wanted = number(deployment.at("spec"), "replicas");
  return number(status, "observedGeneration") == number(deployment.at("metadata"), "generation") &&
         number(status, "replicas") == wanted && number(status, "updatedReplicas") == wanted &&
         number(status, "availableReplicas") == wanted;
}

}  // namespace

SteadyLoad::SteadyLoad(SteadyLoad&& other) noexcept
    : child_(std::exchange(other.child_, -1)), outcome_(std::move(other.outcome_)), go_on_(std::move(other.go_on_)) {}

SteadyLoad::~SteadyLoad() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

Result<SteadyLoad> SteadyLoad::start(const Plan& plan) {
  if (plan.per_second < 1) return fail(ErrorKind::kInvalid, "a rate of {} connections a second", plan.per_second);
  int told[2], asked[2];
  if (::pipe2(told, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd told_read(told[0]), told_write(told[1]);
  if (::pipe2(asked, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd asked_read(asked[0]), asked_write(asked[1]);
  SteadyLoad out;
  out.child_ = ::fork();
  if (out.child_ < 0) return fail_errno(errno, "fork");
  if (out.child_ == 0) {
    Outcome outcome = generate(plan, asked_read.get());
    (void)!::write(told_write.get(), &outcome, sizeof outcome);
    ::_exit(0);
  }
  out.outcome_ = std::move(told_read);
  out.go_on_ = std::move(asked_write);
  return out;
}

Result<Outcome> SteadyLoad::finish() {
  (void)!::write(go_on_.get(), "", 1);
  Outcome outcome;
  ssize_t n = ::read(outcome_.get(), &outcome, sizeof outcome);
  ::waitpid(std::exchange(child_, -1), nullptr, 0);
  if (n != sizeof outcome) return fail(ErrorKind::kInternal, "the process that opens connections died");
  return outcome;
}

Result<void> roll(const watch::Credentials& credentials, const std::string& name, int round) {
  const std::string path = "/apis/apps/v1/namespaces/default/deployments/" + name;
  auto patched = TRY(watch::request_once(
      credentials,
      {"PATCH", path,
       fmt::format(R"({{"spec":{{"template":{{"metadata":{{"annotations":{{"round":"{}"}}}}}}}}}})", round),
       "application/merge-patch+json"}));
  if (patched.status != 200) return fail(ErrorKind::kInvalid, "{}: {}", path, patched.body);
  for (auto end = Clock::now() + kLongestRoll; Clock::now() < end; ::usleep(10'000)) {
    auto answer = TRY(watch::request_once(credentials, {"GET", path, "", ""}));
    const auto deployment = json::parse(answer.body).as_object();
    if (!is_rolled_out(deployment)) continue;
    auto pods = TRY(watch::request_once(
        credentials, {"GET", "/api/v1/namespaces/default/pods?labelSelector=app%3D" + name, "", ""}));
    if (has_only_new_pods(json::parse(pods.body).as_object(), deployment.at("spec").at("replicas").to_number<int>()))
      return {};
  }
  return fail(ErrorKind::kTransient, "round {} of Deployment {} does not end", round, name);
}

}  // namespace carrick::load
