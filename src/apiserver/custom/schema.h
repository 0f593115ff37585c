#pragma once

#include <map>
#include <memory>
#include <vector>

#include "apiserver/document.h"
#include "k8s/fields.h"
#include "k8s/objects.h"

namespace carrick::apiserver {

class Patterns;  // of all `pattern` words in a schema, ready for use

// The schema of a custom kind (openAPIV3Schema): a structural one, that is, every field has its type in one place.
// CEL rules (x-kubernetes-validations) are kept and told to clients, not evaluated.
class Schema {
 public:
  Schema() = default;  // says nothing: everything goes
  explicit Schema(json::object text);

  // What is at fault with a schema itself; `field` is where it stands in its definition.
  static std::vector<k8s::FieldError> check(const json::object& text, const std::string& field);

  const json::object& text() const { return text_; }
  bool empty() const { return text_.empty(); }

  // Fields that the schema does not have, in the order of the document: "spec.foo".
  std::vector<std::string> unknown_fields(const json::object& document) const;
  void prune(json::object& document) const;
  void fill_defaults(json::object& document) const;
  std::vector<k8s::FieldError> validate(const json::object& document) const;

 private:
  json::object text_;
  std::shared_ptr<const Patterns> patterns_;
};

}  // namespace carrick::apiserver
