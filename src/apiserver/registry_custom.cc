#include <algorithm>

#include "apiserver/registry.h"
#include "base/text.h"
#include "k8s/codec.h"

// What the registry does for kinds that are defined at run time, and for their definitions.
namespace carrick::apiserver {
namespace {

constexpr std::string_view kCleanup = "customresourcecleanup.apiextensions.k8s.io";

const k8s::ResourceType& definition_type() {
  static const k8s::ResourceType* const type = k8s::find_by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
  return *type;
}

void set_condition(json::object& object, std::string_view type, bool holds, std::string_view reason,
                   std::string_view message, const std::string& now) {
  json::object condition{{"type", type},
                         {"status", holds ? "True" : "False"},
                         {"reason", reason},
                         {"message", message},
                         {"lastTransitionTime", now}};
  json::value& list = child_object(object, "status")["conditions"];
  if (!list.is_array()) list = json::array{};
  for (json::value& old : list.get_array()) {
    if (!old.is_object() || text_at(old.get_object(), "type") != type) continue;
    if (text_at(old.get_object(), "status") == text_at(condition, "status"))
      condition["lastTransitionTime"] = text_at(old.get_object(), "lastTransitionTime");
    old = std::move(condition);
    return;
  }
  list.get_array().push_back(std::move(condition));
}

// What a user sees of a policy that Carrick does not hold as it stands. The agents fail closed on their own.
void tell_what_is_held(json::object& policy, const std::string& now) {
  const auto decoded = k8s::decode<k8s::ClusterNetworkPolicy>(policy);
  if (!decoded) return;  // validation says why
  const std::vector<std::string> unknown = k8s::unknown_parts(decoded->spec);
  if (unknown.empty()) return set_condition(policy, "Accepted", true, "Held", "every rule is held as it stands", now);
  set_condition(policy, "Accepted", false, "PartlyRefused",
                fmt::format("{}; such a rule fails closed: Accept matches nothing, Deny and Pass deny everything",
                            join(unknown, "; ")),
                now);
}

bool names_finalizer(const json::object& definition) {
  const json::array* finalizers = array_at(definition, "metadata.finalizers");
  return finalizers && std::ranges::find(*finalizers, json::value(kCleanup)) != finalizers->end();
}

void set_cleanup(json::object& definition, bool wanted) {
  json::array finalizers;
  if (const json::array* given = array_at(definition, "metadata.finalizers"))
    for (const json::value& value : *given)
      if (!value.is_string() || value.get_string() != kCleanup) finalizers.push_back(value);
  if (wanted) finalizers.emplace_back(kCleanup);
  if (finalizers.empty())
    metadata_of(definition).erase("finalizers");
  else
    metadata_of(definition)["finalizers"] = std::move(finalizers);
}

}  // namespace

StatusOr<> Registry::prepare_custom(const k8s::ResourceType& type, json::object& document, const json::object* old) {
  if (&type == &definition_type()) return prepare_definition(document, old);
  const CustomKind* custom = custom_.kind_of(type);
  if (!custom) return {};
  custom->schema.prune(document);
  custom->schema.fill_defaults(document);
  const auto errors = custom->schema.validate(document);
  if (!errors.empty()) return std::unexpected(invalid(type, text_at(document, "metadata.name"), errors));
  const k8s::ResourceType& policies = k8s::resource<k8s::ClusterNetworkPolicy>();
  if (type.kind == policies.kind && type.group == policies.group) tell_what_is_held(document, timestamp());
  return {};
}

StatusOr<> Registry::prepare_definition(json::object& definition, const json::object* old) const {
  fill_definition_defaults(definition);
  if (const auto errors = check_definition(definition, old); !errors.empty())
    return std::unexpected(invalid(definition_type(), text_at(definition, "metadata.name"), errors));
  json::object& status = child_object(definition, "status");
  const std::string now = timestamp();
  const std::string conflict = custom_.names_conflict(definition);
  if (conflict.empty()) {
    status["acceptedNames"] = *field(definition, "spec.names");
    set_condition(definition, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
    set_condition(definition, "Established", true, "InitialNamesAccepted", "the initial names have been accepted", now);
  } else {
    if (!status.contains("acceptedNames")) status["acceptedNames"] = json::object{{"kind", ""}, {"plural", ""}};
    set_condition(definition, "NamesAccepted", false, "NamesConflict", conflict, now);
    if (!old) set_condition(definition, "Established", false, "NotAccepted", "not all names are accepted", now);
  }
  json::value& stored = status["storedVersions"];
  if (!stored.is_array()) stored = json::array{};
  for (const json::value& version : *array_at(definition, "spec.versions")) {
    if (!flag_at(version.get_object(), "storage")) continue;
    const json::value& name = version.get_object().at("name");
    if (std::ranges::find(stored.get_array(), name) == stored.get_array().end()) stored.get_array().push_back(name);
  }
  return {};
}

StatusOr<> Registry::check_definition_lives(const CustomKind& kind) const {
  const Record definition = store_.get(definition_type(), {"", kind.definition});
  if (!definition || !is_terminating(definition->document)) return {};
  return std::unexpected(Status{.code = 405,
                                .reason = "MethodNotAllowed",
                                .message = "create not allowed while custom resource definition is terminating",
                                .group = kind.type.group,
                                .kind = kind.type.plural});
}

StatusOr<Deletion> Registry::remove_definition(const Record& old, const controllers::DeleteOptions& options) {
  const k8s::NamespacedName key = key_of(old->document);
  json::object document = old->document;
  set_cleanup(document, true);
  auto begun = begin_deletion(definition_type(), old, std::move(document), 0, false);
  if (!begun) return begun;
  // Its objects go first. The last one takes the definition with it (erase).
  if (const k8s::ResourceType* home = custom_.storage_of(key.name))
    for (const Record& record : store_.list(*home)) {
      auto removed = remove(*home, key_of(record->document), {.propagation = "Background"});
      if (!removed && removed.error().code != 404) return removed;
    }
  if (const Record left = store_.get(definition_type(), key); left && is_terminating(left->document)) {
    const k8s::ResourceType* home = custom_.storage_of(key.name);
    if (home && !store_.objects(*home).empty()) return Deletion{left, false};
    json::object last = left->document;
    set_cleanup(last, false);
    if (has_entries(last, "metadata.finalizers")) {
      auto waiting = put(definition_type(), key, std::move(last), false);
      if (!waiting) return std::unexpected(waiting.error());
      return Deletion{*waiting, false};
    }
    return erase(definition_type(), key, std::move(last), false);
  }
  (void)options;  // its objects never outlive a definition, whatever the propagation
  return Deletion{begun->object, true};
}

StatusOr<> Registry::finish_definition(const CustomKind& kind) {
  const std::string name = kind.definition;
  const Record definition = store_.get(definition_type(), {"", name});
  if (!definition || !is_terminating(definition->document) || !names_finalizer(definition->document)) return {};
  if (!store_.objects(custom_.stored_as(kind.type)).empty()) return {};
  json::object last = definition->document;
  set_cleanup(last, false);
  if (has_entries(last, "metadata.finalizers")) {
    auto waiting = put(definition_type(), {"", name}, std::move(last), false);
    if (!waiting) return std::unexpected(waiting.error());
    return {};
  }
  auto gone = erase(definition_type(), {"", name}, std::move(last), false);
  if (!gone) return std::unexpected(gone.error());
  return {};
}

}  // namespace carrick::apiserver
