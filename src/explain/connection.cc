#include "base/text.h"
#include "explain/judge.h"

// The way of one packet after services have been translated: egress policy, route, ingress policy, listener.
namespace carrick::explain {
namespace {

using desired::Direction;
using desired::PeerKind;

class Way {
 public:
  Way(const Judge& judge, const Connection& connection, std::vector<Decision>* decisions)
      : judge_(judge), c_(connection), decisions_(decisions), port_{connection.target.port, connection.protocol} {}

  Outcome run() {
    if (c_.source == c_.target.address && c_.source_pod) return itself();
    if (!egress() || !route() || !ingress()) return std::move(out_);
    listener();
    return std::move(out_);
  }

 private:
  bool end(Verdict verdict, std::vector<desired::Owner> owners) {
    out_.verdict = verdict;
    out_.owners = std::move(owners);
    return false;
  }

  // Sentences cost more than verdicts: they are made only when somebody reads them.
  template <class Make>
  void say(const char* stage, bool passed, const std::vector<desired::Owner>& owners, Make&& sentence) {
    if (!decisions_) return;
    Decision decision;
    decision.stage = stage;
    decision.passed = passed;
    decision.sentence = sentence();
    decision.owners = owners;
    decisions_->push_back(std::move(decision));
  }

  // NP-12: never judged; packets to the own address do not leave the pod.
  Outcome itself() {
    say("egress", true, {}, [] { return std::string("a pod always reaches itself; policies are not asked"); });
    listener();
    return std::move(out_);
  }

  bool policy(const char* stage, const desired::Tables& tables, const desired::PodRow& subject, Direction direction,
              const net::IpAddress& peer) {
    const bool ingress = direction == Direction::kIngress;
    Ruling ruling = judge_.rule(tables, subject, direction, peer, port_);
    std::string name = fmt::format("{}/{}", subject.owner.namespace_, subject.owner.name);
    say(stage, ruling.allowed, ruling.owners, [&]() -> std::string {
      if (ruling.decider == Ruling::Decider::kNobody)
        return fmt::format("no policy isolates {} for {}{}", name, stage, passed_by(ruling));
      if (ruling.by_cluster_policy()) return by_cluster_policy(ruling, name, ingress, peer) + passed_by(ruling);
      if (ruling.allowed)
        return fmt::format("{} may {} {} on {}", name, ingress ? "be reached by" : "reach", who(judge_, peer),
                           port_text(port_));
      if (ingress)
        return fmt::format("{} is isolated for ingress, and no rule lets {} in on {}", name, who(judge_, peer),
                           port_text(port_));
      return fmt::format("{} is isolated for egress, and no rule lets it reach {} on {}", name, who(judge_, peer),
                         port_text(port_));
    });
    if (ruling.allowed) {
      out_.owners.insert(out_.owners.end(), ruling.owners.begin(), ruling.owners.end());
      return true;
    }
    if (decisions_ && !ruling.by_cluster_policy())
      describe_nearest(judge_, tables, subject, direction, peer, port_, decisions_->back());
    return end(Verdict::kDeny, std::move(ruling.owners));
  }

  static std::string passed_by(const Ruling& ruling) {
    return ruling.passed.empty() ? "" : fmt::format(" ({} passes it on)", ruling.passed.front().str());
  }

  std::string by_cluster_policy(const Ruling& ruling, const std::string& name, bool ingress,
                                const net::IpAddress& peer) const {
    const char* tier = ruling.decider == Ruling::Decider::kAdmin ? "Admin" : "Baseline";
    const std::string port = port_text(port_);
    if (ruling.allowed)
      return ingress
                 ? fmt::format("{} may be reached by {} on {}: tier {} accepts it", name, who(judge_, peer), port, tier)
                 : fmt::format("{} may reach {} on {}: tier {} accepts it", name, who(judge_, peer), port, tier);
    return ingress ? fmt::format("tier {} denies {} to reach {} on {}", tier, who(judge_, peer), name, port)
                   : fmt::format("tier {} denies {} to reach {} on {}", tier, name, who(judge_, peer), port);
  }

  bool blocked(const char* stage, const desired::PodRow& row) {
    say(stage, false, {row.owner},
        [&] { return fmt::format("{} is closed until its object is known to the node", row.owner.str()); });
    return end(Verdict::kDeny, {row.owner});
  }

  bool egress() {
    if (!c_.source_pod || c_.source_pod->host_network) {
      say("egress", true, {}, [&] {
        return std::string(c_.source_pod ? "a pod in the node's own network has no policy"
                                         : "the client is no pod of this cluster");
      });
      return true;
    }
    const auto* tables = judge_.tables(c_.source_pod->node);
    const auto* row = judge_.local_pod(*tables, c_.source);
    if (!row) {
      say("egress", false, {},
          [&] { return fmt::format("{} is not plumbed on node {}", who(judge_, c_.source), c_.source_pod->node); });
      return end(Verdict::kDeny, {});
    }
    if (row->blocked) return blocked("egress", *row);
    return policy("egress", *tables, *row, Direction::kEgress, c_.target.address);
  }

  bool route() {
    const std::string& from = c_.source_pod ? c_.source_pod->node : c_.entry_node;
    const auto* tables = judge_.tables(from);
    const auto* peer = tables ? judge_.peer(*tables, c_.target.address) : nullptr;
    const net::IpAddress& target = c_.target.address;
    if (!tables || !peer) {
      say("route", true, {}, [&] {
        return fmt::format("{} is outside the cluster; the packet leaves with the address of node {}", target.str(),
                           from);
      });
      return true;
    }
    switch (peer->kind) {
      case PeerKind::kLocalPod:
        say("route", true, {}, [&] { return fmt::format("same node, {}", from); });
        return true;
      case PeerKind::kRemotePod:
      case PeerKind::kRemotePodCidr:
      case PeerKind::kRemoteNode:
        return remote(from, *peer);
      case PeerKind::kThisNode:
        say("route", true, {}, [&] { return fmt::format("the node itself, {}", from); });
        return true;
      case PeerKind::kNodeDns:
        say("route", true, {}, [&] { return fmt::format("DNS server of node {}", from); });
        return true;
      case PeerKind::kServiceCidr:
        say("route", false, {}, [&] { return fmt::format("no Service has the address {}", target.str()); });
        return end(Verdict::kDeny, {});
      case PeerKind::kLocalPodCidr:
        break;
    }
    say("route", false, {peer->owner},
        [&] { return fmt::format("no pod of node {} has the address {}", from, target.str()); });
    return end(Verdict::kDeny, {peer->owner});
  }

  bool remote(const std::string& from, const desired::PeerRow& peer) {
    if (peer.kind != PeerKind::kRemoteNode && !judge_.pod_at(c_.target.address)) {
      say("route", false, {peer.owner},
          [&] { return fmt::format("no pod has the address {}", c_.target.address.str()); });
      return end(Verdict::kDeny, {peer.owner});
    }
    if (peer.kind == PeerKind::kRemotePod && peer.node.is_unspecified()) {
      say("route", false, {peer.owner}, [&] { return std::string("the node of the pod has no address"); });
      return end(Verdict::kDeny, {peer.owner});
    }
    say("route", true, {}, [&] {
      const auto* place = judge_.pod_at(c_.target.address);
      return fmt::format("node {} to node {}", from, place ? place->node : peer.owner.name.str());
    });
    return true;
  }

  bool ingress() {
    const auto* place = judge_.pod_at(c_.target.address);
    if (!place) return true;
    const auto* tables = judge_.tables(place->node);
    const auto* row = judge_.local_pod(*tables, c_.target.address);
    if (!row) {
      say("ingress", false, {},
          [&] { return fmt::format("{} is not plumbed on node {}", who(judge_, c_.target.address), place->node); });
      return end(Verdict::kDeny, {});
    }
    if (row->blocked) return blocked("ingress", *row);
    bool translated = !c_.seen_as.is_unspecified();
    const net::IpAddress& source = translated ? c_.seen_as : c_.source;
    const auto* peer = judge_.peer(*tables, source);
    // NP-10; but a client outside that only wears the node's address is not the node (NP-14).
    if (peer && peer->kind == PeerKind::kThisNode && !translated) {
      say("ingress", true, {}, [&] { return fmt::format("its own node, {}, always reaches a pod", place->node); });
      return true;
    }
    return policy("ingress", *tables, *row, Direction::kIngress, source);
  }

  void listener() {
    const auto& target = c_.target.address;
    const bool pod = judge_.pod_at(target), node = judge_.node_at(target);
    if (!pod && !node) {
      const auto* tables = judge_.tables(c_.source_pod ? c_.source_pod->node : c_.entry_node);
      const auto* peer = tables ? judge_.peer(*tables, target) : nullptr;
      bool dns = peer && peer->kind == PeerKind::kNodeDns;
      say("listener", true, {}, [&] {
        return std::string(dns ? "the node's DNS server answers" : "who listens there is not for Carrick to know");
      });
      return;
    }
    bool open = judge_.listens(target, port_);
    say("listener", open, {}, [&] {
      return fmt::format("{} {} on {}", who(judge_, target), open ? "listens" : "does not listen", port_text(port_));
    });
    if (!open) end(Verdict::kRefuse, {});
  }

  const Judge& judge_;
  const Connection& c_;
  std::vector<Decision>* decisions_;
  desired::Listener port_;
  Outcome out_;
};

}  // namespace

Outcome judge_connection(const Judge& judge, const Connection& connection, std::vector<Decision>* decisions) {
  return Way(judge, connection, decisions).run();
}

}  // namespace carrick::explain
