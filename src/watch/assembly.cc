#include "watch/assembly.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "base/log.h"
#include "k8s/codec.h"
#include "k8s/resources.h"

namespace carrick::watch {
namespace {

namespace json = k8s::json;

// What nobody who watches looks at is dropped at parse, so that memory goes with the network's size, not the
// manifests'.
void trim_objects(k8s::ObjectMeta& meta) {
  std::erase_if(meta.annotations, [](const auto& entry) { return entry.first.starts_with("kubectl.kubernetes.io/"); });
  meta.finalizers.clear();
}
void trim_objects(auto&) {}
void trim_objects(k8s::Pod& pod) {
  std::erase_if(pod.spec.initContainers, [](const auto& container) { return container.restartPolicy != "Always"; });
  for (auto& container : pod.spec.containers) {
    container.env.clear();
    container.args.clear();
  }
}

// What the tables never look at.
void trim_for_tables(k8s::ObjectMeta& meta) {
  k8s::ObjectMeta kept;
  kept.name = std::move(meta.name);
  kept.namespace_ = std::move(meta.namespace_);
  kept.uid = std::move(meta.uid);
  kept.creationTimestamp = std::move(meta.creationTimestamp);
  kept.deletionTimestamp = std::move(meta.deletionTimestamp);
  kept.labels = std::move(meta.labels);
  meta = std::move(kept);
}
void keep_labels(k8s::ObjectMeta& meta, std::initializer_list<std::string_view> kept) {
  std::erase_if(meta.labels, [&](const auto& label) { return std::ranges::find(kept, label.first) == kept.end(); });
}
void drop_dates_and_uid(k8s::ObjectMeta& meta) {
  meta.uid.clear();
  meta.creationTimestamp.reset();
  meta.deletionTimestamp.reset();
}
void trim_for_tables(auto&) {}
void trim_for_tables(k8s::Node& node) {
  node.spec.taints.clear();
  node.status.conditions.clear();
}
void trim_for_tables(k8s::Pod& pod) {
  k8s::PodSpec spec;
  spec.nodeName = std::move(pod.spec.nodeName);
  spec.hostNetwork = pod.spec.hostNetwork;
  if (pod.spec.dnsPolicy != "ClusterFirst") spec.dnsPolicy = std::move(pod.spec.dnsPolicy);
  spec.dnsConfig = std::move(pod.spec.dnsConfig);
  for (auto* containers : {&pod.spec.containers, &pod.spec.initContainers}) {
    for (auto& from : *containers) {
      k8s::Container kept;
      std::erase_if(from.ports, [](const auto& port) { return port.name.empty(); });  // policies name them
      kept.ports = std::move(from.ports);
      kept.restartPolicy = std::move(from.restartPolicy);
      if (!kept.ports.empty())
        (containers == &pod.spec.containers ? spec.containers : spec.initContainers).push_back(std::move(kept));
    }
  }
  pod.spec = std::move(spec);
  k8s::PodStatus status;
  status.phase = std::move(pod.status.phase);
  status.podIP = std::move(pod.status.podIP);
  status.podIPs = std::move(pod.status.podIPs);
  pod.status = std::move(status);
}
void trim_for_tables(k8s::Service& service) {
  keep_labels(service.metadata, {"service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"});
  drop_dates_and_uid(service.metadata);
  service.spec.selector.clear();
}
void trim_for_tables(k8s::EndpointSlice& slice) {
  keep_labels(slice.metadata, {k8s::kServiceNameLabel});
  drop_dates_and_uid(slice.metadata);
  for (auto& endpoint : slice.endpoints) {
    endpoint.zone.reset();  // what it is good for stands in the hints
    if (endpoint.targetRef) endpoint.targetRef->uid = {};
  }
  slice.endpoints.shrink_to_fit();
}

// What stands in many objects is kept once; names of pods are their own.
void share_texts(auto&, TextPool&) {}
void share_texts(k8s::EndpointSlice& slice, TextPool& pool) {
  for (auto& endpoint : slice.endpoints) {
    if (endpoint.nodeName) pool.share(*endpoint.nodeName);
    if (endpoint.zone) pool.share(*endpoint.zone);
    if (!endpoint.targetRef) continue;
    for (SharedText* text :
         {&endpoint.targetRef->kind, &endpoint.targetRef->namespace_, &endpoint.targetRef->apiVersion})
      pool.share(*text);
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
CARRICK_SLOT(ClusterNetworkPolicy, clusternetworkpolicies)
#undef CARRICK_SLOT

template <class T>
void keep_for_tables(T& object) {
  trim_for_tables(object.metadata);
  trim_for_tables(object);
}

template <class T>
void keep_for_tables(k8s::ObjectMap<T>& objects) {
  k8s::ObjectMap<T> out;
  for (const auto& [key, object] : objects) {
    T copy = *object;
    keep_for_tables(copy);
    out.emplace(key, std::make_shared<const T>(std::move(copy)));
  }
  objects = std::move(out);
}

}  // namespace

k8s::Snapshot for_tables(const k8s::Snapshot& whole) {
  k8s::Snapshot out = whole;
  keep_for_tables(out.namespaces);
  keep_for_tables(out.nodes);
  keep_for_tables(out.pods);
  keep_for_tables(out.services);
  keep_for_tables(out.endpointslices);
  keep_for_tables(out.networkpolicies);
  keep_for_tables(out.clusternetworkpolicies);
  return out;
}

template <class T>
void Assembly::trim(T& object) {
  trim_objects(object.metadata);
  if (detail_ != Detail::kWholePods) trim_objects(object);
  if (detail_ == Detail::kTables) keep_for_tables(object);
  share_texts(object, texts_);
}

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
    trim(*decoded);
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
    trim(*decoded);
    auto& objects = Slot<T>::objects(current_);
    if (auto known = objects.find(key); known != objects.end() && *known->second == *decoded) return {};
    objects.insert_or_assign(key, std::make_shared<const T>(std::move(*decoded)));
  }
  Slot<T>::keys(changes_).insert(std::move(key));
  return {};
}

// 0 for a text that is no number, and while the state is unknown.
template <class T>
uint64_t Assembly::number() const {
  const std::string& text = std::get<Incoming<T>>(incoming_).resource_version;
  uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

KindVersions Assembly::now() const {
  return {number<k8s::Namespace>(),
          number<k8s::Node>(),
          number<k8s::Pod>(),
          number<k8s::Service>(),
          number<k8s::EndpointSlice>(),
          number<k8s::NetworkPolicy>(),
          number<k8s::ClusterNetworkPolicy>()};
}

// Events that changed nothing are in the last snapshot too.
KindVersions Assembly::versions() const { return published_ && !changed() ? now() : published_versions_; }

k8s::Snapshot Assembly::publish(k8s::ChangeSet& changes) {
  changes = std::exchange(changes_, {});
  changes.everything = !std::exchange(published_, true);
  published_versions_ = now();
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
CARRICK_ASSEMBLE(ClusterNetworkPolicy)
#undef CARRICK_ASSEMBLE

}  // namespace carrick::watch
