#include "realize/choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "realize/encode.h"
#include "wire/choice.h"

namespace carrick::realize {
namespace {

std::vector<net::SocketAddress> backends(size_t count) {
  std::vector<net::SocketAddress> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back({net::IpAddress::parse(fmt::format("10.1.{}.{}", i / 200, 2 + i % 200)).value(), 8080});
  std::ranges::sort(out);
  return out;
}

// Hashes of new connections: clients of a few networks, their ports in order, one service.
std::vector<uint32_t> connections(size_t count) {
  std::vector<uint32_t> out;
  for (size_t i = 0; i < count; ++i) {
    wire_tuple tuple{};
    tuple.src = wire_of(net::IpAddress::parse(fmt::format("203.0.113.{}", i % 50)).value());
    tuple.dst = wire_of(net::IpAddress::parse("198.51.100.1").value());
    tuple.sport_be = __builtin_bswap16(static_cast<uint16_t>(32768 + i / 50));
    tuple.dport_be = __builtin_bswap16(80);
    out.push_back(choice_hash(&tuple));
  }
  return out;
}

double chi_squared(const std::vector<int>& counts, double expected) {
  double sum = 0;
  for (int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

// What a fair choice stays below 9,999 times of 10,000 (Wilson and Hilferty's approximation).
double limit(size_t choices) {
  const double freedom = static_cast<double>(choices - 1), part = 2 / (9 * freedom);
  return freedom * std::pow(1 - part + 3.719 * std::sqrt(part), 3);
}

TEST(Choice, ConnectionsAreSpreadEvenly) {
  constexpr int kConnections = 10000;
  const auto hashes = connections(kConnections);
  for (size_t count = 3; count <= 100; ++count) {
    const auto table = choice_table(backends(count));
    std::vector<int> inside(count), outside(count);
    for (uint32_t hash : hashes) {
      ++inside[hash % count];
      ++outside[table[hash % table.size()]];
    }
    EXPECT_LT(chi_squared(inside, kConnections / static_cast<double>(count)), limit(count)) << count;
    EXPECT_LT(chi_squared(outside, kConnections / static_cast<double>(count)), limit(count)) << count;
  }
}

TEST(Choice, EveryBackendHasItsShareOfThePlaces) {
  for (size_t count : {2, 3, 5, 6, 20, 21, 100, 101, 1000}) {
    const auto table = choice_table(backends(count));
    std::vector<size_t> places(count);
    for (uint16_t backend : table) ++places.at(backend);
    const auto [least, most] = std::ranges::minmax(places);
    EXPECT_LE(most - least, 1u) << count;
    EXPECT_EQ(table.size(), CHOICE_PLACES + 0u);
  }
}

// The part of all places whose backend is another one after `gone` left.
double moved(const std::vector<net::SocketAddress>& all, size_t gone) {
  auto fewer = all;
  fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(gone));
  const auto before = choice_table(all), after = choice_table(fewer);
  int count = 0;
  for (size_t place = 0; place < before.size(); ++place) count += all[before[place]] != fewer[after[place]];
  return count / static_cast<double>(before.size());
}

TEST(Choice, ALostBackendMovesLittleMoreThanItsOwnConnections) {
  double worst = 0;
  for (size_t count = 3; count <= 100; ++count) {
    const auto all = backends(count);
    for (size_t gone : {size_t{0}, count / 2, count - 1})
      worst = std::max(worst, moved(all, gone) - 1.0 / static_cast<double>(count));
  }
  EXPECT_LE(worst, 0.02);
  std::printf("[          ] a lost backend of 3 to 100 moves at most 1/n + %.2f %%\n", 100 * worst);
}

TEST(Choice, ChunksSayWhatTheTableSays) {
  for (size_t count : {4, 255, 256, 300}) {
    const auto table = choice_table(backends(count));
    const auto chunks = choice_chunks(backends(count));
    const bool wide = count > CHOICE_NARROW;
    const size_t places = wide ? CHOICE_CHUNK / 2 : CHOICE_CHUNK;
    EXPECT_EQ(chunks.size(), (table.size() + places - 1) / places);
    size_t different = 0;
    for (size_t place = 0; place < table.size(); ++place) {
      const auto& chunk = chunks[place / places];
      different += table[place] != (wide ? chunk.wide[place % places] : chunk.narrow[place % places]);
    }
    EXPECT_EQ(different, 0u) << count;
  }
}

TEST(Choice, OrderAndRepetitionDecideNothing) {
  auto all = backends(12);
  const auto table = choice_table(all);
  auto turned = all;
  std::ranges::reverse(turned);
  const auto other = choice_table(turned);
  size_t different = 0;
  for (size_t place = 0; place < table.size(); ++place) different += all[table[place]] != turned[other[place]];
  EXPECT_LT(different, table.size() / 50) << "only where two wish for one place at the same time";
  EXPECT_EQ(choice_table(all), table);
}

TEST(Choice, OneBackendNeedsNoTable) {
  EXPECT_TRUE(choice_table({}).empty());
  EXPECT_TRUE(choice_table(backends(1)).empty());
  EXPECT_TRUE(choice_table(std::vector<net::SocketAddress>(70000)).empty()) << "more than slots have numbers";
}

}  // namespace
}  // namespace carrick::realize
