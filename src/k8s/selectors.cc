#include <algorithm>

#include "k8s/meta.h"

namespace carrick::k8s {
namespace {

bool matches(const LabelSelectorRequirement& requirement, const StringMap& labels) {
  const auto label = labels.find(requirement.key);
  const bool present = label != labels.end();
  if (requirement.operator_ == "Exists") return present;
  if (requirement.operator_ == "DoesNotExist") return !present;
  const bool listed = present && std::ranges::find(requirement.values, label->second) != requirement.values.end();
  if (requirement.operator_ == "In") return listed;
  if (requirement.operator_ == "NotIn") return !listed;
  return false;  // an unknown operator selects nothing: the requirement cannot be shown to hold
}

}  // namespace

bool matches(const StringMap& equalities, const StringMap& labels) {
  return std::ranges::all_of(equalities, [&](const auto& wanted) {
    const auto label = labels.find(wanted.first);
    return label != labels.end() && label->second == wanted.second;
  });
}

bool matches(const LabelSelector& selector, const StringMap& labels) {
  return matches(selector.matchLabels, labels) &&
         std::ranges::all_of(selector.matchExpressions, [&](const auto& r) { return matches(r, labels); });
}

}  // namespace carrick::k8s
