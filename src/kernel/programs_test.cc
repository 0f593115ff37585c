#include "kernel/programs.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernel/link_programs.h"
#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "wire/config.h"
#include "wire/flows.h"
#include "wire/services.h"

namespace carrick::kernel {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

wire_address v4(const char* text) {
  wire_address out{};
  out.bytes[10] = out.bytes[11] = 0xff;
  inet_pton(AF_INET, text, &out.bytes[12]);
  return out;
}

std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, where, type, rest;
  while (mounts >> device >> where >> type && std::getline(mounts, rest))
    if (type == "cgroup2") return where;
  return "";
}

// Each test runs in a child with a network and a mount namespace of its own: nothing can be left behind.
void alone(const std::function<void(const std::string& bpffs)>& body) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const pid_t child = fork();
  if (child == 0) {
    char directory[] = "/tmp/carrick-programs-XXXXXX";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        !mkdtemp(directory) || mount("bpf", directory, "bpf", 0, nullptr))
      _exit(99);
    body(directory);
    (void)umount2(directory, MNT_DETACH);
    (void)rmdir(directory);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "see the failures above";
}

MapSizes small() {
  auto sizes = MapSizes::lab();
  sizes.flows = 1024;
  return sizes;
}

TEST(Programs, AttachIsIdempotentAndDetachForgives) {
  alone([](const std::string&) {
    auto netlink = open_netlink().value();
    CreateVeth veth;
    veth.here = {.name = "pod", .ifindex = 11};
    veth.there = {.name = "peer", .ifindex = 12};
    ASSERT_TRUE(netlink->create_veth(veth));
    auto programs = load_programs({.pin_directory = "", .sizes = small()});
    ASSERT_TRUE(programs) << programs.error().message;
    for (int i = 0; i < 2; ++i) {
      const auto attached = (*programs)->attach(11, Attachment::kPod);
      ASSERT_TRUE(attached) << attached.error().message;
    }
    EXPECT_EQ(program_on_link(11, Direction::kIngress), "from_pod");
    EXPECT_EQ(program_on_link(11, Direction::kEgress), "to_pod");
    const auto missing = (*programs)->attach(4711, Attachment::kPod);
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("4711"), std::string::npos) << missing.error().message;
    auto again = load_programs({.pin_directory = "", .sizes = small()});  // as an agent that starts again
    ASSERT_TRUE(again && (*again)->attach(11, Attachment::kPod));
    EXPECT_TRUE((*programs)->detach(11));
    EXPECT_EQ(program_on_link(11, Direction::kIngress), "") << "one program a hook, not one a restart";
    EXPECT_EQ(program_on_link(11, Direction::kEgress), "");
    EXPECT_TRUE((*programs)->detach(11));
    EXPECT_TRUE((*programs)->detach(4711));
  });
}

TEST(Programs, RestartFindsItsRowsAndCutsNothing) {
  alone([](const std::string& bpffs) {
    const ProgramOptions options{.pin_directory = bpffs + "/node", .sizes = small()};
    flow_key key{};
    key.ifindex = 5;
    {
      auto first = load_programs(options);
      ASSERT_TRUE(first) << first.error().message;
      ASSERT_TRUE((*first)->map("pods")->put(raw(uint32_t{7}), std::string(56, 'p')));
      ASSERT_TRUE((*first)->map("flows")->put(raw(key), std::string(sizeof(flow_value), 'f')));
    }
    {
      auto second = load_programs(options);
      ASSERT_TRUE(second) << second.error().message;
      EXPECT_TRUE((*second)->map("pods")->lookup(raw(uint32_t{7})).value());
      EXPECT_TRUE((*second)->map("flows")->lookup(raw(key)).value());
    }
    auto other = options;
    other.sizes.flows = 2048;  // another layout: that map starts anew, the others stay
    auto third = load_programs(other);
    ASSERT_TRUE(third) << third.error().message;
    EXPECT_TRUE((*third)->map("pods")->lookup(raw(uint32_t{7})).value());
    EXPECT_FALSE((*third)->map("flows")->lookup(raw(key)).value());
    ASSERT_TRUE(unpin_programs(options.pin_directory));
    EXPECT_FALSE(fs::exists(options.pin_directory));
  });
}

TEST(Programs, PinningOutsideABpffsIsAClearError) {
  alone([](const std::string&) {
    const auto failed = load_programs({.pin_directory = "/proc/carrick", .sizes = small()});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind, ErrorKind::kUnsupported);
  });
}

TEST(Maps, RowsThroughTheDoorOfTheKernel) {
  alone([](const std::string&) {
    auto sizes = small();
    sizes.pods = 1000;
    auto programs = load_programs({.pin_directory = "", .sizes = sizes});
    ASSERT_TRUE(programs) << programs.error().message;
    auto& pods = *(*programs)->map("pods");
    std::vector<MapEntry> entries;
    for (uint32_t i = 0; i < 1200; ++i) entries.push_back({raw(i), std::string(56, static_cast<char>(i))});
    const auto outcome = pods.update(entries);
    EXPECT_EQ(outcome.done, 1000u);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->message, "map pods is full (1000 entries)");
    EXPECT_EQ(pods.read_all().value().size(), 1000u);
    EXPECT_EQ(pods.remove(std::vector<std::string>{entries[3].key, entries[3].key, entries[1100].key}).done, 3u);
    EXPECT_FALSE(pods.lookup(entries[3].key).value());
    EXPECT_EQ(pods.lookup(entries[4].key).value(), entries[4].value);
    // Tries are written in batches too.
    auto& peers = *(*programs)->map("peers");
    std::vector<MapEntry> rows;
    for (uint32_t i = 0; i < 3000; ++i) {
      std::string key(20, '\0');
      const uint32_t length = 128;
      std::memcpy(key.data(), &length, 4);
      std::memcpy(key.data() + 16, &i, 4);
      rows.push_back({key, std::string(28, 'x')});
    }
    EXPECT_EQ(peers.update(rows).done, 3000u);
    EXPECT_EQ(peers.read_all().value().size(), 3000u);
  });
}

// Socket hooks: in a sub-cgroup of its own, which only this child enters.
class Cgroup {
 public:
  Cgroup() : path_(fmt::format("{}/carrick-test-{}", cgroup2_mount(), getpid())) {
    made_ = mkdir(path_.c_str(), 0755) == 0;
    move(path_);
  }
  ~Cgroup() {
    move(cgroup2_mount());
    rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }
  bool made() const { return made_; }

 private:
  static void move(const std::string& where) { std::ofstream(where + "/cgroup.procs") << getpid() << std::endl; }
  std::string path_;
  bool made_ = false;
};

sockaddr_in at(const char* address, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

void put_frontend(Programs& programs, const char* address, uint16_t port, uint8_t protocol, uint16_t backend_port,
                  uint8_t scope = SCOPE_INTERNAL, uint64_t sources = 0) {
  frontend_key key{};
  key.address = v4(address);
  key.port_be = htons(port);
  key.protocol = protocol;
  key.scope = scope;
  frontend_value value{};
  value.service_id = value.set = port;
  value.sources = sources;
  value.count = backend_port ? 1 : 0;
  backend_value backend{};
  backend.address = v4("127.0.0.1");
  backend.port_be = htons(backend_port);
  if (backend_port) ASSERT_TRUE(programs.map("backends")->put(raw(backend_key{port, 0, 0}), raw(backend)));
  ASSERT_TRUE(programs.map("frontends")->put(raw(key), raw(value)));
}

std::string text_of(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(address.sin_port));
}

// A server on a free port of 127.0.0.1; its number.
uint16_t listen_somewhere() {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here = at("127.0.0.1", 0);
  socklen_t size = sizeof here;
  EXPECT_EQ(bind(server, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  EXPECT_EQ(listen(server, 8), 0);
  getsockname(server, reinterpret_cast<sockaddr*>(&here), &size);
  return ntohs(here.sin_port);
}

// A descriptor, or -errno.
int connect_to(const char* address, uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in there = at(address, port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0 ? fd : (close(fd), -errno);
}

void in_cgroup(const std::function<void(Programs&, const std::string& cgroup, const ProgramOptions&)>& body) {
  if (cgroup2_mount().empty()) GTEST_SKIP() << "no cgroup v2 hierarchy is mounted";
  alone([&](const std::string& bpffs) {
    Cgroup cgroup;
    ASSERT_TRUE(cgroup.made());
    auto netlink = open_netlink().value();
    ASSERT_TRUE(netlink->apply({SetLink{.link = "lo", .up = true}}));
    const ProgramOptions options{.pin_directory = bpffs + "/node", .sizes = small()};
    auto programs = load_programs(options).value();
    auto attached = programs->attach_cgroup(cgroup.path());
    ASSERT_TRUE(attached) << attached.error().message;
    body(*programs, cgroup.path(), options);
    programs.reset();
    ASSERT_TRUE(unpin_programs(options.pin_directory));
  });
}

void put_config(Programs& programs, uint64_t netns_cookie) {
  node_config config{};
  config.netns_cookie = netns_cookie;
  config.address4 = v4("192.0.2.11");
  ASSERT_TRUE(programs.map("config")->put(raw(uint32_t{0}), raw(config)));
}

TEST(Sockets, LoopbackLeadsToServicesInTheNodesNamespaceOnly) {  // SVC-D7, HP-2
  in_cgroup([](Programs& programs, const std::string&, const ProgramOptions&) {
    put_frontend(programs, "127.0.0.1", 30080, IPPROTO_TCP, listen_somewhere(), SCOPE_LOOPBACK);
    EXPECT_EQ(connect_to("127.0.0.1", 30080), -ECONNREFUSED) << "before the node is known";
    put_config(programs, own_netns_cookie().value());
    EXPECT_GE(connect_to("127.0.0.1", 30080), 0);
    put_config(programs, own_netns_cookie().value() + 1);
    EXPECT_EQ(connect_to("127.0.0.1", 30080), -ECONNREFUSED) << "a pod's own loopback is not caught";
  });
}

TEST(Sockets, SourceRangesSpeakOfTheNodeAndLeavePodsToTheirPackets) {  // SVC-D13
  in_cgroup([](Programs& programs, const std::string&, const ProgramOptions&) {
    put_frontend(programs, "198.51.100.1", 80, IPPROTO_TCP, listen_somewhere(), SCOPE_INTERNAL, 7);
    const auto allow = [&](const char* client) {
      source_lpm_key key{};
      key.length = SOURCE_LIST_BITS + 128;
      key.list[0] = 7;
      key.address = v4(client);
      ASSERT_TRUE(programs.map("sources")->put(raw(key), raw(uint32_t{1})));
    };
    put_config(programs, own_netns_cookie().value());
    allow("192.0.2.12");
    EXPECT_EQ(connect_to("198.51.100.1", 80), -ENETUNREACH) << "not led: there is no route to that address";
    allow("192.0.2.11");
    EXPECT_GE(connect_to("198.51.100.1", 80), 0);
    put_config(programs, own_netns_cookie().value() + 1);
    EXPECT_EQ(connect_to("198.51.100.1", 80), -ENETUNREACH);
  });
}

TEST(Sockets, ServicesAreResolvedAtSocketTime) {
  if (cgroup2_mount().empty()) GTEST_SKIP() << "no cgroup v2 hierarchy is mounted";
  alone([](const std::string& bpffs) {
    Cgroup cgroup;
    ASSERT_TRUE(cgroup.made());
    auto netlink = open_netlink().value();
    ASSERT_TRUE(netlink->apply({SetLink{.link = "lo", .up = true}}));
    const ProgramOptions options{.pin_directory = bpffs + "/node", .sizes = small()};
    auto programs = load_programs(options).value();
    auto attached = programs->attach_cgroup(cgroup.path());
    ASSERT_TRUE(attached) << attached.error().message;

    put_frontend(*programs, "10.96.0.10", 80, IPPROTO_TCP, listen_somewhere());
    put_frontend(*programs, "10.96.0.11", 80, IPPROTO_TCP, 0);

    socklen_t size;
    const int client = connect_to("10.96.0.10", 80);
    ASSERT_GE(client, 0) << strerror(-client);
    sockaddr_in peer{};
    size = sizeof peer;
    ASSERT_EQ(getpeername(client, reinterpret_cast<sockaddr*>(&peer), &size), 0);
    EXPECT_EQ(text_of(peer), "10.96.0.10:80");
    EXPECT_EQ(connect_to("10.96.0.11", 80), -ECONNREFUSED) << "no endpoint: refused at once";

    // A v4-mapped socket passes the IPv6 hook only.
    const int mapped = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 there{};
    there.sin6_family = AF_INET6;
    there.sin6_port = htons(80);
    inet_pton(AF_INET6, "::ffff:10.96.0.10", &there.sin6_addr);
    EXPECT_EQ(connect(mapped, reinterpret_cast<sockaddr*>(&there), sizeof there), 0) << strerror(errno);

    // UDP: sendmsg sees the backend, recvmsg says the service.
    const int echo = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
              asker = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in dns = at("127.0.0.1", 0);
    size = sizeof dns;
    ASSERT_EQ(bind(echo, reinterpret_cast<sockaddr*>(&dns), sizeof dns), 0);
    getsockname(echo, reinterpret_cast<sockaddr*>(&dns), &size);
    put_frontend(*programs, "10.96.0.10", 53, IPPROTO_UDP, ntohs(dns.sin_port));
    const sockaddr_in service = at("10.96.0.10", 53);
    ASSERT_EQ(sendto(asker, "?", 1, 0, reinterpret_cast<const sockaddr*>(&service), sizeof service), 1);
    char byte;
    size = sizeof peer;
    ASSERT_EQ(recvfrom(echo, &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size), 1);
    ASSERT_EQ(sendto(echo, "!", 1, 0, reinterpret_cast<sockaddr*>(&peer), size), 1);
    size = sizeof peer;
    ASSERT_EQ(recvfrom(asker, &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size), 1);
    EXPECT_EQ(text_of(peer), "10.96.0.10:53");

    // A restart points the pinned links at its own programs; services go on.
    programs.reset();
    const int meanwhile = connect_to("10.96.0.10", 80);
    EXPECT_GE(meanwhile, 0) << "pinned links serve while no agent runs";
    programs = load_programs(options).value();
    attached = programs->attach_cgroup(cgroup.path());
    ASSERT_TRUE(attached) << attached.error().message;
    EXPECT_GE(connect_to("10.96.0.10", 80), 0);
    uint32_t attached_count = 0;
    const int folder = open(cgroup.path().c_str(), O_RDONLY | O_DIRECTORY);
    uint32_t ids[8], flags = 0;
    attached_count = 8;
    ASSERT_EQ(bpf_prog_query(folder, BPF_CGROUP_INET4_CONNECT, 0, &flags, ids, &attached_count), 0);
    EXPECT_EQ(attached_count, 1u) << "one program a hook, not one a restart";
    close(folder);
    programs.reset();
    ASSERT_TRUE(unpin_programs(options.pin_directory));
  });
}

TEST(Drops, EveryReasonHasItsWordInTheGuide) {
  std::ifstream file(CARRICK_SOURCE_DIR "/docs/guide/drop-reasons.md");
  ASSERT_TRUE(file) << "docs/guide/drop-reasons.md";
  const std::string guide((std::istreambuf_iterator<char>(file)), {});
  size_t rows = 0;
  for (size_t at = guide.find("\n| `"); at != std::string::npos; at = guide.find("\n| `", at + 1)) ++rows;
  EXPECT_EQ(rows, DROP_COUNT - 1u);
  for (uint8_t reason = 1; reason < DROP_COUNT; ++reason)
    EXPECT_NE(guide.find(fmt::format("| `{}` | {} |", drop_word(reason), drop_sentence(reason))), std::string::npos)
        << drop_word(reason);
  EXPECT_EQ(drop_word(DROP_EGRESS_DENIED), "egress_denied");
  EXPECT_EQ(drop_word(250), "unknown");
}

}  // namespace
}  // namespace carrick::kernel
