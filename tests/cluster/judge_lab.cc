#include "tests/cluster/judge_lab.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>

#include "desired/object_facts.h"
#include "kernel/netns.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/watch.h"

namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

constexpr auto kSettleLimit = std::chrono::seconds(60);
constexpr uint32_t kOutsideUplink = 2, kFirstFabricLink = 10;  // as src/lab/fabric makes them
const std::set<lab::Listener> kOutsideWeb = {
    {80, net::Protocol::kTcp}, {443, net::Protocol::kTcp}, {8080, net::Protocol::kTcp}, {7, net::Protocol::kUdp}};

using Counts = std::map<std::string, int>;

bool is_ready(const k8s::Pod& pod) {
  for (const auto& condition : pod.status.conditions)
    if (condition.type == "Ready") return condition.status == "True";
  return false;
}

// What must be equal in a plan and in a lab. Names that controllers choose differ, so workload pods are counted.
Counts facts_of(const k8s::Snapshot& snapshot) {
  Counts out;
  for (const auto& [key, object] : snapshot.namespaces) ++out["namespace " + key.name];
  for (const auto& [key, pod] : snapshot.pods)
    ++out[fmt::format("pod {} ready={} going={} addresses={}",
                      pod->metadata.ownerReferences.empty() ? key.str() : key.namespace_ + "/*", is_ready(*pod),
                      pod->metadata.deletionTimestamp.has_value(), pod->status.podIPs.size())];
  for (const auto& [key, service] : snapshot.services) ++out["service " + key.str()];
  for (const auto& [key, policy] : snapshot.networkpolicies) ++out["policy " + key.str()];
  for (const auto& [key, policy] : snapshot.clusternetworkpolicies) ++out["cluster policy " + key.str()];
  for (const auto& [key, slice] : snapshot.endpointslices) {
    auto service = slice->metadata.labels.find(k8s::kServiceNameLabel);
    if (service == slice->metadata.labels.end()) continue;
    for (const auto& endpoint : slice->endpoints) {
      const auto& c = endpoint.conditions;
      for (const auto& port : slice->ports)
        ++out[fmt::format("endpoint of {}/{} {} port={} ready={} serving={} terminating={}", key.namespace_,
                          service->second, slice->addressType, port.port.value_or(0), c.ready.value_or(true),
                          c.serving.value_or(true), c.terminating.value_or(false))];
    }
  }
  return out;
}

std::string difference(const Counts& plan, const Counts& lab) {
  for (const auto& [fact, count] : plan)
    if (auto found = lab.find(fact); found == lab.end() || found->second != count)
      return fmt::format("not yet: {} ({} of {})", fact, found == lab.end() ? 0 : found->second, count);
  for (const auto& [fact, count] : lab)
    if (!plan.contains(fact)) return "still: " + fact;
  return "";
}

std::string path_of(const k8s::ManifestObject& object) {
  return k8s::collection_path(*object.type, object.key.namespace_) + "/" + object.key.name;
}

}  // namespace

Result<std::unique_ptr<JudgeLab>> JudgeLab::start(const std::string& name, const testing::Scenario& shape) {
  Ended up = carrick(fmt::format("lab up --name {} --nodes {} --routing {} --lb-mode {} --timeout 60", name,
                                 shape.nodes, shape.routing, shape.lb_mode));
  if (up.code != 0) {
    carrick("lab down --name " + name);
    return fail(ErrorKind::kInternal, "lab up ended with {}: {}{}", up.code, up.out, up.err);
  }
  auto running = TRY(lab::find_running_lab(name));
  auto credentials = TRY(lab::connect(running));
  return std::unique_ptr<JudgeLab>(new JudgeLab(name, std::move(running), std::move(credentials)));
}

JudgeLab::~JudgeLab() { carrick("lab down --name " + name_); }

Result<void> JudgeLab::apply(const std::vector<k8s::ManifestObject>& objects) {
  lab::Manifests fresh;
  std::vector<const k8s::ManifestObject*> changed;
  std::set<std::string> there;
  auto snapshot = TRY(watch::fetch_snapshot(credentials_));
  for (const auto& [key, object] : snapshot.namespaces) there.insert(key.name);
  for (const auto& object : objects)
    if (object.kind == "Namespace") there.insert(object.key.name);
  for (const auto& object : objects) {
    if (!object.type) continue;
    if (object.kind == "Node") TRY_VOID(remember_node(object));
    if (object.kind == "Node" || is_made(object)) {
      changed.push_back(&object);
      continue;
    }
    if (object.type->namespaced && there.insert(object.key.namespace_).second) {
      fresh.missing_namespaces.push_back(object.key.namespace_);
      made_namespaces_.push_back(object.key.namespace_);
    }
    fresh.objects.push_back(object);
    made_.push_back(object);
  }
  TRY_VOID(lab::apply_manifests(credentials_, fresh));
  for (const auto* object : changed) TRY_VOID(merge(path_of(*object), object->document));
  // As a load balancer would, whose word the API server takes.
  for (const auto& object : objects)
    if (const auto* status = object.document.if_contains("status"); status && object.kind == "Service")
      TRY_VOID(merge(path_of(object) + "/status", json::object{{"status", *status}}));
  return {};
}

bool JudgeLab::is_made(const k8s::ManifestObject& object) const {
  return std::ranges::any_of(made_, [&](const auto& o) { return o.kind == object.kind && o.key == object.key; });
}

Result<void> JudgeLab::remember_node(const k8s::ManifestObject& object) {
  auto node = TRY(watch::request_once(credentials_, {.target = path_of(object), .body = {}}));
  const auto metadata = json::parse(node.body).at("metadata").as_object();
  nodes_before_.try_emplace(path_of(object), json::serialize(metadata.at("labels")));
  return {};
}

Result<void> JudgeLab::merge(const std::string& path, const json::object& patch) {
  TRY(watch::request_once(credentials_, {.method = "PATCH",
                                         .target = path,
                                         .body = json::serialize(patch),
                                         .content_type = "application/merge-patch+json"}));
  return {};
}

Result<void> JudgeLab::remove(const k8s::ManifestObject& object) {
  auto deleted = watch::request_once(credentials_,
                                     {.method = "DELETE",
                                      .target = path_of(object),
                                      .body = R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0})"});
  if (!deleted && deleted.error().kind != ErrorKind::kNotFound) return std::unexpected(deleted.error());
  std::erase_if(made_, [&](const auto& o) { return o.kind == object.kind && o.key == object.key; });
  return {};
}

Result<void> JudgeLab::clean() {
  // Namespaces last: what is in them goes by itself, but more slowly.
  for (bool namespaces : {false, true}) {
    auto all = made_;
    for (size_t i = all.size(); i-- > 0;)
      if (all[i].type && (all[i].kind == "Namespace") == namespaces) TRY_VOID(remove(all[i]));
  }
  made_.clear();
  for (const auto& name : std::exchange(made_namespaces_, {})) {
    auto deleted =
        watch::request_once(credentials_, {.method = "DELETE", .target = "/api/v1/namespaces/" + name, .body = {}});
    if (!deleted && deleted.error().kind != ErrorKind::kNotFound) return std::unexpected(deleted.error());
  }
  for (const auto& [path, labels] : std::exchange(nodes_before_, {})) {
    json::array patch{json::object{{"op", "replace"}, {"path", "/metadata/labels"}, {"value", json::parse(labels)}}};
    TRY(watch::request_once(credentials_, {.method = "PATCH",
                                           .target = path,
                                           .body = json::serialize(patch),
                                           .content_type = "application/json-patch+json"}));
  }
  if (!routes_.empty()) {
    auto netns = TRY(kernel::open_netns(fmt::format("/proc/{}/ns/net", running_.record.pid)));
    auto fabric = TRY(kernel::open_netlink(netns.get()));
    for (const auto& route : std::exchange(routes_, {})) TRY_VOID(fabric->apply({kernel::RemoveRoute{route}}));
  }
  return {};
}

std::string JudgeLab::what_is_missing(const explain::World& plan) const {
  auto snapshot = watch::fetch_snapshot(credentials_);
  if (!snapshot) return snapshot.error().message;
  if (auto text = difference(facts_of(*plan.snapshot), facts_of(*snapshot)); !text.empty()) return text;
  const std::string digest = fmt::format("{:016x}", k8s::digest(watch::for_tables(*snapshot)));
  std::map<std::string, int64_t> pods;
  for (const auto& [key, pod] : snapshot->pods) pods[pod->spec.nodeName] += !pod->spec.hostNetwork;
  for (const auto& door : lab::agent_doors(running_)) {
    auto answer = lab::ask_agent(door, "seen", 1000);
    if (!answer) return answer.error().message;
    if (answer->at("digest").as_string() != digest)
      return fmt::format("the agent of {} has not seen the newest objects", door.node);
    if (answer->at("pods").to_number<int64_t>() != pods[door.node])
      return fmt::format("the agent of {} has {} pods, not {}", door.node, answer->at("pods").to_number<int64_t>(),
                         pods[door.node]);
    if (!answer->at("realized").as_bool()) return fmt::format("the agent of {} has not realized all rows", door.node);
  }
  return "";
}

Result<void> JudgeLab::settle(const explain::World& plan) {
  auto limit = std::chrono::steady_clock::now() + kSettleLimit;
  for (;;) {
    std::string missing = what_is_missing(plan);
    if (missing.empty()) return {};
    if (std::chrono::steady_clock::now() > limit)
      return fail(ErrorKind::kTransient, "the lab does not become what the plan says within {} s: {}",
                  kSettleLimit.count(), missing);
    ::usleep(3000);  // between two questions
  }
}

Result<void> JudgeLab::have_outside(const net::SocketAddress& place, net::Protocol protocol) {
  auto [machine, added] = outside_.try_emplace(place.address);
  if (added) {
    auto netns = TRY(kernel::open_netns(running_.paths.outside_netns()));
    auto outside = TRY(kernel::open_netlink(netns.get()));
    TRY_VOID(outside->apply({kernel::AddAddress{{kOutsideUplink, place.address, place.address.is_v4() ? 32 : 128}}}));
  }
  lab::Listener listener{place.port, protocol};
  if (place.port == 0 || kOutsideWeb.contains(listener) || !machine->second.insert(listener).second) return {};
  auto responder = TRY(lab::ResponderClient::connect(running_.paths.responder_socket()));
  lab::LabPaths inside{running_.paths.name, ""};
  const std::string name = place.address.str();
  auto errors = TRY(responder.set(
      {"outside/" + name, "outside", name, "outside", inside.outside_netns(), machine->second, place.address}));
  if (!errors.empty()) return fail(ErrorKind::kInternal, "{} outside: {}", name, errors.front());
  return {};
}

Result<void> JudgeLab::route(const net::IpAddress& address, const std::string& node) {
  for (const auto& plan : lab::plan_nodes(running_.record.config)) {
    if (plan.name != node) continue;
    auto netns = TRY(kernel::open_netns(fmt::format("/proc/{}/ns/net", running_.record.pid)));
    auto fabric = TRY(kernel::open_netlink(netns.get()));
    kernel::Route route{.destination = net::Prefix::host(address),
                        .ifindex = kFirstFabricLink + static_cast<uint32_t>(plan.index),
                        .onlink = true};
    for (const auto& own : plan.addresses)
      if (own.is_v4() == address.is_v4()) route.via = own;
    routes_.push_back(route);
    return fabric->apply({kernel::AddRoute{route}});
  }
  return fail(ErrorKind::kInvalid, "there is no node {}", node);
}

Result<explain::World> JudgeLab::world() const {
  auto snapshot = std::make_shared<const k8s::Snapshot>(TRY(watch::fetch_snapshot(credentials_)));
  return explain::make_world(std::move(snapshot), {.routing = running_.record.config.vxlan ? desired::Routing::kVxlan
                                                                                           : desired::Routing::kNative,
                                                   .dsr = running_.record.config.dsr});
}

}  // namespace carrick::cluster_tests
