// rooms: apiserver

// A bearer token that somebody made up: it is of nobody.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apiserver/pki.h"
#include "apiserver/service_tokens.h"

using namespace carrick::apiserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokens = *ServiceTokens::create(*make_signing_key());
  static const auto store = *Store::open("");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (tokens->verified(text) || tokens->user_of(*store, text, 0)) std::abort();
  return 0;
}
