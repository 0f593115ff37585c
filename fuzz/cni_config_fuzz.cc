// rooms: cni

// The network configuration on carrick-cni's standard input, with everything that ADD, CHECK and GC read out of it, and
// CNI_ARGS.
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cni/call.h"
#include "cni/result_json.h"

using namespace carrick::cni;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  // The first line is CNI_ARGS when the input has a line that starts the JSON behind it.
  size_t split = text.find("\n{");
  std::string_view args = split == std::string_view::npos ? std::string_view() : text.substr(0, split);
  auto conf = parse_netconf(split == std::string_view::npos ? text : text.substr(split + 1));
  if (!conf) {
    if (conf.error().code != kDecodingFailure && conf.error().code != kBadConfig) std::abort();
    return 0;
  }
  if (conf->name.empty() || conf->deadline_ms < 1 || conf->deadline_ms > NetConf::kDeadline) std::abort();
  (void)check_version(Verb::kCheck, conf->version);
  auto wishes = read_wishes(*conf, args);
  if (wishes) {
    for (const PortMapping& port : wishes->port_mappings) {
      if (!port.host_port || !port.container_port) std::abort();
    }
  }
  auto valid = valid_attachments(*conf);
  if (valid) {
    for (const Attachment& attachment : *valid) {
      if (attachment.container_id.empty() || attachment.ifname.empty()) std::abort();
    }
  }
  // What was understood can be written and understood again.
  auto again = parse_netconf(boost::json::serialize(conf->document));
  if (!again || again->name != conf->name || again->version != conf->version) std::abort();
  const boost::json::value* previous = conf->document.if_contains("prevResult");
  AddResult result{.interfaces = {{.name = "eth0", .mac = {}, .sandbox = "/x"}},
                   .ips = {{.address = "10.1.0.2/32", .gateway = {}}},
                   .routes = {}};
  for (std::string_view version : kVersions)
    (void)render(result, version, previous ? previous->if_object() : nullptr, conf->document.if_contains("dns"));
  return 0;
}
