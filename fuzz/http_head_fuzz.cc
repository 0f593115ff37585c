// rooms: apiserver

// One HTTP request as bytes: head, target, query, selectors, continue token and body, answered by the whole API against
// a small store. Whatever comes, there is one answer, in JSON where it says so.
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apiserver/api.h"
#include "apiserver/continue_token.h"

using namespace carrick;
using namespace carrick::apiserver;
namespace http = boost::beast::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// A new world for each input: inputs must not depend on each other.
struct World {
  World() {
    require(registry
                .create(*k8s::find_by_kind("v1", "Namespace"), "",
                        json::parse(R"({"metadata":{"name":"default"}})").as_object())
                .has_value());
    require(registry
                .create(*k8s::find_by_kind("v1", "ConfigMap"), "default",
                        json::parse(R"({"metadata":{"name":"a","labels":{"app":"web"}}})").as_object())
                .has_value());
  }
  std::unique_ptr<Store> store = std::move(*Store::open(""));
  Registry registry{*store,
                    {.service_ranges = {.cidrs = {*net::Prefix::parse("10.96.0.0/24")}},
                     .now = [] { return int64_t{1'700'000'000}; },
                     .random = [](uint64_t) { return uint64_t{0}; }}};
  Api api{registry, {.server_address = {}, .now = [] { return int64_t{1'700'000'000}; }}};
};

void check(const Response& response) {
  require(response.code >= 200 && response.code < 600);
  if (response.watch) {
    (void)response.watch->take(1u << 20);
    return;
  }
  if (!response.content_type.starts_with("application/json")) return;
  json::parse_options options;
  options.max_depth = 200;
  boost::system::error_code error;
  json::parse(response.body, error, {}, options);
  require(!error);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(32u << 10);
  parser.body_limit(64u << 10);
  parser.eager(true);
  boost::beast::error_code error;
  parser.put(boost::asio::const_buffer(data, size), error);
  if (error || !parser.is_header_done()) return 0;
  auto& message = parser.get();
  const auto target = parse_target({message.target().data(), message.target().size()});
  if (!target) return 0;
  if (const auto token = ContinueToken::parse(target->query.get("continue")))
    require(ContinueToken::parse(token->str())->after == token->after);
  Request request{.method = std::string(message.method_string()),
                  .target = *target,
                  .accept = std::string(message[http::field::accept]),
                  .content_type = std::string(message[http::field::content_type]),
                  .body = message.body(),
                  .user = User{"fuzz", {"system:masters"}}};
  World world;
  check(world.api.handle(request));
  request.user.reset();
  check(world.api.handle(request));
  return 0;
}
