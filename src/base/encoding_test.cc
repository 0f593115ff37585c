#include "base/encoding.h"

#include <gtest/gtest.h>

#include "base/timestamp.h"

namespace carrick {
namespace {

// RFC 4648, section 10.
TEST(Base64, Vectors) {
  for (const auto& [plain, text] : std::initializer_list<std::pair<std::string, std::string>>{{"", ""},
                                                                                              {"f", "Zg=="},
                                                                                              {"fo", "Zm8="},
                                                                                              {"foo", "Zm9v"},
                                                                                              {"foob", "Zm9vYg=="},
                                                                                              {"fooba", "Zm9vYmE="},
                                                                                              {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64(plain), text);
    EXPECT_EQ(from_base64(text), plain);
  }
  EXPECT_EQ(base64url("\xfb\xff"), "-_8");
  EXPECT_EQ(from_base64url("-_8"), "\xfb\xff");
  for (const char* bad : {"Zg", "Zg=", "Z===", "Zh==", "-_8=", "Zm 9", "Zg==Zg=="})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Utf8, Table) {
  for (const char* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Timestamp, ThereAndBack) {
  EXPECT_EQ(timestamp_text({0, 0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(timestamp_text({1'767'366'245, 120'034'000}, 6), "2026-01-02T15:04:05.120034Z");
  EXPECT_EQ(timestamp_text({-62167219200, 0}), "0000-01-01T00:00:00Z");
  EXPECT_FALSE(timestamp_text({253402300800, 0}));
  for (const char* text :
       {"2026-01-02T15:04:05Z", "2026-01-02T17:34:05+02:30", "2026-01-02T10:04:05-05:00", "2026-01-02T15:04:05.12Z"}) {
    ASSERT_TRUE(parse_timestamp(text)) << text;
    EXPECT_EQ(parse_timestamp(text)->seconds, 1'767'366'245) << text;
  }
  EXPECT_EQ(parse_timestamp("2026-01-02T15:04:05.12Z")->nanos, 120'000'000);
  for (const char* bad : {"", "2026-01-02", "2026-13-02T15:04:05Z", "2026-02-31T15:04:05Z", "2026-01-02T15:04:05",
                          "2026-01-02T15:04:05.Z", "2026-01-02T15:04:05+2:00", "2026-01-02T15:04:05Zx"})
    EXPECT_FALSE(parse_timestamp(bad)) << bad;
}

}  // namespace
}  // namespace carrick
