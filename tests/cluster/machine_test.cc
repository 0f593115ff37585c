#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <functional>

#include "base/fd.h"
#include "tests/cluster/lab_fixture.h"

// Machines that lack something: what is missing is named in one sentence, nothing is made, explain works all the same.
namespace carrick::cluster_tests {
namespace {

using Prepare = std::function<bool()>;

constexpr unsigned kNobody = 65534;

bool become_nobody() { return ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0; }

bool drop_capabilities(std::initializer_list<int> capabilities) {
  for (int capability : capabilities)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return false;
  return true;  // a program that root executes gets what is in the bounding set
}

// From here on bpf(2), or only this command of it, fails with this number.
bool refuse_bpf(int error, int command = -1) {
  const unsigned k = static_cast<unsigned>(command < 0 ? 0 : command);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | (command < 0 ? BPF_JGE : BPF_JEQ) | BPF_K, k, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(filter), filter};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool private_mounts() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}
bool without_cgroups() { return private_mounts() && ::umount2("/sys/fs/cgroup", MNT_DETACH) == 0; }
bool hidden_cgroups() { return private_mounts() && ::mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, nullptr) == 0; }

// carrick in a child that `prepare` has taken something from. Manifests come by standard input: not everyone may read
// our files.
Ended carrick_after(const Prepare& prepare, const std::vector<std::string>& arguments) {
  Fd in(::open(write_manifest(kTwoTiers).c_str(), O_RDONLY | O_CLOEXEC));
  std::FILE* out = std::tmpfile();
  std::FILE* err = std::tmpfile();
  std::string program = std::string(CARRICK_BIN_DIR) + "/carrick";
  std::vector<char*> argv{program.data()};
  std::vector<std::string> words = arguments;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in.get(), 0);
    ::dup2(::fileno(out), 1);
    ::dup2(::fileno(err), 2);
    if (!prepare()) ::_exit(98);
    ::execv(program.c_str(), argv.data());
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  auto text = [](std::FILE* file) {
    std::string all;
    std::rewind(file);
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) all.append(buffer, n);
    std::fclose(file);
    return all;
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text(out), text(err)};
}

struct Lack {
  const char* what;
  Prepare prepare;
  const char* says;         // of `lab up`
  bool explain_too = true;  // cannot be asked where even reading is forbidden
};

class MachineTest : public LabTest, public ::testing::WithParamInterface<Lack> {};

TEST_P(MachineTest, WhatIsMissingIsSaidAndExplainWorks) {
  const Lack& lack = GetParam();
  Ended refused = carrick_after(lack.prepare, {"lab", "up", "--name", name_, "--nodes", "1", "-f", "-"});
  ASSERT_NE(refused.code, 98) << "the test cannot take that away";
  EXPECT_EQ(refused.code, 3) << refused.out << refused.err;
  EXPECT_NE(refused.err.find(lack.says), std::string::npos) << refused.err;
  EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << "one sentence: " << refused.err;
  EXPECT_EQ(refused.out, "");
  EXPECT_FALSE(lab::read_record(name_)) << "nothing is made";
  Ended told = carrick_after(lack.prepare, {"explain", "-f", "-", "--all"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_NE(told.out.find("default/web"), std::string::npos) << told.out;
  Ended doctor = carrick_after(lack.prepare, {"doctor"});
  EXPECT_EQ(doctor.code, 3) << doctor.out << doctor.err;
}

INSTANTIATE_TEST_SUITE_P(
    Lacks, MachineTest,
    ::testing::Values(Lack{"Root", become_nobody, "which needs root"},
                      Lack{"Namespaces", [] { return drop_capabilities({CAP_SYS_ADMIN}); },
                           "namespaces (net, mount, pid, ipc)"},
                      Lack{"NetworkAdministration", [] { return drop_capabilities({CAP_NET_ADMIN}); }, "veth"},
                      Lack{"BpfForbidden", [] { return refuse_bpf(EPERM); }, "lacks bpf (no packet can be judged"},
                      Lack{"BpfNotBuilt", [] { return refuse_bpf(ENOSYS); }, "lacks bpf (no packet can be judged"},
                      Lack{"CgroupPrograms", [] { return refuse_bpf(EINVAL, BPF_LINK_CREATE); }, "socket-hooks"},
                      Lack{"BpfFiles", [] { return refuse_bpf(EPERM, BPF_OBJ_PIN); }, "bpffs"},
                      Lack{"Cgroups", without_cgroups, "cgroup2 (processes of the node cannot reach ClusterIPs"},
                      Lack{"CgroupsHidden", hidden_cgroups, "cgroup2 (processes of the node cannot reach ClusterIPs"}),
    [](const auto& info) { return info.param.what; });

// What no feature asks for: the process that cannot start is quoted.
TEST_F(LabTest, AProcessThatEndsAgainAndAgainIsQuoted) {
  Ended failed = carrick_after([] { return drop_capabilities({CAP_NET_BIND_SERVICE}); },
                               {"lab", "up", "--name", name_, "--nodes", "1", "--timeout", "3", "-f", "-"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_NE(failed.err.find("not ready: lab-nodes has ended"), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("Permission denied"), std::string::npos) << failed.err;
}

// The test itself in a mount namespace of its own, with a small tmpfs on a folder.
class SmallDisk {
 public:
  explicit SmallDisk(std::string folder, const char* options) : folder_(std::move(folder)) {
    ::mkdir(folder_.c_str(), 0700);
    mounted_ = private_mounts() && ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, options) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    Fd here(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(::setns(home_.get(), CLONE_NEWNS), 0) << std::strerror(errno);
    EXPECT_EQ(::fchdir(here.get()), 0);
    ::rmdir(folder_.c_str());
  }
  bool mounted() const { return mounted_; }
  bool grow(const char* options) const { return ::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT, options) == 0; }
  void fill() const {
    Fd file(::open((folder_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    std::string block(64 * 1024, 'x');
    while (::write(file.get(), block.data(), block.size()) > 0) {
    }
  }

 private:
  Fd home_{::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)};
  std::string folder_;
  bool mounted_ = false;
};

class DiskTest : public LabTest {
 protected:
  std::string up() const { return fmt::format("lab up --name {} --nodes 1 --data {}", name_, folder_); }
  Result<watch::HttpResponse> ask(const char* method, const std::string& target, std::string body = {}) const {
    auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
    if (!credentials) return std::unexpected(credentials.error());
    return watch::request_once(*credentials, {method, target, std::move(body), "application/json"});
  }
  const std::string folder_ = fmt::format("/tmp/carrick_disk_test.{}", ::getpid());
};

constexpr const char* kConfigMaps = "/api/v1/namespaces/default/configmaps";

TEST_F(DiskTest, AFullDiskRefusesWritesAndLosesNone) {
  SmallDisk disk(folder_, "size=6m");
  ASSERT_TRUE(disk.mounted());
  ASSERT_EQ(carrick(up()).code, 0);
  std::vector<std::string> kept;
  auto write = [&](size_t bytes) {
    std::string name = fmt::format("c{}", kept.size());
    auto done =
        ask("POST", kConfigMaps,
            fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}"}},"data":{{"x":"{}"}}}})",
                        name, std::string(bytes, 'x')));
    if (done) kept.push_back(name);
    return done;
  };
  Result<watch::HttpResponse> last;
  while (kept.size() < 200 && (last = write(100'000))) {
  }
  ASSERT_FALSE(last);
  EXPECT_GT(kept.size(), 5u);
  EXPECT_NE(last.error().message.find("cannot write the object database: database or disk is full"), std::string::npos)
      << last.error().message;
  auto all_kept = [&] {
    size_t there = 0;
    for (const auto& name : kept) there += ask("GET", std::string(kConfigMaps) + "/" + name).has_value();
    return there == kept.size();
  };
  EXPECT_TRUE(all_kept());
  EXPECT_FALSE(ask("GET", fmt::format("{}/c{}", kConfigMaps, kept.size()))) << "what was refused is not there";

  // It heals when there is room.
  ASSERT_TRUE(disk.grow("size=12m"));
  EXPECT_TRUE(write(100'000));
  Belongings belongings = belongings_of(name_);
  ASSERT_EQ(carrick("lab down --name " + name_).code, 0);
  for (const auto& sentence : remains_of(name_, belongings)) ADD_FAILURE() << "left behind: " << sentence;
  ASSERT_EQ(carrick(up()).code, 0);
  EXPECT_TRUE(all_kept()) << "after the lab came back";
  EXPECT_EQ(carrick("lab down --name " + name_).code, 0);
}

TEST_F(DiskTest, ALabThatCannotStoreAnythingIsNotStarted) {
  SmallDisk disk(folder_, "size=256k");
  ASSERT_TRUE(disk.mounted());
  disk.fill();
  Ended refused = carrick(up());
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << "one sentence: " << refused.err;
  EXPECT_NE(refused.err.find(folder_), std::string::npos) << refused.err;
  EXPECT_TRUE(refused.err.find("disk is full") != std::string::npos ||
              refused.err.find("No space left on device") != std::string::npos)
      << refused.err;
  EXPECT_FALSE(lab::read_record(name_)) << "nothing is made";
}

}  // namespace
}  // namespace carrick::cluster_tests
