#include "apiserver/continue_token.h"

#include "apiserver/document.h"
#include "base/encoding.h"

namespace carrick::apiserver {
namespace {

constexpr size_t kMaxToken = 2048;

}  // namespace

std::string ContinueToken::str() const {
  return base64url(json::serialize(
      json::object{{"rv", std::to_string(revision)}, {"namespace", after.namespace_}, {"name", after.name}}));
}

std::optional<ContinueToken> ContinueToken::parse(std::string_view text) {
  if (text.size() > kMaxToken) return std::nullopt;
  const auto decoded = from_base64url(text);
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
