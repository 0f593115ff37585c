#include "watch/watch.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <random>

#include "base/log.h"
#include "k8s/codec.h"
#include "k8s/resources.h"

namespace carrick::watch {
namespace {

namespace asio = boost::asio;
namespace json = k8s::json;
constexpr int kPageSize = 500;
constexpr int kSilenceSeconds = 150;  // bookmarks come about once a minute
constexpr auto kQuiet = std::chrono::milliseconds(25);
constexpr auto kQuietPerPod =
    std::chrono::microseconds(100);  // so a storm takes the same share of a processor at every size
constexpr auto kFirstBackoff = std::chrono::milliseconds(50);
constexpr auto kLongestBackoff = std::chrono::seconds(10);

// What the tables never look at is dropped at parse, so that memory goes with the network's size, not the manifests'.
void trim(k8s::ObjectMeta& meta) {
  std::erase_if(meta.annotations, [](const auto& entry) { return entry.first.starts_with("kubectl.kubernetes.io/"); });
  meta.finalizers.clear();
}
template <class T>
void trim(T& object) {
  trim(object.metadata);
}
void trim(k8s::Pod& pod) {
  trim(pod.metadata);
  pod.spec.initContainers.clear();
  for (auto& container : pod.spec.containers) {
    container.env.clear();
    container.args.clear();
  }
}

// The snapshot's map and the change set's keys of one kind.
template <class T>
struct Slot;
#define CARRICK_SLOT(T, member)                                 \
  template <>                                                   \
  struct Slot<k8s::T> {                                         \
    static auto& objects(k8s::Snapshot& s) { return s.member; } \
    static auto& keys(k8s::ChangeSet& c) { return c.member; }   \
  };
CARRICK_SLOT(Namespace, namespaces)
CARRICK_SLOT(Node, nodes)
CARRICK_SLOT(Pod, pods)
CARRICK_SLOT(Service, services)
CARRICK_SLOT(EndpointSlice, endpointslices)
CARRICK_SLOT(NetworkPolicy, networkpolicies)
#undef CARRICK_SLOT

struct Page {
  std::string resource_version, next;
};

// Decodes one page of a list into `into`; an object that cannot be decoded is left out and counted.
template <class T>
Result<Page> read_page(std::string_view body, k8s::ObjectMap<T>& into, uint64_t& failures) {
  boost::system::error_code failed;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (failed || !parsed.is_object()) return fail(ErrorKind::kTransient, "the API server's list is not JSON");
  Page page;
  auto& object = parsed.as_object();
  if (auto* meta = object.if_contains("metadata"); meta && meta->is_object()) {
    auto text = [&](const char* key) {
      auto* value = meta->as_object().if_contains(key);
      return value && value->is_string() ? std::string(value->as_string()) : std::string();
    };
    page = {text("resourceVersion"), text("continue")};
  }
  auto* items = object.if_contains("items");
  if (!items || !items->is_array()) return page;
  for (auto& item : items->as_array()) {
    auto decoded = k8s::decode<T>(item);
    if (!decoded) {
      ++failures;
      log::warn("{}: {}", k8s::resource<T>().kind, decoded.error().message);
      continue;
    }
    trim(*decoded);
    auto key = decoded->metadata.key();
    into[key] = std::make_shared<const T>(std::move(*decoded));
  }
  return page;
}

}  // namespace

struct SnapshotWatcher::Impl : std::enable_shared_from_this<SnapshotWatcher::Impl> {
  Impl(asio::io_context& context, Client& given, Publish sink)
      : io(context), client(given), publish(std::move(sink)), publish_timer(context) {}

  // One resource: list pages, then watch, then again.
  template <class T>
  struct Stream {
    k8s::ObjectMap<T> incoming;  // pages of a list in progress
    std::string resource_version;
    bool listed = false;
    std::chrono::milliseconds backoff = kFirstBackoff;
    std::shared_ptr<asio::steady_timer> timer;
  };
  std::tuple<Stream<k8s::Namespace>, Stream<k8s::Node>, Stream<k8s::Pod>, Stream<k8s::Service>,
             Stream<k8s::EndpointSlice>, Stream<k8s::NetworkPolicy>>
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
      if (self->stream<T>().resource_version.empty())
        self->list<T>("");
      else
        self->watch<T>();
    });
  }

  template <class T>
  void list(const std::string& next) {
    if (next.empty()) stream<T>().incoming.clear();
    std::string target = k8s::collection_path(k8s::resource<T>()) + "?limit=" + std::to_string(kPageSize);
    if (!next.empty()) target += "&continue=" + next;
    client.request({"GET", target, "", ""}, [self = shared_from_this()](Result<HttpResponse> answer) {
      if (self->stopped) return;
      auto page = answer ? read_page<T>(answer->body, self->stream<T>().incoming, self->stats.decode_failures)
                         : Result<Page>(std::unexpected(answer.error()));
      if (!page) {
        self->note(page.error());
        return self->later<T>();
      }
      if (!page->next.empty()) return self->list<T>(page->next);
      self->listed<T>(page->resource_version);
    });
  }

  template <class T>
  void listed(const std::string& version) {
    auto& s = stream<T>();
    auto& objects = Slot<T>::objects(current);
    auto& keys = Slot<T>::keys(changes);
    for (auto& [key, old] : objects)
      if (!s.incoming.contains(key)) keys.insert(key);
    for (auto& [key, fresh] : s.incoming) {
      auto found = objects.find(key);
      if (found == objects.end() || !(*found->second == *fresh)) keys.insert(key);
    }
    objects = std::move(s.incoming);
    s.incoming.clear();
    s.resource_version = version;
    s.backoff = kFirstBackoff;
    ++stats.lists;
    if (!s.listed) {
      s.listed = true;
      current.synced = ++listed_count == std::tuple_size_v<decltype(streams)>;
    }
    schedule();
    watch<T>();
  }

  template <class T>
  void watch() {
    std::string target =
        k8s::collection_path(k8s::resource<T>()) +
        "?watch=1&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=" + stream<T>().resource_version;
    client.stream(
        target, kSilenceSeconds,
        [self = shared_from_this()](std::string_view line) {
          if (!self->stopped) self->event<T>(line);
        },
        [self = shared_from_this()](Result<void> ended) {
          if (self->stopped) return;
          if (!ended) {
            self->note(ended.error());
            if (ended.error().kind == ErrorKind::kNotFound) self->stream<T>().resource_version.clear();  // 410 Gone
          }
          self->later<T>();
        });
  }

  template <class T>
  void event(std::string_view line) {
    if (line.empty()) return;
    boost::system::error_code failed;
    json::monotonic_resource arena;
    json::value parsed = json::parse(json::string_view(line.data(), line.size()), failed, &arena);
    auto& s = stream<T>();
    if (failed || !parsed.is_object()) return ask_again<T>("a watch event is not JSON");
    auto* type = parsed.as_object().if_contains("type");
    auto* object = parsed.as_object().if_contains("object");
    if (!type || !type->is_string() || !object) return ask_again<T>("a watch event has no type or object");
    ++stats.events;
    if (type->as_string() == "ERROR") return ask_again<T>("the watch reported an error");
    auto decoded = k8s::decode<T>(*object);
    if (!decoded) {
      ++stats.decode_failures;
      return log::warn("{}: {}", k8s::resource<T>().kind, decoded.error().message);
    }
    s.resource_version = decoded->metadata.resourceVersion;
    s.backoff = kFirstBackoff;
    if (type->as_string() == "BOOKMARK") return;
    auto key = decoded->metadata.key();
    if (type->as_string() == "DELETED") {
      Slot<T>::objects(current).erase(key);
    } else {
      trim(*decoded);
      Slot<T>::objects(current)[key] = std::make_shared<const T>(std::move(*decoded));
    }
    Slot<T>::keys(changes).insert(key);
    schedule();
  }

  // The state is unknown from here: list again when this watch ends.
  template <class T>
  void ask_again(const char* why) {
    note(Error{ErrorKind::kTransient, why});
    stream<T>().resource_version.clear();
  }

  // The first change after a quiet time goes out at once; in a storm one snapshot stands for all of kQuiet. A snapshot
  // costs in proportion to the cluster, an event does not.
  void schedule() {
    if (scheduled || !current.synced) return;
    scheduled = true;
    auto quiet = kQuiet + kQuietPerPod * static_cast<int64_t>(current.pods.size());
    publish_timer.expires_at(
        std::max<std::chrono::steady_clock::time_point>(std::chrono::steady_clock::now(), last_publish + quiet));
    publish_timer.async_wait([self = shared_from_this()](auto error) {
      if (error || self->stopped) return;
      self->scheduled = false;
      if (self->published && self->changes.empty()) return;
      k8s::ChangeSet out = std::exchange(self->changes, {});
      out.everything = !std::exchange(self->published, true);
      ++self->current.revision;
      self->publish(std::make_shared<const k8s::Snapshot>(self->current), out);
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
  }

  asio::io_context& io;
  Client& client;
  Publish publish;
  asio::steady_timer publish_timer;
  std::chrono::steady_clock::time_point last_publish{};
  WatcherStats stats;
  k8s::Snapshot current;
  k8s::ChangeSet changes;
  size_t listed_count = 0;
  bool scheduled = false, published = false, stopped = false;
  std::minstd_rand random{std::random_device{}()};
};

SnapshotWatcher::SnapshotWatcher(asio::io_context& io, Client& client, Publish publish)
    : impl_(std::make_shared<Impl>(io, client, std::move(publish))) {}
SnapshotWatcher::~SnapshotWatcher() { impl_->stopped = true; }
void SnapshotWatcher::start() { impl_->start(); }
WatcherStats SnapshotWatcher::stats() const { return impl_->stats; }

namespace {

template <class T>
Result<void> fetch(const Credentials& credentials, k8s::Snapshot& into) {
  std::string next;
  do {
    std::string target = k8s::collection_path(k8s::resource<T>()) + "?limit=" + std::to_string(kPageSize);
    if (!next.empty()) target += "&continue=" + next;
    auto answer = TRY(request_once(credentials, {"GET", target, "", ""}));
    uint64_t failures = 0;
    next = TRY(read_page<T>(answer.body, Slot<T>::objects(into), failures)).next;
  } while (!next.empty());
  return {};
}

}  // namespace

Result<k8s::Snapshot> fetch_snapshot(const Credentials& credentials) {
  k8s::Snapshot out;
  TRY_VOID(fetch<k8s::Namespace>(credentials, out));
  TRY_VOID(fetch<k8s::Node>(credentials, out));
  TRY_VOID(fetch<k8s::Pod>(credentials, out));
  TRY_VOID(fetch<k8s::Service>(credentials, out));
  TRY_VOID(fetch<k8s::EndpointSlice>(credentials, out));
  TRY_VOID(fetch<k8s::NetworkPolicy>(credentials, out));
  out.revision = 1;
  out.synced = true;
  return out;
}

}  // namespace carrick::watch
