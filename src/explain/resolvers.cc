#include "explain/resolvers.h"

#include <algorithm>

#include "base/text.h"

namespace carrick::explain {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr size_t kMaxNameservers = 3;  // glibc reads no more, and kubelet writes no more

struct Resolver {
  net::IpAddress address;  // where the question ends: the node's DNS server stands for the cluster's ClusterIP
  enum class Kind { kCluster, kNode, kOther } kind = Kind::kOther;
};

class Access {
 public:
  Access(const Judge& judge, const PodPlace& pod)
      : judge_(judge), pod_(pod), view_(judge.world().views.at(pod.node)), spec_(pod.pod->spec) {}

  NameAccess run() {
    bool silent = false;
    for (const auto& resolver : resolvers()) {
      const auto* own = pod_.address(resolver.address.is_v4() ? Family::kV4 : Family::kV6);
      if (!own) continue;
      std::vector<Decision> steps;
      Connection ask{*own, &pod_, {resolver.address, kDnsPort}, net::Protocol::kUdp, {}, {}};
      Outcome outcome = judge_connection(judge_, ask, &steps);
      if (outcome.verdict == Verdict::kAllow) return answered(resolver);
      if (silent) continue;  // the first one that fails is the one to tell of
      silent = true;
      out_.owners = std::move(outcome.owners);
      out_.decision = std::move(steps.back());
      out_.decision.sentence = "asking DNS (53/udp): " + out_.decision.sentence;
    }
    if (!silent) out_.decision.sentence = "its resolv.conf names no DNS server of a family that it has";
    return end(Verdict::kDeny);
  }

 private:
  std::vector<net::IpAddress> cluster_addresses() const {
    std::vector<net::IpAddress> out;
    const auto& services = judge_.world().snapshot->services;
    if (auto found = services.find(view_.dns_service); found != services.end())
      for (const auto& text : found->second->spec.clusterIPs)
        if (auto address = net::IpAddress::parse(text)) out.push_back(*address);
    return out;
  }

  std::vector<Resolver> resolvers() const {
    const auto cluster = cluster_addresses();
    const auto& node = judge_.world().node_resolvers;
    auto first = uses_node() ? node : cluster;
    if (spec_.dnsPolicy == "None") first.clear();
    if (spec_.dnsConfig)
      for (const auto& text : spec_.dnsConfig->nameservers)
        if (auto address = net::IpAddress::parse(text); address && std::ranges::find(first, *address) == first.end())
          first.push_back(*address);
    if (first.size() > kMaxNameservers) first.resize(kMaxNameservers);
    std::vector<Resolver> out;
    for (const auto& address : first) {
      Resolver one{address};
      if (std::ranges::find(node, address) != node.end()) one.kind = Resolver::Kind::kNode;
      if (std::ranges::find(view_.dns_addresses, address) != view_.dns_addresses.end())
        one.kind = Resolver::Kind::kCluster;
      if (std::ranges::find(cluster, address) != cluster.end()) {
        one.kind = Resolver::Kind::kCluster;
        for (const auto& server : view_.dns_addresses)
          if (server.is_v4() == address.is_v4()) one.address = server;
      }
      out.push_back(one);
    }
    return out;
  }

  bool uses_node() const {
    if (spec_.dnsPolicy == "Default") return true;
    return pod_.host_network && spec_.dnsPolicy != "ClusterFirstWithHostNet";
  }

  NameAccess answered(const Resolver& resolver) {
    out_.decision = {};
    out_.owners.clear();
    if (resolver.kind == Resolver::Kind::kCluster) return end(Verdict::kAllow);
    const bool node = resolver.kind == Resolver::Kind::kNode;
    out_.decision.sentence =
        fmt::format("{} asks {} {} ({}), which knows no name of the cluster", pod_.pod->metadata.key().str(),
                    node ? "the resolver of its node," : "the DNS server", resolver.address.str(), why());
    // Whether a server of the pod's own choice answers at all, nobody here knows.
    if (!node) out_.possible |= bit(Verdict::kDeny);
    return end(Verdict::kRefuse);
  }

  std::string why() const {
    const std::string policy = spec_.dnsPolicy.empty() ? "ClusterFirst" : spec_.dnsPolicy;
    return fmt::format("{}dnsPolicy {}", pod_.host_network ? "hostNetwork, " : "", policy);
  }

  static uint8_t bit(Verdict verdict) { return static_cast<uint8_t>(1u << static_cast<unsigned>(verdict)); }

  NameAccess end(Verdict verdict) {
    out_.verdict = verdict;
    out_.possible |= bit(verdict);
    out_.decision.stage = "name";
    out_.decision.passed = verdict == Verdict::kAllow;
    return std::move(out_);
  }

  const Judge& judge_;
  const PodPlace& pod_;
  const desired::NodeView& view_;
  const k8s::PodSpec& spec_;
  NameAccess out_;
};

}  // namespace

NameAccess name_access(const Judge& judge, const PodPlace& pod) { return Access(judge, pod).run(); }

}  // namespace carrick::explain
