#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/pods/container_spec.h"

// From a pod as it is stored to what its containers are made of: environment, volumes, rights. Pure; works on the
// document itself, for Carrick's own Pod has only what a network needs.
namespace carrick::lab {

struct MaterialRef {
  bool secret = false;  // else a ConfigMap
  std::string name;
  auto operator<=>(const MaterialRef&) const = default;
};
struct TokenRef {
  std::string audience;
  int64_t seconds = 3600;
  auto operator<=>(const TokenRef&) const = default;
};
struct MaterialNeeds {
  std::set<MaterialRef> objects;
  std::set<TokenRef> tokens;
};
MaterialNeeds needs_of(const boost::json::object& pod);

// What was found; an object that is not there is not in it.
struct Material {
  std::map<MaterialRef, std::map<std::string, std::string>> objects;  // Secrets' values decoded
  std::map<TokenRef, std::string> tokens;
  std::vector<std::pair<std::string, std::string>> service_env;
  std::string node_name;
  std::vector<std::string> host_ips, pod_ips;
};
// `data` and `binaryData` of an object.
Result<std::map<std::string, std::string>> values_of(const boost::json::object& object, bool secret);

// In order; kNotFound with the kubelet's sentence when something it refers to is missing.
using Environment = std::vector<std::pair<std::string, std::string>>;
Result<Environment> container_env(const boost::json::object& pod, const boost::json::object& container,
                                  const Material& material);
// $(NAME) by the environment's value, $$ by $; unknown names stay.
std::string expand_variables(std::string_view text, const Environment& env);

struct VolumeFile {
  std::string path;  // relative
  std::string content;
  uint32_t mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};
struct Volume {
  std::string name;
  bool is_empty_dir = false;  // else these files, which are nobody's to write
  uint64_t size_limit = 0;    // of an emptyDir; 0: the lab's own
  std::vector<VolumeFile> files;
};
Result<Volume> volume_of(const boost::json::object& volume, const boost::json::object& pod, const Material& material);

// The container complete; volumes lie in `volumes_folder`/NAME. `spec.command` is left to the caller.
Result<ContainerSpec> container_spec(const boost::json::object& pod, const boost::json::object& container,
                                     const Environment& env, const std::string& volumes_folder);

// A quantity in units of `divisor`, rounded up; nothing when it is none.
std::optional<int64_t> quantity_in(std::string_view quantity, std::string_view divisor);

}  // namespace carrick::lab
