#include "base/timestamp.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>

namespace carrick {
namespace {

constexpr int64_t kYear0 = -62167219200, kYear10000 = 253402300800;

// `digits` decimal digits off the front.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int number = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// "Z", "+02:00": seconds east of UTC.
std::optional<int64_t> take_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (int64_t{*hours} * 3600 + *minutes * 60);
}

}  // namespace

std::optional<std::string> timestamp_text(Timestamp at, int digits) {
  if (at.seconds < kYear0 || at.seconds >= kYear10000 || at.nanos < 0 || at.nanos > 999'999'999) return std::nullopt;
  const std::time_t seconds = at.seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                                 parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (digits > 0) text += "." + fmt::format("{:09}", at.nanos).substr(0, static_cast<size_t>(digits));
  return text + "Z";
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  std::tm parts{};
  const auto number = [&](int& into, size_t digits, int low, int high, std::string_view after) {
    const auto value = take_number(text, digits);
    if (!value || *value < low || *value > high) return false;
    into = *value;
    return after.empty() || take(text, after);
  };
  if (!number(parts.tm_year, 4, 0, 9999, "-") || !number(parts.tm_mon, 2, 1, 12, "-") ||
      !number(parts.tm_mday, 2, 1, 31, "Tt ") || !number(parts.tm_hour, 2, 0, 23, ":") ||
      !number(parts.tm_min, 2, 0, 59, ":") || !number(parts.tm_sec, 2, 0, 60, ""))
    return std::nullopt;
  parts.tm_year -= 1900;
  --parts.tm_mon;
  Timestamp out;
  if (take(text, ".")) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return std::nullopt;
    std::string padded(text.substr(0, std::min<size_t>(digits, 9)));
    padded.resize(9, '0');
    std::from_chars(padded.data(), padded.data() + padded.size(), out.nanos);
    text.remove_prefix(digits);
  }
  const auto offset = take_offset(text);
  if (!offset) return std::nullopt;
  const int day = parts.tm_mday;
  out.seconds = timegm(&parts);
  if (parts.tm_mday != day) return std::nullopt;  // 31 February
  out.seconds -= *offset;
  return out;
}

}  // namespace carrick
