#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace carrick::lab {

// The flags of one command as Go programs take them: --name=value, --name value, --flag.
class Flags {
 public:
  // `known`: name to default; a default of "true" or "false" makes a flag that needs no value.
  static Result<Flags> parse(const std::vector<std::string>& words, size_t from,
                             std::map<std::string, std::string> known);
  const std::string& text(const std::string& name) const { return values_.at(name); }
  bool is(const std::string& name) const { return values_.at(name) == "true"; }
  int number(const std::string& name) const;
  std::chrono::milliseconds duration(const std::string& name) const;
  const std::vector<std::string>& rest() const { return rest_; }

 private:
  std::map<std::string, std::string> values_;
  std::vector<std::string> rest_;
};

// "1m30s", "500ms", "0".
Result<std::chrono::milliseconds> parse_go_duration(std::string_view text);

}  // namespace carrick::lab
