#include <boost/json.hpp>

#include "cni/server.h"
#include "kernel/unix_socket.h"

namespace carrick::cni {
namespace json = boost::json;

Result<json::value> ask(const std::string& socket_path, const json::object& request, int timeout_ms) {
  auto answer = kernel::ask_line(socket_path, json::serialize(request), timeout_ms);
  if (!answer) return with_context(answer.error(), "agent");
  try {
    json::value document = json::parse(*answer);
    json::object& object = document.as_object();
    if (json::value* error = object.if_contains("error"))
      return fail(ErrorKind::kInternal, "{}", std::string(error->at("msg").as_string()));
    if (json::value* result = object.if_contains("result")) return std::move(*result);
    return json::value();
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, "agent at {}: its answer is not understood: {}", socket_path, e.what());
  }
}

}  // namespace carrick::cni
