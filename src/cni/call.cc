#include "cni/call.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cctype>
#include <cmath>
#include <cstring>
#include <iterator>

namespace carrick::cni {
namespace json = boost::json;
namespace {

struct Requirement {
  const char* variable;
  bool add, del, check, gc, status;
};
// The reference library's table (skel): spec 2 where it says more than the spec.
constexpr Requirement kRequired[] = {
    {"CNI_CONTAINERID", true, true, true, false, false},
    {"CNI_NETNS", true, false, true, false, false},
    {"CNI_IFNAME", true, true, true, false, false},
    {"CNI_PATH", true, true, true, true, true},
};

bool needs(const Requirement& requirement, Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return requirement.add;
    case Verb::kDel:
      return requirement.del;
    case Verb::kCheck:
      return requirement.check;
    case Verb::kGc:
      return requirement.gc;
    case Verb::kStatus:
      return requirement.status;
    case Verb::kVersion:
      return false;
  }
  return false;
}

std::unexpected<CniError> fail(int code, std::string msg, std::string details = {}) {
  return std::unexpected(CniError{code, std::move(msg), std::move(details)});
}

CniResultOf<Verb> verb_of(std::string_view command) {
  constexpr std::pair<std::string_view, Verb> kVerbs[] = {{"ADD", Verb::kAdd},       {"DEL", Verb::kDel},
                                                          {"CHECK", Verb::kCheck},   {"GC", Verb::kGc},
                                                          {"STATUS", Verb::kStatus}, {"VERSION", Verb::kVersion}};
  for (auto [name, verb] : kVerbs) {
    if (name == command) return verb;
  }
  return fail(kBadEnvironment, "unknown CNI_COMMAND: " + std::string(command));
}

bool alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// ^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$
bool is_name(std::string_view text) {
  if (text.empty() || !alphanumeric(text[0])) return false;
  return std::ranges::all_of(text, [](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_ifname(std::string_view text) {
  if (text.empty() || text.size() > 15 || text == "." || text == "..") return false;
  return std::ranges::none_of(text, [](unsigned char c) { return c == '/' || c == ':' || c <= ' ' || c == 0x7f; });
}

// JSON has numbers that no double holds; the parser makes them infinite, and they could not be handed on.
bool is_finite(const json::value& value) {
  if (const double* number = value.if_double()) return std::isfinite(*number);
  if (const json::array* list = value.if_array()) return std::ranges::all_of(*list, is_finite);
  if (const json::object* object = value.if_object())
    return std::ranges::all_of(*object, [](const json::key_value_pair& member) { return is_finite(member.value()); });
  return true;
}

int number_of(std::string_view& text) {
  int value = 0;
  size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 6; ++digits)
    value = value * 10 + (text[digits] - '0');
  text.remove_prefix(std::min(text.size(), digits + 1));
  return digits ? value : -1;
}

}  // namespace

bool is_supported(std::string_view version) { return std::ranges::find(kVersions, version) != std::end(kVersions); }

bool at_least(std::string_view version, std::string_view bound) {
  for (int i = 0; i < 3; ++i) {
    int a = number_of(version), b = number_of(bound);
    if (a != b) return a > b;
  }
  return true;
}

CniResultOf<Call> read_environment(const std::function<const char*(const char*)>& get) {
  auto text = [&](const char* name) {
    const char* value = get(name);
    return std::string(value ? value : "");
  };
  auto verb = verb_of(text("CNI_COMMAND"));
  if (!verb) return std::unexpected(verb.error());
  std::string missing;
  for (const Requirement& requirement : kRequired) {
    if (needs(requirement, *verb) && text(requirement.variable).empty())
      missing += (missing.empty() ? "" : ",") + std::string(requirement.variable);
  }
  if (!missing.empty()) return fail(kBadEnvironment, "required env variables [" + missing + "] missing");
  std::string override_text = text("CNI_NETNS_OVERRIDE");
  std::ranges::transform(override_text, override_text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return Call{.verb = *verb,
              .container_id = text("CNI_CONTAINERID"),
              .netns = text("CNI_NETNS"),
              .ifname = text("CNI_IFNAME"),
              .args = text("CNI_ARGS"),
              .path = text("CNI_PATH"),
              .netns_override = override_text == "1" || override_text == "true"};
}

CniResultOf<> check_names(const Call& call) {
  if (call.verb != Verb::kAdd && call.verb != Verb::kDel && call.verb != Verb::kCheck) return {};
  if (call.container_id.empty()) return fail(kUnknownContainer, "missing containerID");
  if (!is_name(call.container_id)) return fail(kBadEnvironment, "invalid characters in containerID", call.container_id);
  if (!is_ifname(call.ifname))
    return fail(kBadEnvironment,
                "interface name must be 1 to 15 bytes without space, \"/\" or \":\", and not \".\" or \"..\"",
                call.ifname);
  return {};
}

CniResultOf<NetConf> parse_netconf(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  json::value document = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return fail(kDecodingFailure, "error unmarshall network config: " + error.message());
  if (!document.is_object()) return fail(kDecodingFailure, "error unmarshall network config: not a JSON object");
  if (!is_finite(document)) return fail(kDecodingFailure, "error unmarshall network config: a number is out of range");
  NetConf conf;
  conf.document = std::move(document.as_object());
  auto read_text = [&](const char* key, std::string& out) -> CniResultOf<> {
    const json::value* value = conf.document.if_contains(key);
    if (!value || value->is_null()) return {};
    if (!value->is_string())
      return fail(kDecodingFailure, std::string("error unmarshall network config: ") + key + " is not a string");
    out = std::string(value->get_string());
    return {};
  };
  for (auto [key, out] :
       {std::pair{"cniVersion", &conf.version}, {"name", &conf.name}, {"type", &conf.type}, {"socket", &conf.socket}}) {
    if (auto done = read_text(key, *out); !done) return std::unexpected(done.error());
  }
  if (conf.version.empty()) conf.version = "0.1.0";
  if (conf.name.empty()) return fail(kBadConfig, "missing network name");
  if (!is_name(conf.name)) return fail(kBadConfig, "invalid characters found in network name", conf.name);
  auto read_number = [&](const char* key, int64_t most) -> CniResultOf<int64_t> {
    const json::value* value = conf.document.if_contains(key);
    if (!value || value->is_null()) return 0;
    const int64_t* number = value->if_int64();
    if (!number || *number < 0 || *number > most)
      return fail(kBadConfig, std::string(key) + " is not a number from 0 to " + std::to_string(most));
    return *number;
  };
  auto mtu = read_number("mtu", 65535), deadline = read_number("deadlineMs", NetConf::kDeadline);
  if (!mtu) return std::unexpected(mtu.error());
  if (!deadline) return std::unexpected(deadline.error());
  conf.mtu = static_cast<uint32_t>(*mtu);
  if (*deadline) conf.deadline_ms = *deadline;
  return conf;
}

CniResultOf<> check_version(Verb verb, std::string_view version) {
  auto too_old = [&](const char* name) {
    return fail(kIncompatibleVersion, std::string("config version does not allow ") + name, std::string(version));
  };
  if (!is_supported(version)) {
    std::string list;
    for (std::string_view known : kVersions) list += (list.empty() ? "" : " ") + std::string(known);
    return fail(kIncompatibleVersion, "incompatible CNI versions",
                "config is \"" + std::string(version) + "\", plugin supports [" + list + "]");
  }
  if (verb == Verb::kCheck && !at_least(version, "0.4.0")) return too_old("CHECK");
  if (verb == Verb::kGc && !at_least(version, "1.1.0")) return too_old("GC");
  if (verb == Verb::kStatus && !at_least(version, "1.1.0")) return too_old("STATUS");
  return {};
}

json::object error_object(const CniError& error, std::string_view version) {
  json::object out{
      {"cniVersion", json::string_view(version.data(), version.size())}, {"code", error.code}, {"msg", error.msg}};
  if (!error.details.empty()) out["details"] = error.details;
  return out;
}

}  // namespace carrick::cni
