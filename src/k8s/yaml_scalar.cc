#include <charconv>
#include <cmath>

#include "k8s/yaml.h"

namespace carrick::k8s::yaml {
namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words)
    if (text == word) return true;
  return false;
}

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

// Integers as Go's strconv.ParseInt(text, 0, 64) reads them: sign, then 0x, 0o, 0b or a leading zero for octal.
std::optional<json::value> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
  }
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!negative) return magnitude > INT64_MAX ? json::value(magnitude) : json::value(static_cast<int64_t>(magnitude));
  if (magnitude > uint64_t{1} << 63) return std::nullopt;
  return json::value(static_cast<int64_t>(-magnitude));
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t exponent = text.find_first_of("eE");
  if (exponent != text.npos) {
    std::string_view power = text.substr(exponent + 1);
    if (power.starts_with('-') || power.starts_with('+')) power.remove_prefix(1);
    if (!all_digits(power)) return false;
    text = text.substr(0, exponent);
  }
  const size_t point = text.find('.');
  if (point == text.npos) return all_digits(text);
  const std::string_view whole = text.substr(0, point), fraction = text.substr(point + 1);
  return whole.empty() ? all_digits(fraction) : all_digits(whole) && (fraction.empty() || all_digits(fraction));
}

std::optional<json::value> parse_float(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  // Go writes 1e3 as 1000, so a field that wants an integer accepts it.
  if (std::abs(number) < 1e15 && std::trunc(number) == number) return json::value(static_cast<int64_t>(number));
  return json::value(number);
}

}  // namespace

std::optional<json::value> resolve_plain(std::string_view text) {
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) return json::value(nullptr);
  if (one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})) return json::value(true);
  if (one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}))
    return json::value(false);
  if (one_of(text,
             {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN"}))
    return std::nullopt;
  if (std::string_view("+-.0123456789").find(text[0]) != std::string_view::npos) {
    std::string plain;
    for (char c : text)
      if (c != '_') plain += c;
    if (text[0] != '.')
      if (auto integer = parse_integer(plain)) return integer;
    if (looks_like_float(plain))
      if (auto number = parse_float(plain)) return number;
  }
  return json::value(json::string_view(text));
}

}  // namespace carrick::k8s::yaml
