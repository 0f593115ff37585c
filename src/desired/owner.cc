#include "desired/owner.h"

namespace carrick::desired {

std::string Owner::str() const {
  std::string out = kind + " " + (namespace_.empty() ? name : namespace_ + "/" + name);
  if (!clause.empty()) out += " " + clause;
  return out;
}

}  // namespace carrick::desired
