#include "lab/pods/confine.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace carrick::lab {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "no list of system calls for this architecture"
#endif

constexpr uint32_t kX32 = 0x40000000;  // numbers of the x32 interface; no number of another reaches it
constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                    CLONE_NEWNET | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */;
constexpr uint32_t kTiocsti = 0x5412;    // types into the terminal of whoever runs `lab exec`
constexpr uint32_t kTioclinux = 0x541C;  // the same by the console's clipboard

// Most need a capability that no pod has; they are here for kernels that have had holes in them. Keys and vsock know no
// namespaces; by file handles one gets around mounts; io_uring gets around this list.
constexpr long kRefused[] = {
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_fspick,
    SYS_setns,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    SYS_userfaultfd,
    SYS_open_by_handle_at,
    SYS_syslog,
    SYS_acct,
    SYS_quotactl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_io_uring_setup,
    SYS_vhangup,
    SYS_sethostname,
    SYS_setdomainname,
#if defined(__x86_64__)
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
#endif
    442 /* mount_setattr */,
};

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

class Filter {
 public:
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void load_argument(int index) { load(offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(index)); }
  void answer(uint32_t with) { add(BPF_RET | BPF_K, with); }
  // The next instruction is skipped unless the test holds.
  void if_equal(uint32_t value) { jump(BPF_JEQ, value, 0, 1); }
  void if_any_bit(uint32_t bits) { jump(BPF_JSET, bits, 0, 1); }
  void if_at_least(uint32_t value) { jump(BPF_JGE, value, 0, 1); }
  // The next `count` instructions are skipped unless it holds.
  void block_if_equal(uint32_t value, uint8_t count) { jump(BPF_JEQ, value, 0, count); }
  Result<void> install() {
    sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return fail_errno(errno, "seccomp");
    return {};
  }

 private:
  void add(uint16_t code, uint32_t k) { code_.push_back(BPF_STMT(code, k)); }
  void jump(uint16_t test, uint32_t k, uint8_t yes, uint8_t no) {
    code_.push_back(sock_filter{static_cast<uint16_t>(BPF_JMP | test | BPF_K), yes, no, k});
  }
  std::vector<sock_filter> code_;
};

// Refuses call `number` when the low half of an argument is one of `values`.
void refuse_values(Filter& filter, long number, int argument, const std::vector<uint32_t>& values) {
  filter.block_if_equal(static_cast<uint32_t>(number), static_cast<uint8_t>(2 + 2 * values.size()));
  filter.load_argument(argument);
  for (const uint32_t value : values) {
    filter.if_equal(value);
    filter.answer(kRefuse);
  }
  filter.answer(SECCOMP_RET_ALLOW);
}

// The same when it has one of `bits`.
void refuse_bits(Filter& filter, long number, int argument, uint32_t bits) {
  filter.block_if_equal(static_cast<uint32_t>(number), 4);
  filter.load_argument(argument);
  filter.if_any_bit(bits);
  filter.answer(kRefuse);
  filter.answer(SECCOMP_RET_ALLOW);
}

Result<void> refuse_calls() {
  Filter filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.block_if_equal(kArchitecture, 1);
  filter.load(offsetof(seccomp_data, nr));
  // What is in the accumulator otherwise is an architecture: no number, and refused by the next test.
  filter.if_at_least(kX32);
  filter.answer(SECCOMP_RET_ERRNO | ENOSYS);
  for (const long number : kRefused) {
    filter.if_equal(static_cast<uint32_t>(number));
    filter.answer(kRefuse);
  }
  // Its flags are in memory, where a filter cannot look; who is told that it is not there uses clone.
  filter.if_equal(SYS_clone3);
  filter.answer(SECCOMP_RET_ERRNO | ENOSYS);
  refuse_bits(filter, SYS_clone, 0, kNewNamespaces);
  refuse_bits(filter, SYS_unshare, 0, kNewNamespaces);
  refuse_values(filter, SYS_ioctl, 1, {kTiocsti, kTioclinux});
  refuse_values(filter, SYS_socket, 0, {AF_VSOCK});
  filter.answer(SECCOMP_RET_ALLOW);
  return filter.install();
}

Result<void> limit_capabilities(uint64_t wanted) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if ((wanted >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
      return fail_errno(errno, "capability bounding set");
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return {};
}

Result<void> keep_capabilities(uint64_t wanted) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return fail_errno(errno, "capabilities");
  if (::geteuid() == 0)
    wanted &= data[0].permitted | uint64_t{data[1].permitted} << 32;  // the machine itself may lack one
  data[0].inheritable = data[1].inheritable = 0;
  for (int half = 0; half < 2; ++half)
    data[half].effective = data[half].permitted = static_cast<uint32_t>(wanted >> (32 * half));
  if (::syscall(SYS_capset, &header, data) != 0) return fail_errno(errno, "capabilities");
  return {};
}

}  // namespace

Result<void> confine(const ContainerSpec& spec) {
  uint64_t wanted = 0;
  for (const std::string& name : spec.capabilities)
    if (const int number = capability_number(name); number >= 0) wanted |= uint64_t{1} << number;
  TRY_VOID(limit_capabilities(wanted));
  const std::vector<gid_t> groups(spec.groups.begin(), spec.groups.end());
  if (::setgroups(groups.size(), groups.data()) != 0) return fail_errno(errno, "groups");
  if (::setresgid(spec.gid, spec.gid, spec.gid) != 0) return fail_errno(errno, fmt::format("group {}", spec.gid));
  if (::setresuid(spec.uid, spec.uid, spec.uid) != 0) return fail_errno(errno, fmt::format("user {}", spec.uid));
  TRY_VOID(keep_capabilities(spec.uid == 0 ? wanted : 0));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "no_new_privs");
  return refuse_calls();
}

}  // namespace carrick::lab
