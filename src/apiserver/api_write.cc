#include <algorithm>

#include "apiserver/api.h"
#include "apiserver/apply/managers.h"
#include "apiserver/patching.h"
#include "apiserver/validate_fields.h"

namespace carrick::apiserver {
namespace {

// Subresources of pods that are streams, not objects.
constexpr std::string_view kStreams[] = {"log", "exec", "attach", "portforward"};

StatusOr<> check_kind(const k8s::ResourceType& type, const json::object& document) {
  const std::string_view api = text_at(document, "apiVersion"), kind = text_at(document, "kind");
  if ((!api.empty() && api != type.apiVersion()) || (!kind.empty() && kind != type.kind))
    return std::unexpected(bad_request(
        fmt::format("the API version in the data ({}, Kind={}) does not match the expected API version ({}, Kind={})",
                    api, kind, type.apiVersion(), type.kind)));
  return {};
}

StatusOr<Body> object_body(const Request& request, const k8s::ResourceType& type, const CustomKind* custom,
                           Response& response) {
  auto body = decode_body(request.content_type, request.body);
  if (!body) return body;
  if (auto checked = check_kind(type, body->document); !checked) return std::unexpected(checked.error());
  if (auto checked = validate_fields(request.target.query, type, custom, *body, response); !checked)
    return std::unexpected(checked.error());
  return body;
}

StatusOr<controllers::DeleteOptions> delete_options(const Request& request) {
  controllers::DeleteOptions options;
  const Query& query = request.target.query;
  json::object given;
  if (!request.body.empty()) {
    auto body = decode_body(request.content_type, request.body);
    if (!body) return std::unexpected(body.error());
    given = std::move(body->document);
    if (text_at(given, "kind") == "Eviction")
      given = object_at(given, "deleteOptions") ? *object_at(given, "deleteOptions") : json::object{};
  }
  if (field(given, "gracePeriodSeconds"))
    options.grace_period_seconds = number_at(given, "gracePeriodSeconds");
  else if (const std::string text(query.get("gracePeriodSeconds")); !text.empty()) {
    if (text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
      return std::unexpected(bad_request(fmt::format("gracePeriodSeconds: Invalid value: \"{}\"", text)));
    options.grace_period_seconds = std::stol(text);
  }
  options.propagation = text_at(given, "propagationPolicy");
  if (options.propagation.empty()) options.propagation = query.get("propagationPolicy");
  if (options.propagation.empty() && field(given, "orphanDependents"))
    options.propagation = flag_at(given, "orphanDependents") ? "Orphan" : "Background";
  const std::string& policy = options.propagation;
  if (!policy.empty() && policy != "Background" && policy != "Foreground" && policy != "Orphan")
    return std::unexpected(bad_request(fmt::format(
        "propagationPolicy: Unsupported value: \"{}\": supported values: \"Background\", \"Foreground\", \"Orphan\"",
        policy)));
  options.uid = text_at(given, "preconditions.uid");
  options.resource_version = text_at(given, "preconditions.resourceVersion");
  return options;
}

StatusOr<bool> delete_dry_run(const Request& request) {
  auto dry_run = wants_dry_run(request.target.query);
  if (!dry_run || *dry_run || request.body.empty()) return dry_run;
  auto body = decode_body(request.content_type, request.body);
  if (!body) return std::unexpected(body.error());
  return has_entries(body->document, "dryRun");
}

Response success(const k8s::ResourceType& type, const json::object& document) {
  json::object details{
      {"name", text_at(document, "metadata.name")}, {"kind", type.plural}, {"uid", text_at(document, "metadata.uid")}};
  if (!type.group.empty()) details["group"] = type.group;
  return json_response(200, json::object{{"kind", "Status"},
                                         {"apiVersion", "v1"},
                                         {"metadata", json::object{}},
                                         {"status", "Success"},
                                         {"details", std::move(details)}});
}

// What POST and PUT have in common before they differ.
struct Write {
  bool dry_run = false;
  Form form;
  json::object document;
  Response noted;  // its headers: warnings for the client
};

StatusOr<Write> read_write(const Request& request, const Route& route, const CustomTypes& customs) {
  Write write;
  const auto dry_run = wants_dry_run(request.target.query);
  if (!dry_run) return std::unexpected(dry_run.error());
  write.dry_run = *dry_run;
  auto form = negotiate(request, false);
  if (!form) return std::unexpected(form.error());
  write.form = std::move(*form);
  auto body = object_body(request, *route.type, customs.kind_of(*route.type), write.noted);
  if (!body) return std::unexpected(body.error());
  write.document = std::move(body->document);
  return write;
}

}  // namespace

StatusOr<Response> Api::create(const Request& request, const Route& route) {
  auto write = read_write(request, route, registry_.custom());
  if (!write) return std::unexpected(write.error());
  if (route.type->namespaced && route.namespace_.empty()) return std::unexpected(method_not_allowed());
  auto record = registry_.create(*route.type, route.namespace_, std::move(write->document), write->dry_run,
                                 {manager_of(request)});
  if (!record) return std::unexpected(record.error());
  Response response = object_response(201, write->form, *route.type, *record);
  response.headers = std::move(write->noted.headers);
  return response;
}

StatusOr<Response> Api::replace(const Request& request, const Route& route) {
  auto write = read_write(request, route, registry_.custom());
  if (!write) return std::unexpected(write.error());
  auto record = registry_.update(*route.type, {route.namespace_, route.name}, std::move(write->document),
                                 part_of(route), write->dry_run, {manager_of(request)});
  if (!record) return std::unexpected(record.error());
  Response response = object_response(200, write->form, *route.type, *record);
  response.headers = std::move(write->noted.headers);
  return response;
}

StatusOr<Response> Api::patch(const Request& request, const Route& route) {
  if (media_type_of(request.content_type) == "application/apply-patch+yaml") return apply(request, route);
  const auto dry_run = wants_dry_run(request.target.query);
  if (!dry_run) return std::unexpected(dry_run.error());
  const auto form = negotiate(request, false);
  if (!form) return std::unexpected(form.error());
  const CustomKind* custom = registry_.custom().kind_of(*route.type);
  if (custom && media_type_of(request.content_type) == "application/strategic-merge-patch+json")
    return std::unexpected(
        unsupported_media("application/strategic-merge-patch+json",
                          "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"));
  const Record old = stored(route);
  if (!old) return std::unexpected(not_found(*route.type, route.name));
  auto patched = apply_patch(request.content_type, *route.type, old->document, request.body);
  if (!patched) return std::unexpected(patched.error());
  if (auto checked = check_kind(*route.type, *patched); !checked) return std::unexpected(checked.error());
  Response noted;
  if (auto checked = validate_fields(request.target.query, *route.type, custom, {*patched, {}}, noted, &old->document);
      !checked)
    return std::unexpected(checked.error());
  auto record = registry_.update(*route.type, {route.namespace_, route.name}, std::move(*patched), part_of(route),
                                 *dry_run, {manager_of(request)});
  if (!record) return std::unexpected(record.error());
  Response response = object_response(200, *form, *route.type, *record);
  response.headers = std::move(noted.headers);
  return response;
}

StatusOr<Response> Api::remove(const Request& request, const Route& route) {
  const auto options = delete_options(request);
  if (!options) return std::unexpected(options.error());
  const auto dry_run = delete_dry_run(request);
  if (!dry_run) return std::unexpected(dry_run.error());
  auto deletion = registry_.remove(*route.type, {route.namespace_, route.name}, *options, *dry_run);
  if (!deletion) return std::unexpected(deletion.error());
  // A pod is answered with itself even when it went at once, as the API does.
  if (deletion->gone && !(route.type->group.empty() && route.type->plural == "pods"))
    return success(*route.type, deletion->object->document);
  return object_response(200, Form{}, *route.type, deletion->object);
}

StatusOr<Response> Api::remove_collection(const Request& request, const Route& route) {
  if (route.type->namespaced && route.namespace_.empty()) return std::unexpected(method_not_allowed());
  if (route.type->group.empty() && route.type->plural == "namespaces") return std::unexpected(method_not_allowed());
  const auto options = delete_options(request);
  if (!options) return std::unexpected(options.error());
  const auto dry_run = delete_dry_run(request);
  if (!dry_run) return std::unexpected(dry_run.error());
  const auto selection = selection_of(request, route, registry_.custom());
  if (!selection) return std::unexpected(selection.error());
  json::array items;
  for (const Record& record : registry_.store().list(*selection->stored_as, route.namespace_)) {
    if (!selection->matches(record->document)) continue;
    auto deletion = registry_.remove(*route.type, key_of(record->document), *options, *dry_run);
    if (!deletion) return std::unexpected(deletion.error());
    items.push_back(deletion->object->document);
  }
  json::object metadata{{"resourceVersion", std::to_string(revision())}};
  return json_response(200, json::object{{"kind", route.type->kind + "List"},
                                         {"apiVersion", route.type->apiVersion()},
                                         {"metadata", std::move(metadata)},
                                         {"items", std::move(items)}});
}

StatusOr<Response> Api::create_subresource(const Request& request, const Route& route) {
  const bool pods = route.type->group.empty() && route.type->plural == "pods";
  const bool binding = pods && route.subresource == "binding", eviction = pods && route.subresource == "eviction";
  if (pods && std::ranges::find(kStreams, route.subresource) != std::end(kStreams)) return stream(request, route);
  if (route.type->group.empty() && route.type->plural == "serviceaccounts" && route.subresource == "token")
    return create_token(request, route);
  if (!binding && !eviction) return std::unexpected(unknown_path());
  if (request.method != "POST") return std::unexpected(method_not_allowed());
  const auto dry_run = wants_dry_run(request.target.query);
  if (!dry_run) return std::unexpected(dry_run.error());
  const k8s::NamespacedName key{route.namespace_, route.name};
  if (eviction) {
    const auto options = delete_options(request);
    if (!options) return std::unexpected(options.error());
    auto deletion = registry_.remove(*route.type, key, *options, *dry_run);
    if (!deletion) return std::unexpected(deletion.error());
  } else {
    auto body = decode_body(request.content_type, request.body);
    if (!body) return std::unexpected(body.error());
    if (auto bound = registry_.bind(key, body->document, *dry_run); !bound) return std::unexpected(bound.error());
  }
  return json_response(201, json::object{{"kind", "Status"},
                                         {"apiVersion", "v1"},
                                         {"metadata", json::object{}},
                                         {"status", "Success"},
                                         {"code", 201}});
}

StatusOr<Response> Api::scale(const Request& request, const Route& route) {
  const k8s::NamespacedName key{route.namespace_, route.name};
  const Record record = stored(route);
  const CustomKind* custom = registry_.custom().kind_of(*route.type);
  const ScalePaths paths = custom && custom->scale ? *custom->scale : ScalePaths{};
  if (!record) return std::unexpected(not_found(*route.type, route.name));
  if (request.method == "GET" || request.method == "HEAD")
    return json_response(200, Registry::scale_of(record->document, paths));
  if (request.method != "PUT" && request.method != "PATCH") return std::unexpected(method_not_allowed());
  const auto dry_run = wants_dry_run(request.target.query);
  if (!dry_run) return std::unexpected(dry_run.error());
  json::object wanted;
  if (request.method == "PUT") {
    auto body = decode_body(request.content_type, request.body);
    if (!body) return std::unexpected(body.error());
    wanted = std::move(body->document);
  } else {
    static const k8s::ResourceType kScale{.group = "autoscaling", .version = "v1", .plural = "scales", .kind = "Scale"};
    auto patched = apply_patch(request.content_type, kScale, Registry::scale_of(record->document, paths), request.body);
    if (!patched) return std::unexpected(patched.error());
    wanted = std::move(*patched);
  }
  auto scaled = registry_.set_scale(*route.type, key, wanted, paths, *dry_run);
  if (!scaled) return std::unexpected(scaled.error());
  return json_response(200, Registry::scale_of((*scaled)->document, paths));
}

}  // namespace carrick::apiserver
