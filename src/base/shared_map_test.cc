#include "base/shared_map.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

namespace carrick {
namespace {

using Shared = SharedMap<int, std::string>;
using Plain = std::map<int, std::string>;

Plain plain(const Shared& map) {
  Plain out;
  for (const auto& [key, value] : map) EXPECT_TRUE(out.emplace(key, value).second) << "keys in order, each once";
  EXPECT_EQ(out.size(), map.size());
  return out;
}

struct Change {
  int key;
  std::optional<std::string> before, after;
  bool operator==(const Change&) const = default;
};

std::vector<Change> changes(const Shared& before, const Shared& after) {
  std::vector<Change> out;
  Shared::diff(before, after, [&](const auto* was, const auto* is) {
    out.push_back({(was ? was : is)->first, was ? std::optional(was->second) : std::nullopt,
                   is ? std::optional(is->second) : std::nullopt});
  });
  return out;
}

std::vector<Change> changes(const Plain& before, const Plain& after) {
  std::vector<Change> out;
  for (int key = -1; key < 2000; ++key) {
    const auto a = before.find(key), b = after.find(key);
    Change change{key, a == before.end() ? std::nullopt : std::optional(a->second),
                  b == after.end() ? std::nullopt : std::optional(b->second)};
    if (change.before != change.after) out.push_back(change);
  }
  return out;
}

// Property: like std::map after any sequence of changes, and copies made on the way keep what they held.
TEST(SharedMap, BehavesAsAMapAndCopiesStayAsTheyWere) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    Shared map;
    Plain model;
    std::vector<std::pair<Shared, Plain>> copies;
    for (int step = 0; step < 4000; ++step) {
      const int key = static_cast<int>(random() % (seed % 2 ? 50 : 1500));
      const std::string value = std::to_string(random() % 4);
      switch (random() % (step < 2000 ? 5 : 9)) {
        case 0:
          EXPECT_EQ(map.emplace(key, value).second, model.emplace(key, value).second);
          break;
        case 1:
          map.insert_or_assign(key, value);
          model.insert_or_assign(key, value);
          break;
        case 2:
          map[key] += value;
          model[key] += value;
          break;
        case 3: {
          Shared more{{key, "m"}, {key + 1, "n"}};
          Plain the_same{{key, "m"}, {key + 1, "n"}};
          map.merge(more);
          model.merge(the_same);
          break;
        }
        case 4:
          if (random() % 20 == 0) copies.emplace_back(map, model);
          break;
        default:
          EXPECT_EQ(map.erase(key), model.erase(key));
      }
      EXPECT_EQ(map.contains(key), model.contains(key));
      const auto at = map.lower_bound(key);
      const auto expected = model.lower_bound(key);
      ASSERT_EQ(at == map.end(), expected == model.end());
      if (at != map.end()) EXPECT_EQ(*at, *expected);
    }
    copies.emplace_back(map, model);
    for (const auto& [copy, then] : copies) EXPECT_EQ(plain(copy), then);
    for (size_t i = 1; i < copies.size(); ++i) {
      EXPECT_EQ(changes(copies[i - 1].first, copies[i].first), changes(copies[i - 1].second, copies[i].second));
      EXPECT_EQ(copies[i - 1].first == copies[i].first, copies[i - 1].second == copies[i].second);
      EXPECT_EQ(changes(copies[i].first, copies[0].first), changes(copies[i].second, copies[0].second));
    }
  }
}

TEST(SharedMap, EqualContentIsEqualHoweverItCameAbout) {
  Shared up, down;
  for (int i = 0; i < 500; ++i) up[i] = "x";
  for (int i = 499; i >= 0; --i) down.emplace(i, "x");
  EXPECT_EQ(up, down);
  EXPECT_TRUE(changes(up, down).empty());
  down[250] = "y";
  EXPECT_FALSE(up == down);
  EXPECT_EQ(changes(up, down), (std::vector<Change>{{250, "x", "y"}}));
}

TEST(SharedMap, IteratorsGoBothWays) {
  Shared map;
  for (int i = 0; i < 300; ++i) map[i] = std::to_string(i);
  int expected = 300;
  for (auto at = map.end(); at != map.begin();) EXPECT_EQ((--at)->first, --expected);
  EXPECT_EQ(expected, 0);
  map.erase(std::next(map.begin(), 100));
  EXPECT_EQ(std::next(map.begin(), 100)->first, 101);
}

TEST(SharedMap, EntriesOutliveTheirMap) {
  Shared map{{1, "one"}};
  Shared::Entry entry = map.begin().entry();
  map[1] = "other";
  EXPECT_EQ(entry->second, "one");
  Shared other;
  other.insert_or_assign(entry);
  map.clear();
  EXPECT_EQ(other.at(1), "one");
  EXPECT_THROW(map.at(1), std::out_of_range);
}

struct Loud {
  int value = 0;
  bool operator==(const Loud& other) const {
    ++compared;
    return value == other.value;
  }
  static inline int compared = 0;
};

TEST(SharedMap, ADifferenceCostsItsOwnRows) {
  SharedMap<int, Loud> before;
  for (int i = 0; i < 10000; ++i) before[i].value = i;
  SharedMap<int, Loud> after = before;
  after[5000].value = -1;
  Loud::compared = 0;
  int seen = 0;
  SharedMap<int, Loud>::diff(before, after, [&](const auto*, const auto*) { ++seen; });
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(Loud::compared, 1);
}

}  // namespace
}  // namespace carrick
