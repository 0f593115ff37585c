#include "controllers/plan.h"

#include <algorithm>

#include "base/log.h"
#include "controllers/controllers.h"
#include "controllers/memory_cluster.h"
#include "controllers/pretend_allocation.h"
#include "controllers/pretend_kubelet.h"
#include "k8s/codec.h"

namespace carrick::controllers {

namespace {

template <class T>
k8s::ObjectMap<T> decode_all(const Cluster& cluster) {
  k8s::ObjectMap<T> objects;
  for (const auto& document : cluster.list(k8s::resource<T>())) {
    auto object = k8s::decode<T>(*document);
    if (!object) {
      log::warn("{} {} is not understood: {}", k8s::resource<T>().kind, text_at(*document, {"metadata", "name"}),
                object.error().message);
      continue;
    }
    const auto key = object->metadata.key();
    objects.emplace_hint(objects.end(), key, std::make_shared<const T>(std::move(*object)));
  }
  return objects;
}

// The line of a field, or of the nearest one around it that the file has.
int line_of(const k8s::ManifestObject& object, std::string field) {
  while (!field.empty()) {
    if (const auto at = object.lines.find(field); at != object.lines.end()) return at->second;
    const size_t cut = field.find_last_of(".[");
    field = cut == std::string::npos ? "" : field.substr(0, cut);
  }
  return object.line;
}

json::object stored_form(const k8s::ManifestObject& object) {
  json::object document = object.document;
  if (object.type->namespaced) child(document, "metadata")["namespace"] = object.key.namespace_;
  if (object.type->has_status) document.erase("status");  // the API server keeps nobody's word for it
  return document;
}

void check(const k8s::ManifestObject& object, std::string& complaints) {
  json::object document = stored_form(object);
  k8s::apply_defaults(*object.type, document);
  for (const auto& finding : k8s::validate(*object.type, document)) {
    complaints += fmt::format("{}{}:{}: {} \"{}\" is invalid: {}", complaints.empty() ? "" : "\n", object.file,
                              line_of(object, finding.field), object.kind, object.key.name, finding.str());
  }
}

// RFC 7386.
void merge_patch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  for (const auto& pair : patch.get_object()) {
    if (pair.value().is_null())
      target.get_object().erase(pair.key());
    else
      merge_patch(target.get_object()[pair.key()], pair.value());
  }
}

class Planner {
 public:
  explicit Planner(const PlanOptions& options)
      : options_(options),
        allocation_(options.ipv4, options.ipv6),
        cluster_(admission()),
        kubelet_(cluster_),
        controllers_(cluster_, controller_options()) {}

  Result<Plan> plan(const std::vector<k8s::ManifestObject>& objects);

 private:
  MemoryCluster::Admission admission() {
    return [this](const k8s::ResourceType& type, json::object& document, const json::object* old) -> Result<void> {
      if (&type != &k8s::resource<k8s::Service>() || old) return {};
      return allocation_.allocate(document);
    };
  }
  bool has_family(bool v4) const { return v4 ? options_.ipv4 : options_.ipv6; }
  Options controller_options() const;
  void add_nodes();
  void make_missing_namespaces(const std::vector<k8s::ManifestObject>& objects);
  Result<void> add(const k8s::ManifestObject& object);
  void settle();
  void note_problems();

  PlanOptions options_;
  PretendAllocation allocation_;
  MemoryCluster cluster_;
  PretendKubelet kubelet_;
  Controllers controllers_;
  Plan plan_;
};

Options Planner::controller_options() const {
  Options options = lab_defaults();
  auto other_family = [this](const auto& value) { return !has_family(value.is_v4()); };
  std::erase_if(options.cluster_cidrs, other_family);
  std::erase_if(options.service_cidrs, other_family);
  std::erase_if(options.kubernetes_ips, other_family);
  std::erase_if(options.dns_ips, other_family);
  // The API server listens on the fabric's addresses (lab/config.h).
  for (const char* text : {"192.0.2.1", "2001:db8:2::1"}) {
    const auto address = *net::IpAddress::parse(text);
    if (has_family(address.is_v4())) options.api_servers.push_back({address, 6443});
  }
  options.record_events = false;
  options.now = [] { return *parse_timestamp("2026-01-01T00:00:00Z"); };
  return options;
}

void Planner::add_nodes() {
  for (int i = 1; i <= options_.nodes; ++i) {
    const std::string name = fmt::format("node{}", i);
    json::object node = new_document(k8s::resource<k8s::Node>(), "", name);
    set_labels(node["metadata"].as_object(), {{"kubernetes.io/hostname", name},
                                              {"kubernetes.io/os", "linux"},
                                              {"beta.kubernetes.io/os", "linux"},
                                              {"kubernetes.io/arch", "amd64"},
                                              {"beta.kubernetes.io/arch", "amd64"},
                                              {"topology.kubernetes.io/zone", fmt::format("z{}", (i - 1) % 3 + 1)},
                                              {"topology.kubernetes.io/region", "lab"}});
    json::array addresses;
    for (const char* base : {"192.0.2.0", "2001:db8:2::"}) {
      const auto address = net::IpAddress::parse(base)->plus(10 + i);
      if (has_family(address.is_v4()))
        addresses.push_back(json::object{{"type", "InternalIP"}, {"address", address.str()}});
    }
    addresses.push_back(json::object{{"type", "Hostname"}, {"address", name}});
    node["status"] = json::object{{"addresses", std::move(addresses)},
                                  {"conditions", json::array{{{"type", "Ready"}, {"status", "True"}}}}};
    (void)cluster_.create(k8s::resource<k8s::Node>(), std::move(node));
  }
}

void Planner::make_missing_namespaces(const std::vector<k8s::ManifestObject>& objects) {
  std::set<std::string> missing;
  for (const auto& object : objects) {
    if (object.type && object.type->namespaced &&
        !cluster_.get(k8s::resource<k8s::Namespace>(), {"", object.key.namespace_}))
      missing.insert(object.key.namespace_);
  }
  for (const auto& name : missing) {
    (void)cluster_.create(k8s::resource<k8s::Namespace>(), new_document(k8s::resource<k8s::Namespace>(), "", name));
    plan_.made_namespaces.push_back(name);
  }
}

Result<void> Planner::add(const k8s::ManifestObject& object) {
  json::object document = stored_form(object);
  const auto old = cluster_.get(*object.type, object.key);
  Result<Document> done;
  if (old) {
    // Something the cluster made itself (a namespace, kube-dns): kubectl apply would merge.
    json::value merged = *old;
    merge_patch(merged, document);
    done = cluster_.update(*object.type, std::move(merged.as_object()));
  } else {
    done = cluster_.create(*object.type, std::move(document));
  }
  // The addresses of a load balancer are what somebody outside of the cluster wrote there: nobody in a plan would.
  if (const auto* status = object.document.if_contains("status");
      done && status && object.type == &k8s::resource<k8s::Service>()) {
    json::object with_status = **done;
    with_status["status"] = *status;
    done = cluster_.update_status(*object.type, std::move(with_status));
  }
  if (!done)
    return fail(ErrorKind::kInvalid, "{}:{}: {} \"{}\" is invalid: {}", object.file, object.line, object.kind,
                object.key.name, done.error().message);
  plan_.sources[{object.kind, object.key}] = {object.file, object.line, object.lines};
  return {};
}

void Planner::settle() {
  do controllers_.run_until_idle();
  while (kubelet_.run() > 0);
}

void Planner::note_problems() {
  for (const auto& failure : controllers_.failures()) plan_.problems.push_back(failure.sentence);
  for (const auto& [key, pod] : plan_.snapshot.pods) {
    for (const auto& condition : pod->status.conditions) {
      if (condition.type == "PodScheduled" && condition.status == "False")
        plan_.problems.push_back(fmt::format("Pod {} has no node: {}", key.str(), condition.message));
    }
  }
}

Result<Plan> Planner::plan(const std::vector<k8s::ManifestObject>& objects) {
  std::string complaints;
  for (const auto& object : objects) {
    if (!object.type) {
      ++plan_.ignored[object.apiVersion + " " + object.kind];
      continue;
    }
    check(object, complaints);
    if (object.type == &k8s::resource<k8s::Service>()) allocation_.reserve(object.document);
  }
  if (!complaints.empty()) return fail(ErrorKind::kInvalid, "{}", complaints);

  add_nodes();
  TRY_VOID(controllers_.start());
  settle();
  // Namespaces first: the order of documents in a file is nobody's promise.
  for (const bool namespaces : {true, false}) {
    if (!namespaces) make_missing_namespaces(objects);
    for (const auto& object : objects) {
      if (object.type && (object.type == &k8s::resource<k8s::Namespace>()) == namespaces) TRY_VOID(add(object));
    }
  }
  settle();
  plan_.snapshot = snapshot_of(cluster_);
  note_problems();
  return std::move(plan_);
}

}  // namespace

k8s::Snapshot snapshot_of(const Cluster& cluster, uint64_t revision) {
  k8s::Snapshot snapshot;
  snapshot.revision = revision;
  snapshot.namespaces = decode_all<k8s::Namespace>(cluster);
  snapshot.nodes = decode_all<k8s::Node>(cluster);
  snapshot.pods = decode_all<k8s::Pod>(cluster);
  snapshot.services = decode_all<k8s::Service>(cluster);
  snapshot.endpointslices = decode_all<k8s::EndpointSlice>(cluster);
  snapshot.networkpolicies = decode_all<k8s::NetworkPolicy>(cluster);
  snapshot.clusternetworkpolicies = decode_all<k8s::ClusterNetworkPolicy>(cluster);
  snapshot.synced = true;
  return snapshot;
}

Result<Plan> make_plan(const std::vector<k8s::ManifestObject>& objects, const PlanOptions& options) {
  if (options.nodes < 1 || options.nodes > 200)
    return fail(ErrorKind::kInvalid, "a plan has 1 to 200 nodes, not {}", options.nodes);
  if (!options.ipv4 && !options.ipv6) return fail(ErrorKind::kInvalid, "a plan needs an address family");
  return Planner(options).plan(objects);
}

}  // namespace carrick::controllers
