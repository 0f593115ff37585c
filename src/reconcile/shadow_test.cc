#include "reconcile/shadow.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace carrick::reconcile {
namespace {

std::string bytes(uint32_t number) { return {reinterpret_cast<const char*>(&number), sizeof number}; }

TEST(Shadow, BehavesAsAMap) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    Shadow shadow;
    std::map<std::string, std::string> model;
    for (int step = 0; step < 5000; ++step) {
      const std::string key = bytes(random() % 300), value = bytes(random() % 5);
      if (random() % (step < 2500 ? 4 : 2)) {
        shadow.put(key, value);
        model[key] = value;
      } else {
        shadow.erase(key);
        model.erase(key);
      }
      ASSERT_EQ(shadow.size(), model.size());
      const std::string other = bytes(random() % 300);
      const uint32_t row = shadow.find(other);
      ASSERT_EQ(row != Shadow::kNone, model.contains(other));
      if (row != Shadow::kNone) ASSERT_EQ(shadow.value(row), model[other]);
    }
    std::map<std::string, std::string> all;
    for (uint32_t row = 0; row < shadow.size(); ++row)
      all.emplace(std::string(shadow.key(row)), std::string(shadow.value(row)));
    EXPECT_EQ(all, model);
    for (const auto& [key, value] : model) {
      ASSERT_NE(shadow.find(key), Shadow::kNone);
      EXPECT_EQ(shadow.value(shadow.find(key)), value);
    }
  }
}

TEST(Shadow, WhatIsEmptyHasNothing) {
  Shadow shadow;
  EXPECT_EQ(shadow.find("a"), Shadow::kNone);
  shadow.erase("a");
  shadow.put("a", "1");
  shadow.clear();
  EXPECT_EQ(shadow.find("a"), Shadow::kNone);
  shadow.put("longer", "value");
  EXPECT_EQ(shadow.value(shadow.find("longer")), "value");
  EXPECT_EQ(shadow.find("a"), Shadow::kNone);
}

}  // namespace
}  // namespace carrick::reconcile
