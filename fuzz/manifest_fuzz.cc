// rooms: k8s

// A manifest file, and what becomes of its objects on their way into the store.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "k8s/objects.h"
#include "k8s/patch.h"

using namespace carrick;
using namespace carrick::k8s;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void follow(const ManifestObject& object) {
  require(object.line >= 1 && !object.kind.empty() && !object.apiVersion.empty());
  // What was read can be sent to an API server. (Not compared: Boost.JSON reads some long floats one unit off.)
  json::parse_options options;
  options.max_depth = 256;
  boost::system::error_code error;
  require(json::parse(json::serialize(object.document), error, {}, options).is_object() && !error);
  if (!object.type) return;
  json::object document = object.document;
  apply_defaults(*object.type, document);
  json::object again = document;
  apply_defaults(*object.type, again);
  require(again == document);
  for (const FieldError& finding : validate(*object.type, document, &object.document))
    require(line_of(object, finding.field) >= 1);
  (void)validate(*object.type, document);
  (void)unknown_fields(*object.type, document);
  (void)apply_strategic_merge_patch(*object.type, document, object.document);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto objects = parse_manifest({reinterpret_cast<const char*>(data), size}, "f.yaml");
  if (!objects) {
    require(objects.error().kind == ErrorKind::kInvalid && objects.error().message.starts_with("f.yaml:"));
    return 0;
  }
  for (const ManifestObject& object : *objects) follow(object);
  return 0;
}
