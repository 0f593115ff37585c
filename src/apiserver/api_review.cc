#include <algorithm>

#include "apiserver/api.h"
#include "apiserver/rbac.h"

// Questions about who one is and what one may do.
namespace carrick::apiserver {
namespace {

json::object user_info(const User& user) {
  json::array groups;
  for (const std::string& group : user.groups) groups.emplace_back(group);
  return {{"username", user.name}, {"groups", std::move(groups)}};
}

// The spec of a SubjectAccessReview, and of its relatives.
Attributes asked_by(const json::object& review) {
  const auto text = [&](std::string_view path) { return std::string(text_at(review, path)); };
  if (object_at(review, "spec.nonResourceAttributes"))
    return {.verb = text("spec.nonResourceAttributes.verb"), .path = text("spec.nonResourceAttributes.path")};
  return {.verb = text("spec.resourceAttributes.verb"),
          .group = text("spec.resourceAttributes.group"),
          .resource = text("spec.resourceAttributes.resource"),
          .subresource = text("spec.resourceAttributes.subresource"),
          .namespace_ = text("spec.resourceAttributes.namespace"),
          .name = text("spec.resourceAttributes.name")};
}

User subject_of(const json::object& review) {
  User user{std::string(text_at(review, "spec.user")), {}};
  if (const json::array* groups = array_at(review, "spec.groups"))
    for (const json::value& group : *groups)
      if (group.is_string()) user.groups.emplace_back(group.get_string());
  return user;
}

}  // namespace

json::object Api::token_review(const json::object& review) const {
  std::vector<std::string> audiences;
  if (const json::array* given = array_at(review, "spec.audiences"))
    for (const json::value& one : *given)
      if (one.is_string()) audiences.emplace_back(one.get_string());
  const auto user = options_.tokens ? options_.tokens->user_of(registry_.store(), text_at(review, "spec.token"),
                                                               options_.now(), audiences)
                                    : std::nullopt;
  if (!user) return {{"authenticated", false}, {"error", "the token is of nobody whom this server knows"}};
  json::array for_whom;
  for (const std::string& one : audiences) for_whom.emplace_back(one);
  if (audiences.empty()) for_whom.emplace_back(ServiceTokens::kIssuer);
  return {{"authenticated", true}, {"user", user_info(*user)}, {"audiences", std::move(for_whom)}};
}

// serviceaccounts/NAME/token
StatusOr<Response> Api::create_token(const Request& request, const Route& route) {
  if (request.method != "POST") return std::unexpected(method_not_allowed());
  if (!options_.tokens) return std::unexpected(unknown_path());
  auto body = decode_body(request.content_type, request.body);
  if (!body) return std::unexpected(body.error());
  auto issued = options_.tokens->issue(registry_.store(), {route.namespace_, route.name}, std::move(body->document),
                                       options_.now());
  if (!issued) return std::unexpected(issued.error());
  return json_response(201, *issued);
}

std::optional<StatusOr<Response>> Api::review(const Request& request) {
  const std::vector<std::string>& s = request.target.segments;
  if (s.size() < 4 || s[0] != "apis" || (s[1] != "authorization.k8s.io" && s[1] != "authentication.k8s.io"))
    return std::nullopt;
  const std::string& resource = s.back();
  const bool authorization = s[1] == "authorization.k8s.io";
  const bool local = authorization && resource == "localsubjectaccessreviews" && s.size() == 6;
  const bool mine = authorization && resource == "selfsubjectaccessreviews";
  const bool access = mine || local || (authorization && resource == "subjectaccessreviews");
  const bool rules = authorization && resource == "selfsubjectrulesreviews";
  const bool self = !authorization && resource == "selfsubjectreviews";
  const bool token = !authorization && resource == "tokenreviews";
  if (!access && !rules && !self && !token) return std::unexpected(unknown_path());
  if (request.method != "POST") return std::unexpected(method_not_allowed());
  const Attributes own{.verb = "create", .group = s[1], .resource = resource, .namespace_ = local ? s[4] : ""};
  const Store& store = registry_.store();
  if (!authorize(store, *request.user, own).allowed) return std::unexpected(refused(*request.user, own));
  auto body = decode_body(request.content_type, request.body);
  if (!body) return std::unexpected(body.error());
  json::object& review = body->document;
  if (access) {
    Attributes asked = asked_by(review);
    if (local && asked.namespace_ != s[4])
      return std::unexpected(bad_request("spec.resourceAttributes.namespace must be the namespace of the request"));
    const Decision decision = authorize(store, mine ? *request.user : subject_of(review), asked);
    json::object status{{"allowed", decision.allowed}};
    if (!decision.reason.empty()) status["reason"] = decision.reason;
    review["status"] = std::move(status);
  }
  if (rules) review["status"] = rules_of(store, *request.user, text_at(review, "spec.namespace"));
  if (token) review["status"] = token_review(review);
  if (self) review["status"] = json::object{{"userInfo", user_info(*request.user)}};
  return json_response(201, review);
}

}  // namespace carrick::apiserver
