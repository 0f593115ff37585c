#include "apiserver/continue_token.h"

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";  // RFC 4648 5, no padding
constexpr size_t kMaxToken = 2048;

std::string encode(std::string_view bytes) {
  std::string out;
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = buffer << 8 | static_cast<uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[(buffer >> (bits - 6)) & 63];
  }
  if (bits > 0) out += kAlphabet[(buffer << (6 - bits)) & 63];
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = buffer << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(buffer >> bits & 255);
  }
  return out;
}

}  // namespace

std::string ContinueToken::str() const {
  return encode(json::serialize(
      json::object{{"rv", std::to_string(revision)}, {"namespace", after.namespace_}, {"name", after.name}}));
}

std::optional<ContinueToken> ContinueToken::parse(std::string_view text) {
  if (text.size() > kMaxToken) return std::nullopt;
  const auto decoded = decode(text);
  if (!decoded) return std::nullopt;
  boost::system::error_code error;
  const json::value value = json::parse(*decoded, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::object& object = value.get_object();
  const std::string revision(text_at(object, "rv"));
  if (revision.empty() || revision.size() > 19 || revision.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return ContinueToken{std::stoull(revision),
                       {std::string(text_at(object, "namespace")), std::string(text_at(object, "name"))}};
}

}  // namespace carrick::apiserver
