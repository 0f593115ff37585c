#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "kernel/test_programs.h"
#include "wire/config.h"
#include "wire/services.h"

namespace carrick::kernel {
namespace {

int open_socket(int family, int type, int protocol) {
  const int fd = ::socket(family, type, protocol);
  if (fd < 0) throw std::runtime_error(std::string("socket: ") + strerror(errno));
  return fd;
}

using testing::alone;
using testing::raw;
using testing::small;

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
  const int server = open_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here = at("127.0.0.1", 0);
  socklen_t size = sizeof here;
  EXPECT_EQ(bind(server, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  EXPECT_EQ(listen(server, 8), 0);
  getsockname(server, reinterpret_cast<sockaddr*>(&here), &size);
  return ntohs(here.sin_port);
}

// A descriptor, or -errno.
int connect_to(const char* address, uint16_t port) {
  const int fd = open_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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

TEST(Sockets, UdpOfPodsIsLeftToItsPackets) {  // docs/adr/0011
  in_cgroup([](Programs& programs, const std::string&, const ProgramOptions&) {
    put_frontend(programs, "10.96.0.10", 53, IPPROTO_UDP, 53);
    const auto asked = [&] {
      const int fd = open_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const sockaddr_in there = at("10.96.0.10", 53);
      return connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0 ? 0 : errno;
    };
    put_config(programs, own_netns_cookie().value());
    EXPECT_EQ(asked(), 0);
    put_config(programs, own_netns_cookie().value() + 1);
    EXPECT_EQ(asked(), ENETUNREACH) << "there is no route to the service's own address";
  });
}

TEST(Sockets, DatagramsOfOneSocketGoToOneBackend) {
  in_cgroup([](Programs& programs, const std::string&, const ProgramOptions&) {
    put_config(programs, own_netns_cookie().value());
    std::map<int, int> servers;  // port -> descriptor
    for (uint32_t slot = 0; slot < 5; ++slot) {
      const int fd = open_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      sockaddr_in here = at("127.0.0.1", 0);
      socklen_t size = sizeof here;
      ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&here), size), 0);
      getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size);
      servers[ntohs(here.sin_port)] = fd;
      backend_value backend{};
      backend.address = v4("127.0.0.1");
      backend.port_be = here.sin_port;
      ASSERT_TRUE(programs.map("backends")->put(raw(backend_key{53, slot, 0}), raw(backend)));
    }
    frontend_key key{};
    key.address = v4("10.96.0.10");
    key.port_be = htons(53);
    key.protocol = IPPROTO_UDP;
    frontend_value value{};
    value.service_id = value.set = 53;
    value.count = 5;
    ASSERT_TRUE(programs.map("frontends")->put(raw(key), raw(value)));
    std::set<int> all;
    for (int i = 0; i < 20; ++i) {
      const int fd = open_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const sockaddr_in there = at("10.96.0.10", 53);
      for (int datagram = 0; datagram < 5; ++datagram)
        ASSERT_EQ(sendto(fd, "?", 1, 0, reinterpret_cast<const sockaddr*>(&there), sizeof there), 1);
      std::set<int> mine;
      for (const auto& [port, server] : servers) {
        char byte;
        while (recv(server, &byte, 1, 0) == 1) mine.insert(port);
      }
      EXPECT_EQ(mine.size(), 1u);
      all.merge(mine);
      close(fd);
    }
    EXPECT_GT(all.size(), 2u) << "and sockets differ";
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
    const int mapped = open_socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 there{};
    there.sin6_family = AF_INET6;
    there.sin6_port = htons(80);
    inet_pton(AF_INET6, "::ffff:10.96.0.10", &there.sin6_addr);
    EXPECT_EQ(connect(mapped, reinterpret_cast<sockaddr*>(&there), sizeof there), 0) << strerror(errno);

    // UDP: sendmsg sees the backend, recvmsg says the service.
    const int echo = open_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
              asker = open_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
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

}  // namespace
}  // namespace carrick::kernel
