#pragma once

#include <expected>
#include <string>
#include <vector>

#include "base/result.h"
#include "k8s/objects.h"
#include "k8s/resources.h"

namespace carrick::apiserver {

struct StatusCause {
  std::string reason, message, field;
};

// The API's `Status` failure: what a client sees, in the words of the API. It is a wire value with more in it than
// carrick::Error (code, reason, causes by field), so the room hands it around as it is and turns it into an Error only
// at the door to the controllers.
struct Status {
  int code = 500;
  std::string reason = "InternalError";
  std::string message;
  std::string name, group, kind, uid;  // details; kind is the plural resource, or the Kind for Invalid
  std::vector<StatusCause> causes;
  int retry_after_seconds = 0;
};

template <class T = void>
using StatusOr = std::expected<T, Status>;

k8s::json::object to_json(const Status& status);
Error to_error(const Status& status);
Status from_error(const Error& error);

// `deployments.apps`, as the API names a resource in its sentences.
std::string qualified(const k8s::ResourceType& type);

Status not_found(const k8s::ResourceType& type, std::string_view name);
Status already_exists(const k8s::ResourceType& type, std::string_view name);
Status conflict(const k8s::ResourceType& type, std::string_view name, std::string_view why);
Status forbidden(const k8s::ResourceType& type, std::string_view name, std::string_view why);
Status invalid(const k8s::ResourceType& type, std::string_view name, const std::vector<k8s::FieldError>& errors);
Status bad_request(std::string message);
Status unknown_path();  // 404 without a resource
Status method_not_allowed();
Status not_acceptable(std::string_view offered);
Status unsupported_media(std::string_view given, std::string_view offered);
Status expired(std::string message);
Status unauthorized();
Status internal(std::string message);
Status too_large_revision(uint64_t asked, uint64_t current);

k8s::FieldError field_error(std::string type, std::string field, std::string detail);

}  // namespace carrick::apiserver
