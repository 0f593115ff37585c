#include "lab/pods/container_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace carrick::lab {
namespace {

// What a container writes is memory of the machine.
constexpr const char* kRootSize = "mode=755,size=256m,nr_inodes=65536";
constexpr const char* kOld = "/.machine";  // where the machine is until the container's mounts are made

constexpr std::array kProgramFolders = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "nix"};
// Of /etc, what programs and libraries need to run, and what is the same on every machine.
constexpr std::array kSharedSettings = {
    "alternatives", "ca-certificates", "crypto-policies", "gai.conf",        "host.conf", "inputrc",   "ld.so.cache",
    "ld.so.conf",   "ld.so.conf.d",    "localtime",       "mime.types",      "pki",       "protocols", "python3",
    "rpc",          "services",        "ssl/certs",       "ssl/openssl.cnf",
};
constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
constexpr const char* kGroup = "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n";
constexpr const char* kNsswitch =
    "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n";

// What /proc and /sys show of the machine itself, or would let root change.
constexpr std::array kReadOnly = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
constexpr std::array kHidden = {
    "/proc/acpi",        "/proc/asound",        "/proc/interrupts",
    "/proc/kcore",       "/proc/keys",          "/proc/kmsg",
    "/proc/scsi",        "/proc/latency_stats", "/proc/timer_list",
    "/proc/sched_debug", "/proc/kallsyms",      "/sys/firmware",
    "/sys/fs",           "/sys/kernel",         "/sys/devices/virtual/powercap",
};

Result<void> mount_new(const char* type, const std::string& target, unsigned long flags,
                       const char* options = nullptr) {
  if (::mount(type, target.c_str(), type, flags, options) != 0)
    return fail_errno(errno, fmt::format("mount {} on {}", type, target));
  return {};
}

// With everything that is mounted below; a kernel without mount_setattr (before 5.12) takes the upper one alone, and
// then nothing below may come along.
Result<void> bind_read_only(const std::string& source, const std::string& target, bool no_devices = true) {
  struct {
    uint64_t set, clear, propagation, userns;
  } wanted{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (no_devices ? MOUNT_ATTR_NODEV : 0u), 0, 0, 0};
  constexpr long kMountSetattr = 442;
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return fail_errno(errno, fmt::format("show {} as {}", source, target));
  if (::syscall(kMountSetattr, AT_FDCWD, target.c_str(), 0x8000 /* AT_RECURSIVE */, &wanted, sizeof wanted) == 0)
    return {};
  if (errno != ENOSYS) return fail_errno(errno, fmt::format("make {} read-only", target));
  ::umount2(target.c_str(), MNT_DETACH);
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (no_devices ? MS_NODEV : 0ul);
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      ::mount(nullptr, target.c_str(), nullptr, flags, nullptr) != 0)
    return fail_errno(errno, fmt::format("show {} read-only as {}", source, target));
  return {};
}

bool is_folder(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

// Something of the right kind to mount on.
Result<void> make_target(const std::string& path, bool folder) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  if (folder) return make_directories(path, 0755);
  TRY_VOID(make_directories(path.substr(0, path.rfind('/')), 0755));
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file) return fail_errno(errno, path);
  return {};
}

// A part of the machine, under the same path. Links stay links when they lead to where we go anyway.
Result<void> show(const std::string& path, const std::string& root) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (S_ISLNK(found.st_mode)) {
    char target[4096];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target - 1);
    if (size > 0 && ::symlink(std::string(target, static_cast<size_t>(size)).c_str(), (root + path).c_str()) != 0)
      return fail_errno(errno, root + path);
    return {};
  }
  TRY_VOID(make_target(root + path, S_ISDIR(found.st_mode)));
  return bind_read_only(path, root + path);
}

bool is_shown(const std::string& path) {
  return std::ranges::any_of(kProgramFolders,
                             [&](const char* folder) { return path.starts_with(fmt::format("/{}/", folder)); });
}

Result<void> make_programs(const std::string& root, const ContainerSpec& spec) {
  for (const char* folder : kProgramFolders) TRY_VOID(show(fmt::format("/{}", folder), root));
  // A program of the machine's user, from wherever it lies: it alone.
  if (spec.command.empty() || !spec.command.front().starts_with('/') || is_shown(spec.command.front())) return {};
  const std::string& program = spec.command.front();
  const bool comes_by_mount = std::ranges::find(spec.mounts, program, &ContainerMount::target) != spec.mounts.end();
  if (comes_by_mount || ::access(program.c_str(), X_OK) != 0 || is_folder(program)) return {};
  TRY_VOID(make_target(root + program, false));
  return bind_read_only(program, root + program);
}

Result<void> make_settings(const std::string& root, const Sandbox& sandbox) {
  TRY_VOID(make_directories(root + "/etc/ssl", 0755));
  for (const char* name : kSharedSettings) {
    // A link is followed: what it leads to is shown.
    const std::string path = fmt::format("/etc/{}", name);
    if (::access(path.c_str(), R_OK) != 0) continue;
    TRY_VOID(make_target(root + path, is_folder(path)));
    TRY_VOID(bind_read_only(path, root + path));
  }
  const std::pair<const char*, std::string> own[] = {
      {"passwd", kPasswd}, {"group", kGroup}, {"nsswitch.conf", kNsswitch}, {"hostname", sandbox.hostname + "\n"}};
  for (const auto& [name, text] : own) TRY_VOID(write_file_atomically(root + "/etc/" + name, text, 0644));
  for (const char* name : {"hosts", "resolv.conf"})
    if (auto text = read_file(sandbox.folder + "/" + name))
      TRY_VOID(write_file_atomically(root + "/etc/" + name, *text, 0644));
  return {};
}

Result<void> make_folders(const std::string& root) {
  for (const char* path : {"/dev", "/proc", "/sys", "/run", "/root", "/home", "/mnt", "/srv", "/tmp", "/var/tmp",
                           "/var/log", "/var/lib", "/var/cache", kOld})
    TRY_VOID(make_directories(root + path, 0755));
  if (::chmod((root + "/tmp").c_str(), 01777) != 0 || ::chmod((root + "/var/tmp").c_str(), 01777) != 0 ||
      ::symlink("/run", (root + "/var/run").c_str()) != 0)
    return fail_errno(errno, root);
  return {};
}

Result<void> make_devices(const std::string& root) {
  const std::string dev = root + "/dev";
  TRY_VOID(mount_new("tmpfs", dev, MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"));
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    TRY_VOID(make_target(fmt::format("{}/{}", dev, name), false));
    const std::string source = fmt::format("/dev/{}", name), target = fmt::format("{}/{}", dev, name);
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) return fail_errno(errno, target);
  }
  for (const char* name : {"pts", "shm", "mqueue"}) TRY_VOID(make_directories(dev + "/" + name, 0755));
  TRY_VOID(mount_new("devpts", dev + "/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"));
  TRY_VOID(mount_new("tmpfs", dev + "/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"));
  (void)mount_new("mqueue", dev + "/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC);  // where the kernel has it
  const std::pair<const char*, const char*> links[] = {{"pts/ptmx", "ptmx"},
                                                       {"/proc/self/fd", "fd"},
                                                       {"/proc/self/fd/0", "stdin"},
                                                       {"/proc/self/fd/1", "stdout"},
                                                       {"/proc/self/fd/2", "stderr"}};
  for (const auto& [to, name] : links)
    if (::symlink(to, fmt::format("{}/{}", dev, name).c_str()) != 0) return fail_errno(errno, name);
  return {};
}

Result<void> make_kernel_views(const std::string& root) {
  TRY_VOID(mount_new("proc", root + "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  return mount_new("sysfs", root + "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY);
}

Result<void> move_into(const std::string& root) {
  if (::syscall(SYS_pivot_root, root.c_str(), (root + kOld).c_str()) != 0 || ::chdir("/") != 0)
    return fail_errno(errno, "change the root folder");
  return {};
}

Result<void> hide_the_machine() {
  for (const char* path : kReadOnly)
    if (::access(path, F_OK) == 0) TRY_VOID(bind_read_only(path, path));
  for (const char* path : kHidden) {
    if (::access(path, F_OK) != 0) continue;
    if (is_folder(path))
      TRY_VOID(mount_new("tmpfs", path, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0"));
    else
      TRY_VOID(bind_read_only("/dev/null", path, false));
  }
  return {};
}

// The container may have put a link into a volume that it shares with the next: none is followed.
Result<Fd> open_source(const ContainerMount& mount) {
  const std::string source = kOld + mount.source;
  Fd top(::open(source.c_str(), O_PATH | O_CLOEXEC));
  if (!top) return fail_errno(errno, mount.source);
  // A subPath that is not there yet is a folder.
  for (const std::string_view part : split(mount.sub_path, '/')) {
    const std::string name(part);
    if (name.empty()) continue;
    open_how how{.flags = O_PATH | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    const auto open_part = [&] {
      return Fd(static_cast<int>(::syscall(SYS_openat2, top.get(), name.c_str(), &how, sizeof how)));
    };
    Fd below = open_part();
    if (!below && errno == ENOENT && ::mkdirat(top.get(), name.c_str(), 0755) == 0) below = open_part();
    if (!below) return fail_errno(errno, fmt::format("subPath {}", mount.sub_path));
    top = std::move(below);
  }
  return top;
}

Result<void> make_mount(const ContainerMount& mount) {
  const Fd source = TRY(open_source(mount));
  struct stat kind{};
  if (::fstat(source.get(), &kind) != 0) return fail_errno(errno, mount.source);
  if (auto made = make_target(mount.target, S_ISDIR(kind.st_mode)); !made)
    return fail(made.error().kind, "mountPath {}: {}", mount.target, made.error().message);
  const std::string from = fmt::format("/proc/self/fd/{}", source.get());
  if (mount.read_only) return bind_read_only(from, mount.target);
  if (::mount(from.c_str(), mount.target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return fail_errno(errno, fmt::format("mountPath {}", mount.target));
  return {};
}

}  // namespace

Result<void> make_container_root(const std::string& point, const Sandbox& sandbox, const ContainerSpec& spec) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail_errno(errno, "make mounts private");
  TRY_VOID(mount_new("tmpfs", point, MS_NOSUID | MS_NODEV, kRootSize));
  TRY_VOID(make_folders(point));
  TRY_VOID(make_programs(point, spec));
  TRY_VOID(make_settings(point, sandbox));
  TRY_VOID(make_devices(point));
  TRY_VOID(make_kernel_views(point));
  TRY_VOID(move_into(point));
  TRY_VOID(hide_the_machine());
  for (const ContainerMount& mount : spec.mounts) TRY_VOID(make_mount(mount));
  if (::umount2(kOld, MNT_DETACH) != 0 || ::rmdir(kOld) != 0) return fail_errno(errno, "let go of the machine");
  if (!spec.workdir.empty()) TRY_VOID(make_directories(spec.workdir, 0755));  // as runc does
  if (!spec.read_only_root) return {};
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return fail_errno(errno, "make / read-only");
  return {};
}

}  // namespace carrick::lab
