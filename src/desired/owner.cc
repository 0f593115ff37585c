#include "desired/owner.h"

namespace carrick::desired {

std::string Owner::str() const {
  std::string out = kind + " ";
  if (!namespace_.empty()) out.append(namespace_).append("/");
  out.append(name);
  if (!clause.empty()) out.append(" ").append(clause);
  return out;
}

}  // namespace carrick::desired
