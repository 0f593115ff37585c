#include <algorithm>
#include <climits>

#include "k8s/fields.h"
#include "k8s/patch.h"

// A port of k8s.io/apimachinery/pkg/util/strategicpatch (MergeMap with MergeParallelList and IgnoreUnmatchedNulls).
// kubectl computes its patches for exactly these rules, the order of merged lists included; tests compare with the
// original.
namespace carrick::k8s {
namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeletePrefix = "$deleteFromPrimitiveList/";
constexpr std::string_view kOrderPrefix = "$setElementOrder/";

const json::value* find(const json::object& object, std::string_view name) { return object.if_contains(name); }

std::string_view directive_of(const json::value& item) {
  const json::object* object = item.if_object();
  const json::value* directive = object ? find(*object, kDirective) : nullptr;
  return directive && directive->is_string() ? std::string_view(directive->get_string()) : std::string_view{};
}
bool has_directive(const json::value& item) { return item.is_object() && item.get_object().contains(kDirective); }

void discard_nulls(json::value& value) {
  if (value.is_array())
    for (json::value& item : value.get_array()) discard_nulls(item);
  if (!value.is_object()) return;
  json::object& object = value.get_object();
  for (auto entry = object.begin(); entry != object.end();) {
    if (entry->value().is_null()) {
      entry = object.stable_erase(entry);
    } else {
      discard_nulls(entry->value());
      ++entry;
    }
  }
}

// What remains of a patch value that becomes content; false: nothing, it was a directive itself.
bool remove_directives(json::value& value) {
  if (has_directive(value)) return false;
  if (value.is_object()) {
    json::object& object = value.get_object();
    for (auto entry = object.begin(); entry != object.end();)
      entry = remove_directives(entry->value()) ? entry + 1 : object.stable_erase(entry);
  }
  if (value.is_array()) {
    json::array kept;
    for (json::value& item : value.get_array())
      if (remove_directives(item)) kept.push_back(std::move(item));
    value = std::move(kept);
  }
  return true;
}

// The identity of list elements: the merge key of objects, the value of others.
class Order {
 public:
  explicit Order(std::string_view merge_key) : key_(merge_key) {}

  const json::value* identity(const json::value& item) const {
    if (key_.empty()) return &item;
    return item.is_object() ? find(item.get_object(), key_) : nullptr;
  }
  int index(const json::array& items, const json::value& wanted) const {
    const json::value* id = identity(wanted);
    for (size_t i = 0; id && i < items.size(); ++i)
      if (const json::value* other = identity(items[i]); other && *other == *id) return static_cast<int>(i);
    return -1;
  }
  // Those of `items` that `by` has, and the others.
  std::pair<json::array, json::array> partition(json::array items, const json::array& by) const {
    std::pair<json::array, json::array> parts;
    for (json::value& item : items) (index(by, item) >= 0 ? parts.first : parts.second).push_back(std::move(item));
    return parts;
  }
  // Elements of the patch in the patch's order, elements only the server has in the server's, woven by the server's
  // order.
  json::array weave(json::array from_patch, json::array server_only, const json::array& patch_order,
                    const json::array& server_order) const {
    sort(from_patch, patch_order);
    sort(server_only, server_order);
    json::array all;
    size_t i = 0, j = 0;
    while (i < server_only.size() || j < from_patch.size()) {
      bool take_server = j >= from_patch.size();
      if (i < server_only.size() && !take_server) {
        const int left = index(server_order, server_only[i]), right = index(server_order, from_patch[j]);
        take_server = left >= 0 && right >= 0 && left < right;
      }
      all.push_back(std::move(take_server ? server_only[i++] : from_patch[j++]));
    }
    return all;
  }

 private:
  void sort(json::array& items, const json::array& order) const {
    std::vector<std::pair<int, size_t>> ranked;  // place in `order`, place in `items`
    for (size_t i = 0; i < items.size(); ++i) {
      const int rank = index(order, items[i]);
      ranked.emplace_back(rank < 0 ? INT_MAX : rank, i);
    }
    std::ranges::sort(ranked);
    json::array sorted;
    for (const auto& [rank, i] : ranked) sorted.push_back(std::move(items[i]));
    items = std::move(sorted);
  }

  std::string_view key_;
};

// What the API declares about a member; for members it does not know: objects merge, lists are replaced.
struct Rule {
  std::string_view merge_key;
  bool merges = false;
  const ObjectFields* object = nullptr;
};
Rule rule_for(const ObjectFields* fields, std::string_view name) {
  const Field* field = fields ? fields->find(name) : nullptr;
  if (!field) return {};
  return {field->merge_key, field->merges_values || !field->merge_key.empty(), field->object};
}

Result<void> check_elements(const json::array& items, std::string_view merge_key) {
  for (const json::value& item : items) {
    if (merge_key.empty() && !item.is_structured()) continue;
    if (merge_key.empty()) return fail(ErrorKind::kInvalid, "cannot merge lists without merge key");
    if (!item.is_object())
      return fail(ErrorKind::kInvalid, "a list merged by {} has an element that is not an object: {}", merge_key,
                  json::serialize(item));
    if (!item.get_object().contains(merge_key) && directive_of(item) != "replace")
      return fail(ErrorKind::kInvalid, "map: {} does not contain declared merge key: {}", json::serialize(item),
                  merge_key);
  }
  return {};
}

Result<void> merge_object(json::object& original, json::object& patch, const ObjectFields* fields);

// A list while it is merged, and what the merge leaves of the memory it was in. The original works in place: deleting
// moves the later elements forward, and new ones take the places that became free. $setElementOrder later looks at that
// memory as the server's order, so it is part of the outcome.
struct ListInPlace {
  json::array items;
  json::array memory = items;

  void erase(size_t at) {
    for (size_t i = at; i + 1 < items.size(); ++i) memory[i] = memory[i + 1];
    items.erase(items.begin() + static_cast<ptrdiff_t>(at));
  }
  void append(json::value item) {
    if (items.size() < memory.size()) memory[items.size()] = item;
    items.push_back(std::move(item));
  }
};

// Takes the directives out of `patch` and obeys them.
Result<void> obey_element_directives(ListInPlace& list, json::array& patch, const Order& order) {
  json::array rest;
  bool replace = false;
  for (json::value& item : patch) {
    if (!has_directive(item)) {
      rest.push_back(std::move(item));
      continue;
    }
    const std::string_view directive = directive_of(item);
    if (directive == "delete") {
      for (int at = order.index(list.items, item); at >= 0; at = order.index(list.items, item))
        list.erase(static_cast<size_t>(at));
    } else if (directive == "replace") {
      replace = true;
    } else {
      return fail(ErrorKind::kInvalid, "unknown patch type found in {}", json::serialize(item));
    }
  }
  patch = std::move(rest);
  if (replace) list.items = std::exchange(patch, {});
  return {};
}

Result<json::array> merge_values(const json::array& original, const json::array& patch) {
  const Order order("");
  json::array all;
  for (const json::array* part : {&original, &patch})
    for (const json::value& item : *part)
      if (order.index(all, item) < 0) all.push_back(item);
  auto [from_patch, server_only] = order.partition(std::move(all), patch);
  return order.weave(std::move(from_patch), std::move(server_only), patch, original);
}

// `memory`, when given, receives ListInPlace::memory.
Result<json::array> merge_list(json::array original, json::array patch, const Rule& rule,
                               json::array* memory = nullptr) {
  if (original.empty() && patch.empty()) return original;
  TRY_VOID(check_elements(original, rule.merge_key));
  TRY_VOID(check_elements(patch, rule.merge_key));
  if (rule.merge_key.empty()) return merge_values(original, patch);
  const Order order(rule.merge_key);
  ListInPlace list{std::move(original)};
  TRY_VOID(obey_element_directives(list, patch, order));
  const size_t kept = list.items.size();
  for (json::value& item : patch) {
    const int at = order.index(list.items, item);
    if (at < 0) {
      list.append(item);
      continue;
    }
    json::object change = item.get_object();
    TRY_VOID(merge_object(list.items[static_cast<size_t>(at)].get_object(), change, rule.object));
  }
  if (memory) *memory = std::move(list.memory);
  const json::array server_order(list.items.begin(), list.items.begin() + static_cast<ptrdiff_t>(kept));
  auto [from_patch, server_only] = order.partition(std::move(list.items), patch);
  return order.weave(std::move(from_patch), std::move(server_only), patch, server_order);
}

// The patch's list must name its elements in the order in which $setElementOrder has them.
Result<void> check_order(const json::array& patch, const json::array& wanted, const Order& order) {
  if (wanted.empty()) return {};
  size_t next = 0;
  for (const json::value& item : patch) {
    if (has_directive(item)) continue;
    while (next < wanted.size() && order.index(json::array{wanted[next]}, item) < 0) ++next;
    if (next++ >= wanted.size())
      return fail(ErrorKind::kInvalid, "The order in patch list: {} doesn't match $setElementOrder list: {}",
                  json::serialize(patch), json::serialize(wanted));
  }
  return {};
}

Result<void> obey_element_order(json::object& original, json::object& patch, std::string_view name,
                                const json::value& wanted, const ObjectFields* fields) {
  json::value *before = original.if_contains(name), *change = patch.if_contains(name);
  if (!wanted.is_array() || (before && !before->is_array()) || (change && !change->is_array()))
    return fail(ErrorKind::kInvalid, "$setElementOrder/{}: expected lists", name);
  if (!before && !change) return {};
  const Rule rule = rule_for(fields, name);
  const Order order(rule.merge_key);
  json::array server_order = before ? before->get_array() : json::array{};
  if (change) TRY_VOID(check_order(change->get_array(), wanted.get_array(), order));
  json::array all;
  if (before && !change) {
    all = before->get_array();
  } else if (!before) {
    json::value content = std::move(*change);
    remove_directives(content);
    all = std::move(content.get_array());
  } else if (rule.merges) {
    all = TRY(merge_list(before->get_array(), change->get_array(), rule, &server_order));
  } else {
    all = change->get_array();
  }
  TRY_VOID(check_elements(all, rule.merge_key));
  auto [from_patch, server_only] = order.partition(std::move(all), wanted.get_array());
  original[name] = order.weave(std::move(from_patch), std::move(server_only), wanted.get_array(), server_order);
  patch.erase(name);
  return {};
}

Result<void> obey_retain_keys(json::object& original, json::object& patch) {
  const json::value* found = find(patch, kRetainKeys);
  if (!found) return {};
  const json::value keys = *found;
  patch.stable_erase(kRetainKeys);
  const auto retained = [&](std::string_view name) {
    return keys.is_array() && std::ranges::any_of(keys.get_array(), [&](const json::value& key) {
             return key.is_string() && key.get_string() == name;
           });
  };
  for (const auto& [name, value] : patch) {
    const std::string_view key = name;
    if (!value.is_null() && !key.starts_with(kDeletePrefix) && !key.starts_with(kOrderPrefix) && !retained(key))
      return fail(ErrorKind::kInvalid, "invalid patch format of retainKeys list: it does not name {}", key);
  }
  for (auto entry = original.begin(); entry != original.end();)
    entry = retained(entry->key()) ? entry + 1 : original.stable_erase(entry);
  return {};
}

void take_as_is(json::object& original, std::string_view name, json::value value) {
  discard_nulls(value);
  if (remove_directives(value))
    original[name] = std::move(value);
  else
    original.stable_erase(name);
}

Result<void> merge_member(json::object& original, std::string_view name, json::value& change, bool deletes,
                          const ObjectFields* fields) {
  if (change.is_null()) {
    original.stable_erase(name);
    return {};
  }
  json::value* before = original.if_contains(name);
  const bool same_shape =
      before && ((before->is_object() && change.is_object()) || (before->is_array() && change.is_array()));
  if (!same_shape) {
    if (!deletes) take_as_is(original, name, std::move(change));
    return {};
  }
  const Rule rule = rule_for(fields, name);
  if (before->is_object()) return merge_object(before->get_object(), change.get_object(), rule.object);
  if (deletes) {
    const json::array& unwanted = change.get_array();
    json::array kept;
    for (const json::value& item : before->get_array())
      if (std::ranges::find(unwanted, item) == unwanted.end()) kept.push_back(item);
    *before = std::move(kept);
  } else if (rule.merges) {
    *before = TRY(merge_list(std::move(before->get_array()), std::move(change.get_array()), rule));
  } else {
    *before = std::move(change);
  }
  return {};
}

Result<void> merge_object(json::object& original, json::object& patch, const ObjectFields* fields) {
  if (const json::value* directive = find(patch, kDirective)) {
    if (*directive == "delete") {
      original.clear();
    } else if (*directive == "replace") {
      patch.stable_erase(kDirective);
      original = std::move(patch);
    } else {
      return fail(ErrorKind::kInvalid, "unknown patch type found: {}", json::serialize(*directive));
    }
    return {};
  }
  TRY_VOID(obey_retain_keys(original, patch));
  std::vector<std::string> names;
  for (const auto& [name, value] : patch) names.emplace_back(name);
  for (const std::string& name : names) {
    if (!name.starts_with(kOrderPrefix)) continue;
    const json::value wanted = patch.at(name);
    patch.erase(name);
    TRY_VOID(obey_element_order(original, patch, name.substr(kOrderPrefix.size()), wanted, fields));
  }
  for (const std::string& name : names) {
    json::value* change = patch.if_contains(name);
    if (!change) continue;  // done above
    const bool deletes = name.starts_with(kDeletePrefix);
    TRY_VOID(merge_member(original, deletes ? name.substr(kDeletePrefix.size()) : name, *change, deletes, fields));
  }
  return {};
}

}  // namespace

Result<json::object> apply_strategic_merge_patch(const ResourceType& type, json::object document, json::object patch) {
  TRY_VOID(merge_object(document, patch, fields_of(type)));
  return document;
}

}  // namespace carrick::k8s
