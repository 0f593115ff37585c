#include "watch/assembly.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/log.h"
#include "k8s/codec.h"
#include "k8s/resources.h"

namespace carrick::watch {
namespace {

namespace json = k8s::json;

// What the tables never look at is dropped at parse, so that memory goes with the network's size, not the manifests'.
void trim(k8s::ObjectMeta& meta) {
  std::erase_if(meta.annotations, [](const auto& entry) { return entry.first.starts_with("kubectl.kubernetes.io/"); });
  meta.finalizers.clear();
}
template <class T>
void trim(T& object, bool) {
  trim(object.metadata);
}
void trim(k8s::Pod& pod, bool whole) {
  trim(pod.metadata);
  if (whole) return;
  pod.spec.initContainers.clear();
  for (auto& container : pod.spec.containers) {
    container.env.clear();
    container.args.clear();
  }
}

// The snapshot's map and the change set's keys of one kind.
template <class T>
struct Slot;
#define CARRICK_SLOT(T, member)                                     \
  template <>                                                       \
  struct Slot<k8s::T> {                                             \
    static auto& objects(k8s::Snapshot& s) { return s.member; }     \
    static auto& keys(k8s::ChangeSet& c) { return c.member; }       \
    static auto& version(k8s::KindVersions& v) { return v.member; } \
  };
CARRICK_SLOT(Namespace, namespaces)
CARRICK_SLOT(Node, nodes)
CARRICK_SLOT(Pod, pods)
CARRICK_SLOT(Service, services)
CARRICK_SLOT(EndpointSlice, endpointslices)
CARRICK_SLOT(NetworkPolicy, networkpolicies)
#undef CARRICK_SLOT

}  // namespace

template <class T>
Result<Page> Assembly::take_page(std::string_view body, bool first) {
  auto& into = of<T>().objects;
  if (first) into.clear();
  boost::system::error_code failed;
  json::monotonic_resource arena;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed, &arena);
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
      ++decode_failures;
      log::warn("{}: {}", k8s::resource<T>().kind, decoded.error().message);
      continue;
    }
    trim(*decoded, whole_pods_);
    auto key = decoded->metadata.key();
    into.insert_or_assign(key, std::make_shared<const T>(std::move(*decoded)));
  }
  return page;
}

template <class T>
void Assembly::finish_list(const std::string& resource_version) {
  auto& kind = of<T>();
  auto& objects = Slot<T>::objects(current_);
  auto& keys = Slot<T>::keys(changes_);
  for (auto& [key, old] : objects)
    if (!kind.objects.contains(key)) keys.insert(key);
  for (auto& [key, fresh] : kind.objects) {
    auto found = objects.find(key);
    if (found == objects.end() || !(*found->second == *fresh)) keys.insert(key);
  }
  objects = std::exchange(kind.objects, {});
  kind.resource_version = resource_version;
  if (kind.listed) return;
  kind.listed = true;
  current_.synced = ++listed_ == std::tuple_size_v<decltype(incoming_)>;
}

template <class T>
Result<void> Assembly::take_event(std::string_view line) {
  auto& kind = of<T>();
  auto unknown = [&](const char* why) {
    kind.resource_version.clear();
    return fail(ErrorKind::kTransient, "{}", why);
  };
  boost::system::error_code failed;
  json::monotonic_resource arena;
  json::value parsed = json::parse(json::string_view(line.data(), line.size()), failed, &arena);
  if (failed || !parsed.is_object()) return unknown("a watch event is not JSON");
  auto* type = parsed.as_object().if_contains("type");
  auto* object = parsed.as_object().if_contains("object");
  if (!type || !type->is_string() || !object) return unknown("a watch event has no type or object");
  ++events;
  if (type->as_string() == "ERROR") return unknown("the watch reported an error");
  auto decoded = k8s::decode<T>(*object);
  if (!decoded) {
    ++decode_failures;
    log::warn("{}: {}", k8s::resource<T>().kind, decoded.error().message);
    return {};
  }
  if (!kind.resource_version.empty()) kind.resource_version = decoded->metadata.resourceVersion;
  if (type->as_string() == "BOOKMARK") return {};
  auto key = decoded->metadata.key();
  if (type->as_string() == "DELETED") {
    Slot<T>::objects(current_).erase(key);
  } else {
    trim(*decoded, whole_pods_);
    Slot<T>::objects(current_).insert_or_assign(key, std::make_shared<const T>(std::move(*decoded)));
  }
  Slot<T>::keys(changes_).insert(std::move(key));
  return {};
}

template <class T>
void Assembly::note_version() {
  const std::string& text = resource_version<T>();
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  // A text that is no number, or none after an error, is no reason to know less than before.
  auto& version = Slot<T>::version(current_.versions);
  version = std::max(version, number);
}

k8s::Snapshot Assembly::publish(k8s::ChangeSet& changes) {
  note_version<k8s::Namespace>();
  note_version<k8s::Node>();
  note_version<k8s::Pod>();
  note_version<k8s::Service>();
  note_version<k8s::EndpointSlice>();
  note_version<k8s::NetworkPolicy>();
  changes = std::exchange(changes_, {});
  changes.everything = !std::exchange(published_, true);
  ++current_.revision;
  return current_;
}

#define CARRICK_ASSEMBLE(T)                                                  \
  template Result<Page> Assembly::take_page<k8s::T>(std::string_view, bool); \
  template void Assembly::finish_list<k8s::T>(const std::string&);           \
  template Result<void> Assembly::take_event<k8s::T>(std::string_view);
CARRICK_ASSEMBLE(Namespace)
CARRICK_ASSEMBLE(Node)
CARRICK_ASSEMBLE(Pod)
CARRICK_ASSEMBLE(Service)
CARRICK_ASSEMBLE(EndpointSlice)
CARRICK_ASSEMBLE(NetworkPolicy)
#undef CARRICK_ASSEMBLE

}  // namespace carrick::watch
