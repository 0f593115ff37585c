#include "watch/watch.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <random>

#include "base/log.h"
#include "k8s/resources.h"

namespace carrick::watch {
namespace {

namespace asio = boost::asio;
constexpr int kPageSize = 500;
constexpr int kSilenceSeconds = 150;  // bookmarks come about once a minute
constexpr auto kQuiet = std::chrono::milliseconds(25);
constexpr auto kQuietPerPod =
    std::chrono::microseconds(100);  // so a storm takes the same share of a processor at every size
constexpr auto kFirstBackoff = std::chrono::milliseconds(50);
constexpr auto kLongestBackoff = std::chrono::seconds(10);

// Kinds that a CustomResourceDefinition offers: a cluster without it has none of them.
template <class T>
constexpr bool kMayBeAbsent = std::is_same_v<T, k8s::ClusterNetworkPolicy>;

}  // namespace

struct SnapshotWatcher::Impl : std::enable_shared_from_this<SnapshotWatcher::Impl> {
  Impl(asio::io_context& context, Client& given, Publish sink, Detail detail)
      : io(context), client(given), publish(std::move(sink)), publish_timer(context), assembly(detail) {}

  // One resource: list pages, then watch, then again.
  template <class T>
  struct Stream {
    std::chrono::milliseconds backoff = kFirstBackoff;
    std::shared_ptr<asio::steady_timer> timer;
  };
  std::tuple<Stream<k8s::Namespace>, Stream<k8s::Node>, Stream<k8s::Pod>, Stream<k8s::Service>,
             Stream<k8s::EndpointSlice>, Stream<k8s::NetworkPolicy>, Stream<k8s::ClusterNetworkPolicy>>
      streams;

  template <class T>
  Stream<T>& stream() {
    return std::get<Stream<T>>(streams);
  }

  template <class T>
  void later() {
    auto& s = stream<T>();
    std::uniform_int_distribution<int> jitter(0, static_cast<int>(s.backoff.count() / 2));
    s.timer = std::make_shared<asio::steady_timer>(io, s.backoff + std::chrono::milliseconds(jitter(random)));
    s.backoff = std::min<std::chrono::milliseconds>(s.backoff * 2, kLongestBackoff);
    s.timer->async_wait([self = shared_from_this(), timer = s.timer](auto error) {
      if (error || self->stopped) return;
      ++self->stats.restarts;
      if (self->assembly.template resource_version<T>().empty())
        self->list<T>("");
      else
        self->watch<T>();
    });
  }

  template <class T>
  void list(const std::string& next) {
    std::string target = k8s::collection_path(k8s::resource<T>()) + "?limit=" + std::to_string(kPageSize);
    if (!next.empty()) target += "&continue=" + next;
    client.request({"GET", target, "", ""},
                   [self = shared_from_this(), first = next.empty()](Result<HttpResponse> answer) {
                     if (self->stopped) return;
                     auto page = answer ? self->assembly.template take_page<T>(answer->body, first)
                                        : Result<Page>(std::unexpected(answer.error()));
                     if (!page) {
                       if (kMayBeAbsent<T> && page.error().kind == ErrorKind::kNotFound)
                         self->take_as_absent<T>();
                       else
                         self->note(page.error());
                       return self->later<T>();
                     }
                     if (!page->next.empty()) return self->list<T>(page->next);
                     self->assembly.template finish_list<T>(page->resource_version);
                     self->stream<T>().backoff = kFirstBackoff;
                     ++self->stats.lists;
                     self->schedule();
                     self->watch<T>();
                   });
  }

  // Asked for again from time to time: it may be defined later.
  template <class T>
  void take_as_absent() {
    assembly.template take_page<T>(R"({"items": []})", true);
    assembly.template finish_list<T>("");
    schedule();
  }

  template <class T>
  void watch() {
    std::string target =
        k8s::collection_path(k8s::resource<T>()) +
        "?watch=1&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=" + assembly.resource_version<T>();
    client.stream(
        target, kSilenceSeconds,
        [self = shared_from_this()](std::string_view line) {
          if (!self->stopped) self->event<T>(line);
        },
        [self = shared_from_this()](Result<void> ended) {
          if (self->stopped) return;
          if (!ended) {
            self->note(ended.error());
            if (ended.error().kind == ErrorKind::kNotFound)
              self->assembly.template resource_version<T>().clear();  // 410 Gone
          }
          self->later<T>();
        });
  }

  // After one that is not understood the state is unknown: it is listed again when this watch ends.
  template <class T>
  void event(std::string_view line) {
    if (line.empty()) return;
    if (auto taken = assembly.take_event<T>(line); !taken) return note(taken.error());
    stream<T>().backoff = kFirstBackoff;
    if (assembly.changed()) schedule();
  }

  // The first change after a quiet time goes out at once; in a storm one snapshot stands for all of kQuiet. A snapshot
  // costs in proportion to the cluster, an event does not.
  void schedule() {
    if (scheduled || !assembly.current().synced) return;
    scheduled = true;
    auto quiet = kQuiet + kQuietPerPod * static_cast<int64_t>(assembly.current().pods.size());
    publish_timer.expires_at(
        std::max<std::chrono::steady_clock::time_point>(std::chrono::steady_clock::now(), last_publish + quiet));
    publish_timer.async_wait([self = shared_from_this()](auto error) {
      if (error || self->stopped) return;
      self->scheduled = false;
      if (self->published && !self->assembly.changed()) return;
      self->published = true;
      k8s::ChangeSet changes;
      auto snapshot = std::make_shared<const k8s::Snapshot>(self->assembly.publish(changes));
      self->publish(std::move(snapshot), changes);
      self->last_publish = std::chrono::steady_clock::now();
    });
  }

  void note(const Error& error) {
    if (stats.last_error != error.message) log::warn("watch: {}", error.message);
    stats.last_error = error.message;
  }

  void start() {
    list<k8s::Namespace>("");
    list<k8s::Node>("");
    list<k8s::Pod>("");
    list<k8s::Service>("");
    list<k8s::EndpointSlice>("");
    list<k8s::NetworkPolicy>("");
    list<k8s::ClusterNetworkPolicy>("");
  }

  asio::io_context& io;
  Client& client;
  Publish publish;
  asio::steady_timer publish_timer;
  std::chrono::steady_clock::time_point last_publish{};
  WatcherStats stats;
  Assembly assembly;
  bool scheduled = false, published = false, stopped = false;
  std::minstd_rand random{std::random_device{}()};
};

SnapshotWatcher::SnapshotWatcher(asio::io_context& io, Client& client, Publish publish, Detail detail)
    : impl_(std::make_shared<Impl>(io, client, std::move(publish), detail)) {}
SnapshotWatcher::~SnapshotWatcher() { impl_->stopped = true; }
void SnapshotWatcher::start() { impl_->start(); }
WatcherStats SnapshotWatcher::stats() const {
  WatcherStats stats = impl_->stats;
  stats.events = impl_->assembly.events;
  stats.decode_failures = impl_->assembly.decode_failures;
  stats.versions = impl_->assembly.versions();
  return stats;
}

namespace {

template <class T>
Result<void> fetch(const Credentials& credentials, Assembly& into) {
  Page page;
  do {
    std::string target = k8s::collection_path(k8s::resource<T>()) + "?limit=" + std::to_string(kPageSize);
    if (!page.next.empty()) target += "&continue=" + page.next;
    auto answer = request_once(credentials, {"GET", target, "", ""});
    if (kMayBeAbsent<T> && !answer && answer.error().kind == ErrorKind::kNotFound)
      answer = HttpResponse{.status = 200, .body = R"({"items": []})"};
    page = TRY(into.take_page<T>(TRY(std::move(answer)).body, page.next.empty()));
  } while (!page.next.empty());
  into.finish_list<T>(page.resource_version);
  return {};
}

}  // namespace

Result<k8s::Snapshot> fetch_snapshot(const Credentials& credentials) {
  Assembly all;
  TRY_VOID(fetch<k8s::Namespace>(credentials, all));
  TRY_VOID(fetch<k8s::Node>(credentials, all));
  TRY_VOID(fetch<k8s::Pod>(credentials, all));
  TRY_VOID(fetch<k8s::Service>(credentials, all));
  TRY_VOID(fetch<k8s::EndpointSlice>(credentials, all));
  TRY_VOID(fetch<k8s::NetworkPolicy>(credentials, all));
  TRY_VOID(fetch<k8s::ClusterNetworkPolicy>(credentials, all));
  k8s::ChangeSet changes;
  return all.publish(changes);
}

}  // namespace carrick::watch
