#include "kernel/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "base/fd.h"
#include "kernel/link_programs.h"
#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "kernel/programs.h"

namespace carrick::kernel {
namespace {

using Probe = std::function<Result<void>()>;

std::string mount_of(std::string_view wanted) {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, where, type, rest;
  while (mounts >> device >> where >> type && std::getline(mounts, rest))
    if (type == wanted) return where;
  return "";
}

Result<void> root() {
  if (geteuid() == 0) return {};
  return fail(ErrorKind::kUnsupported, "running as user {}", geteuid());
}

Result<void> filesystem(std::string_view type) {
  std::ifstream known("/proc/filesystems");
  std::string word;
  while (known >> word)
    if (word == type) return {};
  return fail(ErrorKind::kUnsupported, "/proc/filesystems does not name {}", type);
}

Result<void> cgroup2() {
  if (!mount_of("cgroup2").empty()) return {};
  return fail(ErrorKind::kUnsupported, "no cgroup2 file system is mounted");
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

struct Question {
  const char* name;
  bool required;
  const char* probed_by;
  const char* consequence;
  Probe probe;
};

bool ask(std::vector<Feature>& features, const Question& question) {
  const auto result = question.probe();
  features.push_back({question.name, question.required, result.has_value(), question.probed_by, question.consequence,
                      result ? "" : result.error().message});
  return result.has_value();
}

void skip(std::vector<Feature>& features, const Question& question, std::string_view because) {
  features.push_back({question.name, question.required, false, question.probed_by, question.consequence,
                      fmt::format("not asked: {}", because)});
}

// Each question may rest on those before it (the data plane uses the veth).
const std::vector<Question>& inside_questions() {
  static const std::vector<Question> questions = {
      {"veth", true, "make a veth pair", "pods have no links", veth},
      {"ipv6", false, "look for /proc/sys/net/ipv6", "IPv4 only: use --ip-family ipv4", ipv6},
      {"vxlan", false, "make a collect-metadata vxlan device", "--routing vxlan is not possible; native routing is",
       vxlan},
      {"tcx", false, "ask for the tcx programs of lo",
       "packets reach the programs through a clsact qdisc, which costs some 2 % (Linux 6.6)",
       []() -> Result<void> {
         if (has_tcx()) return {};
         return fail(ErrorKind::kUnsupported, "{}", std::strerror(EINVAL));
       }},
      {"data-plane", true, "load every program and attach it to a veth", "no packet can be judged", data_plane},
  };
  return questions;
}

const std::vector<Question>& outside_questions() {
  static const std::vector<Question> questions = {
      {"bpffs", true, "look for bpf in /proc/filesystems", "maps and programs cannot outlive the agent",
       [] { return filesystem("bpf"); }},
      {"btf", false, "open /sys/kernel/btf/vmlinux", "drop reasons of the kernel itself have numbers, not names",
       []() -> Result<void> {
         if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return {};
         return fail(ErrorKind::kUnsupported, "{}", std::strerror(errno));
       }},
      {"cgroup2", true, "look for a cgroup2 mount", "processes of the node cannot reach ClusterIPs", cgroup2},
      {"lpm-trie", true, "create the map type", "addresses cannot be looked up",
       [] { return map_type(BPF_MAP_TYPE_LPM_TRIE); }},
      {"lru-hash", true, "create the map type", "connections cannot be remembered",
       [] { return map_type(BPF_MAP_TYPE_LRU_HASH); }},
      {"ringbuf", true, "create the map type", "drops cannot be reported",
       [] { return map_type(BPF_MAP_TYPE_RINGBUF); }},
      {"redirect-peer", true, "ask the verifier for bpf_redirect_peer",
       "pods of one node cannot reach each other (Linux 5.10)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer); }},
      {"redirect-neigh", true, "ask the verifier for bpf_redirect_neigh", "packets cannot leave the node (Linux 5.10)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_neigh); }},
      {"coarse-clock", true, "ask the verifier for bpf_ktime_get_coarse_ns", "connections cannot time out (Linux 5.11)",
       [] { return helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_ktime_get_coarse_ns); }},
      {"socket-refusal", false, "ask the verifier for bpf_set_retval",
       "connecting to a Service without endpoints from the node says EPERM, not ECONNREFUSED (Linux 5.18)",
       [] { return helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval); }},
  };
  return questions;
}

}  // namespace

std::vector<Feature> probe_features() {
  std::vector<Feature> features;
  const bool is_root =
      ask(features, {"root", true, "effective user id", "namespaces, links and BPF programs need root", root});
  Fd own_namespace;
  const Question namespaces{"netns", true, "create a network namespace", "nodes and pods are network namespaces",
                            [&]() -> Result<void> {
                              own_namespace = TRY(create_anonymous_netns());
                              return {};
                            }};
  if (is_root)
    ask(features, namespaces);
  else
    skip(features, namespaces, "needs root");
  for (const auto& question : outside_questions()) {
    if (is_root || question.name == std::string_view("bpffs") || question.name == std::string_view("btf") ||
        question.name == std::string_view("cgroup2"))
      ask(features, question);
    else
      skip(features, question, "needs root");
  }
  if (!own_namespace) {
    for (const auto& question : inside_questions())
      skip(features, question, "there is no network namespace to try it in");
    return features;
  }
  const auto done = in_netns(own_namespace.get(), [&]() -> Result<void> {
    for (const auto& question : inside_questions()) ask(features, question);
    return {};
  });
  if (!done)
    for (const auto& question : inside_questions()) skip(features, question, done.error().message);
  return features;
}

Result<void> require_features(const std::vector<Feature>& features) {
  std::string missing;
  for (const auto& feature : features)
    if (feature.required && !feature.present)
      missing +=
          fmt::format("{}{} ({}: {})", missing.empty() ? "" : "; ", feature.name, feature.consequence, feature.detail);
  if (missing.empty()) return {};
  return fail(ErrorKind::kUnsupported, "this machine lacks {}", missing);
}

}  // namespace carrick::kernel
