#include "lab/pods/container_spec.h"

#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace carrick::lab {
namespace {

namespace json = boost::json;

struct Capability {
  std::string_view name;
  int number;
  enum class Grant { kNever, kAsked, kAlways } grant;
};
using Grant = Capability::Grant;

// Everything that is about the machine as a whole is missing: no manifest gets it.
constexpr std::array kCapabilities = {
    Capability{"CHOWN", CAP_CHOWN, Grant::kAlways},
    Capability{"DAC_OVERRIDE", CAP_DAC_OVERRIDE, Grant::kAlways},
    Capability{"FOWNER", CAP_FOWNER, Grant::kAlways},
    Capability{"FSETID", CAP_FSETID, Grant::kAlways},
    Capability{"KILL", CAP_KILL, Grant::kAlways},
    Capability{"NET_BIND_SERVICE", CAP_NET_BIND_SERVICE, Grant::kAlways},
    Capability{"NET_RAW", CAP_NET_RAW, Grant::kAlways},
    Capability{"SETGID", CAP_SETGID, Grant::kAlways},
    Capability{"SETPCAP", CAP_SETPCAP, Grant::kAlways},
    Capability{"SETUID", CAP_SETUID, Grant::kAlways},
    Capability{"SYS_CHROOT", CAP_SYS_CHROOT, Grant::kAlways},
    Capability{"NET_ADMIN", CAP_NET_ADMIN, Grant::kAsked},
    Capability{"NET_BROADCAST", CAP_NET_BROADCAST, Grant::kAsked},
    Capability{"IPC_LOCK", CAP_IPC_LOCK, Grant::kAsked},
    Capability{"IPC_OWNER", CAP_IPC_OWNER, Grant::kAsked},
};

const Capability* find(std::string_view name) {
  if (name.starts_with("CAP_")) name.remove_prefix(4);
  const auto* found = std::ranges::find(kCapabilities, name, &Capability::name);
  return found == kCapabilities.end() ? nullptr : found;
}

json::array words(const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); }

std::vector<std::string> word_list(const json::value& value) {
  std::vector<std::string> out;
  for (const json::value& word : value.as_array()) out.emplace_back(word.as_string());
  return out;
}

}  // namespace

std::vector<std::string> default_capabilities() {
  std::vector<std::string> out;
  for (const Capability& capability : kCapabilities)
    if (capability.grant == Grant::kAlways) out.emplace_back(capability.name);
  return out;
}

std::string program_path() {
  const char* path = std::getenv("PATH");
  return path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

bool may_be_added(std::string_view capability) { return find(capability) != nullptr; }

int capability_number(std::string_view name) {
  const Capability* known = find(name);
  return known ? known->number : -1;
}

std::string encode_container(const ContainerSpec& spec) {
  json::array mounts;
  for (const ContainerMount& mount : spec.mounts)
    mounts.push_back(json::object{{"source", mount.source},
                                  {"sub_path", mount.sub_path},
                                  {"target", mount.target},
                                  {"read_only", mount.read_only}});
  json::array groups;
  for (const uint32_t group : spec.groups) groups.emplace_back(group);
  json::object out{{"command", words(spec.command)},
                   {"env", words(spec.env)},
                   {"workdir", spec.workdir},
                   {"mounts", mounts},
                   {"uid", spec.uid},
                   {"gid", spec.gid},
                   {"groups", groups},
                   {"capabilities", words(spec.capabilities)},
                   {"read_only_root", spec.read_only_root}};
  return json::serialize(out);
}

Result<ContainerSpec> decode_container(std::string_view text) {
  try {
    const json::value document = json::parse(text);
    const auto number = [&](const char* key) { return document.at(key).to_number<uint32_t>(); };
    ContainerSpec spec{.command = word_list(document.at("command")),
                       .env = word_list(document.at("env")),
                       .workdir = std::string(document.at("workdir").as_string()),
                       .mounts = {},
                       .uid = number("uid"),
                       .gid = number("gid"),
                       .groups = {},
                       .capabilities = word_list(document.at("capabilities")),
                       .read_only_root = document.at("read_only_root").as_bool()};
    for (const json::value& mount : document.at("mounts").as_array())
      spec.mounts.push_back({std::string(mount.at("source").as_string()), std::string(mount.at("sub_path").as_string()),
                             std::string(mount.at("target").as_string()), mount.at("read_only").as_bool()});
    for (const json::value& group : document.at("groups").as_array())
      spec.groups.push_back(group.to_number<uint32_t>());
    return spec;
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, "container: {}", e.what());
  }
}

}  // namespace carrick::lab
