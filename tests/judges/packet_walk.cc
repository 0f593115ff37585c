#include "tests/judges/packet_walk.h"

#include <algorithm>

#include "desired/object_facts.h"

namespace carrick::testing {
namespace {

constexpr int kMaxHops = 8;

std::string line(std::string_view where, const std::string& frame) {
  auto view = net::parse_frame(frame);
  return fmt::format("  {:<24} {}\n", where, view ? view->str() : view.error().message);
}

// The program answered the sender: the addresses are swapped, and what is said is no.
bool is_refusal(const net::FrameView& came, const net::FrameView& out) {
  if (out.source != came.destination || out.destination != came.source) return false;
  if (out.protocol == net::Protocol::kTcp) return (out.tcp_flags & net::kRst) && !(came.tcp_flags & net::kRst);
  return (out.protocol == net::Protocol::kIcmp && out.icmp_type == 3) ||
         (out.protocol == net::Protocol::kIcmpV6 && out.icmp_type == 1);
}

}  // namespace

class PacketWalk::Hops {
 public:
  explicit Hops(const PacketWalk& walk) : walk_(walk) {}

  End from_pod(const std::string& node, uint32_t link, const std::string& frame) {
    ProgramRun run;
    if (!step(node, "from_pod", frame, link, link, run)) return std::move(out_);
    const auto to = destination(run.frame);
    if (run.action == Action::kPass) return stack(node, link, run.frame);
    const auto pod = walk_.pod_at(to);
    if (pod && pod->first == node) return reached_pod(node, pod->second, run);
    return fabric(run.frame);
  }

  // A process of the node sends.
  End from_process(const std::string& node, const std::string& frame) {
    const auto to = destination(frame);
    if (is_of_node(node, to)) return ended(EndKind::kNode, node, frame);
    return out_of_stack(node, 0, frame);
  }

  // A packet is between nodes.
  End fabric(const std::string& frame) {
    const auto to = destination(frame);
    std::string node;
    if (auto own = walk_.nodes_.find(to); own != walk_.nodes_.end()) node = own->second;
    if (auto routed = walk_.routes_.find(to); routed != walk_.routes_.end()) node = routed->second;
    for (const auto& [name, object] : walk_.world_.snapshot->nodes)
      for (const auto& cidr : desired::pod_cidrs(*object))
        if (cidr.contains(to)) node = name.name;
    if (node.empty()) return ended(is_outside(to) ? EndKind::kOutside : EndKind::kNowhere, "", frame);
    ProgramRun run;
    if (!step(node, "from_netdev", frame, kUplinkLink, kUplinkLink, run)) return std::move(out_);
    if (run.action == Action::kPass) return stack(node, kUplinkLink, run.frame);
    const auto pod = walk_.pod_at(destination(run.frame));
    if (pod && pod->first == node) return reached_pod(node, pod->second, run);
    return fabric(run.frame);
  }

 private:
  static net::IpAddress destination(const std::string& frame) {
    auto view = net::parse_frame(frame);
    return view ? view->destination : net::IpAddress();
  }

  bool is_of_node(const std::string& node, const net::IpAddress& address) const {
    auto own = walk_.nodes_.find(address);
    if (own != walk_.nodes_.end()) return own->second == node;
    const auto& view = walk_.world_.views.at(node);
    return std::ranges::find(view.dns_addresses, address) != view.dns_addresses.end();
  }

  End ended(EndKind kind, const std::string& node, const std::string& frame) {
    out_.kind = kind;
    out_.node = node;
    out_.frame = frame;
    out_.story += line(kind == EndKind::kNode      ? node + " process"
                       : kind == EndKind::kOutside ? "outside"
                                                   : "no route",
                       frame);
    return std::move(out_);
  }

  // False when the way ends here.
  bool step(const std::string& node, const char* program, const std::string& frame, uint32_t link,
            uint32_t ingress_link, ProgramRun& run) {
    out_.story += line(node + " " + program, frame);
    if (++hops_ > kMaxHops) {
      fail_with(EndKind::kNowhere, "goes round in circles");
      return false;
    }
    auto ran = walk_.planes_.at(node)->run(program, frame, link, ingress_link);
    if (!ran) {
      fail_with(EndKind::kBroken, ran.error().message);
      return false;
    }
    run = std::move(*ran);
    out_.node = node;
    if (run.action == Action::kDrop) {
      out_.frame = frame;
      fail_with(EndKind::kDropped, run.reason.empty() ? "dropped without a reason" : run.reason);
      return false;
    }
    auto came = net::parse_frame(frame), left = net::parse_frame(run.frame);
    if (!came || !left || !left->checksums_right) {
      fail_with(EndKind::kBroken, "what comes out is no frame with right checksums");
      return false;
    }
    if (run.action == Action::kRedirect && is_refusal(*came, *left)) {
      out_.frame = run.frame;
      out_.at_uplink = std::string_view(program) == "from_netdev";
      fail_with(EndKind::kRefused, run.reason);
      return false;
    }
    return true;
  }

  void fail_with(EndKind kind, std::string why) {
    out_.kind = kind;
    out_.reason = std::move(why);
    out_.story += "  " + out_.reason + "\n";
  }

  End reached_pod(const std::string& node, uint32_t link, const ProgramRun& run) {
    out_.story += line(fmt::format("{} pod {}", node, link), run.frame);
    out_.link = link;
    out_.frame = run.frame;
    out_.kind = EndKind::kPod;
    if (run.flow && (run.flow->delivery != DELIVER_POD || run.flow->ifindex != link))
      fail_with(EndKind::kBroken, fmt::format("addressed to the pod behind link {}, but delivered {} to link {}", link,
                                              run.flow->delivery, run.flow->ifindex));
    return std::move(out_);
  }

  // What the node's stack does with a packet that a program let through.
  End stack(const std::string& node, uint32_t ingress_link, const std::string& frame) {
    if (is_of_node(node, destination(frame))) return ended(EndKind::kNode, node, frame);
    return out_of_stack(node, ingress_link, frame);
  }

  End out_of_stack(const std::string& node, uint32_t ingress_link, const std::string& frame) {
    ProgramRun run;
    const auto pod = walk_.pod_at(destination(frame));
    if (pod && pod->first == node) {
      if (!step(node, "to_pod", frame, pod->second, ingress_link, run)) return std::move(out_);
      out_.story += line(fmt::format("{} pod {}", node, pod->second), run.frame);
      out_.link = pod->second;
      out_.frame = run.frame;
      out_.kind = EndKind::kPod;
      return std::move(out_);
    }
    if (!step(node, "to_netdev", frame, kUplinkLink, ingress_link, run)) return std::move(out_);
    return fabric(run.frame);
  }

  const PacketWalk& walk_;
  End out_;
  int hops_ = 0;
};

PacketWalk::PacketWalk(const explain::World& world, const Planes& planes, std::map<net::IpAddress, std::string> routes)
    : world_(world), planes_(planes), routes_(std::move(routes)) {
  for (const auto& [name, view] : world.views) {
    for (const auto& address : view.addresses) nodes_.emplace(address, name);
    for (const auto& [id, pod] : view.pods)
      for (const auto& address : pod.addresses) pods_.emplace(address, std::pair(name, pod.ifindex));
  }
}

std::optional<std::pair<std::string, uint32_t>> PacketWalk::pod_at(const net::IpAddress& address) const {
  auto found = pods_.find(address);
  return found == pods_.end() ? std::nullopt : std::optional(found->second);
}

End PacketWalk::from_pod(const std::string& node, uint32_t link, const net::Frame& frame) const {
  return Hops(*this).from_pod(node, link, frame.bytes());
}
End PacketWalk::from_process(const std::string& node, const net::Frame& frame) const {
  return Hops(*this).from_process(node, frame.bytes());
}
End PacketWalk::from_outside_bytes(const std::string& frame) const { return Hops(*this).fabric(frame); }

}  // namespace carrick::testing
