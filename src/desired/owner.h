#pragma once

#include <compare>
#include <string>

#include "base/shared_text.h"

namespace carrick::desired {

// The object, and the place in it, that decided a row. explain prints it; status and Events name it.
struct Owner {
  SharedText kind, namespace_, name;
  SharedText clause;        // field path inside the object, "spec.ingress[0].from[1]", or empty for the whole object
  std::string str() const;  // "NetworkPolicy default/web spec.ingress[0]"
  auto operator<=>(const Owner&) const = default;
};

}  // namespace carrick::desired
