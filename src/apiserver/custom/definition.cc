#include <algorithm>
#include <set>

#include "apiserver/custom/custom_kind.h"
#include "k8s/findings.h"

namespace carrick::apiserver {
namespace {

using k8s::FieldError;
using k8s::Findings;

std::string text(const json::object& object, std::string_view path) { return std::string(text_at(object, path)); }

// ".spec.replicas" is spec.replicas.
std::string member_path(std::string_view path) { return std::string(path.starts_with('.') ? path.substr(1) : path); }

std::vector<std::string> texts(const json::object& object, std::string_view path) {
  std::vector<std::string> out;
  if (const json::array* list = array_at(object, path))
    for (const json::value& value : *list)
      if (value.is_string()) out.emplace_back(value.get_string());
  return out;
}

template <class Function>
void for_each_object(const json::object& object, std::string_view path, Function function) {
  const json::array* list = array_at(object, path);
  for (size_t i = 0; list && i < list->size(); ++i)
    if ((*list)[i].is_object()) function((*list)[i].get_object(), i);
}

void check_names(const json::object& definition, Findings& findings) {
  const std::string group = text(definition, "spec.group"), plural = text(definition, "spec.names.plural");
  const std::string expected = plural + "." + group;
  if (group.empty())
    findings.required("spec.group");
  else
    findings.invalid("spec.group", group, k8s::check_dns1123_subdomain(group));
  if (!group.empty() && group.find('.') == group.npos)
    findings.invalid("spec.group", group, "should be a domain with at least one dot");
  if (plural.empty()) findings.required("spec.names.plural");
  if (const std::string name = text(definition, "metadata.name"); name != expected)
    findings.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
  if (text(definition, "spec.names.kind").empty()) findings.required("spec.names.kind");
  for (const char* field : {"spec.names.plural", "spec.names.singular"})
    if (const std::string name = text(definition, field); !name.empty())
      findings.invalid(field, name, k8s::check_dns1035_label(name));
  findings.check_supported("spec.scope", text_at(definition, "spec.scope"), {"Cluster", "Namespaced"});
  // Groups of the Kubernetes community say that they were looked at.
  const bool protected_group =
      group == "k8s.io" || group == "kubernetes.io" || group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io");
  const json::object* annotations = object_at(definition, "metadata.annotations");
  if (protected_group && !(annotations && annotations->contains("api-approved.kubernetes.io")))
    findings.required("metadata.annotations[api-approved.kubernetes.io]",
                      "protected groups must have approval annotation \"api-approved.kubernetes.io\"");
}

void check_version(const json::object& version, const std::string& at, Findings& findings) {
  const std::string name = text(version, "name");
  findings.invalid(at + ".name", name, k8s::check_dns1035_label(name));
  const json::object* schema = object_at(version, "schema.openAPIV3Schema");
  if (!schema) {
    findings.required(at + ".schema.openAPIV3Schema", "schemas are required");
    return;
  }
  for (FieldError& error : Schema::check(*schema, at + ".schema.openAPIV3Schema"))
    findings.add(std::move(error.type), std::move(error.field), std::move(error.detail), {});
  for_each_object(version, "additionalPrinterColumns", [&](const json::object& column, size_t i) {
    const std::string here = fmt::format("{}.additionalPrinterColumns[{}]", at, i);
    if (text_at(column, "name").empty()) findings.required(here + ".name");
    findings.check_supported(here + ".type", text_at(column, "type"),
                             {"boolean", "date", "integer", "number", "string"});
    if (const auto path = JsonPath::parse(text_at(column, "jsonPath")); !path)
      findings.invalid(here + ".jsonPath", text(column, "jsonPath"), path.error().message);
  });
  if (const json::object* scale = object_at(version, "subresources.scale"))
    for (const char* field : {"specReplicasPath", "statusReplicasPath"})
      if (!text_at(*scale, field).starts_with(std::string_view(field).starts_with("spec") ? ".spec." : ".status."))
        findings.invalid(fmt::format("{}.subresources.scale.{}", at, field), text(*scale, field),
                         "should be a json path under .spec or .status");
}

bool ready_for_use(const json::object& definition) {
  bool established = false;
  for_each_object(definition, "status.conditions", [&](const json::object& condition, size_t) {
    established |= text_at(condition, "type") == "Established" && text_at(condition, "status") == "True";
  });
  return established;
}

// A cell as the API makes it: texts as they are, lists and objects as JSON, dates as ages.
json::value cell_of(const PrinterColumn& column, const json::value* value, int64_t now) {
  if (!value || value->is_null()) return nullptr;
  if (column.type == "date") {
    const auto time = value->is_string() ? parse_time(value->get_string()) : std::nullopt;
    return json::value(time ? human_duration(now - *time) : std::string("<unknown>"));
  }
  if (column.type != "string") return value->is_structured() ? json::value(nullptr) : *value;
  return value->is_string() ? *value : json::value(json::serialize(*value));
}

std::unique_ptr<CustomKind> kind_of(const json::object& definition, const json::object& version) {
  auto kind = std::make_unique<CustomKind>();
  kind->definition = text(definition, "metadata.name");
  kind->type = {.group = text(definition, "spec.group"),
                .version = text(version, "name"),
                .plural = text(definition, "spec.names.plural"),
                .singular = text(definition, "spec.names.singular"),
                .kind = text(definition, "spec.names.kind"),
                .namespaced = text_at(definition, "spec.scope") == "Namespaced",
                .shortNames = texts(definition, "spec.names.shortNames"),
                .categories = texts(definition, "spec.names.categories"),
                .has_status = object_at(version, "subresources.status") != nullptr,
                .has_scale = object_at(version, "subresources.scale") != nullptr};
  kind->served = flag_at(version, "served") && ready_for_use(definition);
  kind->storage = flag_at(version, "storage");
  if (flag_at(version, "deprecated")) {
    kind->warning = text(version, "deprecationWarning");
    if (kind->warning.empty())
      kind->warning = fmt::format("{} {} is deprecated", kind->type.apiVersion(), kind->type.kind);
  }
  if (const json::object* schema = object_at(version, "schema.openAPIV3Schema")) kind->schema = Schema(*schema);
  if (const json::object* scale = object_at(version, "subresources.scale"))
    kind->scale =
        ScalePaths{member_path(text_at(*scale, "specReplicasPath")), member_path(text_at(*scale, "statusReplicasPath")),
                   member_path(text_at(*scale, "labelSelectorPath"))};
  for_each_object(version, "additionalPrinterColumns", [&](const json::object& column, size_t) {
    auto path = JsonPath::parse(text_at(column, "jsonPath"));
    if (path)
      kind->columns.push_back({text(column, "name"), text(column, "type"), text(column, "format"),
                               text(column, "description"), static_cast<int>(number_at(column, "priority")),
                               std::move(*path)});
  });
  for_each_object(version, "selectableFields", [&](const json::object& field, size_t) {
    kind->selectable_fields.push_back(member_path(text_at(field, "jsonPath")));
  });
  return kind;
}

}  // namespace

void make_printer(CustomKind& kind) {
  kind.printer.columns = {{.name = "Name", .type = "string", .format = "name"}};
  if (kind.columns.empty())
    kind.columns.push_back({"Age", "date", "", "", 0, *JsonPath::parse(".metadata.creationTimestamp")});
  for (const PrinterColumn& column : kind.columns)
    kind.printer.columns.push_back({column.name, column.type, column.priority, column.format});
  kind.printer.cells = [&columns = kind.columns](const json::object& document, int64_t now) {
    json::array cells{text_at(document, "metadata.name")};
    const json::value whole(document);
    for (const PrinterColumn& column : columns) cells.push_back(cell_of(column, column.path.first(whole), now));
    return cells;
  };
}

void fill_definition_defaults(json::object& definition) {
  json::object& names = child_object(child_object(definition, "spec"), "names");
  const std::string kind = text(names, "kind");
  std::string singular = kind;
  for (char& c : singular)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (text_at(names, "singular").empty()) names["singular"] = singular;
  if (text_at(names, "listKind").empty()) names["listKind"] = kind + "List";
  json::object& spec = child_object(definition, "spec");
  if (!object_at(spec, "conversion")) spec["conversion"] = json::object{{"strategy", "None"}};
}

std::vector<FieldError> check_definition(const json::object& definition, const json::object* old) {
  Findings findings;
  check_names(definition, findings);
  const json::array* versions = array_at(definition, "spec.versions");
  if (!versions || versions->empty())
    findings.required("spec.versions", "must have exactly one version marked as storage version");
  int storage = 0;
  std::set<std::string> seen;
  for_each_object(definition, "spec.versions", [&](const json::object& version, size_t i) {
    const std::string at = fmt::format("spec.versions[{}]", i);
    check_version(version, at, findings);
    storage += flag_at(version, "storage");
    if (!seen.insert(text(version, "name")).second) findings.duplicate(at + ".name", text(version, "name"));
  });
  if (versions && !versions->empty() && storage != 1)
    findings.invalid("spec.versions", storage, "must have exactly one version marked as storage version");
  if (const std::string strategy = text(definition, "spec.conversion.strategy"); strategy == "Webhook")
    findings.not_supported("spec.conversion.strategy", strategy, {"None"});
  if (flag_at(definition, "spec.preserveUnknownFields"))
    findings.invalid("spec.preserveUnknownFields", "true", "must be false in order to use defaults in the schema");
  if (old)
    for (const char* field : {"spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"})
      if (text(definition, field) != text(*old, field))
        findings.invalid(field, text(definition, field), "field is immutable");
  return findings.take();
}

std::vector<std::unique_ptr<CustomKind>> kinds_of(const json::object& definition) {
  std::vector<std::unique_ptr<CustomKind>> out;
  for_each_object(definition, "spec.versions",
                  [&](const json::object& version, size_t) { out.push_back(kind_of(definition, version)); });
  return out;
}

}  // namespace carrick::apiserver
