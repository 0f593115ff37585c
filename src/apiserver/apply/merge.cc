#include "apiserver/apply/merge.h"

#include <set>
#include <unordered_map>

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

using Shape = MergeType::Shape;

std::string field_step(std::string_view name) { return "f:" + std::string(name); }

// The step of each element of a list that has an owner an element; an element without its keys has an empty one.
std::vector<std::string> steps_of(const MergeType& type, Shape shape, const json::array& list) {
  std::vector<std::string> out;
  for (const json::value& element : list)
    out.push_back(shape == Shape::kSet ? value_step(element) : key_step(type, element).value_or(""));
  return out;
}

void add_fields(const MergeType& type, const json::value& value, FieldSet& into) {
  const Shape shape = type.shape(value);
  if (shape == Shape::kLeaf) {
    into.member = true;
    return;
  }
  if (shape == Shape::kObject) {
    if (value.get_object().empty()) into.member = true;
    for (const auto& [name, item] : value.get_object())
      add_fields(type.member(name), item, into.children[field_step(name)]);
    return;
  }
  const json::array& list = value.get_array();
  const auto steps = steps_of(type, shape, list);
  for (size_t i = 0; i < list.size(); ++i) {
    if (steps[i].empty()) continue;
    FieldSet& element = into.children[steps[i]];
    if (shape == Shape::kKeyed) add_fields(type.element(), list[i], element);
    element.member = true;
  }
}

// A part that is new, or gone, is so with every step inside it.
void mark(const MergeType& type, const json::value& value, FieldSet& into) {
  FieldSet inside;
  add_fields(type, value, inside);
  into.unite(inside.with_ancestors());
  into.member = true;
}

void compare_into(const MergeType& type, const json::value& before, const json::value& after, FieldSet& changed,
                  FieldSet& removed) {
  const Shape shape = type.shape(after);
  if (shape != type.shape(before) || shape == Shape::kLeaf) {
    if (before == after) return;
    mark(type, after, changed);
    if (shape != type.shape(before)) add_fields(type, before, removed);
    return;
  }
  if (shape == Shape::kObject) {
    const json::object &old = before.get_object(), &now = after.get_object();
    for (const auto& [name, item] : now) {
      const json::value* was = old.if_contains(name);
      const std::string step = field_step(name);
      if (was)
        compare_into(type.member(name), *was, item, changed.children[step], removed.children[step]);
      else
        mark(type.member(name), item, changed.children[step]);
    }
    for (const auto& [name, item] : old)
      if (!now.contains(name)) mark(type.member(name), item, removed.children[field_step(name)]);
    return;
  }
  const json::array &old = before.get_array(), &now = after.get_array();
  std::unordered_map<std::string, const json::value*> by_step;
  const auto old_steps = steps_of(type, shape, old), now_steps = steps_of(type, shape, now);
  for (size_t i = 0; i < old.size(); ++i) by_step.emplace(old_steps[i], &old[i]);
  const MergeType element = shape == Shape::kKeyed ? type.element() : MergeType{};
  std::set<std::string_view> kept;
  for (size_t i = 0; i < now.size(); ++i) {
    const std::string& step = now_steps[i];
    if (step.empty()) continue;
    kept.insert(step);
    const auto was = by_step.find(step);
    if (was == by_step.end())
      mark(element, now[i], changed.children[step]);
    else if (shape == Shape::kKeyed)
      compare_into(element, *was->second, now[i], changed.children[step], removed.children[step]);
  }
  for (size_t i = 0; i < old.size(); ++i)
    if (!old_steps[i].empty() && !kept.contains(old_steps[i])) mark(element, old[i], removed.children[old_steps[i]]);
}

// Steps that led nowhere.
void tidy(FieldSet& set) {
  for (auto at = set.children.begin(); at != set.children.end();) {
    tidy(at->second);
    at = at->second.empty() ? set.children.erase(at) : std::next(at);
  }
}

Result<void> check_steps(const std::vector<std::string>& steps, const MergeType& type) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].empty())
      return fail(ErrorKind::kInvalid,
                  "element {}: associative list with keys has an element that omits key field {:?}", i,
                  type.keys().empty() ? "" : type.keys().front());
    if (!seen.insert(steps[i]).second)
      return fail(ErrorKind::kInvalid, "duplicate entries for key {}", readable_step(steps[i]));
  }
  return {};
}

Result<json::value> merged_list(const MergeType& type, Shape shape, const json::array& live,
                                const json::array& applied) {
  const auto live_steps = steps_of(type, shape, live), steps = steps_of(type, shape, applied);
  TRY_VOID(check_steps(steps, type));
  std::unordered_map<std::string_view, size_t> in_live;
  for (size_t i = 0; i < live.size(); ++i) in_live.emplace(live_steps[i], i);
  const std::set<std::string_view> in_applied(steps.begin(), steps.end());
  json::array out;
  size_t i = 0, j = 0;
  while (i < live.size() || j < applied.size()) {
    if (i < live.size() && !in_applied.contains(live_steps[i])) {
      out.push_back(live[i++]);
      continue;
    }
    if (j < applied.size()) {
      const auto old = in_live.find(steps[j]);
      if (old == in_live.end() || shape == Shape::kSet) {
        out.push_back(applied[j]);
      } else {
        auto element = merged(type.element(), live[old->second], applied[j]);
        if (!element) return with_context(element.error(), "{}", readable_step(steps[j]));
        out.push_back(std::move(*element));
      }
      // The applied order counts: what follows in `live` follows the element here.
      if (i < live.size() && old != in_live.end()) ++i;
      ++j;
      continue;
    }
    ++i;  // given out already
  }
  return json::value(std::move(out));
}

// Null: every part is gone. Its parent then has it no more, but is not gone for that.
json::value rest_of(const MergeType& type, const json::value& value, const FieldSet& fields, Emptied emptied) {
  const Shape shape = type.shape(value);
  if (shape == Shape::kLeaf || fields.children.empty()) return value;
  bool any_left = emptied == Emptied::kStays;
  if (shape == Shape::kObject) {
    json::object out;
    for (const auto& [name, item] : value.get_object()) {
      const auto below = fields.children.find(field_step(name));
      if (below != fields.children.end() && below->second.member) continue;
      any_left = true;
      json::value rest =
          below == fields.children.end() ? item : rest_of(type.member(name), item, below->second, emptied);
      if (!rest.is_null() || item.is_null()) out[name] = std::move(rest);
    }
    return any_left ? json::value(std::move(out)) : json::value{};
  }
  const json::array& list = value.get_array();
  const auto steps = steps_of(type, shape, list);
  json::array out;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto below = fields.children.find(steps[i]);
    if (below != fields.children.end() && below->second.member) continue;
    any_left = true;
    out.push_back(below == fields.children.end() || shape == Shape::kSet
                      ? list[i]
                      : rest_of(type.element(), list[i], below->second, emptied));
  }
  return any_left ? json::value(std::move(out)) : json::value{};
}

}  // namespace

FieldSet fields_in(const MergeType& type, const json::value& value) {
  FieldSet out;
  add_fields(type, value, out);
  out.member = false;
  tidy(out);
  return out;
}

FieldSet with_named_fields(const MergeType& type, const FieldSet& fields) {
  FieldSet out;
  out.member = fields.member;
  for (const auto& [step, below] : fields.children) {
    const std::string_view name = std::string_view(step).substr(std::min<size_t>(2, step.size()));
    const bool field = step.starts_with("f:");
    FieldSet deeper = with_named_fields(field ? type.member(name) : type.element(), below);
    if (field && type.names(name)) deeper.member = true;
    out.children.emplace(step, std::move(deeper));
  }
  return out;
}

Comparison compare(const MergeType& type, const json::value& before, const json::value& after) {
  Comparison out;
  compare_into(type, before, after, out.changed, out.removed);
  tidy(out.changed);
  tidy(out.removed);
  return out;
}

Result<json::value> merged(const MergeType& type, const json::value& live, const json::value& applied) {
  const Shape shape = type.shape(applied);
  if (shape == Shape::kLeaf) return applied;
  if (shape != Shape::kObject)
    return merged_list(type, shape, live.is_array() ? live.get_array() : json::array{}, applied.get_array());
  json::object out = live.is_object() ? live.get_object() : json::object{};
  for (const auto& [name, item] : applied.get_object()) {
    const json::value* was = out.if_contains(name);
    auto value = merged(type.member(name), was ? *was : json::value{}, item);
    if (!value) return with_context(value.error(), ".{}", std::string_view(name));
    out[name] = std::move(*value);
  }
  return json::value(std::move(out));
}

json::value without(const MergeType& type, const json::value& value, const FieldSet& fields, Emptied emptied) {
  json::value rest = rest_of(type, value, fields, emptied);
  if (rest.is_null()) rest.emplace_object();
  return rest;
}

}  // namespace carrick::apiserver
