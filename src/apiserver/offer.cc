#include "apiserver/offer.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "apiserver/custom/custom_kind.h"

namespace carrick::apiserver {
namespace {

// Kinds that are asked, not stored (api_review.cc).
const std::vector<k8s::ResourceType>& review_types() {
  const auto make = [](std::string group, std::string plural, std::string kind, bool namespaced) {
    k8s::ResourceType type{.group = std::move(group),
                           .version = "v1",
                           .plural = std::move(plural),
                           .kind = std::move(kind),
                           .namespaced = namespaced};
    type.singular = type.plural.substr(0, type.plural.size() - 1);
    return type;
  };
  static const std::vector<k8s::ResourceType> types{
      make("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
      make("authentication.k8s.io", "tokenreviews", "TokenReview", false),
      make("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
      make("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
      make("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
      make("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
  };
  return types;
}

// v2, v1, v2beta1, v1beta2, v1alpha1, then what is named otherwise.
std::tuple<int, int, int> rank(std::string_view version) {
  if (!version.starts_with('v')) return {0, 0, 0};
  int major = 0, minor = 0;
  const char* const end = version.data() + version.size();
  auto [at, error] = std::from_chars(version.data() + 1, end, major);
  if (error != std::errc{}) return {0, 0, 0};
  const std::string_view rest(at, static_cast<size_t>(end - at));
  if (rest.empty()) return {3, major, 0};
  const bool beta = rest.starts_with("beta");
  if (!beta && !rest.starts_with("alpha")) return {0, 0, 0};
  std::from_chars(at + (beta ? 4 : 5), end, minor);
  return {beta ? 2 : 1, major, minor};
}

}  // namespace

bool is_review(const k8s::ResourceType& type) {
  return type.group == "authentication.k8s.io" || type.group == "authorization.k8s.io";
}

std::vector<GroupVersion> group_versions(CustomKinds custom) {
  std::vector<GroupVersion> out;
  const auto add = [&out](const k8s::ResourceType& type, const CustomKind* kind) {
    const auto found = std::ranges::find_if(
        out, [&](const GroupVersion& gv) { return gv.group == type.group && gv.version == type.version; });
    GroupVersion& gv = found == out.end() ? out.emplace_back(GroupVersion{type.group, type.version, {}}) : *found;
    gv.kinds.push_back({&type, kind});
  };
  for (const k8s::ResourceType& type : k8s::resource_types()) add(type, nullptr);
  for (const k8s::ResourceType& type : review_types()) add(type, nullptr);
  const size_t built_in = out.size();
  for (const CustomKind* kind : custom) add(kind->type, kind);
  std::sort(out.begin() + static_cast<std::ptrdiff_t>(built_in), out.end(),
            [](const GroupVersion& a, const GroupVersion& b) {
              return a.group != b.group ? a.group < b.group
                                        : std::pair(rank(a.version), b.version) > std::pair(rank(b.version), a.version);
            });
  return out;
}

}  // namespace carrick::apiserver
