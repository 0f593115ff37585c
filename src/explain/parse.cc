#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "desired/object_facts.h"
#include "explain/judge.h"

namespace carrick::explain {
namespace {

// Outside of every cluster of ours: TEST-NET-3, and its twin.
constexpr const char* kOutside = "203.0.113.1";

const std::map<std::string, std::string, std::less<>>& kinds() {
  static const std::map<std::string, std::string, std::less<>> kKinds = {{"po", "Pod"},
                                                                         {"pod", "Pod"},
                                                                         {"pods", "Pod"},
                                                                         {"svc", "Service"},
                                                                         {"service", "Service"},
                                                                         {"services", "Service"},
                                                                         {"deploy", "Deployment"},
                                                                         {"deployment", "Deployment"},
                                                                         {"deployments", "Deployment"},
                                                                         {"sts", "StatefulSet"},
                                                                         {"statefulset", "StatefulSet"},
                                                                         {"statefulsets", "StatefulSet"},
                                                                         {"ds", "DaemonSet"},
                                                                         {"daemonset", "DaemonSet"},
                                                                         {"daemonsets", "DaemonSet"},
                                                                         {"rs", "ReplicaSet"},
                                                                         {"replicaset", "ReplicaSet"},
                                                                         {"replicasets", "ReplicaSet"},
                                                                         {"job", "Job"},
                                                                         {"jobs", "Job"}};
  return kKinds;
}

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t next = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = std::exchange(row[j], next);
    }
  }
  return row[b.size()];
}

// Workload that made a pod: a ReplicaSet's name without its hash is the Deployment.
bool made_by(const k8s::Pod& pod, std::string_view kind, std::string_view name) {
  for (const auto& owner : pod.metadata.ownerReferences) {
    if ((kind.empty() || owner.kind == kind) && owner.name == name) return true;
    if (owner.kind == "ReplicaSet" && (kind.empty() || kind == "Deployment") &&
        owner.name.substr(0, owner.name.rfind('-')) == name)
      return true;
  }
  return false;
}

class Resolver {
 public:
  Resolver(const World& world, std::string_view text, bool as_source)
      : world_(world), text_(text), as_source_(as_source) {}

  Result<std::vector<Party>> run() {
    if (text_.empty()) return fail(ErrorKind::kInvalid, "an empty name is no pod, service or address");
    if (text_ == "outside") return address(net::IpAddress::parse(kOutside).value());
    if (auto ip = net::IpAddress::parse(text_)) return address(*ip);
    auto parts = split(text_, '/');
    if (parts.size() == 1) return std::ranges::count(text_, '.') ? name() : plain("default", text_);
    if (parts.size() == 2) {
      auto kind = kinds().find(parts[0]);
      if (kind != kinds().end() && !world_.snapshot->namespaces.contains({"", std::string(parts[0])}))
        return typed("default", kind->second, parts[1]);
      return plain(parts[0], parts[1]);
    }
    if (parts.size() != 3)
      return fail(ErrorKind::kInvalid, "\"{}\" is not ns/pod, ns/deploy/NAME, ns/svc/NAME, a DNS name or an address",
                  text_);
    auto kind = kinds().find(parts[1]);
    if (kind == kinds().end())
      return fail(ErrorKind::kInvalid, "\"{}\": {} is not a kind that has pods (pod, deploy, sts, ds, rs, job) nor svc",
                  text_, parts[1]);
    return typed(parts[0], kind->second, parts[2]);
  }

 private:
  static std::vector<Party> party(Party::Kind kind, k8s::NamespacedName object) {
    return {Party{kind, std::move(object), {}, {}}};
  }

  Result<std::vector<Party>> address(const net::IpAddress& ip) {
    for (const auto& [key, pod] : world_.snapshot->pods)
      if (!pod->spec.hostNetwork && !desired::is_finished(*pod))
        for (const auto& own : desired::addresses_of(*pod))
          if (own == ip) return party(Party::Kind::kPod, key);
    return std::vector<Party>{Party{Party::Kind::kAddress, {}, {}, ip}};
  }

  Result<std::vector<Party>> name() {
    if (as_source_)
      return fail(ErrorKind::kInvalid, "\"{}\": a DNS name makes no connections; name a pod, a workload or an address",
                  text_);
    return std::vector<Party>{Party{Party::Kind::kName, {}, std::string(text_), {}}};
  }

  std::vector<Party> pods(std::string_view ns, const std::function<bool(const k8s::Pod&)>& wanted) const {
    std::vector<Party> out;
    for (auto at = world_.snapshot->pods.lower_bound({std::string(ns), ""});
         at != world_.snapshot->pods.end() && at->first.namespace_ == ns; ++at)
      if (!desired::is_finished(*at->second) && wanted(*at->second))
        out.push_back(Party{Party::Kind::kPod, at->first, {}, {}});
    return out;
  }

  // ns/NAME: the pod; else what a person is likely to mean by it: the workload, then the Service.
  Result<std::vector<Party>> plain(std::string_view ns, std::string_view name) {
    k8s::NamespacedName key{std::string(ns), std::string(name)};
    if (world_.snapshot->pods.contains(key)) return party(Party::Kind::kPod, key);
    auto made = pods(ns, [&](const k8s::Pod& pod) { return made_by(pod, {}, name); });
    if (!made.empty()) return made;
    if (world_.snapshot->services.contains(key)) return typed(ns, "Service", name);
    return unknown("pod");
  }

  Result<std::vector<Party>> typed(std::string_view ns, std::string_view kind, std::string_view name) {
    k8s::NamespacedName key{std::string(ns), std::string(name)};
    if (kind == "Pod")
      return world_.snapshot->pods.contains(key) ? Result<std::vector<Party>>(party(Party::Kind::kPod, key))
                                                 : unknown("pod");
    if (kind == "Service") {
      auto service = world_.snapshot->services.find(key);
      if (service == world_.snapshot->services.end()) return unknown("Service");
      if (!as_source_) return party(Party::Kind::kService, key);
      auto behind = pods(ns, [&](const k8s::Pod& pod) {
        return !service->second->spec.selector.empty() &&
               k8s::matches(service->second->spec.selector, pod.metadata.labels);
      });
      if (behind.empty())
        return fail(ErrorKind::kInvalid, "no pod is behind Service {}, so nothing can be asked from there", key.str());
      return behind;
    }
    auto made = pods(ns, [&](const k8s::Pod& pod) { return made_by(pod, kind, name); });
    if (made.empty()) return unknown(kind);
    return made;
  }

  std::unexpected<Error> unknown(std::string_view what) const {
    std::string best;
    size_t least = text_.size() / 2 + 2;
    auto consider = [&](const std::string& candidate) {
      for (std::string_view shown :
           {std::string_view(candidate),
            candidate.starts_with("default/") ? std::string_view(candidate).substr(8) : std::string_view(candidate)})
        if (size_t d = distance(text_, shown); d < least) least = d, best = candidate;
    };
    for (const auto& [key, pod] : world_.snapshot->pods) {
      consider(key.str());
      for (const auto& owner : pod->metadata.ownerReferences) {
        bool hashed = owner.kind == "ReplicaSet";
        std::string name = hashed ? owner.name.substr(0, owner.name.rfind('-')) : owner.name;
        consider(key.namespace_ + "/" + name);
        consider(fmt::format("{}/{}/{}", key.namespace_,
                             hashed                        ? "deploy"
                             : owner.kind == "StatefulSet" ? "sts"
                                                           : lower(owner.kind),
                             name));
      }
    }
    for (const auto& [key, service] : world_.snapshot->services) consider(key.namespace_ + "/svc/" + key.name);
    return best.empty() ? fail(ErrorKind::kInvalid, "there is no {} \"{}\"", what, text_)
                        : fail(ErrorKind::kInvalid, "there is no {} \"{}\"; did you mean \"{}\"?", what, text_, best);
  }

  const World& world_;
  std::string_view text_;
  bool as_source_;
};

}  // namespace

Result<std::vector<Party>> parse_party(const World& world, std::string_view text, bool as_source) {
  return Resolver(world, text, as_source).run();
}

Result<desired::Listener> parse_port(std::string_view text) {
  size_t slash = text.find('/');
  std::string_view digits = text.substr(0, slash);
  desired::Listener out;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  bool good = error == std::errc() && end == digits.data() + digits.size() && out.port != 0;
  if (good && slash != std::string_view::npos) {
    auto protocol = net::parse_protocol(text.substr(slash + 1));
    good = protocol.has_value();
    if (good) out.protocol = *protocol;
  }
  if (!good) return fail(ErrorKind::kInvalid, "\"{}\" is not a port; write 80, 80/tcp or 53/udp", text);
  return out;
}

std::vector<desired::Listener> ports_of(const World& world, const Party& to) {
  std::set<desired::Listener> out;
  auto service_ports = [&](const k8s::NamespacedName& key) {
    auto service = world.snapshot->services.find(key);
    if (service == world.snapshot->services.end()) return;
    for (const auto& port : service->second->spec.ports)
      if (port.port > 0) out.insert({static_cast<uint16_t>(port.port), desired::protocol_or_tcp(port.protocol)});
  };
  if (to.kind == Party::Kind::kPod) {
    if (auto found = world.listeners.find(to.object); found != world.listeners.end()) out = found->second;
  } else if (to.kind == Party::Kind::kService) {
    service_ports(to.object);
  } else if (to.kind == Party::Kind::kName) {  // name[.namespace[.svc...]]
    auto labels = split(to.name, '.');
    if (labels.size() >= 2) service_ports({std::string(labels[1]), std::string(labels[0])});
  } else {
    for (const auto& [name, tables] : world.tables)
      for (const auto& [key, row] : tables.frontends)
        if (key.address == to.address) out.insert({key.port, key.protocol});
  }
  return {out.begin(), out.end()};
}

}  // namespace carrick::explain
