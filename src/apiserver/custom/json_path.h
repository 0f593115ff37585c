#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "k8s/meta.h"

namespace carrick::apiserver {

// The JSONPath of printer columns: .a.b  .a\.b  ['a']  [0]  [-1]  [*]  .*  [?(@.type=="Ready")]  [?(@.x)], with the
// comparisons == != < <= > >=. What kubectl knows beside that (recursion, slices, unions) is kInvalid.
class JsonPath {
 public:
  static Result<JsonPath> parse(std::string_view text);
  // Null when nothing is there.
  const k8s::json::value* first(const k8s::json::value& root) const;

 private:
  struct Step {
    enum class Kind { kMember, kIndex, kAll, kFilter } kind = Kind::kMember;
    std::string name;                // kMember
    int index = 0;                   // kIndex; below 0 from the end
    std::vector<std::string> inner;  // kFilter: the members below @
    std::string comparison;          // empty: it is there
    k8s::json::value literal;
  };
  class Parser;
  static bool holds(const Step& filter, const k8s::json::value& element);
  const k8s::json::value* first(const k8s::json::value& at, size_t step) const;

  std::vector<Step> steps_;
};

}  // namespace carrick::apiserver
