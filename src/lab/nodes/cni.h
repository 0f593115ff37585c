#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <functional>
#include <string>
#include <vector>

#include "k8s/core.h"
#include "lab/nodes/sandbox.h"

// Calls the CNI plugins of a node as containerd does (CNI-R3 ... R8, R15): the first configuration of the node's
// folder, the built-in loopback network beside it, CNI_ARGS and portMappings, results kept in the cache of libcni.
namespace carrick::lab {

struct CniAttachment {
  const Sandbox* sandbox = nullptr;
  int node_netns = -1;  // where the runtime, and so the plugin, lives
  boost::json::array port_mappings;
  boost::json::object annotations;
};

class Cni {
 public:
  Cni(boost::asio::io_context& io, LabPaths paths) : io_(io), paths_(std::move(paths)) {}

  // The pod's addresses. Both networks are set up at the same time (CNI-R5). kTransient while the node has no
  // configuration.
  void add(const CniAttachment& attachment, std::function<void(Result<std::vector<std::string>>)> done);
  // A missing configuration, namespace or result is no obstacle.
  void del(const CniAttachment& attachment, std::function<void(Result<void>)> done);
  // Whether ADD would be served (CNI-R2).
  void status(const std::string& node, int node_netns, std::function<void(Result<void>)> done);

 private:
  boost::asio::io_context& io_;
  LabPaths paths_;
};

// The containerd arguments of a pod: entries with a hostPort only, protocol in lower case (CNI-R7).
boost::json::array port_mappings_of(const k8s::Pod& pod);

// Pure parts, for tests.
struct CniNetwork {
  std::string name, version;
  boost::json::array plugins;
};
// `text` of a .conflist (or .conf): the highest of cniVersions that is known here (CNI-R16).
Result<CniNetwork> parse_network(std::string_view text);
std::string plugin_input(const CniNetwork& network, const boost::json::object& plugin, const CniAttachment& attachment,
                         const boost::json::value* previous_result);
Result<std::vector<std::string>> result_addresses(const boost::json::value& result, std::string_view interface_name);

}  // namespace carrick::lab
