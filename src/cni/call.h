#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

// One call of the CNI (spec 1.1.0) as the runtime makes it: environment and network configuration, checked. Compiled
// into the plugin, which starts once per pod, as well as into the agent: nothing here needs more than Boost.JSON.
namespace carrick::cni {

// Spec section 5 "Error codes", and those of the reference library where the spec has none (8).
enum ErrorCode : int {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kBadEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kBadConfig = 7,
  kBadNetns = 8,
  kTryAgainLater = 11,
  kNotAvailable = 50,
  kPodsAffected = 51,
  kFailed = 100,  // ours: the kernel refused something
};

struct CniError {
  int code = kFailed;
  std::string msg, details;
};

template <class T = void>
using CniResultOf = std::expected<T, CniError>;

enum class Verb { kAdd, kDel, kCheck, kGc, kStatus, kVersion };

inline constexpr std::string_view kVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
bool is_supported(std::string_view version);
// Both must be "x.y.z"; anything else compares as oldest.
bool at_least(std::string_view version, std::string_view bound);

struct Call {
  Verb verb = Verb::kVersion;
  std::string container_id, netns, ifname, args, path;
  bool netns_override = false;  // CNI_NETNS_OVERRIDE: the plugin's own namespace is meant
};

// Verb and variables of the environment (`get` answers null for an unset one). kBadEnvironment names every missing
// variable.
CniResultOf<Call> read_environment(const std::function<const char*(const char*)>& get);
CniResultOf<> check_names(const Call& call);  // container id and interface name, for the verbs that have them

struct NetConf {
  std::string version = "0.1.0", name, type;
  std::string socket;               // ours: path of the agent's socket; empty = default
  int64_t deadline_ms = kDeadline;  // ours: never above kDeadline
  uint32_t mtu = 0;                 // ours; 0 = the agent's
  boost::json::object document;     // the whole

  static constexpr int64_t kDeadline = 10'000;
};

CniResultOf<NetConf> parse_netconf(std::string_view text);
CniResultOf<> check_version(Verb verb, std::string_view version);

struct PortMapping {
  uint16_t host_port = 0, container_port = 0;
  std::string protocol;  // "tcp", "udp", "sctp"
  std::string host_ip;   // empty = every address
};

// What the runtime asks for beyond the network's configuration: runtimeConfig, args.cni and CNI_ARGS by CONVENTIONS.md.
struct Wishes {
  std::string pod_namespace, pod_name, pod_uid;
  std::vector<std::string> ips;  // without prefix length
  std::string mac;
  std::vector<PortMapping> port_mappings;
};
CniResultOf<Wishes> read_wishes(const NetConf& conf, std::string_view args);

struct Attachment {
  std::string container_id, ifname;
  auto operator<=>(const Attachment&) const = default;
};
// Of GC. The spec's key and the one libcni also sends.
CniResultOf<std::vector<Attachment>> valid_attachments(const NetConf& conf);

boost::json::object error_object(const CniError& error, std::string_view version);

}  // namespace carrick::cni
