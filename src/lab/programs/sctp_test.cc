#include "lab/programs/sctp.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/netns.h"

namespace carrick::lab {
namespace {

TEST(Sctp, ChecksumIsCrc32c) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()}), 0xe3069283u);
}

TEST(Sctp, PacketsComeBackAsTheyWere) {
  const SctpPacket packets[] = {
      {.from = 40000, .to = 80, .tag = 0, .chunk = SctpChunk::kInit, .initiate_tag = 7},
      {.from = 80, .to = 40000, .tag = 7, .chunk = SctpChunk::kInitAck, .initiate_tag = 9, .cookie = "cookie"},
      {.from = 40000, .to = 80, .tag = 9, .chunk = SctpChunk::kCookieEcho, .cookie = "cookie"},
      {.from = 80, .to = 40000, .tag = 7, .chunk = SctpChunk::kCookieAck},
      {.from = 40000, .to = 80, .tag = 9, .chunk = SctpChunk::kAbort}};
  for (const SctpPacket& packet : packets) {
    auto bytes = encode_sctp(packet);
    EXPECT_EQ(bytes.size() % 4, 0u);
    auto back = decode_sctp(bytes);
    ASSERT_TRUE(back) << static_cast<int>(packet.chunk);
    EXPECT_EQ(*back, packet);
    for (size_t cut = 0; cut < bytes.size(); ++cut)
      EXPECT_FALSE(decode_sctp(std::span<const uint8_t>(bytes).first(cut))) << cut;
    bytes[1] ^= 1;
    EXPECT_FALSE(decode_sctp(bytes)) << "its checksum is wrong";
  }
}

TEST(Sctp, AnAssociationIsMadeOverRawSockets) {
  auto netns = kernel::create_anonymous_netns();
  if (!netns) GTEST_SKIP() << "needs root: " << netns.error().message;
  const pid_t server = ::fork();
  if (server == 0) {
    if (auto inside = kernel::NetnsScope::enter(netns->get())) (void)serve_sctp({80});
    ::_exit(1);
  }
  auto connect = [&](const char* address, uint16_t port) {
    return kernel::in_netns(
        netns->get(), [&] { return connect_sctp(*net::IpAddress::parse(address), port, std::chrono::seconds(5)); });
  };
  // The server may not listen yet: then the kernel refuses.
  Result<void> made = connect("127.0.0.1", 80);
  for (int i = 0; i < 500 && !made; ++i) {
    ::usleep(10'000);
    made = connect("127.0.0.1", 80);
  }
  EXPECT_TRUE(made) << made.error().message;
  EXPECT_FALSE(kernel::in_netns(netns->get(), [] {
    return connect_sctp(*net::IpAddress::parse("127.0.0.1"), 81, std::chrono::milliseconds(100));
  }));
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
}

}  // namespace
}  // namespace carrick::lab
