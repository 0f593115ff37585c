#include "reconcile/reconcile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace carrick::reconcile {
namespace {

using std::chrono::milliseconds;

// Remembers what it was asked; rows whose key is in `refused` fail, others with probability `unlucky`.
class FakeStore : public Store {
 public:
  Result<std::vector<Row>> read() override {
    std::vector<Row> all;
    for (const auto& [key, value] : rows) all.push_back({key, value, {}});
    return all;
  }
  Outcome write(std::span<const Row> batch) override {
    largest = std::max(largest, batch.size());
    offered += batch.size();
    for (size_t i = 0; i < batch.size(); ++i) {
      if (fails(batch[i].key)) return {i, Error{ErrorKind::kTransient, "refused " + batch[i].key}};
      rows[batch[i].key] = batch[i].value;
      ++operations;
    }
    return {batch.size(), {}};
  }
  Outcome erase(std::span<const std::string> keys) override {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (fails(keys[i])) return {i, Error{ErrorKind::kTransient, "refused " + keys[i]}};
      rows.erase(keys[i]);
      ++operations;
    }
    return {keys.size(), {}};
  }
  bool fails(const std::string& key) { return refused.contains(key) || std::bernoulli_distribution(unlucky)(random); }

  std::map<std::string, std::string> rows;
  std::set<std::string> refused;
  double unlucky = 0;
  std::mt19937 random{7};
  size_t operations = 0, largest = 0, offered = 0;
};

const Time kStart{};

TEST(Reconcile, WritesOnlyTheDifference) {
  FakeStore store;
  store.rows = {{"a", "1"}, {"b", "1"}, {"c", "1"}};
  Table table("t", store);
  ASSERT_TRUE(table.read_back());
  table.desire({{"b", "1", ""}, {"d", "1", ""}, {"a", "2", ""}}, true);
  EXPECT_EQ(table.write(kStart), 2u);
  EXPECT_EQ(table.erase(kStart), 1u);
  EXPECT_EQ(store.rows, (std::map<std::string, std::string>{{"a", "2"}, {"b", "1"}, {"d", "1"}}));
  EXPECT_EQ(store.operations, 3u);
  table.desire({{"b", "1", ""}, {"d", "1", ""}, {"a", "2", ""}}, true);
  EXPECT_EQ(table.write(kStart) + table.erase(kStart), 0u);
  EXPECT_TRUE(table.settled());
}

TEST(Reconcile, VeryManyRowsThatWaitAreLookedAtTogether) {
  FakeStore store;
  Table table("t", store, {.batch = 8, .first_delay = milliseconds(100), .longest_delay = milliseconds(3000)});
  std::vector<Row> rows;
  for (int i = 0; i < 1500; ++i) {
    rows.push_back({fmt::format("{:04}", i), "1", ""});
    store.refused.insert(rows.back().key);
    table.adjust({rows.back()}, {}, true);  // each fails at a moment of its own
    table.write(kStart + milliseconds(i));
  }
  Time now = kStart + milliseconds(10'000);  // by then each has been looked at in the crowd
  table.write(now);
  int looks = 0;
  for (const Time end = now + milliseconds(30'000); now < end; ++looks) {
    ASSERT_TRUE(table.next_retry());
    now = std::max(now, *table.next_retry());
    table.write(now);
  }
  EXPECT_LE(looks, 31) << "one a second at most";
  store.refused.clear();
  for (int i = 0; i < 6; ++i, now += milliseconds(1000)) table.write(now);
  EXPECT_TRUE(table.settled()) << "and all of them heal";
}

TEST(Reconcile, NothingIsRemovedBeforeTheWatchesAreInSync) {
  FakeStore store;
  store.rows = {{"old", "1"}};
  Table table("t", store);
  ASSERT_TRUE(table.read_back());
  table.desire({{"new", "1", ""}}, false);
  table.write(kStart);
  table.erase(kStart);
  EXPECT_TRUE(store.rows.contains("old"));
  table.desire({{"new", "1", ""}}, true);
  table.erase(kStart);
  EXPECT_FALSE(store.rows.contains("old"));
}

TEST(Reconcile, ABadRowFailsAloneUnderItsOwnersNameAndIsTriedAgainLater) {
  FakeStore store;
  store.refused = {"b"};
  Table table("policy", store);
  table.desire({{"a", "1", "web"}, {"b", "1", "bad"}, {"c", "1", "db"}}, true);
  EXPECT_EQ(table.write(kStart), 2u);
  EXPECT_FALSE(table.settled());
  auto failures = table.failures();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].owner, "bad");
  EXPECT_EQ(failures[0].table, "policy");
  EXPECT_EQ(failures[0].error.message, "refused b");
  EXPECT_EQ(table.next_retry(), kStart + milliseconds(100));
  // Not before its time, then with twice the delay, also across a new plan.
  store.operations = 0;
  table.write(kStart + milliseconds(99));
  EXPECT_EQ(table.failures()[0].attempts, 1u);
  table.desire({{"a", "1", "web"}, {"b", "1", "bad"}}, true);
  table.write(kStart + milliseconds(100));
  EXPECT_EQ(table.failures()[0].attempts, 2u);
  EXPECT_EQ(table.next_retry(), kStart + milliseconds(300));
  store.refused.clear();
  EXPECT_EQ(table.write(kStart + milliseconds(300)), 1u);
  EXPECT_TRUE(table.failures().empty());
  EXPECT_FALSE(table.next_retry());
}

TEST(Reconcile, ARowThatIsNoLongerWantedNoLongerFails) {
  FakeStore store;
  store.refused = {"b"};
  Table table("t", store);
  table.desire({{"b", "1", "bad"}}, true);
  table.write(kStart);
  table.desire({}, true);
  EXPECT_TRUE(table.failures().empty());
  EXPECT_TRUE(table.settled());
}

TEST(Reconcile, DelaysEndAtTheLongest) {
  FakeStore store;
  store.refused = {"b"};
  Table table("t", store, {.batch = 8, .first_delay = milliseconds(100), .longest_delay = milliseconds(1000)});
  table.desire({{"b", "1", ""}}, true);
  Time now = kStart;
  for (int i = 0; i < 40; ++i) {
    table.write(now);
    EXPECT_LE(*table.next_retry() - now, milliseconds(1000));
    now = *table.next_retry();
  }
}

TEST(Reconcile, HeldRowsWait) {
  FakeStore store;
  Table table("t", store);
  table.desire({{"a", "1", ""}, {"b", "1", ""}}, true);
  table.hold([](const Row& row) { return row.key == "b"; });
  EXPECT_EQ(table.write(kStart), 1u);
  EXPECT_FALSE(table.settled());
  table.hold(nullptr);
  EXPECT_EQ(table.write(kStart), 1u);
  EXPECT_TRUE(table.settled());
}

TEST(Reconcile, BatchesAreBounded) {
  FakeStore store;
  Table table("t", store, {.batch = 10});
  std::vector<Row> rows;
  for (int i = 0; i < 95; ++i) rows.push_back({"k" + std::to_string(100 + i), "v", ""});
  table.desire(rows, true);
  EXPECT_EQ(table.write(kStart), 95u);
  EXPECT_EQ(store.largest, 10u);
}

TEST(Reconcile, AFullStoreIsNotAskedWithWholeBatchesForEachRow) {
  FakeStore store;
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) {
    rows.push_back({"k" + std::to_string(1000 + i), "v", ""});
    if (i >= 10) store.refused.insert(rows.back().key);
  }
  Table table("t", store);
  table.desire(rows, true);
  EXPECT_EQ(table.write(kStart), 10u);
  EXPECT_EQ(table.failures().size(), 990u);
  EXPECT_LT(store.offered, 3000u);
}

TEST(Reconcile, AnAdjustmentTouchesWhatItNames) {
  FakeStore store;
  Table table("t", store);
  table.desire({{"a", "1", ""}, {"b", "1", ""}, {"c", "1", ""}}, true);
  table.write(kStart);
  store.operations = 0;
  table.adjust({{"b", "2", ""}, {"d", "1", ""}, {"a", "1", ""}}, {"c", "x"}, true);
  EXPECT_EQ(table.write(kStart), 2u);
  EXPECT_EQ(table.erase(kStart), 1u);
  EXPECT_EQ(store.rows, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}, {"d", "1"}}));
  EXPECT_EQ(store.operations, 3u);
}

TEST(Reconcile, WhatAnAdjustmentDoesNotNameKeepsWaiting) {
  FakeStore store;
  store.refused = {"b", "c"};
  Table table("t", store);
  table.desire({{"a", "1", ""}, {"b", "1", "bad"}, {"c", "1", "worse"}}, true);
  table.write(kStart);
  table.adjust({{"a", "2", ""}}, {"c"}, true);
  table.write(kStart);
  ASSERT_EQ(table.failures().size(), 1u) << "c is no longer wanted";
  EXPECT_EQ(table.failures()[0].owner, "bad");
  EXPECT_EQ(table.failures()[0].attempts, 1u) << "not before its time";
  store.refused.clear();
  table.write(kStart + milliseconds(100));
  EXPECT_TRUE(table.settled());
  EXPECT_EQ(store.rows, (std::map<std::string, std::string>{{"a", "2"}, {"b", "1"}}));
  table.adjust({}, {"a"}, false);
  EXPECT_TRUE(table.settled()) << "nothing goes before the watches are in sync";
}

// Whatever fails on the way, and wherever it is restarted, in the end the store holds what is desired.
TEST(Reconcile, ConvergesWhileATenthOfAllOperationsFails) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    FakeStore store;
    store.unlucky = 0.1;
    store.random.seed(seed);
    std::mt19937 random(seed);
    auto table = std::make_unique<Table>("t", store, Options{.batch = 7});
    std::map<std::string, std::string> wanted, known;
    Time now = kStart;
    for (int step = 0; step < 30; ++step) {
      for (int i = 0; i < 5; ++i) {
        const std::string key = std::to_string(10 + random() % 40);
        if (random() % 3)
          wanted[key] = std::to_string(random() % 3);
        else
          wanted.erase(key);
      }
      if (step % 7 == 6) {
        table = std::make_unique<Table>("t", store, Options{.batch = 7});
        ASSERT_TRUE(table->read_back());
      }
      std::vector<Row> rows;
      if (seed % 2 || table->size() == 0 || step % 7 == 6) {
        for (const auto& [key, value] : wanted) rows.push_back({key, value, ""});
        std::shuffle(rows.begin(), rows.end(), random);
        table->desire(std::move(rows), true);
      } else {
        std::vector<std::string> gone;
        for (const auto& [key, value] : wanted)
          if (auto old = known.find(key); old == known.end() || old->second != value) rows.push_back({key, value, ""});
        for (const auto& [key, value] : known)
          if (!wanted.contains(key)) gone.push_back(key);
        table->adjust(std::move(rows), gone, true);
      }
      known = wanted;
      table->write(now);
      table->erase(now);
      now += milliseconds(random() % 200);
    }
    for (int i = 0; i < 200 && !table->settled(); ++i) {
      now += milliseconds(30000);
      table->write(now);
      table->erase(now);
    }
    ASSERT_TRUE(table->settled());
    EXPECT_EQ(store.rows, wanted) << "seed " << seed;
  }
}

}  // namespace
}  // namespace carrick::reconcile
