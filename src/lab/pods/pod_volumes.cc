#include <algorithm>

#include "base/text.h"
#include "lab/pods/material_fields.h"

// Volumes: which files they hold. Also what of its own a container asks for.
namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr uint32_t kDefaultMode = 0644;

std::optional<std::string> base64_decode(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xff);
  }
  return out;
}

uint32_t mode_in(const json::object& source, const char* field, uint32_t otherwise) {
  return static_cast<uint32_t>(number_in(&source, field).value_or(otherwise)) & 0777;
}

Result<void> check_path(const std::string& path) {
  bool bad = path.empty() || path.starts_with('/') || path.find('\0') != std::string::npos;
  for (const std::string_view part : split(path, '/')) bad = bad || part == ".." || part == "." || part.empty();
  if (bad) return fail(ErrorKind::kInvalid, "path {:?} does not stay in the volume", path);
  return {};
}

// All keys of the object, or those of `items` under their paths.
Result<void> add_object(const json::object& source, bool secret, const std::string& name, uint32_t mode,
                        const Material& material, std::vector<VolumeFile>& files) {
  const auto object = material.objects.find({secret, name});
  if (object == material.objects.end()) {
    if (flag_in(source, "optional")) return {};
    return fail(ErrorKind::kNotFound, "{} \"{}\" not found", secret ? "secret" : "configmap", name);
  }
  const auto items = objects_in(&source, "items");
  for (const json::object* item : items) {
    const std::string key = text_in(*item, "key"), path = text_in(*item, "path");
    TRY_VOID(check_path(path));
    const auto value = object->second.find(key);
    if (value != object->second.end())
      files.push_back({path, value->second, mode_in(*item, "mode", mode)});
    else if (!flag_in(source, "optional"))
      return fail(ErrorKind::kNotFound, "references non-existent {} key: {}", secret ? "secret" : "config", key);
  }
  if (!items.empty()) return {};
  for (const auto& [key, value] : object->second) {
    TRY_VOID(check_path(key));
    files.push_back({key, value, mode});
  }
  return {};
}

Result<void> add_fields(const json::object& source, uint32_t mode, const json::object& pod, const Material& material,
                        std::vector<VolumeFile>& files) {
  for (const json::object* item : objects_in(&source, "items")) {
    VolumeFile file{text_in(*item, "path"), "", mode_in(*item, "mode", mode)};
    TRY_VOID(check_path(file.path));
    if (const json::object* field = object_in(*item, "fieldRef"))
      file.content = TRY(pod_field(pod, material, text_in(*field, "fieldPath")));
    else if (const json::object* resource = object_in(*item, "resourceFieldRef"))
      file.content = TRY(pod_resource(pod, *resource));
    files.push_back(std::move(file));
  }
  return {};
}

TokenRef token_of(const json::object& source) {
  return {text_in(source, "audience"), number_in(&source, "expirationSeconds").value_or(3600)};
}

Result<void> add_projected(const json::object& projected, const json::object& pod, const Material& material,
                           std::vector<VolumeFile>& files) {
  const uint32_t mode = mode_in(projected, "defaultMode", kDefaultMode);
  for (const json::object* source : objects_in(&projected, "sources")) {
    if (const json::object* map = object_in(*source, "configMap"))
      TRY_VOID(add_object(*map, false, text_in(*map, "name"), mode, material, files));
    if (const json::object* secret = object_in(*source, "secret"))
      TRY_VOID(add_object(*secret, true, text_in(*secret, "name"), mode, material, files));
    if (const json::object* fields = object_in(*source, "downwardAPI"))
      TRY_VOID(add_fields(*fields, mode, pod, material, files));
    if (const json::object* token = object_in(*source, "serviceAccountToken")) {
      const auto found = material.tokens.find(token_of(*token));
      if (found == material.tokens.end())
        return fail(ErrorKind::kNotFound, "no token of service account {:?} was given",
                    text_in(object_in(pod, "spec"), "serviceAccountName"));
      TRY_VOID(check_path(text_in(*token, "path")));
      files.push_back({text_in(*token, "path"), found->second, mode});
    }
  }
  return {};
}

void add_needs(const json::object& source, const char* map_name, const char* secret_name, MaterialNeeds& needs) {
  if (const json::object* map = object_in(source, "configMap")) needs.objects.insert({false, text_in(*map, map_name)});
  if (const json::object* secret = object_in(source, "secret"))
    needs.objects.insert({true, text_in(*secret, secret_name)});
}

std::vector<std::string> words_in(const json::object* from, const char* name) {
  std::vector<std::string> out;
  const auto* value = from ? from->if_contains(name) : nullptr;
  if (value && value->is_array())
    for (const auto& each : value->get_array())
      if (each.is_string()) out.emplace_back(each.get_string());
  return out;
}

// What the container says goes before what its pod says.
Result<void> set_user(const json::object* of_pod, const json::object* of_container, ContainerSpec& spec) {
  const auto chosen = [&](const char* field) {
    const auto own = number_in(of_container, field);
    return own ? own : number_in(of_pod, field);
  };
  spec.uid = static_cast<uint32_t>(chosen("runAsUser").value_or(0));
  spec.gid = static_cast<uint32_t>(chosen("runAsGroup").value_or(0));
  const json::object* nearest = of_container && of_container->contains("runAsNonRoot") ? of_container : of_pod;
  if (spec.uid == 0 && nearest && flag_in(*nearest, "runAsNonRoot"))
    return fail(ErrorKind::kInvalid, "container has runAsNonRoot and image will run as root");
  if (const auto group = number_in(of_pod, "fsGroup")) spec.groups.push_back(static_cast<uint32_t>(*group));
  if (of_pod)
    if (const auto* groups = of_pod->if_contains("supplementalGroups"); groups && groups->is_array())
      for (const auto& group : groups->get_array())
        if (group.is_int64()) spec.groups.push_back(static_cast<uint32_t>(group.get_int64()));
  return {};
}

void set_capabilities(const json::object* security, ContainerSpec& spec) {
  spec.capabilities = default_capabilities();
  const json::object* wanted = object_in(security, "capabilities");
  for (const std::string& name : words_in(wanted, "drop")) {
    if (name == "ALL") spec.capabilities.clear();
    std::erase_if(spec.capabilities, [&](const std::string& has) { return name == has || name == "CAP_" + has; });
  }
  for (const std::string& name : words_in(wanted, "add"))
    if (may_be_added(name)) spec.capabilities.push_back(name);
  spec.read_only_root = security && flag_in(*security, "readOnlyRootFilesystem");
}

}  // namespace

MaterialNeeds needs_of(const json::object& pod) {
  MaterialNeeds needs;
  const json::object* spec = object_in(pod, "spec");
  for (const char* list : {"initContainers", "containers"})
    for (const json::object* container : objects_in(spec, list)) {
      for (const json::object* from : objects_in(container, "envFrom"))
        for (const auto& [field, secret] : {std::pair("configMapRef", false), std::pair("secretRef", true)})
          if (const json::object* ref = object_in(*from, field)) needs.objects.insert({secret, text_in(*ref, "name")});
      for (const json::object* variable : objects_in(container, "env"))
        for (const auto& [field, secret] : {std::pair("configMapKeyRef", false), std::pair("secretKeyRef", true)})
          if (const json::object* ref = object_in(object_in(*variable, "valueFrom"), field))
            needs.objects.insert({secret, text_in(*ref, "name")});
    }
  for (const json::object* volume : objects_in(spec, "volumes")) {
    add_needs(*volume, "name", "secretName", needs);
    for (const json::object* source : objects_in(object_in(*volume, "projected"), "sources")) {
      add_needs(*source, "name", "name", needs);
      if (const json::object* token = object_in(*source, "serviceAccountToken")) needs.tokens.insert(token_of(*token));
    }
  }
  return needs;
}

Result<std::map<std::string, std::string>> values_of(const json::object& object, bool secret) {
  std::map<std::string, std::string> out;
  for (const auto& [field, encoded] : {std::pair("data", secret), std::pair("binaryData", true)}) {
    const json::object* values = object_in(object, field);
    if (!values) continue;
    for (const auto& [key, value] : *values) {
      if (!value.is_string()) continue;
      const std::string text(value.get_string());
      if (!encoded) {
        out[key] = text;
        continue;
      }
      auto bytes = base64_decode(text);
      if (!bytes) return fail(ErrorKind::kInvalid, "{}: {} is not base64", field, std::string_view(key));
      out[key] = std::move(*bytes);
    }
  }
  return out;
}

Result<Volume> volume_of(const json::object& volume, const json::object& pod, const Material& material) {
  Volume out{.name = text_in(volume, "name"), .is_empty_dir = false, .size_limit = 0, .files = {}};
  if (const json::object* empty = object_in(volume, "emptyDir")) {
    out.is_empty_dir = true;
    if (const std::string limit = text_in(*empty, "sizeLimit"); !limit.empty())
      out.size_limit = static_cast<uint64_t>(quantity_in(limit, "1").value_or(0));
  } else if (const json::object* map = object_in(volume, "configMap")) {
    TRY_VOID(add_object(*map, false, text_in(*map, "name"), mode_in(*map, "defaultMode", kDefaultMode), material,
                        out.files));
  } else if (const json::object* secret = object_in(volume, "secret")) {
    TRY_VOID(add_object(*secret, true, text_in(*secret, "secretName"), mode_in(*secret, "defaultMode", kDefaultMode),
                        material, out.files));
  } else if (const json::object* fields = object_in(volume, "downwardAPI")) {
    TRY_VOID(add_fields(*fields, mode_in(*fields, "defaultMode", kDefaultMode), pod, material, out.files));
  } else if (const json::object* projected = object_in(volume, "projected")) {
    TRY_VOID(add_projected(*projected, pod, material, out.files));
  } else {
    return fail(ErrorKind::kUnsupported,
                "volume \"{}\": a lab has emptyDir, configMap, secret, downwardAPI and projected, and shows nothing of "
                "the machine",
                out.name);
  }
  return out;
}

Result<ContainerSpec> container_spec(const json::object& pod, const json::object& container, const Environment& env,
                                     const std::string& volumes_folder) {
  const json::object* pod_spec = object_in(pod, "spec");
  const json::object* security = object_in(container, "securityContext");
  ContainerSpec spec{.workdir = text_in(container, "workingDir")};
  for (const auto& [name, value] : env) spec.env.push_back(name + "=" + value);
  TRY_VOID(set_user(object_in(pod_spec, "securityContext"), security, spec));
  set_capabilities(security, spec);
  for (const json::object* mount : objects_in(&container, "volumeMounts")) {
    const std::string volume = text_in(*mount, "name");
    TRY_VOID(check_path(volume));
    std::string sub_path = text_in(*mount, "subPath");
    if (const std::string pattern = text_in(*mount, "subPathExpr"); !pattern.empty())
      sub_path = expand_variables(pattern, env);
    if (!sub_path.empty()) TRY_VOID(check_path(sub_path));
    std::string target = text_in(*mount, "mountPath");
    while (target.size() > 1 && target.ends_with('/')) target.pop_back();
    if (!target.starts_with('/')) target = "/" + target;
    spec.mounts.push_back({volumes_folder + "/" + volume, sub_path, target, flag_in(*mount, "readOnly")});
  }
  return spec;
}

}  // namespace carrick::lab
