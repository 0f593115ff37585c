#include "kernel/link_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include <array>
#include <cstring>

#include "base/fd.h"

namespace carrick::kernel {
namespace {

// enum bpf_attach_type of Linux 6.6; the headers of Debian 12 end before them.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr uint32_t kMaxPrograms = 64;  // BPF_MPROG_MAX, a link cannot have more in one direction

bpf_attach_type tcx_type(Direction direction) { return direction == Direction::kIngress ? kTcxIngress : kTcxEgress; }

bpf_tc_attach_point tc_point(Direction direction) {
  return direction == Direction::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

Result<void> link_error(int number, std::string_view doing, uint32_t ifindex) {
  return fail(number == ENODEV       ? ErrorKind::kNotFound
              : number == EOPNOTSUPP ? ErrorKind::kUnsupported
                                     : ErrorKind::kTransient,
              "{} link {}: {}", doing, ifindex, std::strerror(number));
}

// The kernel keeps the first 15 characters of a program's name.
bool same_name(const char* kernel_name, std::string_view name) {
  return name.substr(0, BPF_OBJ_NAME_LEN - 1) == kernel_name;
}

Fd program_by_id(uint32_t id, bpf_prog_info& info) {
  Fd program(bpf_prog_get_fd_by_id(id));
  uint32_t size = sizeof info;
  if (program && bpf_obj_get_info_by_fd(program.get(), &info, &size)) return Fd();
  return program;
}

struct Found {
  Fd program;
  std::string name;
};

Found find_tcx(uint32_t ifindex, Direction direction, const std::string& name) {
  std::array<uint32_t, kMaxPrograms> ids{};
  uint32_t count = ids.size(), flags = 0;
  if (bpf_prog_query(static_cast<int>(ifindex), tcx_type(direction), 0, &flags, ids.data(), &count)) return {};
  for (uint32_t i = 0; i < count; ++i) {
    bpf_prog_info info{};
    Fd program = program_by_id(ids[i], info);
    if (program && (name.empty() || same_name(info.name, name))) return {std::move(program), info.name};
  }
  return {};
}

Result<void> attach_tcx(uint32_t ifindex, Direction direction, int program_fd, const std::string& name) {
  const Found old = find_tcx(ifindex, direction, name);
  LIBBPF_OPTS(bpf_prog_attach_opts, options);
  if (old.program) {
    options.flags = BPF_F_REPLACE;
    options.replace_prog_fd = old.program.get();
  }
  if (bpf_prog_attach_opts(program_fd, static_cast<int>(ifindex), tcx_type(direction), &options) == 0) return {};
  // The same program once more: nothing to do.
  if (errno == EEXIST) return {};
  return link_error(errno, "attach " + name + " to", ifindex);
}

constexpr uint32_t kTcHandle = 1, kTcPriority = 1;

Result<void> attach_clsact(uint32_t ifindex, Direction direction, int program_fd, const std::string& name) {
  // libbpf wants both bits for the qdisc.
  constexpr auto kBoth = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = static_cast<int>(ifindex), .attach_point = kBoth);
  const int made = bpf_tc_hook_create(&both);
  if (made && made != -EEXIST) return link_error(-made, "add clsact to", ifindex);
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = tc_point(direction));
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE, .handle = kTcHandle,
              .priority = kTcPriority);
  if (const int failed = bpf_tc_attach(&hook, &options)) return link_error(-failed, "attach " + name + " to", ifindex);
  return {};
}

Found find_clsact(uint32_t ifindex, Direction direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = tc_point(direction));
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  if (bpf_tc_query(&hook, &options)) return {};
  bpf_prog_info info{};
  Fd program = program_by_id(options.prog_id, info);
  return {std::move(program), info.name};
}

}  // namespace

bool has_tcx() {
  static const bool yes = [] {
    std::array<uint32_t, kMaxPrograms> ids{};
    uint32_t count = ids.size(), flags = 0;
    constexpr int kLoopback = 1;  // every network namespace has it
    return bpf_prog_query(kLoopback, kTcxIngress, 0, &flags, ids.data(), &count) == 0 || errno == ENOENT;
  }();
  return yes;
}

Result<void> attach_to_link(uint32_t ifindex, Direction direction, int program_fd, const std::string& name,
                            LinkLife life) {
  return life == LinkLife::kLasting && has_tcx() ? attach_tcx(ifindex, direction, program_fd, name)
                                                 : attach_clsact(ifindex, direction, program_fd, name);
}

Result<void> attach_first(uint32_t ifindex, Direction direction, int program_fd, const std::string& name) {
  if (!has_tcx()) return {};
  return attach_tcx(ifindex, direction, program_fd, name);
}

bool has_first(uint32_t ifindex, Direction direction, const std::string& name) {
  return has_tcx() && find_tcx(ifindex, direction, name).program;
}

Result<void> detach_from_link(uint32_t ifindex, Direction direction, const std::string& name) {
  if (const Found old = has_tcx() ? find_tcx(ifindex, direction, name) : Found(); old.program) {
    if (bpf_prog_detach2(old.program.get(), static_cast<int>(ifindex), tcx_type(direction)) && errno != ENOENT &&
        errno != ENODEV)
      return link_error(errno, "detach " + name + " from", ifindex);
  }
  if (find_clsact(ifindex, direction).name != name) return {};
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = tc_point(direction));
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int failed = bpf_tc_detach(&hook, &options);
  if (failed && failed != -ENOENT && failed != -ENODEV && failed != -EINVAL)
    return link_error(-failed, "detach " + name + " from", ifindex);
  return {};
}

std::string program_on_link(uint32_t ifindex, Direction direction, const std::string& name) {
  std::string found = has_tcx() ? find_tcx(ifindex, direction, name).name : "";
  if (found.empty()) found = find_clsact(ifindex, direction).name;
  return name.empty() || found == name ? found : "";
}

}  // namespace carrick::kernel
