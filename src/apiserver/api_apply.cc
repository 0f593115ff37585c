#include <algorithm>

#include "apiserver/api.h"
#include "apiserver/apply/managers.h"
#include "apiserver/validate_fields.h"

// Server-side apply: PATCH with application/apply-patch+yaml.
namespace carrick::apiserver {
namespace {

constexpr size_t kMaxManager = 128;

// As the API words it.
Status conflict_status(const std::vector<Conflict>& conflicts) {
  Status status{.code = 409, .reason = "Conflict"};
  std::map<std::string, std::vector<std::string>> by_manager;
  for (const Conflict& conflict : conflicts) {
    status.causes.push_back({"FieldManagerConflict", "conflict with " + conflict.manager, conflict.path});
    by_manager[conflict.manager].push_back(conflict.path);
  }
  if (conflicts.size() == 1) {
    status.message = fmt::format("Apply failed with 1 conflict: conflict with {}: {}", conflicts.front().manager,
                                 conflicts.front().path);
    return status;
  }
  std::string text;
  for (const auto& [manager, paths] : by_manager)
    text += fmt::format("{}conflicts with {}:\n- {}", text.empty() ? "" : "\n", manager, fmt::join(paths, "\n- "));
  status.message = fmt::format("Apply failed with {} conflicts: {}", conflicts.size(), text);
  return status;
}

StatusOr<> check_configuration(const json::object& configuration, const Route& route) {
  const std::string_view api = text_at(configuration, "apiVersion"), kind = text_at(configuration, "kind");
  if (api.empty() || kind.empty())
    return std::unexpected(bad_request("apiVersion and kind must be set in a configuration that is applied"));
  if (api != route.type->apiVersion() || kind != route.type->kind)
    return std::unexpected(bad_request(
        fmt::format("the API version in the data ({}, Kind={}) does not match the expected API version ({}, Kind={})",
                    api, kind, route.type->apiVersion(), route.type->kind)));
  if (field(configuration, "metadata.managedFields"))
    return std::unexpected(bad_request("metadata.managedFields must be nil"));
  if (const std::string_view name = text_at(configuration, "metadata.name"); !name.empty() && name != route.name)
    return std::unexpected(bad_request(
        fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, route.name)));
  return {};
}

// The part of a configuration that its path may change; nobody owns the rest by it.
void keep_part(json::object& configuration, const Route& route) {
  if (route.subresource == "status") {
    json::object kept;
    for (std::string_view name : {"apiVersion", "kind", "metadata", "status"})
      if (const json::value* value = configuration.if_contains(name)) kept[name] = *value;
    configuration = std::move(kept);
  } else if (route.type->has_status) {
    configuration.erase("status");
  }
}

}  // namespace

std::string manager_of(const Request& request) {
  std::string_view name = request.target.query.get("fieldManager");
  if (name.empty()) name = std::string_view(request.user_agent).substr(0, request.user_agent.find('/'));
  return name.empty() ? "unknown" : std::string(name.substr(0, kMaxManager));
}

StatusOr<Response> Api::apply(const Request& request, const Route& route) {
  const Query& query = request.target.query;
  const auto dry_run = wants_dry_run(query);
  if (!dry_run) return std::unexpected(dry_run.error());
  const auto form = negotiate(request, false);
  if (!form) return std::unexpected(form.error());
  if (query.get("fieldManager").empty())
    return std::unexpected(
        invalid({.group = "meta.k8s.io", .kind = "PatchOptions"}, "",
                {field_error("Required", "fieldManager", "Required value: is required for apply patch")}));
  auto configuration = decode_yaml(request.body);
  if (!configuration) return std::unexpected(configuration.error());
  if (auto checked = check_configuration(*configuration, route); !checked) return std::unexpected(checked.error());
  Response noted;
  if (auto checked =
          validate_fields(query, *route.type, registry_.custom().kind_of(*route.type), {*configuration, {}}, noted);
      !checked)
    return std::unexpected(checked.error());
  keep_part(*configuration, route);

  const k8s::NamespacedName key{route.namespace_, route.name};
  const Record live = stored(route);
  if (!live && !route.subresource.empty()) return std::unexpected(not_found(*route.type, route.name));
  const Writer writer{manager_of(request), route.type->apiVersion(), route.subresource};
  auto applied = apiserver::apply(registry_.merge_type_of(*route.type), live ? &live->document : nullptr,
                                  *configuration, writer, query.flag("force"), registry_.timestamp());
  if (!applied && applied.error().conflicts.empty())
    return std::unexpected(
        bad_request(fmt::format("failed to create typed patch object ({}/{}; {}, Kind={}): {}", route.namespace_,
                                route.name, route.type->apiVersion(), route.type->kind, applied.error().invalid)));
  if (!applied) {
    Status status = conflict_status(applied.error().conflicts);
    return std::unexpected(std::move(status));
  }
  const WrittenBy by{.manager = writer.name, .managed = to_json(applied->managers)};
  json::object& metadata = metadata_of(applied->document);
  metadata.erase("resourceVersion");
  if (const json::value* revision = field(*configuration, "metadata.resourceVersion"))
    metadata["resourceVersion"] = *revision;
  StatusOr<Record> record;
  if (live) {
    record = registry_.update(*route.type, key, std::move(applied->document), part_of(route), *dry_run, by);
  } else {
    metadata["name"] = route.name;
    record = registry_.create(*route.type, route.namespace_, std::move(applied->document), *dry_run, by);
  }
  if (!record) return std::unexpected(record.error());
  Response response = object_response(live ? 200 : 201, *form, *route.type, *record);
  response.headers = std::move(noted.headers);
  return response;
}

}  // namespace carrick::apiserver
