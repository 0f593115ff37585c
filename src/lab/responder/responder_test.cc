#include "lab/responder/responder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "lab/responder/sockets.h"

namespace carrick::lab {
namespace {

// A responder process, and a fresh network namespace of this process that plays the pod.
class ResponderTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: makes a network namespace";
    home_ = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(::system("ip link set lo up"), 0);
    char folder[] = "/tmp/responder_test.XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    pid_ = ::fork();
    if (pid_ == 0) ::_exit(run_responder(folder_ + "/sock") ? 0 : 1);
    auto connected = ResponderClient::connect(folder_ + "/sock");
    for (int i = 0; !connected && i < 2000; ++i) {  // until its socket is there
      ::usleep(1000);
      connected = ResponderClient::connect(folder_ + "/sock");
    }
    ASSERT_TRUE(connected) << connected.error().message;
    client_ = std::make_unique<ResponderClient>(std::move(*connected));
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      int status = 0;
      ::waitpid(pid_, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    if (!folder_.empty()) (void)!::system(("rm -rf " + folder_).c_str());
    if (home_) ::setns(home_.get(), CLONE_NEWNET);
  }

  PodListeners pod(std::set<Listener> listeners) {
    return {"uid-1", "shop", "cart-1", "node2", fmt::format("/proc/{}/ns/net", ::getpid()), std::move(listeners)};
  }
  static Fd connect_tcp(uint16_t port, int* error) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    *error = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
    return fd;
  }

  Fd home_;
  std::string folder_;
  pid_t pid_ = -1;
  std::unique_ptr<ResponderClient> client_;
};

TEST_F(ResponderTest, ListensAndAnswersWithWhoItIs) {
  auto errors = client_->set(pod({{80, net::Protocol::kTcp}}));
  ASSERT_TRUE(errors);
  EXPECT_TRUE(errors->empty());
  int error = 0;
  Fd fd = connect_tcp(80, &error);
  ASSERT_EQ(error, 0);
  ASSERT_EQ(::send(fd.get(), "CARRICK?\n", 9, 0), 9);
  char answer[200];
  ssize_t n = ::recv(fd.get(), answer, sizeof answer, 0);
  ASSERT_GT(n, 0);
  EXPECT_TRUE(std::string(answer, n).starts_with("shop/cart-1 80 127.0.0.1:")) << std::string(answer, n);
}

TEST_F(ResponderTest, EchoesDatagramsFromTheAddressThatWasAsked) {
  ASSERT_EQ(::system("ip addr add 10.1.1.7/32 dev lo"), 0);
  ASSERT_TRUE(client_->set(pod({{53, net::Protocol::kUdp}})));
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(53)};
  ::inet_pton(AF_INET, "10.1.1.7", &to.sin_addr);
  ASSERT_EQ(::sendto(fd.get(), "hi", 2, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 2);
  char answer[200];
  sockaddr_in from{};
  socklen_t length = sizeof from;
  ssize_t n = ::recvfrom(fd.get(), answer, sizeof answer, 0, reinterpret_cast<sockaddr*>(&from), &length);
  ASSERT_GT(n, 0);
  EXPECT_TRUE(std::string(answer, n).starts_with("shop/cart-1 53 ")) << std::string(answer, n);
  EXPECT_TRUE(std::string(answer, n).ends_with("\nhi"));
  EXPECT_EQ(from.sin_addr.s_addr, to.sin_addr.s_addr);
}

TEST_F(ResponderTest, SetMakesExactlyTheGivenPortsAndRemoveClosesAll) {
  ASSERT_TRUE(client_->set(pod({{80, net::Protocol::kTcp}, {81, net::Protocol::kTcp}})));
  ASSERT_TRUE(client_->set(pod({{81, net::Protocol::kTcp}, {82, net::Protocol::kTcp}})));
  int error = 0;
  connect_tcp(80, &error);
  EXPECT_EQ(error, ECONNREFUSED);
  Fd kept = connect_tcp(82, &error);
  EXPECT_EQ(error, 0);
  ASSERT_TRUE(client_->remove("uid-1"));
  connect_tcp(81, &error);
  EXPECT_EQ(error, ECONNREFUSED);
  char byte;
  EXPECT_LE(::recv(kept.get(), &byte, 1, 0), 0);
}

TEST_F(ResponderTest, SeveralMachinesInOneNamespaceAnswerByTheirAddresses) {
  PodListeners one = pod({{80, net::Protocol::kTcp}}), two = one;
  one.address = net::IpAddress::parse("127.0.0.1").value();
  two.key = "uid-2";
  two.pod = "cart-2";
  two.address = net::IpAddress::parse("127.0.0.2").value();
  for (const auto& each : {one, two}) EXPECT_TRUE(client_->set(each).value().empty());
  int error = 0;
  Fd fd = connect_tcp(80, &error);  // to 127.0.0.1
  ASSERT_EQ(error, 0);
  ASSERT_EQ(::send(fd.get(), "CARRICK?\n", 9, 0), 9);
  char answer[200];
  ssize_t n = ::recv(fd.get(), answer, sizeof answer, 0);
  ASSERT_GT(n, 0);
  EXPECT_TRUE(std::string(answer, n).starts_with("shop/cart-1 ")) << std::string(answer, n);
  ASSERT_TRUE(client_->remove("uid-1"));
  connect_tcp(80, &error);
  EXPECT_EQ(error, ECONNREFUSED) << "the other machine is not there";
}

TEST_F(ResponderTest, IdleCountsFromTheLastClient) {
  ASSERT_TRUE(client_->set(pod({{80, net::Protocol::kTcp}})));
  int error = 0;
  Fd one = connect_tcp(80, &error);
  ASSERT_EQ(error, 0);
  ASSERT_EQ(::send(one.get(), "CARRICK?\n", 9, 0), 9);
  char answer[200];
  ASSERT_GT(::recv(one.get(), answer, sizeof answer, 0), 0);
  auto idle = client_->idle("uid-1");
  ASSERT_TRUE(idle);
  EXPECT_LT(*idle, std::chrono::seconds(5));
  EXPECT_GT(client_->idle("nobody").value(), std::chrono::minutes(1)) << "there is nothing to wait for";
}

TEST_F(ResponderTest, APortThatIsTakenIsASentence) {
  ASSERT_TRUE(client_->set(pod({{80, net::Protocol::kTcp}})));
  PodListeners other = pod({{80, net::Protocol::kTcp}});
  other.key = "uid-2";
  auto errors = client_->set(other);
  ASSERT_TRUE(errors);
  ASSERT_EQ(errors->size(), 1u);
  EXPECT_NE(errors->front().find("80/TCP"), std::string::npos);
}

}  // namespace
}  // namespace carrick::lab
