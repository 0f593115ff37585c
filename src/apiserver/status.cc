#include "apiserver/status.h"

#include <algorithm>

namespace carrick::apiserver {
namespace json = k8s::json;

namespace {

// Length of the UTF-8 sequence at the front (RFC 3629), 0 when there is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool valid = (first != 0xe0 || byte(1) >= 0xa0) && (first != 0xed || byte(1) < 0xa0);
    return valid && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool valid = (first != 0xf0 || byte(1) >= 0x90) && (first != 0xf4 || byte(1) < 0x90);
    return valid && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Sentences quote what clients sent in headers and URLs, which may be any bytes; JSON must be UTF-8.
std::string as_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    if (length == 0)
      out += "\xef\xbf\xbd";  // U+FFFD
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

}  // namespace

json::object to_json(const Status& status) {
  json::object details;
  if (!status.name.empty()) details["name"] = as_utf8(status.name);
  if (!status.group.empty()) details["group"] = status.group;
  if (!status.kind.empty()) details["kind"] = status.kind;
  if (!status.uid.empty()) details["uid"] = status.uid;
  if (!status.causes.empty()) {
    json::array causes;
    for (const StatusCause& cause : status.causes) {
      json::object entry{{"reason", cause.reason}, {"message", as_utf8(cause.message)}};
      if (!cause.field.empty()) entry["field"] = cause.field;
      causes.push_back(std::move(entry));
    }
    details["causes"] = std::move(causes);
  }
  if (status.retry_after_seconds > 0) details["retryAfterSeconds"] = status.retry_after_seconds;
  json::object out{{"kind", "Status"},
                   {"apiVersion", "v1"},
                   {"metadata", json::object{}},
                   {"status", "Failure"},
                   {"message", as_utf8(status.message)},
                   {"reason", status.reason}};
  if (!details.empty()) out["details"] = std::move(details);
  out["code"] = status.code;
  return out;
}

Error to_error(const Status& status) {
  ErrorKind kind = ErrorKind::kInternal;
  if (status.reason == "NotFound")
    kind = ErrorKind::kNotFound;
  else if (status.reason == "AlreadyExists")
    kind = ErrorKind::kAlreadyExists;
  else if (status.reason == "Conflict")
    kind = ErrorKind::kConflict;
  else if (status.reason == "Forbidden")
    kind = ErrorKind::kForbidden;
  else if (status.code == 507 || status.code == 429)
    kind = ErrorKind::kTransient;
  else if (status.code >= 400 && status.code < 500)
    kind = ErrorKind::kInvalid;
  return Error{kind, status.message};
}

Status from_error(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalid:
      return bad_request(error.message);
    case ErrorKind::kNotFound:
      return {.code = 404, .reason = "NotFound", .message = error.message};
    case ErrorKind::kAlreadyExists:
      return {.code = 409, .reason = "AlreadyExists", .message = error.message};
    case ErrorKind::kConflict:
      return {.code = 409, .reason = "Conflict", .message = error.message};
    case ErrorKind::kForbidden:
      return {.code = 403, .reason = "Forbidden", .message = error.message};
    case ErrorKind::kTransient:
      return {.code = 507, .reason = "InsufficientStorage", .message = error.message};
    case ErrorKind::kUnsupported:
    case ErrorKind::kInternal:
      break;
  }
  return internal(error.message);
}

std::string qualified(const k8s::ResourceType& type) {
  return type.group.empty() ? type.plural : type.plural + "." + type.group;
}

namespace {
Status about(const k8s::ResourceType& type, std::string_view name, int code, std::string reason, std::string message) {
  return {.code = code,
          .reason = std::move(reason),
          .message = std::move(message),
          .name = std::string(name),
          .group = type.group,
          .kind = type.plural};
}

std::string cause_reason(std::string_view type) {
  if (type == "Required" || type == "Invalid" || type == "NotSupported" || type == "Duplicate" || type == "TooLong" ||
      type == "Forbidden" || type == "TypeInvalid" || type == "NotFound" || type == "TooMany")
    return "FieldValue" + std::string(type);
  return std::string(type);
}
}  // namespace

Status not_found(const k8s::ResourceType& type, std::string_view name) {
  return about(type, name, 404, "NotFound", fmt::format("{} \"{}\" not found", qualified(type), name));
}
Status already_exists(const k8s::ResourceType& type, std::string_view name) {
  return about(type, name, 409, "AlreadyExists", fmt::format("{} \"{}\" already exists", qualified(type), name));
}
Status conflict(const k8s::ResourceType& type, std::string_view name, std::string_view why) {
  return about(type, name, 409, "Conflict",
               fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", qualified(type), name, why));
}
Status forbidden(const k8s::ResourceType& type, std::string_view name, std::string_view why) {
  return about(type, name, 403, "Forbidden", fmt::format("{} \"{}\" is forbidden: {}", qualified(type), name, why));
}

Status invalid(const k8s::ResourceType& type, std::string_view name, const std::vector<k8s::FieldError>& errors) {
  const std::string subject = type.group.empty() ? type.kind : type.kind + "." + type.group;
  std::string text;
  Status status{.code = 422, .reason = "Invalid", .name = std::string(name), .group = type.group, .kind = type.kind};
  for (const k8s::FieldError& error : errors) {
    if (!text.empty()) text += ", ";
    text += error.str();
    status.causes.push_back({cause_reason(error.type), error.detail, error.field});
  }
  status.message = fmt::format("{} \"{}\" is invalid: {}", subject, name, errors.size() > 1 ? "[" + text + "]" : text);
  return status;
}

Status bad_request(std::string message) { return {.code = 400, .reason = "BadRequest", .message = std::move(message)}; }
Status unknown_path() {
  return {.code = 404, .reason = "NotFound", .message = "the server could not find the requested resource"};
}
Status method_not_allowed() {
  return {.code = 405,
          .reason = "MethodNotAllowed",
          .message = "the server does not allow this method on the requested resource"};
}
Status not_acceptable(std::string_view offered) {
  return {.code = 406,
          .reason = "NotAcceptable",
          .message = fmt::format("only the following media types are accepted: {}", offered)};
}
Status unsupported_media(std::string_view given, std::string_view offered) {
  return {
      .code = 415,
      .reason = "UnsupportedMediaType",
      .message = fmt::format("the body of the request was in an unknown format ({}) - accepted media types include: {}",
                             given.empty() ? "no Content-Type" : given, offered)};
}
Status expired(std::string message) { return {.code = 410, .reason = "Expired", .message = std::move(message)}; }
Status unauthorized() { return {.code = 401, .reason = "Unauthorized", .message = "Unauthorized"}; }
Status internal(std::string message) { return {.code = 500, .reason = "InternalError", .message = std::move(message)}; }
Status too_large_revision(uint64_t asked, uint64_t current) {
  return {.code = 504,
          .reason = "Timeout",
          .message = fmt::format("Too large resource version: {}, current: {}", asked, current),
          .causes = {{"ResourceVersionTooLarge", "Too large resource version", ""}},
          .retry_after_seconds = 1};
}

k8s::FieldError field_error(std::string type, std::string field, std::string detail) {
  return {std::move(type), std::move(field), std::move(detail)};
}

}  // namespace carrick::apiserver
