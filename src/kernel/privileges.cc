#include "kernel/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace carrick::kernel {
namespace {

constexpr std::array kNames = {"CAP_CHOWN",
                               "CAP_DAC_OVERRIDE",
                               "CAP_DAC_READ_SEARCH",
                               "CAP_FOWNER",
                               "CAP_FSETID",
                               "CAP_KILL",
                               "CAP_SETGID",
                               "CAP_SETUID",
                               "CAP_SETPCAP",
                               "CAP_LINUX_IMMUTABLE",
                               "CAP_NET_BIND_SERVICE",
                               "CAP_NET_BROADCAST",
                               "CAP_NET_ADMIN",
                               "CAP_NET_RAW",
                               "CAP_IPC_LOCK",
                               "CAP_IPC_OWNER",
                               "CAP_SYS_MODULE",
                               "CAP_SYS_RAWIO",
                               "CAP_SYS_CHROOT",
                               "CAP_SYS_PTRACE",
                               "CAP_SYS_PACCT",
                               "CAP_SYS_ADMIN",
                               "CAP_SYS_BOOT",
                               "CAP_SYS_NICE",
                               "CAP_SYS_RESOURCE",
                               "CAP_SYS_TIME",
                               "CAP_SYS_TTY_CONFIG",
                               "CAP_MKNOD",
                               "CAP_LEASE",
                               "CAP_AUDIT_WRITE",
                               "CAP_AUDIT_CONTROL",
                               "CAP_SETFCAP",
                               "CAP_MAC_OVERRIDE",
                               "CAP_MAC_ADMIN",
                               "CAP_SYSLOG",
                               "CAP_WAKE_ALARM",
                               "CAP_BLOCK_SUSPEND",
                               "CAP_AUDIT_READ",
                               "CAP_PERFMON",
                               "CAP_BPF",
                               "CAP_CHECKPOINT_RESTORE"};

std::vector<std::string> threads() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error))
    out.push_back(entry.path().string());
  return out;
}

// "CapEff:\t0000000000001000" -> the rest of that line.
std::string_view field(std::string_view status, std::string_view name) {
  for (std::string_view line : split(status, '\n'))
    if (line.starts_with(name)) return trim(line.substr(name.size()));
  return {};
}

}  // namespace

Result<void> keep_capabilities(std::initializer_list<int> capabilities) {
  if (threads().size() != 1) return fail(ErrorKind::kInternal, "capabilities are dropped after threads were made");
  uint64_t kept = 0;
  for (int capability : capabilities) kept |= uint64_t{1} << capability;
  // Needs CAP_SETPCAP, so it comes first; where that is missing nothing can be gained in this way either.
  for (int capability = 0; capability < 64 && ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if ((kept >> capability & 1) == 0) (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return fail_errno(errno, "read capabilities");
  const std::array<uint32_t, 2> words = {static_cast<uint32_t>(kept), static_cast<uint32_t>(kept >> 32)};
  for (size_t word = 0; word < sets.size(); ++word) {
    sets[word].permitted &= words[word];
    sets[word].effective = sets[word].permitted;
    sets[word].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno(errno, "drop capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "no_new_privs");
  return {};
}

Privileges own_privileges() {
  Privileges out{.capabilities = {}, .no_new_privileges = true};
  uint64_t effective = 0;
  for (const std::string& thread : threads()) {
    auto status = read_file(thread + "/status");
    if (!status) continue;  // it has just ended
    effective |= std::strtoull(std::string(field(*status, "CapEff:")).c_str(), nullptr, 16);
    out.no_new_privileges = out.no_new_privileges && field(*status, "NoNewPrivs:") == "1";
  }
  for (size_t i = 0; i < 64; ++i)
    if (effective >> i & 1) out.capabilities.push_back(i < kNames.size() ? kNames[i] : fmt::format("CAP_{}", i));
  return out;
}

}  // namespace carrick::kernel
