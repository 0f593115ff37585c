#pragma once

#include <memory>

#include "apiserver/body.h"
#include "apiserver/node_door.h"
#include "apiserver/registry.h"
#include "apiserver/request.h"
#include "apiserver/service_tokens.h"
#include "apiserver/streams/upgrade.h"
#include "apiserver/watch_stream.h"

namespace carrick::apiserver {

// An answer that is streams of a node: a log without `exec` and `forward`, else what follows an upgrade.
struct StreamAnswer {
  NodeCall call;
  NodeDoor* nodes = nullptr;
  std::unique_ptr<ExecDialect> exec;
  std::unique_ptr<ForwardDialect> forward;
};

struct Response {
  int code = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<WatchStream> watch;  // set: the answer is this stream, without an end of its own
  std::shared_ptr<StreamAnswer> stream;
};

// Every request of the API, answered in one call from memory: no sockets, no waiting. Single-threaded.
class Api {
 public:
  struct Options {
    std::string server_address;             // "127.0.0.1:6443", told to clients in legacy discovery
    std::function<int64_t()> now = {};      // seconds since 1970; empty = the system clock
    std::function<bool()> ready = {};       // /readyz; empty = always
    const ServiceTokens* tokens = nullptr;  // outlives the API; null: service accounts have none
    NodeDoor* nodes = nullptr;              // outlives the API; null: nothing runs pods
  };
  Api(Registry& registry, Options options);
  Response handle(const Request& request);
  WatchHub& hub() { return hub_; }
  uint64_t revision() const { return registry_.store().revision(); }
  // Whose token it is, now; nullopt: of no service account.
  std::optional<User> user_of_token(std::string_view token) const {
    return options_.tokens ? options_.tokens->user_of(registry_.store(), token, options_.now()) : std::nullopt;
  }

 private:
  StatusOr<Response> serve(const Request& request);
  std::optional<StatusOr<Response>> serve_fixed(const Request& request);  // health, version, discovery, openapi
  StatusOr<Response> serve_resource(const Request& request, const Route& route);
  Record stored(const Route& route) const;  // null when absent
  // api_read.cc
  StatusOr<Response> get(const Request& request, const Route& route);
  StatusOr<Response> list(const Request& request, const Route& route);
  StatusOr<Response> watch(const Request& request, const Route& route, Selection selection);
  Response object_response(int code, const Form& form, const k8s::ResourceType& type, const Record& stored);
  // api_write.cc
  StatusOr<Response> create(const Request& request, const Route& route);
  StatusOr<Response> replace(const Request& request, const Route& route);
  StatusOr<Response> patch(const Request& request, const Route& route);
  StatusOr<Response> apply(const Request& request, const Route& route);  // api_apply.cc
  StatusOr<Response> remove(const Request& request, const Route& route);
  StatusOr<Response> remove_collection(const Request& request, const Route& route);
  StatusOr<Response> create_subresource(const Request& request, const Route& route);
  StatusOr<Response> scale(const Request& request, const Route& route);
  // api_stream.cc
  StatusOr<Response> stream(const Request& request, const Route& route);
  // api_review.cc
  std::optional<StatusOr<Response>> review(const Request& request);
  k8s::json::object token_review(const k8s::json::object& review) const;
  StatusOr<Response> create_token(const Request& request, const Route& route);

  Registry& registry_;
  Options options_;
  WatchHub hub_;
};

Response json_response(int code, const k8s::json::value& document);
Response status_response(const Status& status);

// The form that the Accept header asks for. `list` says whether List shapes are meant.
StatusOr<Form> negotiate(const Request& request, bool list);
StatusOr<Selection> selection_of(const Request& request, const Route& route, const CustomTypes& customs);

// "All" is the only dry run there is.
StatusOr<bool> wants_dry_run(const Query& query);

}  // namespace carrick::apiserver
