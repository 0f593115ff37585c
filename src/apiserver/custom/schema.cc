#include "apiserver/custom/schema.h"

#include "apiserver/custom/patterns.h"
#include "apiserver/custom/schema_nodes.h"

namespace carrick::apiserver {
namespace {

using namespace schema_node;
using k8s::Path;

enum class Unknown { kTell, kRemove };

// Walks a document beside its schema and tells, or removes, what the schema does not have.
class Pruner {
 public:
  explicit Pruner(Unknown unknown) : unknown_(unknown) {}
  std::vector<std::string> found;

  void object(json::object& value, const json::object& node, const Path* path, bool root) {
    const bool envelope = root || says(node, "x-kubernetes-embedded-resource");
    std::vector<std::string> gone;
    for (auto& [name, item] : value) {
      const Path here{path, name};
      if (envelope && is_envelope(name)) continue;
      if (const json::object* below = member(node, name)) {
        any(item, *below, &here);
      } else if (!keeps_unknown(node)) {
        found.push_back(here.str());
        gone.emplace_back(name);
      }
    }
    if (unknown_ == Unknown::kRemove)
      for (const std::string& name : gone) value.stable_erase(name);
  }

 private:
  void any(json::value& value, const json::object& node, const Path* path) {
    if (auto* members = value.if_object()) return object(*members, node, path, false);
    auto* items = value.if_array();
    const json::object* below = items ? child(node, "items") : nullptr;
    if (!below) return;
    for (size_t i = 0; i < items->size(); ++i) {
      const Path here{path, {}, static_cast<int>(i)};
      any((*items)[i], *below, &here);
    }
  }

  Unknown unknown_;
};

void fill(json::value& value, const json::object& node, bool root);

void fill(json::object& value, const json::object& node, bool root) {
  if (const json::object* properties = child(node, "properties")) {
    for (const auto& [name, below] : *properties) {
      if (!below.is_object() || (root && is_envelope(name))) continue;
      const json::value* standard = below.get_object().if_contains("default");
      if (!standard) continue;
      const json::value* given = value.if_contains(name);
      // A null where none may be stands for absence.
      if (!given || (given->is_null() && !says(below.get_object(), "nullable"))) value[name] = *standard;
    }
  }
  for (auto& [name, item] : value) {
    if (root && is_envelope(name)) continue;
    if (const json::object* below = member(node, name)) fill(item, *below, false);
  }
}

void fill(json::value& value, const json::object& node, bool root) {
  if (auto* object = value.if_object()) return fill(*object, node, root);
  if (auto* array = value.if_array())
    if (const json::object* items = child(node, "items"))
      for (json::value& item : *array) fill(item, *items, false);
}

}  // namespace

Schema::Schema(json::object text) : text_(std::move(text)), patterns_(std::make_shared<const Patterns>(text_)) {}

std::vector<std::string> Schema::unknown_fields(const json::object& document) const {
  if (empty()) return {};
  json::object copy = document;
  Pruner pruner(Unknown::kTell);
  pruner.object(copy, text_, nullptr, true);
  return std::move(pruner.found);
}

void Schema::prune(json::object& document) const {
  if (!empty()) Pruner(Unknown::kRemove).object(document, text_, nullptr, true);
}

void Schema::fill_defaults(json::object& document) const { fill(document, text_, true); }

}  // namespace carrick::apiserver
