#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "k8s/meta.h"

// YAML text -> trees with positions, with the values that kubectl would see. For manifest.cc and for bodies of
// requests; others use load_manifests().
namespace carrick::k8s::yaml {

struct Mark {
  int line = 1, column = 1;  // from 1
};

struct Node {
  enum class Kind { kScalar, kList, kMap } kind = Kind::kScalar;
  Mark mark;
  json::value scalar;             // kScalar
  std::vector<Node> items;        // kList; kMap: the values
  std::vector<std::string> keys;  // kMap: of the items, in the order of the text

  const Node* find(std::string_view key) const;
};

// What a plain (unquoted) scalar means to kubectl, that is to go-yaml v2: YAML 1.1 booleans (yes, on, y), null (~ and
// nothing), integers (0644 is 420, 0x1F, 0b11, 1_000), floats; everything else is text. nullopt: .inf and .nan, which
// JSON cannot say.
std::optional<json::value> resolve_plain(std::string_view text);

// Every document of a stream. Aliases are expanded and `<<` merged; empty documents are left out. Errors are kInvalid
// and begin with "<file>:line:column: "; lines count from first_line. Limits: 100 levels, 2,000,000 nodes after
// expansion of aliases.
Result<std::vector<Node>> parse(std::string_view text, std::string_view file, int first_line = 1);

json::value to_json(const Node& node);

}  // namespace carrick::k8s::yaml
