#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "lab/pods/material_fields.h"
#include "lab/pods/pod_material.h"

// Environments: where each variable's value comes from.
namespace carrick::lab {
namespace {

namespace json = boost::json;

std::optional<long double> amount_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, long double>, 14> kSuffixes = {{{"Ki", 1024.0L},
                                                                                   {"Mi", 1048576.0L},
                                                                                   {"Gi", 1073741824.0L},
                                                                                   {"Ti", 1099511627776.0L},
                                                                                   {"Pi", 1125899906842624.0L},
                                                                                   {"n", 1e-9L},
                                                                                   {"u", 1e-6L},
                                                                                   {"m", 1e-3L},
                                                                                   {"k", 1e3L},
                                                                                   {"M", 1e6L},
                                                                                   {"G", 1e9L},
                                                                                   {"T", 1e12L},
                                                                                   {"P", 1e15L},
                                                                                   {"E", 1e18L}}};
  long double factor = 1;
  for (const auto& [suffix, value] : kSuffixes)
    if (text.ends_with(suffix)) {
      factor = value;
      text.remove_suffix(suffix.size());
      break;
    }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number) || number < 0)
    return std::nullopt;
  return number * factor;
}

// A quoted index: metadata.labels['app'].
std::optional<std::string> indexed(std::string_view path, std::string_view field, const json::object* values) {
  if (!path.starts_with(field) || !path.ends_with("']")) return std::nullopt;
  path.remove_prefix(field.size());
  if (!path.starts_with("['")) return std::nullopt;
  path = path.substr(2, path.size() - 4);
  return values ? text_in(*values, path) : "";
}

std::string lines_of(const json::object* values) {
  std::map<std::string, std::string> sorted;
  if (values)
    for (const auto& [key, value] : *values)
      if (value.is_string()) sorted.emplace(key, std::string(value.get_string()));
  std::string out;
  for (const auto& [key, value] : sorted)
    out += fmt::format("{}{}={}", out.empty() ? "" : "\n", key, json::serialize(json::string(value)));
  return out;
}

constexpr std::string_view kNodeCpu = "64", kNodeMemory = "256Gi";

// What a container that sets no limit may use is what the node has.
Result<std::string> resource_field(const json::object& pod, const json::object& container, const json::object& source) {
  const json::object* of = &container;
  if (const std::string name = text_in(source, "containerName"); !name.empty()) {
    of = nullptr;
    for (const char* list : {"containers", "initContainers"})
      for (const json::object* candidate : objects_in(object_in(pod, "spec"), list))
        if (text_in(*candidate, "name") == name) of = candidate;
    if (!of) return fail(ErrorKind::kInvalid, "container {} not found", name);
  }
  const std::string resource = text_in(source, "resource");
  const size_t dot = resource.find('.');
  if (dot == std::string::npos) return fail(ErrorKind::kInvalid, "unsupported container resource : {}", resource);
  const std::string kind = resource.substr(0, dot), name = resource.substr(dot + 1);
  const json::object* resources = object_in(of, "resources");
  std::string quantity = text_in(object_in(resources, kind), name);
  if (quantity.empty() && kind == "requests") quantity = "0";
  if (quantity.empty()) quantity = name == "cpu" ? kNodeCpu : kNodeMemory;
  std::string divisor = text_in(source, "divisor");
  if (divisor.empty() || divisor == "0") divisor = "1";
  const auto value = quantity_in(quantity, divisor);
  if (!value)
    return fail(ErrorKind::kInvalid, "{}: {:?} with divisor {:?} is no quantity", resource, quantity, divisor);
  return std::to_string(*value);
}

// A key of a ConfigMap or Secret; nothing when it may be missing and is.
Result<std::optional<std::string>> key_of(const json::object& source, bool secret, const json::object& pod,
                                          const Material& material) {
  const std::string name = text_in(source, "name"), key = text_in(source, "key");
  const bool optional = flag_in(source, "optional");
  const auto object = material.objects.find({secret, name});
  if (object == material.objects.end()) {
    if (optional) return std::optional<std::string>();
    return fail(ErrorKind::kNotFound, "{} \"{}\" not found", secret ? "secret" : "configmap", name);
  }
  const auto value = object->second.find(key);
  if (value != object->second.end()) return std::optional(value->second);
  if (optional) return std::optional<std::string>();
  return fail(ErrorKind::kNotFound, "couldn't find key {} in {} {}/{}", key, secret ? "Secret" : "ConfigMap",
              text_in(object_in(pod, "metadata"), "namespace"), name);
}

Result<std::optional<std::string>> value_from(const json::object& source, const json::object& pod,
                                              const json::object& container, const Material& material) {
  if (const auto* field = object_in(source, "fieldRef"))
    return std::optional(TRY(pod_field(pod, material, text_in(*field, "fieldPath"))));
  if (const auto* resource = object_in(source, "resourceFieldRef"))
    return std::optional(TRY(resource_field(pod, container, *resource)));
  if (const auto* key = object_in(source, "configMapKeyRef")) return key_of(*key, false, pod, material);
  if (const auto* key = object_in(source, "secretKeyRef")) return key_of(*key, true, pod, material);
  return fail(ErrorKind::kInvalid, "valueFrom names no source");
}

void set(Environment& env, const std::string& name, std::string value) {
  const auto found = std::ranges::find(env, name, &std::pair<std::string, std::string>::first);
  if (found != env.end())
    found->second = std::move(value);
  else
    env.emplace_back(name, std::move(value));
}

Result<void> add_whole(const json::object& source, const Material& material, Environment& env) {
  for (const auto& [field, secret] : {std::pair("configMapRef", false), std::pair("secretRef", true)}) {
    const json::object* ref = object_in(source, field);
    if (!ref) continue;
    const std::string name = text_in(*ref, "name");
    const auto object = material.objects.find({secret, name});
    if (object == material.objects.end()) {
      if (flag_in(*ref, "optional")) continue;
      return fail(ErrorKind::kNotFound, "{} \"{}\" not found", secret ? "secret" : "configmap", name);
    }
    for (const auto& [key, value] : object->second) set(env, text_in(source, "prefix") + key, value);
  }
  return {};
}

}  // namespace

std::optional<int64_t> quantity_in(std::string_view quantity, std::string_view divisor) {
  const auto amount = amount_of(quantity), unit = amount_of(divisor);
  if (!amount || !unit || *unit == 0) return std::nullopt;
  const long double result = std::ceil(*amount / *unit - 1e-9L);
  if (result > 9e18L) return std::nullopt;
  return static_cast<int64_t>(result);
}

Result<std::string> pod_field(const json::object& pod, const Material& material, std::string_view path) {
  const json::object *metadata = object_in(pod, "metadata"), *spec = object_in(pod, "spec");
  const json::object *labels = object_in(metadata, "labels"), *annotations = object_in(metadata, "annotations");
  for (const char* field : {"name", "namespace", "uid"})
    if (path == fmt::format("metadata.{}", field)) return text_in(metadata, field);
  if (path == "metadata.labels") return lines_of(labels);
  if (path == "metadata.annotations") return lines_of(annotations);
  if (auto value = indexed(path, "metadata.labels", labels)) return *value;
  if (auto value = indexed(path, "metadata.annotations", annotations)) return *value;
  if (path == "spec.nodeName") return material.node_name;
  if (path == "spec.serviceAccountName") return text_in(spec, "serviceAccountName");
  if (path == "status.hostIPs") return join(material.host_ips, ",");
  if (path == "status.podIPs") return join(material.pod_ips, ",");
  if (path == "status.hostIP") return material.host_ips.empty() ? "" : material.host_ips.front();
  if (path == "status.podIP") return material.pod_ips.empty() ? "" : material.pod_ips.front();
  return fail(ErrorKind::kInvalid, "unsupported fieldPath: {}", path);
}

Result<std::string> pod_resource(const json::object& pod, const json::object& source) {
  return resource_field(pod, pod, source);
}

std::string expand_variables(std::string_view text, const Environment& env) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const size_t close = text[at + 1] == '(' ? text.find(')', at) : std::string_view::npos;
    if (close != std::string_view::npos) {
      const std::string name(text.substr(at + 2, close - at - 2));
      const auto found = std::ranges::find(env, name, &std::pair<std::string, std::string>::first);
      out += found != env.end() ? found->second : std::string(text.substr(at, close - at + 1));
      at = close;
    } else if (text[at + 1] == '$') {
      out += '$';
      ++at;
    } else {
      out += '$';
    }
  }
  return out;
}

Result<Environment> container_env(const json::object& pod, const json::object& container, const Material& material) {
  Environment env = material.service_env;
  for (const json::object* source : objects_in(&container, "envFrom")) TRY_VOID(add_whole(*source, material, env));
  for (const json::object* variable : objects_in(&container, "env")) {
    const std::string name = text_in(*variable, "name");
    if (const json::object* source = object_in(*variable, "valueFrom")) {
      auto value = TRY(value_from(*source, pod, container, material));
      if (value) set(env, name, std::move(*value));
    } else {
      set(env, name, expand_variables(text_in(*variable, "value"), env));
    }
  }
  return env;
}

}  // namespace carrick::lab
