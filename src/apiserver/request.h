#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "k8s/resources.h"

// A request as the API sees it, whatever carried it. Parsing is total: any bytes give a request or a kInvalid sentence.
namespace carrick::apiserver {

struct Query {
  std::vector<std::pair<std::string, std::string>> values;  // decoded, in order; `command` of exec comes many times
  std::string_view get(std::string_view key) const;         // the first; empty when absent
  bool has(std::string_view key) const;
  bool flag(std::string_view key) const;  // "1", "true"
};

struct Target {
  std::vector<std::string> segments;  // decoded; "/api/v1/pods" has three
  Query query;
};
// The target of a request line ("/api/v1/pods?watch=1"). Limits: 16 KiB, 32 segments, 256 query values.
Result<Target> parse_target(std::string_view target);

struct User {
  std::string name;
  std::vector<std::string> groups;
};

// What a request says about leaving HTTP behind.
struct UpgradeOffer {
  std::string protocol;                          // of the Upgrade header, in lower case: "websocket", "spdy/3.1"
  std::string websocket_key, websocket_version;  // of WebSocket
  std::vector<std::string> subprotocols;         // Sec-WebSocket-Protocol or X-Stream-Protocol-Version, best first
};

struct Request {
  std::string method;  // GET, POST, PUT, PATCH, DELETE
  Target target;
  std::string accept, content_type, body;
  std::optional<User> user = {};  // absent: nobody proved who they are
  UpgradeOffer upgrade = {};
  std::string user_agent = {};
};

// Where a path of the resource API leads.
struct Route {
  std::string group, version;
  const k8s::ResourceType* type = nullptr;
  std::string namespace_, name, subresource;
};
class CustomTypes;
// nullopt when the path is none of the resource API or names an unknown resource.
std::optional<Route> route_of(const std::vector<std::string>& segments, const CustomTypes* custom = nullptr);

// One way of an Accept header to write the answer.
struct MediaType {
  std::string type;                // "application/json"
  std::string as, group, version;  // parameters as, g, v
};
// In the order of the client's preference; empty Accept = anything.
std::vector<MediaType> parse_accept(std::string_view accept);
// "application/json; charset=utf-8" -> "application/json", lower case.
std::string media_type_of(std::string_view content_type);

}  // namespace carrick::apiserver
