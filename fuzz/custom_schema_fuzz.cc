// rooms: apiserver

// Three lines: a JSONPath of a printer column, the schema of a definition, and an object of it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apiserver/custom/json_path.h"
#include "apiserver/custom/schema.h"

using namespace carrick::apiserver;
namespace json = carrick::k8s::json;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

json::value parsed(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  json::value value = json::parse(text, error, {}, options);
  return error ? json::value{} : value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto path = JsonPath::parse(take_line(text));
  const json::value schema = parsed(take_line(text)), object = parsed(take_line(text));
  if (path) (void)path->first(object);
  if (!schema.is_object() || !object.is_object()) return 0;
  (void)Schema::check(schema.get_object(), "spec");
  const Schema known(schema.get_object());
  json::object document = object.get_object();
  const size_t unknown = known.unknown_fields(document).size();
  known.prune(document);
  require(known.unknown_fields(document).empty());  // once is enough
  require(unknown > 0 || document == object.get_object());
  known.fill_defaults(document);
  (void)known.validate(document);
  return 0;
}
