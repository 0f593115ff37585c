#include <algorithm>
#include <cctype>

#include "cni/call.h"

namespace carrick::cni {
namespace json = boost::json;
namespace {

std::unexpected<CniError> fail(int code, std::string msg, std::string details = {}) {
  return std::unexpected(CniError{code, std::move(msg), std::move(details)});
}

const json::object* object_at(const json::object& parent, const char* key) {
  const json::value* value = parent.if_contains(key);
  return value ? value->if_object() : nullptr;
}

std::string text_at(const json::object& parent, const char* key) {
  const json::value* value = parent.if_contains(key);
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

int64_t number_at(const json::object& parent, const char* key) {
  const json::value* value = parent.if_contains(key);
  const int64_t* number = value ? value->if_int64() : nullptr;
  return number ? *number : 0;
}

std::string without_length(std::string text) { return text.substr(0, text.find('/')); }

// KEY=VALUE;KEY=VALUE in any order; keys we do not know are ignored (CNI-R7).
CniResultOf<> read_args(std::string_view args, Wishes& out) {
  while (!args.empty()) {
    std::string_view pair = args.substr(0, args.find(';'));
    args.remove_prefix(std::min(args.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos)
      return fail(kBadEnvironment, "CNI_ARGS: invalid pair \"" + std::string(pair) + "\"");
    std::string_view key = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (key == "K8S_POD_NAMESPACE") out.pod_namespace = value;
    if (key == "K8S_POD_NAME") out.pod_name = value;
    if (key == "K8S_POD_UID") out.pod_uid = value;
    if (key == "MAC") out.mac = value;
    if (key == "IP" && !value.empty()) out.ips = {without_length(std::string(value))};
  }
  return {};
}

CniResultOf<> read_ips(const json::object& parent, Wishes& out) {
  const json::value* list = parent.if_contains("ips");
  if (!list || list->is_null()) return {};
  if (!list->is_array()) return fail(kBadConfig, "ips is not a list");
  std::vector<std::string> ips;
  for (const json::value& item : list->get_array()) {
    if (!item.is_string()) return fail(kBadConfig, "ips holds something that is not a string");
    ips.push_back(without_length(std::string(item.get_string())));
  }
  if (!ips.empty()) out.ips = std::move(ips);
  return {};
}

CniResultOf<> read_port_mappings(const json::object& runtime, Wishes& out) {
  const json::value* list = runtime.if_contains("portMappings");
  if (!list || list->is_null()) return {};
  if (!list->is_array()) return fail(kBadConfig, "portMappings is not a list");
  for (const json::value& item : list->get_array()) {
    const json::object* entry = item.if_object();
    if (!entry) return fail(kBadConfig, "portMappings holds something that is not an object");
    int64_t host = number_at(*entry, "hostPort"), container = number_at(*entry, "containerPort");
    if (host < 1 || host > 65535) return fail(kBadConfig, "Invalid host port number: " + std::to_string(host));
    if (container < 1 || container > 65535)
      return fail(kBadConfig, "Invalid container port number: " + std::to_string(container));
    std::string protocol = text_at(*entry, "protocol");
    std::ranges::transform(protocol, protocol.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (protocol.empty()) protocol = "tcp";
    if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
      return fail(kBadConfig, "Invalid protocol: " + protocol);
    out.port_mappings.push_back(
        {static_cast<uint16_t>(host), static_cast<uint16_t>(container), protocol, text_at(*entry, "hostIP")});
  }
  return {};
}

// Checked by the convention's rules; the rates themselves are not enforced yet (docs/design/pods.md).
CniResultOf<> check_bandwidth(const json::object& parent) {
  const json::object* bandwidth = object_at(parent, "bandwidth");
  if (!bandwidth) return {};
  for (auto [rate, burst] : {std::pair{"ingressRate", "ingressBurst"}, {"egressRate", "egressBurst"}}) {
    int64_t rate_bits = number_at(*bandwidth, rate), burst_bits = number_at(*bandwidth, burst);
    if (rate_bits < 0 || burst_bits < 0)
      return fail(kBadConfig, std::string(rate) + " and " + burst + " must not be negative");
    if ((rate_bits == 0) != (burst_bits == 0))
      return fail(kBadConfig, std::string("if ") + rate + " is set, so must be " + burst + ", and the reverse");
    if (burst_bits / 8 >= int64_t{1} << 32) return fail(kBadConfig, std::string(burst) + " is too large");
  }
  return {};
}

}  // namespace

CniResultOf<Wishes> read_wishes(const NetConf& conf, std::string_view args) {
  Wishes out;
  if (auto done = read_args(args, out); !done) return std::unexpected(done.error());
  // Later wins: CNI_ARGS, args.cni, runtimeConfig.
  const json::object* args_object = object_at(conf.document, "args");
  const json::object* args_cni = args_object ? object_at(*args_object, "cni") : nullptr;
  const json::object* runtime = object_at(conf.document, "runtimeConfig");
  for (const json::object* source : {args_cni, runtime}) {
    if (!source) continue;
    if (auto done = read_ips(*source, out); !done) return std::unexpected(done.error());
    if (std::string mac = text_at(*source, "mac"); !mac.empty()) out.mac = mac;
  }
  if (auto done = check_bandwidth(conf.document); !done) return std::unexpected(done.error());
  if (runtime) {
    if (auto done = read_port_mappings(*runtime, out); !done) return std::unexpected(done.error());
    if (auto done = check_bandwidth(*runtime); !done) return std::unexpected(done.error());
  }
  return out;
}

CniResultOf<std::vector<Attachment>> valid_attachments(const NetConf& conf) {
  const json::value* list = conf.document.if_contains("cni.dev/valid-attachments");
  if (!list) list = conf.document.if_contains("cni.dev/attachments");
  if (!list || list->is_null()) return std::vector<Attachment>{};
  if (!list->is_array()) return fail(kBadConfig, "cni.dev/valid-attachments is not a list");
  std::vector<Attachment> out;
  for (const json::value& item : list->get_array()) {
    const json::object* entry = item.if_object();
    std::string id = entry ? text_at(*entry, "containerID") : "", ifname = entry ? text_at(*entry, "ifname") : "";
    // One that cannot be read must not free what it may have meant.
    if (id.empty() || ifname.empty())
      return fail(kBadConfig, "cni.dev/valid-attachments holds an entry without containerID or ifname");
    out.push_back({id, ifname});
  }
  return out;
}

}  // namespace carrick::cni
