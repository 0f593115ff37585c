#pragma once

#include "apiserver/request.h"
#include "apiserver/status.h"
#include "apiserver/store.h"

// Who may do what: Roles, ClusterRoles and their bindings (rbac.authorization.k8s.io/v1), read from the store at each
// question. system:masters may do everything.
namespace carrick::apiserver {

struct Attributes {
  std::string verb;  // get, list, watch, create, update, patch, delete, deletecollection
  std::string group, resource, subresource, namespace_, name;
  std::string path;  // set: of no resource, such as /metrics
};
// Of a request to a resource, or to a path of none (route null).
Attributes attributes_of(const Request& request, const Route* route);

struct Decision {
  bool allowed = false;
  std::string reason;  // the binding that allows it
};
Decision authorize(const Store& store, const User& user, const Attributes& attributes);
// What the answer to a refused request is.
Status refused(const User& user, const Attributes& attributes);

// The rules that a user has in a namespace: status of a SelfSubjectRulesReview.
k8s::json::object rules_of(const Store& store, const User& user, std::string_view namespace_);

// The roles that every cluster begins with.
std::vector<std::pair<const k8s::ResourceType*, k8s::json::object>> standard_roles();

// The groups of a user who is known by name: those given, those of a service account, system:authenticated.
User with_implied_groups(User user);

}  // namespace carrick::apiserver
