#include "k8s/patch.h"

#include <charconv>

#include "base/text.h"
#include "k8s/document.h"

namespace carrick::k8s {
namespace {

constexpr size_t kMostOperations = 10'000;
constexpr size_t kMostCopiedValues = 100'000;

size_t count_values(const json::value& value) {
  size_t total = 1;
  if (value.is_array())
    for (const json::value& item : value.get_array()) total += count_values(item);
  if (value.is_object())
    for (const auto& [name, item] : value.get_object()) total += count_values(item);
  return total;
}

// Tokens of an RFC 6901 pointer.
Result<std::vector<std::string>> parse_pointer(std::string_view pointer) {
  std::vector<std::string> tokens;
  if (pointer.empty()) return tokens;
  if (pointer[0] != '/') return fail(ErrorKind::kInvalid, "JSON pointer {} must begin with /", pointer);
  for (std::string_view part : split(pointer.substr(1), '/')) {
    std::string token;
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] != '~') {
        token += part[i];
        continue;
      }
      const char escaped = i + 1 < part.size() ? part[++i] : ' ';
      if (escaped != '0' && escaped != '1')
        return fail(ErrorKind::kInvalid, "JSON pointer {} has a bad escape", pointer);
      token += escaped == '0' ? '~' : '/';
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::optional<size_t> parse_index(std::string_view token, size_t limit) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool padded = token.size() > 1 && token[0] == '0';
  if (token.empty() || padded || error != std::errc{} || end != token.data() + token.size() || index >= limit)
    return std::nullopt;
  return index;
}

class JsonPatch {
 public:
  explicit JsonPatch(json::value document) : document_(std::move(document)) {}

  Result<void> apply(const json::object& operation) {
    op_ = text(operation, "op");
    path_ = text(operation, "path");
    if (!operation.contains("path")) return fail(ErrorKind::kInvalid, "{} operation has no path", op_);
    const std::vector<std::string> path = TRY(parse_pointer(path_));
    if (op_ == "remove") return remove(path);
    if (op_ == "move" || op_ == "copy") return take_from(operation, path);
    const json::value* value = operation.if_contains("value");
    if (op_ != "add" && op_ != "replace" && op_ != "test")
      return fail(ErrorKind::kInvalid, "unknown JSON patch operation \"{}\"", op_);
    if (!value && op_ != "test") return fail(ErrorKind::kInvalid, "{} operation at {} has no value", op_, path_);
    if (op_ == "add") return add(path, *value);
    if (op_ == "replace") return replace(path, *value);
    const json::value* found = find(path);
    const json::value expected = value ? *value : json::value(nullptr);
    if (!found ? !expected.is_null() : *found != expected)
      return fail(ErrorKind::kInvalid, "testing value {} failed: test failed", path_);
    return {};
  }

  Result<json::object> take() {
    if (!document_.is_object()) return fail(ErrorKind::kInvalid, "the patched document is not an object");
    return std::move(document_.get_object());
  }

 private:
  std::unexpected<Error> missing() const {
    return fail(ErrorKind::kInvalid, "{} operation does not apply: doc is missing path: \"{}\": missing value", op_,
                path_);
  }

  json::value* step(json::value& from, const std::string& token) {
    if (from.is_object()) return from.get_object().if_contains(token);
    if (!from.is_array()) return nullptr;
    const auto index = parse_index(token, from.get_array().size());
    return index ? &from.get_array()[*index] : nullptr;
  }
  json::value* find(std::span<const std::string> path) {
    json::value* place = &document_;
    for (size_t i = 0; place && i < path.size(); ++i) place = step(*place, path[i]);
    return place;
  }

  Result<void> add(std::span<const std::string> path, json::value value) {
    if (path.empty()) {
      document_ = std::move(value);
      return {};
    }
    json::value* parent = find(path.first(path.size() - 1));
    if (!parent) return missing();
    if (parent->is_object()) {
      parent->get_object()[path.back()] = std::move(value);
      return {};
    }
    if (!parent->is_array()) return missing();
    json::array& list = parent->get_array();
    const auto index = path.back() == "-" ? std::optional(list.size()) : parse_index(path.back(), list.size() + 1);
    if (!index) return missing();
    list.insert(list.begin() + static_cast<ptrdiff_t>(*index), std::move(value));
    return {};
  }
  Result<void> replace(std::span<const std::string> path, const json::value& value) {
    json::value* place = find(path);
    if (!place) return missing();
    *place = value;
    return {};
  }
  Result<void> remove(std::span<const std::string> path) {
    if (path.empty() || !find(path)) return missing();
    json::value* parent = find(path.first(path.size() - 1));
    if (parent->is_object()) {
      parent->get_object().stable_erase(path.back());
    } else {
      json::array& list = parent->get_array();
      list.erase(list.begin() + static_cast<ptrdiff_t>(*parse_index(path.back(), list.size())));
    }
    return {};
  }
  Result<void> take_from(const json::object& operation, std::span<const std::string> path) {
    if (!operation.contains("from")) return fail(ErrorKind::kInvalid, "{} operation has no from", op_);
    const std::vector<std::string> from = TRY(parse_pointer(text(operation, "from")));
    const json::value* found = find(from);
    if (!found) return missing();
    json::value value = *found;
    if (op_ == "copy") {
      copied_ += count_values(value);
      if (copied_ > kMostCopiedValues)
        return fail(ErrorKind::kInvalid, "the patch copies more than {} values", kMostCopiedValues);
      return add(path, std::move(value));
    }
    const bool into_itself = path.size() > from.size() && std::equal(from.begin(), from.end(), path.begin());
    if (into_itself) return fail(ErrorKind::kInvalid, "move operation at {} would move a value into itself", path_);
    if (path.size() == from.size() && std::equal(from.begin(), from.end(), path.begin())) return {};
    TRY_VOID(remove(from));
    return add(path, std::move(value));
  }

  json::value document_;
  std::string_view op_, path_;
  size_t copied_ = 0;
};

json::value merged(json::value target, const json::value& patch) {
  if (!patch.is_object()) return patch;
  if (!target.is_object()) target.emplace_object();
  json::object& object = target.get_object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      object.stable_erase(name);
      continue;
    }
    json::value& place = object[name];
    place = merged(std::move(place), value);
  }
  return target;
}

}  // namespace

Result<json::object> apply_json_patch(json::object document, const json::array& operations) {
  if (operations.size() > kMostOperations)
    return fail(ErrorKind::kInvalid, "The allowed maximum operations in a JSON patch is {}, got {}", kMostOperations,
                operations.size());
  JsonPatch patch{json::value(std::move(document))};
  for (const json::value& operation : operations) {
    if (!operation.is_object()) return fail(ErrorKind::kInvalid, "a JSON patch is a list of objects");
    TRY_VOID(patch.apply(operation.get_object()));
  }
  return patch.take();
}

json::object apply_merge_patch(json::object document, const json::object& patch) {
  return std::move(merged(json::value(std::move(document)), json::value(patch)).get_object());
}

}  // namespace carrick::k8s
