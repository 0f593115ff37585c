#include "apiserver/custom/patterns.h"
#include "apiserver/custom/schema.h"
#include "apiserver/custom/schema_nodes.h"

namespace carrick::apiserver {
namespace {

using namespace schema_node;
using k8s::FieldError;

constexpr std::string_view kTypes[] = {"object", "array", "string", "integer", "number", "boolean"};
// Words of JSON schema that a structural schema cannot have.
constexpr std::string_view kForbidden[] = {"$ref",        "$schema",     "id", "patternProperties", "additionalItems",
                                           "definitions", "dependencies"};

class Checker {
 public:
  std::vector<FieldError> found;

  void node(const json::object& node, const std::string& at, bool root) {
    for (std::string_view word : kForbidden)
      if (node.contains(word)) forbidden(at + "." + std::string(word), "must not be used");
    if (says(node, "uniqueItems"))
      forbidden(at + ".uniqueItems",
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    type(node, at, root);
    const json::object *properties = child(node, "properties"), *additional = child(node, "additionalProperties");
    if (properties && (additional || says(node, "additionalProperties")))
      forbidden(at + ".additionalProperties", "additionalProperties and properties are mutually exclusive");
    if (const std::string_view pattern = text(node, "pattern"); !pattern.empty() && !Patterns::is_valid(pattern))
      found.push_back({"Invalid", at + ".pattern",
                       fmt::format("Invalid value: {}: must be a valid regular expression, but isn't",
                                   json::serialize(json::value(pattern)))});
    list(node, at);
    if (properties)
      for (const auto& [name, value] : *properties)
        if (value.is_object())
          this->node(value.get_object(), fmt::format("{}.properties[{}]", at, std::string_view(name)), false);
    if (additional) this->node(*additional, at + ".additionalProperties", false);
    if (const json::object* items = child(node, "items")) this->node(*items, at + ".items", false);
  }

 private:
  void forbidden(std::string field, std::string_view why) {
    found.push_back({"Forbidden", std::move(field), fmt::format("Forbidden: {}", why)});
  }
  void required(std::string field, std::string_view why) {
    found.push_back({"Required", std::move(field), fmt::format("Required value: {}", why)});
  }
  void type(const json::object& node, const std::string& at, bool root) {
    const std::string_view type = text(node, "type");
    const bool free = says(node, "x-kubernetes-int-or-string") || says(node, "x-kubernetes-preserve-unknown-fields");
    if (type.empty() && root) return required(at + ".type", "must not be empty at the root");
    if (type.empty() && !free) return required(at + ".type", "must not be empty for specified object fields");
    if (root && type != "object")
      found.push_back(
          {"Invalid", at + ".type", fmt::format("Invalid value: \"{}\": must be object at the root", type)});
    if (!type.empty() && std::ranges::find(kTypes, type) == std::end(kTypes))
      found.push_back({"NotSupported", at + ".type",
                       fmt::format("Unsupported value: \"{}\": supported values: \"array\", \"boolean\", \"integer\", "
                                   "\"number\", \"object\", \"string\"",
                                   type)});
    if (!type.empty() && says(node, "x-kubernetes-int-or-string"))
      forbidden(at + ".type", "must be empty if x-kubernetes-int-or-string is true");
    if (type == "array" && !child(node, "items")) required(at + ".items", "must be specified");
  }
  void list(const json::object& node, const std::string& at) {
    const std::string_view kind = text(node, "x-kubernetes-list-type");
    const json::array* keys = array_at(node, "x-kubernetes-list-map-keys");
    if (!kind.empty() && kind != "atomic" && kind != "set" && kind != "map")
      found.push_back({"NotSupported", at + ".x-kubernetes-list-type",
                       fmt::format("Unsupported value: \"{}\": supported values: \"atomic\", \"map\", \"set\"", kind)});
    if (kind == "map" && (!keys || keys->empty()))
      required(at + ".x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map");
    if (!kind.empty() && text(node, "type") != "array")
      found.push_back({"Invalid", at + ".type",
                       fmt::format("Invalid value: \"{}\": must be array if x-kubernetes-list-type is specified",
                                   text(node, "type"))});
  }
};

}  // namespace

std::vector<FieldError> Schema::check(const json::object& text, const std::string& field) {
  Checker checker;
  checker.node(text, field, true);
  return std::move(checker.found);
}

}  // namespace carrick::apiserver
