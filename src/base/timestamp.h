#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace carrick {

struct Timestamp {
  int64_t seconds = 0;  // since 1970, UTC
  int32_t nanos = 0;
};
// RFC 3339 in UTC: "2026-01-02T15:04:05Z". Precision: digits after the second, 0 to 9. nullopt outside the years 0 to
// 9999.
std::optional<std::string> timestamp_text(Timestamp at, int digits = 0);
// Any offset from UTC, any number of digits after the second.
std::optional<Timestamp> parse_timestamp(std::string_view text);

}  // namespace carrick
