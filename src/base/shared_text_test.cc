#include "base/shared_text.h"

#include <gtest/gtest.h>

#include <map>

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

}  // namespace
}  // namespace carrick
