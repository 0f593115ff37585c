#include "kernel/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/cgroups.h"
#include "kernel/link_programs.h"
#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "kernel/programs.h"

namespace carrick::kernel {
namespace {

using Probe = std::function<Result<void>()>;

Result<void> root() {
  if (geteuid() == 0) return {};
  return fail(ErrorKind::kUnsupported, "running as user {}", geteuid());
}

Result<Fd> trivial_program(bpf_prog_type type, std::optional<bpf_attach_type> attach) {
  const bpf_insn body[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
                           {.code = BPF_JMP | BPF_EXIT}};
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  if (attach) options.expected_attach_type = *attach;
  Fd program(bpf_prog_load(type, "carrick_check", "Apache-2.0", body, std::size(body), &options));
  if (!program) return fail(ErrorKind::kUnsupported, "bpf(2), load a program: {}", std::strerror(errno));
  return program;
}

Result<void> map_type(bpf_map_type type) {
  const int found = libbpf_probe_bpf_map_type(type, nullptr);
  if (found == 1) return {};
  return fail(ErrorKind::kUnsupported, "{}",
              found < 0 ? std::strerror(-found) : "the kernel does not know the map type");
}

Result<void> helper(bpf_prog_type type, bpf_func_id id) {
  const int found = libbpf_probe_bpf_helper(type, id, nullptr);
  if (found == 1) return {};
  return fail(ErrorKind::kUnsupported, "{}",
              found < 0 ? std::strerror(-found) : "the verifier does not know the helper");
}

// Everything below runs in a namespace that exists for the probes alone.
Result<void> veth() {
  auto netlink = TRY(open_netlink());
  CreateVeth pair;
  pair.here = {.name = "probe0", .ifindex = 10};
  pair.there = {.name = "probe1", .ifindex = 11};
  TRY_VOID(netlink->create_veth(pair));
  return {};
}

Result<void> vxlan() {
  auto netlink = TRY(open_netlink());
  CreateVxlan device;
  device.name = "probe2";
  device.up = false;
  return netlink->apply({device});
}

Result<void> ipv6() {
  if (access("/proc/sys/net/ipv6", F_OK) == 0) return {};
  return fail(ErrorKind::kUnsupported, "/proc/sys/net/ipv6 is not there");
}

Result<void> data_plane() {
  auto sizes = MapSizes::lab();
  sizes.flows = 256;
  auto programs = load_programs({.pin_directory = "", .sizes = sizes});
  if (!programs) return std::unexpected(programs.error());
  return (*programs)->attach(10, Attachment::kPod);
}

// A map and a program that do nothing.
Result<void> bpf() {
  Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "carrick_check", 4, 4, 1, nullptr));
  if (!map) return fail(ErrorKind::kUnsupported, "bpf(2), make a map: {}", std::strerror(errno));
  if (auto program = trivial_program(BPF_PROG_TYPE_SCHED_CLS, {}); !program) return std::unexpected(program.error());
  return {};
}

// In a bpffs that is mounted nowhere.
Result<void> bpffs() {
  Fd context(::fsopen("bpf", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail(ErrorKind::kUnsupported, "make a bpf file system: {}", std::strerror(errno));
  Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!mount) return fail(ErrorKind::kUnsupported, "mount a bpf file system: {}", std::strerror(errno));
  Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "carrick_check", 4, 4, 1, nullptr));
  if (!map || bpf_obj_pin(map.get(), fmt::format("/proc/self/fd/{}/check", mount.get()).c_str()) != 0)
    return fail(ErrorKind::kUnsupported, "pin a map: {}", std::strerror(errno));
  return {};
}

// On a folder that exists for this alone.
Result<void> socket_hooks() {
  const std::string folder = fmt::format("{}/carrick-check-{}", TRY(cgroup2_mount()), ::getpid());
  if (::mkdir(folder.c_str(), 0755) != 0) return fail(ErrorKind::kUnsupported, "{}: {}", folder, std::strerror(errno));
  auto done = [&]() -> Result<void> {
    Fd program = TRY(trivial_program(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT));
    const CgroupProgram hook{"connect4", program.get(), BPF_CGROUP_INET4_CONNECT};
    TRY(attach_to_cgroup(folder, {&hook, 1}, ""));
    return {};
  }();
  ::rmdir(folder.c_str());
  return done;
}

struct Question {
  const char* name;
  bool required;
  std::vector<const char*> rests_on;  // others, without which there is no use in asking
  const char* probed_by;
  const char* consequence;
  Probe probe;
};

void ask(std::vector<Feature>& features, const Question& question) {
  Feature out{question.name, question.required, false, question.probed_by, question.consequence, ""};
  for (const auto& other : features)
    for (const char* needed : question.rests_on)
      if (other.name == needed && !other.present && out.asked) {
        out.asked = false;
        out.detail = "not asked: needs " + other.name;
      }
  if (out.asked) {
    const auto result = question.probe();
    out.present = result.has_value();
    if (!result) out.detail = result.error().message;
  }
  features.push_back(std::move(out));
}

// Asked in a namespace that exists for them alone. Each may use what those before it made (the data plane the veth).
const std::vector<Question>& inside_questions() {
  static const std::vector<Question> questions = {
      {"veth", true, {"netns"}, "make a veth pair", "pods have no links", veth},
      {"ipv6", false, {}, "look for /proc/sys/net/ipv6", "IPv4 only: use --ip-family ipv4", ipv6},
      {"vxlan",
       false,
       {"netns"},
       "make a collect-metadata vxlan device",
       "--routing vxlan is not possible; native routing is",
       vxlan},
      {"tcx",
       false,
       {"bpf"},
       "ask for the tcx programs of lo",
       "packets reach the programs through a clsact qdisc, which costs some 2 % (Linux 6.6)",
       []() -> Result<void> {
         if (has_tcx()) return {};
         return fail(ErrorKind::kUnsupported, "{}", std::strerror(EINVAL));
       }},
      {"data-plane",
       true,
       {"bpf", "veth"},
       "load every program and attach it to a veth",
       "no packet can be judged",
       data_plane},
  };
  return questions;
}

const std::vector<Question>& outside_questions() {
  static const std::vector<Question> questions = {
      {"root", true, {}, "effective user id", "namespaces, links and BPF programs need root", root},
      {"bpf", true, {"root"}, "make a map and load a program", "no packet can be judged", bpf},
      {"bpffs", true, {"bpf"}, "pin a map in a bpf file system", "maps and programs cannot outlive the agent", bpffs},
      {"btf",
       false,
       {},
       "open /sys/kernel/btf/vmlinux",
       "drop reasons of the kernel itself have numbers, not names",
       []() -> Result<void> {
         if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return {};
         return fail(ErrorKind::kUnsupported, "{}", std::strerror(errno));
       }},
      {"cgroup2",
       true,
       {},
       "look for a cgroup2 mount",
       "processes of the node cannot reach ClusterIPs",
       []() -> Result<void> {
         TRY(cgroup2_mount());
         return {};
       }},
      {"socket-hooks",
       true,
       {"bpf", "cgroup2"},
       "attach a program to a new cgroup folder",
       "processes of the node cannot reach ClusterIPs",
       socket_hooks},
      {"lpm-trie",
       true,
       {"bpf"},
       "create the map type",
       "addresses cannot be looked up",
       [] { return map_type(BPF_MAP_TYPE_LPM_TRIE); }},
      {"lru-hash",
       true,
       {"bpf"},
       "create the map type",
       "connections cannot be remembered",
       [] { return map_type(BPF_MAP_TYPE_LRU_HASH); }},
      {"ringbuf",
       true,
       {"bpf"},
       "create the map type",
       "drops cannot be reported",
       [] { return map_type(BPF_MAP_TYPE_RINGBUF); }},
      {"redirect-peer",
       true,
       {"bpf"},
       "ask the verifier for bpf_redirect_peer",
       "pods of one node cannot reach each other (Linux 5.10)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer); }},
      {"redirect-neigh",
       true,
       {"bpf"},
       "ask the verifier for bpf_redirect_neigh",
       "packets cannot leave the node (Linux 5.10)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_neigh); }},
      {"coarse-clock",
       true,
       {"bpf"},
       "ask the verifier for bpf_ktime_get_coarse_ns",
       "connections cannot time out (Linux 5.11)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_ktime_get_coarse_ns); }},
      {"socket-refusal",
       false,
       {"bpf"},
       "ask the verifier for bpf_set_retval",
       "connecting to a Service without endpoints from the node says EPERM, not ECONNREFUSED (Linux 5.18)",
       [] { return helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval); }},
  };
  return questions;
}

// What several lines of libbpf say, in one.
std::string one_line(std::string_view text) {
  std::string out;
  for (std::string_view line : split(text, '\n'))
    if (line = trim(line); !line.empty()) out += (out.empty() ? "" : "; ") + std::string(line);
  return out;
}

}  // namespace

std::vector<Feature> probe_features() {
  std::vector<Feature> features;
  for (const auto& question : outside_questions()) ask(features, question);
  Fd own_namespace;
  ask(features, {"netns",
                 true,
                 {"root"},
                 "create a network namespace",
                 "nodes and pods are network namespaces",
                 [&]() -> Result<void> {
                   own_namespace = TRY(create_anonymous_netns());
                   return {};
                 }});
  auto inside = [&]() -> Result<void> {
    for (const auto& question : inside_questions()) ask(features, question);
    return {};
  };
  // Without a namespace they answer that they were not asked.
  (void)(own_namespace ? in_netns(own_namespace.get(), inside) : inside());
  return features;
}

Result<void> require_features(const std::vector<Feature>& features) {
  std::string missing;
  for (const auto& feature : features)
    if (feature.required && !feature.present && feature.asked)
      missing += fmt::format("{}{} ({}: {})", missing.empty() ? "" : "; ", feature.name, feature.consequence,
                             one_line(feature.detail));
  if (missing.empty()) return {};
  return fail(ErrorKind::kUnsupported, "this machine lacks {}", missing);
}

}  // namespace carrick::kernel
