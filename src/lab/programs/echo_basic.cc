#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "lab/programs/http.h"
#include "lab/programs/programs.h"

// The JSON echo of the Gateway API's and the Ingress conformance suites; its plain HTTP part.
namespace carrick::lab {
namespace {

namespace json = boost::json;

std::string variable(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

HttpGiven answer(const HttpAsked& asked) {
  if (asked.path == "/health") return {.body = "OK"};
  if (asked.path.starts_with("/status/")) {
    int status = 0;
    const std::string_view text = std::string_view(asked.path).substr(8);
    std::from_chars(text.data(), text.data() + text.size(), status);
    return {.status = status >= 200 && status <= 599 ? status : 400, .body = ""};
  }
  json::object headers;
  std::string host;
  for (const auto& [name, value] : asked.headers) {
    const std::string key = canonical_header(name);
    if (key == "Host") {
      host = value;
      continue;
    }
    if (!headers.contains(key)) headers[key] = json::array();
    headers[key].as_array().emplace_back(value);
  }
  const json::object out{{"path", asked.target},
                         {"host", host},
                         {"method", asked.method},
                         {"proto", asked.version},
                         {"headers", headers},
                         {"httpPort", variable("HTTP_PORT", "3000")},
                         {"namespace", variable("NAMESPACE")},
                         {"ingress", variable("INGRESS_NAME")},
                         {"service", variable("SERVICE_NAME")},
                         {"pod", variable("POD_NAME")}};
  return {.body = json::serialize(out),
          .content_type = "application/json",
          .headers = {{"X-Content-Type-Options", "nosniff"}}};
}

}  // namespace

int run_echo_basic(const std::vector<std::string>&) {
  const int port = std::atoi(variable("HTTP_PORT", "3000").c_str());
  auto listening = listen_tcp(static_cast<uint16_t>(port));
  if (!listening) {
    std::fprintf(stderr, "%s\n", listening.error().message.c_str());
    return 1;
  }
  serve_http(std::move(*listening), answer);
  return 0;
}

}  // namespace carrick::lab
