#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/cluster/lab_fixture.h"

// What a process in a pod can see and do.
namespace carrick::cluster_tests {
namespace {

constexpr const char* kPods = R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: program}
spec:
  containers:
  - {name: main, image: x, command: [sh, -c, "echo $COLOUR > /tmp/mark; exec sleep 86400"], env: [{name: COLOUR, value: blue}]}
  - {name: side, image: x, command: [sleep, "86400"], workingDir: /srv}
---
apiVersion: v1
kind: Pod
metadata: {name: played}
spec: {hostname: uno, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
)yaml";

class PodsTest : public LabTest {
 protected:
  void start() {
    Ended up = carrick(fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {}", name_, write_manifest(kPods)));
    ASSERT_EQ(up.code, 0) << up.err;
  }
  // The file of a script is the machine's: its text goes in by a pipe.
  Ended run(const std::string& pod, const std::string& script, const std::string& container = "") {
    const std::string option = container.empty() ? "" : "-c " + container;
    return carrick(fmt::format("lab exec --name {} {} default/{} -- sh -c \"$(cat {})\"", name_, option, pod,
                               write_manifest(script)));
  }
};

// One line each: what is tried, and how. Every one must fail.
constexpr const char* kHarm = R"sh(
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "DONE $name"; else echo "refused $name"; fi; }
python() { python3 -c "import ctypes, os, socket, sys; libc = ctypes.CDLL(None, use_errno=True); $1"; }
try see-the-machines-file     test -e @FILE@
try see-the-machines-process  test -e /proc/@PID@
try see-users-folders         sh -c 'find /root /home /work -mindepth 1 | grep -q .'
try see-passwords             test -e /etc/shadow
try see-the-lab               test -e /run/carrick
try see-the-kernels-memory    sh -c 'head -c 1 /proc/kcore | grep -q .'
try see-the-kernels-log       dmesg
try see-the-cgroups           sh -c 'ls -A /sys/fs | grep -q .'
try see-disks                 sh -c 'ls /dev/vd* /dev/sd* /dev/nvme* /dev/loop* /dev/mem'
try kill-the-machines-process kill -0 @PID@
try trace-the-first-process   python 'sys.exit(0 if libc.ptrace(16, 1, 0, 0) == 0 else 1)'
try read-its-memory           head -c 1 /proc/1/mem
try find-its-program          readlink /proc/1/exe
try leave-by-its-root         ls /proc/1/root/
try write-programs            touch /usr/bin/x
try write-libraries           touch /usr/lib/x
try write-settings            touch /etc/ssl/certs/x
try remount                   mount -o remount,rw /usr
try mount                     mount -t tmpfs none /mnt
try unmount                   umount /proc/sys
try new-namespaces            unshare --user --mount true
try new-network               unshare --net true
try mount-by-python           python 'sys.exit(0 if libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0 else 1)'
try make-a-device             mknod /tmp/disk b 254 0
try set-a-sysctl              sh -c 'echo 1 > /proc/sys/kernel/panic'
try set-the-pods-sysctl       sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
try press-sysrq               sh -c 'echo h > /proc/sysrq-trigger'
try write-to-sys              sh -c 'echo 1 > /sys/class/net/lo/mtu'
try rename-the-machine        hostname other
try set-the-clock             date -s @1
try change-addresses          ip address add 192.0.2.99/32 dev lo
try change-links              ip link set eth0 down
try load-a-bpf-program        python 'sys.exit(0 if libc.syscall(321, 0, 0, 0) != -1 or ctypes.get_errno() != 1 else 1)'
try use-keys                  python 'sys.exit(0 if libc.syscall(250, 0, -3, 0) != -1 or ctypes.get_errno() != 1 else 1)'
try use-io-uring              python 'sys.exit(0 if libc.syscall(425, 1, 0) != -1 or ctypes.get_errno() != 1 else 1)'
try speak-to-the-hypervisor   python 'socket.socket(40, socket.SOCK_STREAM)'
try type-into-a-terminal      python 'import fcntl; fcntl.ioctl(0, 0x5412, b"x")'
try fill-the-memory           sh -c 'dd if=/dev/zero of=/tmp/fill bs=1M count=300'
)sh";

TEST_F(PodsTest, NothingInAPodSeesOrHarmsTheMachine) {
  ASSERT_NO_FATAL_FAILURE(start());
  std::string script = kHarm;
  const auto put = [&](const std::string& mark, const std::string& value) {
    for (size_t at; (at = script.find(mark)) != std::string::npos;) script.replace(at, mark.size(), value);
  };
  put("@FILE@", write_manifest("secret"));
  put("@PID@", std::to_string(::getpid()));
  for (const char* pod : {"program", "played"}) {
    const Ended tried = run(pod, script);
    EXPECT_EQ(tried.code, 0) << tried.err;
    EXPECT_EQ(tried.out.find("DONE"), std::string::npos) << pod << "\n" << tried.out;
    EXPECT_NE(tried.out.find("refused fill-the-memory"), std::string::npos) << tried.out << tried.err;  // the last one
  }
  const Ended status = run("program", "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status");
  EXPECT_NE(status.out.find("CapEff:\t00000000000425fb"), std::string::npos) << status.out;
  EXPECT_NE(status.out.find("CapBnd:\t00000000000425fb"), std::string::npos) << status.out;
  EXPECT_NE(status.out.find("NoNewPrivs:\t1"), std::string::npos) << status.out;
  EXPECT_NE(status.out.find("Seccomp:\t2"), std::string::npos) << status.out;
}

TEST_F(PodsTest, ACommandRunsBesideTheContainersOwnProgram) {
  ASSERT_NO_FATAL_FAILURE(start());
  EXPECT_EQ(run("program", "cat /tmp/mark; echo $COLOUR; pwd").out, "blue\nblue\n/\n");
  EXPECT_EQ(run("program", "test -e /tmp/mark || echo 'its own'; pwd", "side").out, "its own\n/srv\n");
  EXPECT_EQ(run("program", "ps -o comm= ax | grep -c sleep").out, "1\n") << "each has processes of its own";
  // One network.
  const std::string netns = run("program", "readlink /proc/self/ns/net").out;
  EXPECT_EQ(run("program", "readlink /proc/self/ns/net", "side").out, netns);
  for (const char* kind : {"pid", "mnt", "uts", "ipc"}) {
    const std::string look = fmt::format("readlink /proc/self/ns/{}", kind);
    EXPECT_NE(run("program", look).out, run("program", look, "side").out) << kind;
  }
  // A container that the responder plays is made when it is entered, and stays.
  EXPECT_EQ(run("played", "hostname; touch /tmp/mark").out, "uno\n");
  EXPECT_EQ(run("played", "ls /tmp; cat /etc/hostname").out, "mark\nuno\n");
  EXPECT_EQ(run("played", "exit 7").code, 7);
  Ended wrong = carrick(fmt::format("lab exec --name {} -c none default/program -- true", name_));
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err, "carrick lab exec: pod default/program has no container \"none\": it has main, side\n");
}

}  // namespace
}  // namespace carrick::cluster_tests
