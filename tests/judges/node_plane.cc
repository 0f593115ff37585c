#include "tests/judges/node_plane.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <cerrno>
#include <cstring>

#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "realize/encode.h"

namespace carrick::testing {
namespace {

constexpr uint32_t kFarEnds = 5000;

Result<void> make_link(kernel::Netlink& netlink, uint32_t number) {
  kernel::CreateVeth veth;
  veth.here = {.name = fmt::format("t{}", number), .ifindex = number};
  veth.there = {.name = fmt::format("p{}", number), .ifindex = number + kFarEnds};
  TRY(netlink.create_veth(veth));
  return {};
}

// Key of a frame as the program's parser makes it; none for ICMP errors, which have no entry of their own.
std::optional<flow_key> key_of(const std::string& program, const std::string& frame, uint32_t link) {
  auto view = net::parse_frame(frame);
  if (!view || view->protocol == net::Protocol::kIcmp || view->protocol == net::Protocol::kIcmpV6) return std::nullopt;
  flow_key key{};
  key.tuple.src = realize::wire_of(view->source);
  key.tuple.dst = realize::wire_of(view->destination);
  key.tuple.sport_be = __builtin_bswap16(view->source_port);
  key.tuple.dport_be = __builtin_bswap16(view->destination_port);
  key.protocol = static_cast<uint8_t>(view->protocol);
  key.hook = program == "from_pod"      ? HOOK_FROM_POD
             : program == "to_pod"      ? HOOK_TO_POD
             : program == "from_netdev" ? HOOK_FROM_NET
                                        : HOOK_TO_NET;
  key.ifindex = key.hook == HOOK_FROM_POD || key.hook == HOOK_TO_POD ? link : 0;
  return key;
}

}  // namespace

Result<void> enter_namespace_of_our_own() {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "new network namespace");
  // No duplicate address detection, and packets may be forwarded, as on every node.
  TRY_VOID(kernel::write_sysctls(
      -1, std::vector<kernel::Sysctl>{{"net/ipv4/ip_forward", "1"}, {"net/ipv6/conf/all/forwarding", "1"}}));
  auto netlink = TRY(kernel::open_netlink());
  TRY_VOID(make_link(*netlink, kUplinkLink));
  return netlink->apply(
      {kernel::SetLink{.link = 1, .up = true}, kernel::SetLink{.link = kUplinkLink, .up = true},
       kernel::SetLink{.link = kUplinkLink + kFarEnds, .up = true},
       kernel::AddAddress{{kUplinkLink, net::IpAddress::parse("198.18.0.1").value(), 32}},
       kernel::AddAddress{{kUplinkLink, net::IpAddress::parse("2001:db8:ffff::1").value(), 128}},
       kernel::AddRoute{{.destination = net::Prefix::parse("0.0.0.0/0").value(), .ifindex = kUplinkLink}},
       kernel::AddRoute{{.destination = net::Prefix::parse("::/0").value(), .ifindex = kUplinkLink}}});
}

Result<void> make_links(uint32_t last) {
  static uint32_t made = 1;
  auto netlink = TRY(kernel::open_netlink());
  for (; made < last; ++made) TRY_VOID(make_link(*netlink, made + 1));
  return {};
}

Result<std::unique_ptr<NodePlane>> NodePlane::load() {
  auto programs = TRY(kernel::load_programs({.pin_directory = "", .sizes = kernel::MapSizes::lab()}));
  std::unique_ptr<NodePlane> out(new NodePlane(std::move(programs)));
  out->realizer_ = TRY(realize::Realizer::create(*out->programs_));
  return out;
}

Result<void> NodePlane::realize(const desired::Tables& tables, const std::vector<net::IpAddress>& addresses) {
  for (const char* name : {"flows", "fragments", "affinity", "sockets"}) {
    auto* map = programs_->map(name);
    std::vector<std::string> keys;
    for (auto& entry : TRY(map->read_all())) keys.push_back(std::move(entry.key));
    if (auto removed = map->remove(keys); removed.error) return std::unexpected(*removed.error);
  }
  desired::Tables mine = tables;
  mine.revision = ++revision_;
  mine.prune = true;
  auto status = TRY(realizer_->apply(
      mine, {.uplink_ifindex = kUplinkLink, .netns_cookie = TRY(kernel::own_netns_cookie()), .addresses = addresses}));
  if (!status.failures.empty())
    return fail(ErrorKind::kInternal, "{}: {}", status.failures.front().table, status.failures.front().error.message);
  return {};
}

Result<ProgramRun> NodePlane::run(const std::string& program, const std::string& frame, uint32_t link,
                                  uint32_t ingress_link) {
  TRY(programs_->read_events([](const drop_event&) {}));
  __sk_buff context{};
  context.ifindex = link;
  context.ingress_ifindex = ingress_link;
  ProgramRun out;
  out.frame.resize(frame.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out.frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(out.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof context);
  if (const int failed = bpf_prog_test_run_opts(kernel::program_fd(*programs_, program), &options))
    return fail(ErrorKind::kInternal, "BPF_PROG_TEST_RUN of {}: {}", program, std::strerror(-failed));
  out.frame.resize(options.data_size_out);
  out.action = static_cast<Action>(options.retval);
  TRY(programs_->read_events([&](const drop_event& event) { out.reason = kernel::drop_word(event.reason); }));
  if (auto key = key_of(program, frame, link)) {
    auto found = TRY(programs_->map("flows")->lookup(realize::bytes_of(*key)));
    if (found && found->size() == sizeof(flow_value)) {
      out.flow.emplace();
      std::memcpy(&*out.flow, found->data(), sizeof(flow_value));
    }
  }
  return out;
}

}  // namespace carrick::testing
