#include "controllers/documents.h"

#include <algorithm>
#include <ctime>

#include "net/ip.h"

namespace carrick::controllers {

std::string timestamp(Time time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<Time> parse_timestamp(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  if (!strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts)) return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

const json::value* value_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const json::object* at = &object;
  const json::value* value = nullptr;
  for (auto step : path) {
    if (!at) return nullptr;
    value = at->if_contains(step);
    if (!value) return nullptr;
    at = value->if_object();
  }
  return value;
}

const json::object* object_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const auto* value = value_at(object, path);
  return value ? value->if_object() : nullptr;
}

const json::array* array_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const auto* value = value_at(object, path);
  return value ? value->if_array() : nullptr;
}

std::string_view text_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const auto* value = value_at(object, path);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

std::optional<int64_t> number_at(const json::object& object, std::initializer_list<std::string_view> path) {
  const auto* value = value_at(object, path);
  if (!value) return std::nullopt;
  if (const auto* number = value->if_int64()) return *number;
  if (const auto* number = value->if_uint64()) return static_cast<int64_t>(*number);
  return std::nullopt;
}

json::object& child(json::object& object, std::string_view key) {
  auto& value = object[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

void set_labels(json::object& metadata, const k8s::StringMap& labels) {
  auto& target = child(metadata, "labels");
  for (const auto& [key, value] : labels) target[key] = value;
}

void set_annotation(json::object& document, std::string_view key, std::string_view value) {
  child(child(document, "metadata"), "annotations")[key] = value;
}

json::object owner_reference(const k8s::ResourceType& type, const k8s::ObjectMeta& owner) {
  return {{"apiVersion", type.apiVersion()},
          {"kind", type.kind},
          {"name", owner.name},
          {"uid", owner.uid},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

json::object new_document(const k8s::ResourceType& type, std::string_view namespace_, std::string_view name,
                          std::string_view generate) {
  json::object metadata;
  if (!namespace_.empty()) metadata["namespace"] = namespace_;
  if (!name.empty()) metadata["name"] = name;
  if (name.empty()) metadata["generateName"] = generate;
  return {{"apiVersion", type.apiVersion()}, {"kind", type.kind}, {"metadata", std::move(metadata)}};
}

void set_condition(json::array& conditions, std::string_view type, bool status, std::string_view reason,
                   std::string_view message, Time now, bool with_update_time) {
  const std::string_view text = status ? "True" : "False";
  json::object* condition = nullptr;
  for (auto& candidate : conditions) {
    if (candidate.is_object() && text_at(candidate.get_object(), {"type"}) == type) condition = &candidate.get_object();
  }
  if (!condition) condition = &conditions.emplace_back(json::object{{"type", type}}).get_object();
  const bool transition = text_at(*condition, {"status"}) != text;
  const bool change =
      transition || text_at(*condition, {"reason"}) != reason || text_at(*condition, {"message"}) != message;
  if (!change) return;
  (*condition)["status"] = text;
  (*condition)["reason"] = reason;
  (*condition)["message"] = message;
  if (transition) (*condition)["lastTransitionTime"] = timestamp(now);
  if (with_update_time) (*condition)["lastUpdateTime"] = timestamp(now);
}

const json::object* find_condition(const json::array& conditions, std::string_view type) {
  for (const auto& candidate : conditions) {
    const auto* condition = candidate.if_object();
    if (condition && text_at(*condition, {"type"}) == type) return condition;
  }
  return nullptr;
}

Result<void> write_status(Cluster& cluster, const k8s::ResourceType& type, const Document& document,
                          json::object status) {
  const auto* old = object_at(*document, {"status"});
  if (old && *old == status) return {};
  if (!old && status.empty()) return {};
  json::object changed = *document;
  changed["status"] = std::move(status);
  TRY_VOID(cluster.update_status(type, std::move(changed)));
  return {};
}

namespace {

void append_sorted(std::string& out, const json::value& value) {
  if (const auto* object = value.if_object()) {
    std::vector<const json::key_value_pair*> pairs;
    for (const auto& pair : *object) pairs.push_back(&pair);
    std::ranges::sort(pairs, {}, [](const json::key_value_pair* pair) { return std::string_view(pair->key()); });
    out += '{';
    for (const auto* pair : pairs) {
      out += json::serialize(json::string(pair->key()));
      out += ':';
      append_sorted(out, pair->value());
      out += ',';
    }
    out += '}';
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (const auto& element : *array) {
      append_sorted(out, element);
      out += ',';
    }
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string document_hash(const json::value& document, int64_t salt) {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";  // no vowels: no words by chance
  std::string text;
  append_sorted(text, document);
  if (salt != 0) text += fmt::format("#{}", salt);
  uint64_t hash = net::stable_hash(text);
  std::string out;
  for (int i = 0; i < 10; ++i, hash /= kAlphabet.size()) out += kAlphabet[hash % kAlphabet.size()];
  return out;
}

}  // namespace carrick::controllers
