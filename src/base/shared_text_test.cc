#include "base/shared_text.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/boxed.h"
#include "base/text_pool.h"

namespace carrick {
namespace {

TEST(SharedText, IsLikeTheTextItHolds) {
  const SharedText empty, web("web"), api = std::string("api"), copy = web;
  EXPECT_TRUE(empty.empty() && SharedText("").empty());
  EXPECT_EQ(empty, "");
  EXPECT_EQ(web, copy);
  EXPECT_EQ(copy.view().data(), web.view().data()) << "shared";
  EXPECT_EQ(web, SharedText("web"));
  EXPECT_LT(api, web);
  EXPECT_LT(empty, api);
  EXPECT_EQ(web.size(), 3u);
  EXPECT_EQ(web + "/x", "web/x");
  EXPECT_EQ(std::string("a/") + web, "a/web");
  EXPECT_EQ(fmt::format("{:>5}", web), "  web");
  const std::string text = web;
  EXPECT_EQ(text, "web");
  std::map<std::string, int> by_name{{"web", 1}};
  EXPECT_TRUE(by_name.contains(web));
}

TEST(SharedText, OutlivesWhatItWasMadeFrom) {
  SharedText kept;
  {
    SharedText made(std::string(100, 'x'));
    kept = made;
    made = "other";
  }
  EXPECT_EQ(kept.str(), std::string(100, 'x'));
  SharedText moved = std::move(kept);
  EXPECT_EQ(moved.size(), 100u);
  moved = SharedText(moved);
  EXPECT_EQ(moved.size(), 100u);
}

TEST(TextPool, EqualTextsBecomeOne) {
  TextPool pool;
  SharedText a("node-1"), b("node-1"), none;
  pool.share(a);
  pool.share(b);
  pool.share(none);
  EXPECT_EQ(a.view().data(), b.view().data());
  EXPECT_EQ(pool.size(), 1u);
}

TEST(TextPool, LetsGoWhatNobodyHolds) {
  TextPool pool;
  std::vector<SharedText> held;
  for (int i = 0; i < 100'000; ++i) {
    SharedText text(std::to_string(i));
    pool.share(text);
    if (i % 100 == 0) held.push_back(text);
  }
  EXPECT_LE(pool.size(), 4 * held.size());
  SharedText again(held.front().str());
  pool.share(again);
  EXPECT_EQ(again.view().data(), held.front().view().data()) << "what is held stays";
}

TEST(Boxed, IsAnOptionalThatCopiesItsValue) {
  Boxed<std::string> none, one(std::string("a")), other(std::string("a"));
  EXPECT_FALSE(none);
  EXPECT_EQ(none, Boxed<std::string>());
  EXPECT_NE(none, one);
  EXPECT_EQ(one, other);
  Boxed<std::string> copy = one;
  copy->append("b");
  EXPECT_EQ(*one, "a");
  EXPECT_NE(copy, one);
  copy = none;
  EXPECT_FALSE(copy.has_value());
  copy.emplace() = "c";
  EXPECT_EQ(*copy, "c");
}

}  // namespace
}  // namespace carrick
