#include "apiserver/patching.h"

namespace carrick::apiserver {
namespace json = k8s::json;

StatusOr<json::object> apply_patch(std::string_view content_type, const k8s::ResourceType&, const json::object&, std::string_view) {
  return std::unexpected(unsupported_media(media_type_of(content_type), "none yet"));
}

}  // namespace carrick::apiserver
