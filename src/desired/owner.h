#pragma once

#include <compare>
#include <string>

namespace carrick::desired {

// The object, and the place in it, that decided a row. explain prints it; status and Events name it.
struct Owner {
  std::string kind, namespace_, name;
  std::string clause;       // field path inside the object, "spec.ingress[0].from[1]", or empty for the whole object
  std::string str() const;  // "NetworkPolicy default/web spec.ingress[0]"
  auto operator<=>(const Owner&) const = default;
};

}  // namespace carrick::desired
