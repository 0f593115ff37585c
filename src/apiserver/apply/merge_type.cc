#include "apiserver/apply/merge_type.h"

#include <algorithm>

#include "apiserver/document.h"
#include "base/text.h"
#include "k8s/document.h"

namespace carrick::apiserver {

using k8s::child;
using k8s::text;

MergeType MergeType::of(const k8s::ResourceType& type) {
  MergeType out;
  out.object_ = k8s::fields_of(type);
  return out;
}

MergeType MergeType::of_schema(const json::object& schema) {
  MergeType out;
  out.schema_ = &schema;
  return out;
}

MergeType::Shape MergeType::shape(const json::value& value) const {
  const bool object = value.is_object(), list = value.is_array();
  if (!object && !list) return Shape::kLeaf;
  if (schema_) {
    if (object) return text(*schema_, "x-kubernetes-map-type") == "atomic" ? Shape::kLeaf : Shape::kObject;
    const std::string_view type = text(*schema_, "x-kubernetes-list-type");
    return type == "set" ? Shape::kSet : type == "map" ? Shape::kKeyed : Shape::kLeaf;
  }
  if (!field_) return !object ? Shape::kLeaf : object_ && object_->atomic ? Shape::kLeaf : Shape::kObject;
  using FieldShape = k8s::Field::Shape;
  const std::string_view ownership = element_ ? std::string_view{} : field_->ownership;
  if (list) {
    if (field_->shape != FieldShape::kList || element_ || ownership.empty() || ownership == "atomic")
      return Shape::kLeaf;
    return ownership == "set" ? Shape::kSet : Shape::kKeyed;
  }
  if (ownership == "atomic" || (field_->shape == FieldShape::kList && !element_)) return Shape::kLeaf;
  if (field_->shape == FieldShape::kMap && !element_) return Shape::kObject;
  return object_ && object_->atomic && ownership != "granular" ? Shape::kLeaf : Shape::kObject;
}

MergeType MergeType::member(std::string_view name) const {
  MergeType out;
  if (schema_) {
    const json::object* properties = child(*schema_, "properties");
    if (properties) out.schema_ = child(*properties, name);
    if (!out.schema_) out.schema_ = child(*schema_, "additionalProperties");
    return out;
  }
  if (field_ && field_->shape == k8s::Field::Shape::kMap && !element_) {
    out = *this;
    out.element_ = true;
    return out;
  }
  if (!object_) return out;
  out.field_ = object_->find(name);
  if (out.field_) out.object_ = out.field_->object;
  return out;
}

bool MergeType::names(std::string_view name) const {
  if (schema_) {
    const json::object* properties = child(*schema_, "properties");
    return properties && properties->contains(name);
  }
  const bool map = field_ && field_->shape == k8s::Field::Shape::kMap && !element_;
  return object_ && !map && object_->find(name);
}

MergeType MergeType::element() const {
  MergeType out = *this;
  if (schema_)
    out.schema_ = child(*schema_, "items");
  else
    out.element_ = true;
  return out;
}

std::vector<std::string> MergeType::keys() const {
  std::vector<std::string> out;
  if (schema_) {
    if (const json::value* list = schema_->if_contains("x-kubernetes-list-map-keys"); list && list->is_array())
      for (const json::value& key : list->get_array())
        if (key.is_string()) out.emplace_back(key.get_string());
  } else if (field_) {
    for (std::string_view key : split(field_->ownership, ',')) out.emplace_back(key);
  }
  std::ranges::sort(out);
  return out;
}

std::optional<std::string> key_step(const MergeType& list, const json::value& element) {
  if (!element.is_object()) return std::nullopt;
  json::object keys;
  for (const std::string& key : list.keys()) {
    const json::value* value = element.get_object().if_contains(key);
    if (value && !value->is_null())
      keys[key] = *value;
    else if (key == "protocol")
      keys[key] = "TCP";  // the only key of the API that has a default
    else
      return std::nullopt;
  }
  return "k:" + json::serialize(keys);
}

std::string value_step(const json::value& value) { return "v:" + json::serialize(value); }

}  // namespace carrick::apiserver
