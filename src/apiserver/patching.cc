#include "apiserver/patching.h"

#include "k8s/patch.h"

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

constexpr std::string_view kOffered =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
    "application/apply-patch+yaml";

// A JSON patch that does not fit the document is a state of the document (422); everything else is the client's text
// (400).
StatusOr<json::object> patched(Result<json::object> result, const k8s::ResourceType& type, bool unprocessable) {
  if (result) return std::move(*result);
  if (!unprocessable) return std::unexpected(bad_request(result.error().message));
  return std::unexpected(
      Status{.code = 422,
             .reason = "Invalid",
             .message = "the server rejected our request due to an error in our request: " + result.error().message,
             .group = type.group,
             .kind = type.kind});
}

}  // namespace

StatusOr<json::object> apply_patch(std::string_view content_type, const k8s::ResourceType& type,
                                   const json::object& document, std::string_view body) {
  const std::string media = media_type_of(content_type);
  if (media != "application/json-patch+json" && media != "application/merge-patch+json" &&
      media != "application/strategic-merge-patch+json")
    return std::unexpected(unsupported_media(media, kOffered));
  auto patch = decode_json(body);
  if (!patch) return std::unexpected(patch.error());
  if (media == "application/json-patch+json") {
    if (!patch->is_array()) return std::unexpected(bad_request("a JSON patch must be an array of operations"));
    return patched(k8s::apply_json_patch(document, patch->get_array()), type, true);
  }
  if (!patch->is_object()) return std::unexpected(bad_request("a merge patch must be an object"));
  if (media == "application/merge-patch+json") return k8s::apply_merge_patch(document, patch->get_object());
  return patched(k8s::apply_strategic_merge_patch(type, document, std::move(patch->get_object())), type, false);
}

}  // namespace carrick::apiserver
