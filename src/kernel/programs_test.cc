#include "kernel/programs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernel/link_counters.h"
#include "kernel/link_programs.h"
#include "kernel/netlink.h"
#include "kernel/test_programs.h"
#include "wire/flows.h"

namespace carrick::kernel {
namespace {

namespace fs = std::filesystem;

using testing::alone;
using testing::raw;
using testing::small;

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
    // The lasting kind of link.
    ASSERT_TRUE((*programs)->attach(12, Attachment::kUplink));
    ASSERT_TRUE((*programs)->attach(12, Attachment::kUplink));
    EXPECT_EQ(program_on_link(12, Direction::kIngress), "from_netdev");
    EXPECT_EQ(program_on_link(12, Direction::kEgress), "to_netdev");
    EXPECT_TRUE((*programs)->detach(12));
    EXPECT_EQ(program_on_link(12, Direction::kEgress), "");
    // A pod's link that carries much has the program in both places; an agent that starts again finds that.
    EXPECT_FALSE((*programs)->is_busy(11));
    ASSERT_TRUE((*programs)->attach_busy(11));
    ASSERT_TRUE((*programs)->attach_busy(11));
    EXPECT_EQ((*programs)->is_busy(11), has_tcx());
    const auto missing = (*programs)->attach(4711, Attachment::kPod);
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("4711"), std::string::npos) << missing.error().message;
    auto again = load_programs({.pin_directory = "", .sizes = small()});  // as an agent that starts again
    ASSERT_TRUE(again && (*again)->attach(11, Attachment::kPod));
    ASSERT_EQ((*again)->is_busy(11), has_tcx());
    ASSERT_TRUE((*again)->attach_busy(11));
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

TEST(LinkCounters, AreReadByName) {
  const auto parsed = parse_received_packets(
      "Inter-|   Receive                            |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
      "    lo:    1600      20    0    0    0     0          0         0     1600      20\n"
      "ck0123:7 9 0\nbroken: x y\nshort:\n");
  EXPECT_EQ(parsed, (std::map<std::string, uint64_t>{{"lo", 20}, {"ck0123", 9}}));
  alone([](const std::string&) { EXPECT_TRUE(received_packets().value().contains("lo")); });
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
