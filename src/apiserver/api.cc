#include "apiserver/api.h"

#include <ctime>

#include "apiserver/answer_encoding.h"
#include "apiserver/discovery.h"
#include "apiserver/openapi/documents.h"
#include "apiserver/rbac.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kOpenapiV2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

json::object version_document() {
  return {{"major", "1"},        {"minor", "33"},           {"gitVersion", "v1.33.0+carrick"},
          {"gitCommit", ""},     {"gitTreeState", "clean"}, {"buildDate", "1970-01-01T00:00:00Z"},
          {"goVersion", "none"}, {"compiler", "clang"},     {"platform", "linux/amd64"}};
}

Response text_response(int code, std::string text) {
  Response response;
  response.code = code;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  return response;
}

// RFC 8414, as far as it concerns tokens of service accounts.
json::object openid_configuration() {
  const std::string issuer(ServiceTokens::kIssuer);
  return {{"issuer", issuer},
          {"jwks_uri", issuer + "/openid/v1/jwks"},
          {"response_types_supported", json::array{"id_token"}},
          {"subject_types_supported", json::array{"public"}},
          {"id_token_signing_alg_values_supported", json::array{"ES256"}}};
}

// One segment or many: /healthz/ping is as good as /healthz.
bool is_health(std::string_view first) { return first == "healthz" || first == "livez" || first == "readyz"; }

// Health, version, discovery, OpenAPI: paths of no resource.
bool is_fixed(const std::vector<std::string>& s) {
  return s.empty() || is_health(s[0]) || s[0] == "version" || s[0] == "metrics" || s[0] == "openapi" ||
         s[0] == ".well-known" || s[0] == "openid" || (s[0] == "api" && s.size() <= 2) ||
         (s[0] == "apis" && s.size() <= 3);
}

json::object root_paths() {
  json::array paths;
  for (std::string_view path : {"/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez",
                                "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"})
    paths.emplace_back(path);
  return {{"paths", std::move(paths)}};
}

StatusOr<Response> serve_openapi(const Request& request, const CustomTypes& custom) {
  const std::vector<std::string>& s = request.target.segments;
  if (s.size() == 2 && s[1] == "v2") {
    const json::object document = swagger(custom.served());
    for (const MediaType& media : parse_accept(request.accept))
      if (media.type.find("proto-openapi") != std::string::npos) {
        Response response;
        response.content_type = kOpenapiV2;
        response.body = swagger_protobuf(document);
        return response;
      }
    return json_response(200, document);
  }
  if (s.size() < 2 || s[1] != "v3") return std::unexpected(unknown_path());
  if (s.size() == 2) return json_response(200, openapi_index(custom.served(), custom.revision()));
  std::optional<json::object> document;
  if (s.size() == 4 && s[2] == "api") document = openapi_version(custom.served(), "", s[3]);
  if (s.size() == 5 && s[2] == "apis") document = openapi_version(custom.served(), s[3], s[4]);
  if (!document) return std::unexpected(unknown_path());
  return json_response(200, *document);
}

}  // namespace

Response json_response(int code, const json::value& document) {
  Response response;
  response.code = code;
  response.body = json::serialize(document);
  response.body += '\n';
  return response;
}

Response status_response(const Status& status) {
  Response response = json_response(status.code, to_json(status));
  if (status.retry_after_seconds > 0)
    response.headers.emplace_back("Retry-After", std::to_string(status.retry_after_seconds));
  return response;
}

StatusOr<bool> wants_dry_run(const Query& query) {
  if (!query.has("dryRun")) return false;
  const std::string_view value = query.get("dryRun");
  if (value == "All") return true;
  if (value.empty()) return false;
  return std::unexpected(
      bad_request(fmt::format("dryRun: Unsupported value: \"{}\": supported values: \"All\"", value)));
}

Api::Api(Registry& registry, Options options)
    : registry_(registry), options_(std::move(options)), hub_(registry.store()) {
  if (!options_.now) options_.now = [] { return static_cast<int64_t>(std::time(nullptr)); };
}

Response Api::handle(const Request& request) {
  StatusOr<Response> response = serve(request);
  return encoded(response ? std::move(*response) : status_response(response.error()), encoding_for(request.accept));
}

StatusOr<Response> Api::serve(const Request& request) {
  const std::vector<std::string>& s = request.target.segments;
  const bool open = !s.empty() && (is_health(s[0]) || s[0] == "version");
  if (!open && !request.user) return std::unexpected(unauthorized());
  const auto allowed = [&](const Route* asked) -> StatusOr<> {
    const Attributes attributes = attributes_of(request, asked);
    if (authorize(registry_.store(), *request.user, attributes).allowed) return {};
    return std::unexpected(refused(*request.user, attributes));
  };
  if (!open && is_fixed(s))
    if (auto may = allowed(nullptr); !may) return std::unexpected(may.error());
  if (auto fixed = serve_fixed(request)) return std::move(*fixed);
  if (auto answer = review(request)) return std::move(*answer);
  const auto route = route_of(s, &registry_.custom());
  if (auto may = allowed(route ? &*route : nullptr); !may) return std::unexpected(may.error());
  if (!route) return std::unexpected(unknown_path());
  return serve_resource(request, *route);
}

std::optional<StatusOr<Response>> Api::serve_fixed(const Request& request) {
  const std::vector<std::string>& s = request.target.segments;
  if (!is_fixed(s)) return std::nullopt;
  if (request.method != "GET" && request.method != "HEAD") return std::unexpected(method_not_allowed());
  if (s.empty()) return json_response(200, root_paths());
  if (is_health(s[0])) {
    const bool ready = s[0] != "readyz" || !options_.ready || options_.ready();
    return text_response(ready ? 200 : 500, ready ? "ok" : "not ready: the cluster is still being set up");
  }
  if (s[0] == "version") return json_response(200, version_document());
  if (s[0] == "metrics")
    return text_response(
        200, fmt::format("# TYPE carrick_apiserver_resource_version counter\ncarrick_apiserver_resource_version {}\n# "
                         "TYPE carrick_apiserver_watchers gauge\ncarrick_apiserver_watchers {}\n",
                         revision(), hub_.watchers()));
  if (s[0] == ".well-known" || (s[0] == "openid" && options_.tokens)) {
    if (!options_.tokens || s.size() < 2) return std::unexpected(unknown_path());
    if (s[0] == "openid") return json_response(200, options_.tokens->key_set());
    if (s[1] == "openid-configuration") return json_response(200, openid_configuration());
    return std::unexpected(unknown_path());
  }
  if (s[0] == "openapi") return serve_openapi(request, registry_.custom());
  const CustomKinds custom = registry_.custom().served();
  if (s.size() == 1) {
    const auto accept = parse_accept(request.accept);
    DiscoveryAnswer answer =
        s[0] == "api" ? discover_core(accept, options_.server_address) : discover_groups(custom, accept);
    Response response = json_response(200, answer.document);
    response.content_type = answer.content_type;
    response.headers.emplace_back("Vary", "Accept");
    return response;
  }
  std::optional<json::object> document;
  if (s[0] == "api")
    document = discover_version(custom, "", s[1]);
  else
    document = s.size() == 2 ? discover_group(custom, s[1]) : discover_version(custom, s[1], s[2]);
  if (!document) return std::unexpected(unknown_path());
  return json_response(200, *document);
}

StatusOr<Response> Api::serve_resource(const Request& request, const Route& route) {
  const std::string& method = request.method;
  if (route.subresource == "scale" && route.type->has_scale) return scale(request, route);
  const bool status = route.subresource == "status" && route.type->has_status;
  const bool finalize =
      route.subresource == "finalize" && route.type->group.empty() && route.type->plural == "namespaces";
  if (!route.subresource.empty() && !status && !finalize) return create_subresource(request, route);
  if (method == "GET" || method == "HEAD") return route.name.empty() ? list(request, route) : get(request, route);
  if (method == "POST" && route.name.empty()) return create(request, route);
  if (method == "PUT" && !route.name.empty()) return replace(request, route);
  if (method == "PATCH" && !route.name.empty() && !finalize) return patch(request, route);
  if (method == "DELETE" && route.subresource.empty())
    return route.name.empty() ? remove_collection(request, route) : remove(request, route);
  return std::unexpected(method_not_allowed());
}

}  // namespace carrick::apiserver
