#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "k8s/meta.h"

namespace carrick::apiserver {

// Where a list in pieces goes on: after `after`, in the state of `revision`. Opaque to clients (base64url of JSON).
struct ContinueToken {
  uint64_t revision = 0;
  k8s::NamespacedName after;
  std::string str() const;
  static std::optional<ContinueToken> parse(std::string_view text);  // nullopt: none of ours
};

}  // namespace carrick::apiserver
