#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "apiserver/document.h"

namespace carrick::apiserver {

// The regular expressions of a schema, compiled once. The engine gives up on expressions that would run away.
class Patterns {
 public:
  explicit Patterns(const json::object& schema);
  ~Patterns();
  enum class Verdict { kMatches, kDiffers, kTooHard };
  Verdict look(std::string_view pattern, std::string_view text) const;
  static bool is_valid(std::string_view pattern);

 private:
  struct Compiled;
  void collect(const json::object& object);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace carrick::apiserver
