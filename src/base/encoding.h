#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace carrick {

// RFC 4648: the standard alphabet with padding.
std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
// The alphabet for URLs, without padding.
std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

// Length of the UTF-8 sequence at the front, or 0 when there is none (RFC 3629: no overlong forms, no surrogates).
size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace carrick
