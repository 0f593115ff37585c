#include "apiserver/api.h"

// Questions about who one is and what one may do. Whoever holds a certificate or token of this server may do
// everything.
namespace carrick::apiserver {
namespace {

json::array groups_of(const User& user) {
  json::array groups;
  for (const std::string& group : user.groups) groups.emplace_back(group);
  return groups;
}

json::object rules() {
  json::array resource_rules, path_rules;
  resource_rules.push_back(
      json::object{{"verbs", json::array{"*"}}, {"apiGroups", json::array{"*"}}, {"resources", json::array{"*"}}});
  path_rules.push_back(json::object{{"verbs", json::array{"*"}}, {"nonResourceURLs", json::array{"*"}}});
  return {
      {"resourceRules", std::move(resource_rules)}, {"nonResourceRules", std::move(path_rules)}, {"incomplete", false}};
}

}  // namespace

std::optional<StatusOr<Response>> Api::review(const Request& request) {
  const std::vector<std::string>& s = request.target.segments;
  if (s.size() < 4 || s[0] != "apis" || (s[1] != "authorization.k8s.io" && s[1] != "authentication.k8s.io"))
    return std::nullopt;
  const std::string& resource = s.back();
  const bool authorization = s[1] == "authorization.k8s.io";
  const bool access = authorization && (resource == "selfsubjectaccessreviews" || resource == "subjectaccessreviews" ||
                                        resource == "localsubjectaccessreviews");
  const bool rule_review = authorization && resource == "selfsubjectrulesreviews";
  const bool self = !authorization && resource == "selfsubjectreviews";
  if (!access && !rule_review && !self) return std::unexpected(unknown_path());
  if (request.method != "POST") return std::unexpected(method_not_allowed());
  auto body = decode_body(request.content_type, request.body);
  if (!body) return std::unexpected(body.error());
  json::object& review = body->document;
  if (access)
    review["status"] =
        json::object{{"allowed", true}, {"reason", "everybody whom this server knows may do everything"}};
  if (rule_review) review["status"] = rules();
  if (self)
    review["status"] = json::object{
        {"userInfo", json::object{{"username", request.user->name}, {"groups", groups_of(*request.user)}}}};
  return json_response(201, review);
}

}  // namespace carrick::apiserver
