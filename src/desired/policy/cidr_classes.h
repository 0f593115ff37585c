#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "desired/policy/policy.h"

namespace carrick::desired {

// A set of addresses that some rule names: cidrs minus excepts. `text` is its name and must differ between different
// sets.
struct AddressBlock {
  std::string text;
  std::vector<net::Prefix> cidrs, excepts;
};

// Splits the address space into the pieces that no block can tell apart.
class CidrClasses {
 public:
  explicit CidrClasses(const std::map<std::string, AddressBlock>& blocks);
  const CidrTable& table() const { return table_; }
  // Classes that make up a block; empty for an unknown one.
  const std::set<CidrClass>& of_block(const std::string& text) const;

 private:
  CidrTable table_;
  std::map<std::string, std::set<CidrClass>> by_block_;
};

}  // namespace carrick::desired
