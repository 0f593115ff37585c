#include "explain/explain.h"

#include <algorithm>

#include "explain/judge.h"
#include "explain/names.h"
#include "explain/resolvers.h"

namespace carrick::explain {
namespace {

class Explainer {
 public:
  Explainer(const World& world, const Question& question)
      : judge_(world), world_(world), q_(question), port_{q_.port, q_.protocol} {
    out_.question = question;
  }

  Answer run() {
    if (q_.from.kind == Party::Kind::kPod) {
      source_pod_ = judge_.pod(q_.from.object);
      if (source_pod_) node_ = source_pod_->node;
    } else {
      find_entry();
    }
    if (q_.from.kind == Party::Kind::kPod && !source_pod_)
      end(Verdict::kDeny, "name", fmt::format("{} has no network: it is not running on a node", q_.from.str()), {});
    else if (node_.empty())
      end(Verdict::kDeny, "route", "the cluster has no nodes", {});
    else if (aim())
      finish();
    return std::move(out_);
  }

 private:
  // False: there is nothing left to look at.
  bool end(Verdict verdict, const char* stage, std::string sentence, std::vector<desired::Owner> owners) {
    out_.verdict = verdict;
    out_.sentence = sentence;
    out_.decisions.push_back({stage, false, std::move(sentence), std::move(owners), {}, {}});
    return false;
  }

  // A client outside the cluster enters by the node that has the address, else by the first node; a node is where it
  // is.
  void find_entry() {
    outside_ = true;
    if (const auto* node = judge_.node_at(q_.from.address)) {
      node_ = *node;
      outside_ = false;
    } else if (const auto* target = q_.to.kind == Party::Kind::kAddress ? judge_.node_at(q_.to.address) : nullptr) {
      node_ = *target;
    } else if (const auto* place = q_.to.kind == Party::Kind::kPod ? judge_.pod(q_.to.object) : nullptr) {
      node_ = place->node;
    } else if (!world_.tables.empty()) {
      node_ = world_.tables.begin()->first;
    }
  }

  const desired::Tables& tables() const { return *judge_.tables(node_); }

  // The addresses that the question means; a path for each endpoint behind each.
  bool aim() {
    switch (q_.to.kind) {
      case Party::Kind::kPod:
        return aim_pod();
      case Party::Kind::kService:
        return aim_service();
      case Party::Kind::kName:
        return aim_name();
      case Party::Kind::kAddress:
        add_address(q_.to.address);
        return true;
    }
    return true;
  }

  bool usable(const net::IpAddress& address) const {
    if (!of_family(address, q_.family)) return false;
    if (!source_pod_) return address.is_v4() == q_.from.address.is_v4();
    return std::ranges::any_of(source_pod_->addresses, [&](const auto& own) { return own.is_v4() == address.is_v4(); });
  }

  // One address of those: the question's family, else IPv4 where both ends have it.
  void add_first(std::vector<net::IpAddress> addresses, bool all) {
    std::erase_if(addresses, [&](const auto& a) { return !usable(a); });
    if (q_.family == Family::kAny && std::ranges::any_of(addresses, [](const auto& a) { return a.is_v4(); }))
      std::erase_if(addresses, [](const auto& a) { return !a.is_v4(); });
    if (!all && addresses.size() > 1) addresses.resize(1);
    for (const auto& address : addresses) add_address(address);
  }

  bool aim_pod() {
    const auto* place = judge_.pod(q_.to.object);
    if (!place)
      return end(Verdict::kDeny, "route", fmt::format("{} has no network: it is not running on a node", q_.to.str()),
                 {});
    add_first(place->addresses, false);
    return no_family();
  }

  bool aim_service() {
    auto service = world_.snapshot->services.find(q_.to.object);
    if (service == world_.snapshot->services.end())
      return end(Verdict::kRefuse, "service", fmt::format("there is no Service {}", q_.to.object.str()), {});
    auto zone = fmt::format("{}.{}.svc", q_.to.object.name, q_.to.object.namespace_);
    auto row = tables().names.names.find(zone);
    if (row == tables().names.names.end() || !row->second.cname.empty()) {
      std::string why = row == tables().names.names.end()
                            ? "has no ready endpoint, so its name does not exist"
                            : "is an alias of " + row->second.cname + ", outside the cluster";
      return end(Verdict::kRefuse, "service", fmt::format("Service {} {}", q_.to.object.str(), why),
                 {{"Service", q_.to.object.namespace_, q_.to.object.name, {}}});
    }
    add_first(row->second.addresses, service->second->spec.clusterIP == "None");
    return no_family();
  }

  bool no_family() {
    if (out_.paths.empty() && out_.decisions.empty())
      return end(Verdict::kRefuse, "route",
                 fmt::format("{} and {} have no address family in common", q_.from.str(), q_.to.str()), {});
    return true;
  }

  bool aim_name() {
    const std::string home = q_.from.kind == Party::Kind::kPod ? q_.from.object.namespace_ : "default";
    Lookup found = look_up(tables().names, q_.to.name, home);
    if (source_pod_ && !ask_dns(found)) return false;
    if (!found.found)
      return end(Verdict::kRefuse, "name",
                 fmt::format("the name {} does not exist (asked from namespace {})", q_.to.name, home), {});
    if (!found.outside.empty() && found.full_name.empty())
      return end(Verdict::kRefuse, "name",
                 fmt::format("{} is no name of this cluster; what DNS servers outside say of it, Carrick does not know",
                             q_.to.name),
                 {});
    if (!found.outside.empty()) {
      out_.decisions.push_back(
          {"name",
           true,
           fmt::format("{} is answered by a DNS server outside the cluster; ask again with its address", found.outside),
           owners_of(found),
           {},
           {}});
      out_.sentence = fmt::format("{} leads outside the cluster, to {}: which address that is, Carrick does not know",
                                  q_.to.name, found.outside);
      return false;
    }
    if (found.addresses.empty())
      return end(Verdict::kRefuse, "name", fmt::format("the name {} exists, without an address", q_.to.name),
                 owners_of(found));
    out_.decisions.push_back({"name",
                              true,
                              fmt::format("{} is {}.{}", q_.to.name, found.full_name, tables().names.zone),
                              owners_of(found),
                              {},
                              {}});
    add_first(found.addresses, true);
    if (!out_.paths.empty() || out_.verdict != Verdict::kAllow) return true;
    return end(Verdict::kRefuse, "route",
               fmt::format("{} has no address of a family that {} has too", q_.to.name, q_.from.str()), {});
  }

  static std::vector<desired::Owner> owners_of(const Lookup& found) {
    return found.owner.kind.empty() ? std::vector<desired::Owner>() : std::vector<desired::Owner>{found.owner};
  }

  // Said before anything else: whoever cannot ask, or asks somebody who does not know, learns no name.
  bool ask_dns(const Lookup& found) {
    NameAccess access = name_access(judge_, *source_pod_);
    const bool of_cluster = found.found && !found.full_name.empty();
    if (access.verdict == Verdict::kAllow || (access.verdict == Verdict::kRefuse && !of_cluster)) return true;
    out_.verdict = access.verdict;
    out_.mixed = (access.possible & (access.possible - 1)) != 0;
    out_.sentence = access.verdict == Verdict::kDeny
                        ? fmt::format("{} cannot ask DNS, so it never learns where {} is", q_.from.str(), q_.to.name)
                        : access.decision.sentence;
    out_.decisions.push_back(std::move(access.decision));
    return false;
  }

  // A pod's own loopback is the pod; on a node it has frontends of its own (SVC-D7, HP-2).
  void add_loopback(const net::IpAddress& address) {
    const bool in_pod = source_pod_ && !source_pod_->host_network;
    const auto* row = in_pod ? nullptr : judge_.frontend(tables(), address, port_, desired::FrontendScope::kLoopback);
    if (row) return add_service(*row, address, node_);
    net::SocketAddress self{address, q_.port};
    for (const auto& own : in_pod ? source_pod_->addresses : world_.views.at(node_).addresses)
      if (own.is_v4() == address.is_v4()) self.address = own;
    add_path(self, {}, false);
  }

  void add_address(const net::IpAddress& address) {
    if (address.is_loopback() && !outside_) return add_loopback(address);
    auto scope = outside_ ? desired::FrontendScope::kExternal : desired::FrontendScope::kInternal;
    const auto* row = judge_.frontend(tables(), address, port_, scope);
    // Another node's NodePort is translated there, as traffic from outside (SVC-D8).
    const auto* other = judge_.node_at(address);
    std::string translating = node_;
    if (!row && other && *other != node_) {
      row = judge_.frontend(*judge_.tables(*other), address, port_, desired::FrontendScope::kExternal);
      translating = *other;
    }
    if (!row && wrong_port(address)) return;
    if (!row) return add_path({address, q_.port}, {}, false);
    add_service(*row, address, translating);
  }

  // A ClusterIP leads somewhere only on the ports of its Service, and nowhere where no Service has it (SVC-D4).
  bool wrong_port(const net::IpAddress& address) {
    Decision decision{"service", true, {}, {}, {}, {}};
    if (const auto* row =
            judge_.frontend(tables(), address, {0, net::Protocol::kAny}, desired::FrontendScope::kInternal)) {
      decision.owners = {row->owner};
      std::string name = row->owner.namespace_ + "/" + row->owner.name;
      refuse_service(std::move(decision), Verdict::kRefuse,
                     outside_ ? fmt::format("{} is the ClusterIP of Service {}, which only pods and nodes reach",
                                            address.str(), name)
                              : fmt::format("Service {} has no port {}", name, port_text(port_)));
      return true;
    }
    const auto* peer = judge_.peer(tables(), address);
    if (!peer || peer->kind != desired::PeerKind::kServiceCidr) return false;
    refuse_service(std::move(decision), Verdict::kDeny,
                   fmt::format("{} is in the range of ClusterIPs, and no Service has it", address.str()));
    return true;
  }

  void add_service(const desired::FrontendRow& row, const net::IpAddress& address, const std::string& translating) {
    Decision decision{"service", true, {}, {row.owner}, {}, {}};
    std::string name = fmt::format("{} ({})", row.owner.str(), net::SocketAddress{address, q_.port}.str());
    if (!row.source_ranges.empty() && !allowed_source(row)) {
      refuse_service(decision, Verdict::kDeny, name + ": the client is not in loadBalancerSourceRanges");
      return;
    }
    if (row.backends.empty()) {
      refuse_service(decision, row.drop_when_empty ? Verdict::kDeny : Verdict::kRefuse,
                     row.drop_when_empty ? name + " has endpoints, but none on node " + translating +
                                               ", and its traffic policy is Local"
                                         : name + " has no ready endpoint; the client is refused at once");
      return;
    }
    decision.sentence =
        fmt::format("{} leads to {} of {}{}", name,
                    row.backends.size() == 1 ? "the endpoint" : fmt::format("one of {} endpoints", row.backends.size()),
                    row.owner.namespace_ + "/" + row.owner.name, why_these(row, translating));
    out_.decisions.push_back(std::move(decision));
    for (const auto& backend : row.backends) {
      net::IpAddress seen_as;
      if (row.snat && backend.node_name != translating && !returned_directly(backend, translating))
        for (const auto& own : world_.views.at(translating).addresses)
          if (own.is_v4() == backend.address.is_v4()) seen_as = own;
      add_path({backend.address, backend.port}, seen_as, true);
    }
  }

  // A client outside of the cluster is answered by the backend's own node, which gets the connection as it came.
  bool returned_directly(const desired::Backend& backend, const std::string& translating) const {
    return outside_ && !judge_.pod_at(q_.from.address) && !backend.node_name.empty() &&
           world_.views.at(translating).returns_directly();
  }

  static std::string why_these(const desired::FrontendRow& row, const std::string& node) {
    using desired::EndpointRule;
    std::string out;
    switch (row.rule) {
      case EndpointRule::kReady:
        break;
      case EndpointRule::kHintedNode:
        out = fmt::format(", by the hints for node {}", node);
        break;
      case EndpointRule::kHintedZone:
        out = fmt::format(", by the hints for the zone of node {}", node);
        break;
      case EndpointRule::kTerminating:
        out = ", terminating, as none is ready";
        break;
      case EndpointRule::kLocal:
        out = fmt::format(" on node {}, as its traffic policy is Local", node);
        break;
      case EndpointRule::kLocalTerminating:
        out = fmt::format(" on node {}, as its traffic policy is Local; terminating, as none is ready there", node);
        break;
    }
    if (row.affinity_seconds && row.backends.size() > 1)
      out += fmt::format("; a client keeps its endpoint for {} s", row.affinity_seconds);
    return out;
  }

  void refuse_service(Decision decision, Verdict verdict, std::string sentence) {
    decision.passed = false;
    decision.sentence = sentence;
    if (out_.verdict == Verdict::kAllow) out_.verdict = verdict;
    out_.sentence = std::move(sentence);
    out_.decisions.push_back(std::move(decision));
  }

  bool allowed_source(const desired::FrontendRow& row) const {
    return std::ranges::any_of(row.source_ranges,
                               [&](const auto& range) { return range.contains(source_of(range.is_v4())); });
  }

  net::IpAddress source_of(bool v4) const {
    if (!source_pod_) return q_.from.address;
    const auto* own = source_pod_->address(v4 ? Family::kV4 : Family::kV6);
    return own ? *own : net::IpAddress();
  }

  // Pods are masqueraded towards the outside, and towards themselves behind a Service (SVC-D6).
  net::IpAddress seen_by(const net::IpAddress& target, bool through_service) const {
    const net::IpAddress source = source_of(target.is_v4());
    if (!source_pod_ || source_pod_->host_network) return source;
    bool itself = through_service && target == source, outside = !judge_.peer(tables(), target);
    if (itself || outside)
      for (const auto& own : world_.views.at(node_).addresses)
        if (own.is_v4() == target.is_v4()) return own;
    return source;
  }

  void add_path(net::SocketAddress target, const net::IpAddress& seen_as, bool through_service) {
    Path path;
    path.target = target;
    path.target_name = who(judge_, target.address);
    Connection connection{source_of(target.address.is_v4()), source_pod_, target, q_.protocol, seen_as, node_};
    path.seen_as = seen_as.is_unspecified() ? seen_by(target.address, through_service) : seen_as;
    path.verdict = judge_connection(judge_, connection, &path.decisions).verdict;
    out_.paths.push_back(std::move(path));
  }

  void finish() {
    if (out_.paths.empty()) return;
    std::set<Verdict> seen;
    for (const auto& path : out_.paths) seen.insert(path.verdict);
    out_.mixed = seen.size() > 1;
    out_.verdict = seen.contains(Verdict::kDeny)     ? Verdict::kDeny
                   : seen.contains(Verdict::kRefuse) ? Verdict::kRefuse
                                                     : Verdict::kAllow;
    std::string what = fmt::format("{} on {}", q_.to.str(), port_text(port_));
    if (out_.mixed) {
      auto good = std::ranges::count_if(out_.paths, [](const Path& path) { return path.verdict == Verdict::kAllow; });
      out_.sentence =
          fmt::format("{} reaches {} by {} of {} endpoints only", q_.from.str(), what, good, out_.paths.size());
      return;
    }
    if (out_.verdict == Verdict::kAllow) {
      out_.sentence = fmt::format("{} reaches {}", q_.from.str(), what);
      return;
    }
    const auto& last = out_.paths.front().decisions.back();
    const char* end = out_.verdict == Verdict::kDeny ? "the client times out" : "the client is refused at once";
    out_.sentence =
        fmt::format("{} does not reach {}: {} ({}: {})", q_.from.str(), what, end, last.stage, last.sentence);
  }

  Judge judge_;
  const World& world_;
  const Question& q_;
  desired::Listener port_;
  const PodPlace* source_pod_ = nullptr;
  std::string node_;  // where the packet is first looked at
  bool outside_ = false;
  Answer out_;
};

}  // namespace

std::string Party::str() const {
  switch (kind) {
    case Kind::kPod:
      return object.str();
    case Kind::kService:
      return object.namespace_ + "/svc/" + object.name;
    case Kind::kName:
      return name;
    case Kind::kAddress:
      return address.str();
  }
  return {};
}

Answer explain(const World& world, const Question& question) { return Explainer(world, question).run(); }

}  // namespace carrick::explain
