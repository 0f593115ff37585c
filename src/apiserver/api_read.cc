#include <charconv>

#include "apiserver/answer_encoding.h"
#include "apiserver/api.h"
#include "apiserver/continue_token.h"
#include "k8s/fields.h"

namespace carrick::apiserver {
namespace {

StatusOr<uint64_t> number_of(const Query& query, std::string_view name) {
  const std::string_view text = query.get(name);
  uint64_t number = 0;
  if (text.empty()) return number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::unexpected(bad_request(fmt::format("{}: Invalid value: \"{}\": must be a whole number", name, text)));
  return number;
}

// Which state a list without a token is taken from.
StatusOr<bool> wants_exact(const Query& query, uint64_t asked, uint64_t current) {
  const std::string_view match = query.get("resourceVersionMatch");
  if (!match.empty() && match != "Exact" && match != "NotOlderThan")
    return std::unexpected(bad_request(fmt::format(
        "resourceVersionMatch: Unsupported value: \"{}\": supported values: \"Exact\", \"NotOlderThan\"", match)));
  if (!match.empty() && query.get("resourceVersion").empty())
    return std::unexpected(bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided"));
  if (match == "Exact" && asked == 0)
    return std::unexpected(bad_request("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""));
  if (asked > current) return std::unexpected(too_large_revision(asked, current));
  return match == "Exact";
}

struct Page {
  std::vector<Record> items;
  k8s::json::object metadata;  // of the list
};

Page collect(const Store::Objects& objects, const Selection& selection, uint64_t revision, uint64_t limit,
             const std::optional<k8s::NamespacedName>& after) {
  Page page;
  page.metadata["resourceVersion"] = std::to_string(revision);
  auto at = after                          ? objects.upper_bound(*after)
            : selection.namespace_.empty() ? objects.begin()
                                           : objects.lower_bound({selection.namespace_, ""});
  uint64_t remaining = 0;
  for (; at != objects.end(); ++at) {
    if (!selection.namespace_.empty() && at->first.namespace_ != selection.namespace_) break;
    if (!selection.matches(at->second->document)) continue;
    if (limit == 0 || page.items.size() < limit)
      page.items.push_back(at->second);
    else
      ++remaining;
  }
  if (remaining == 0) return page;
  page.metadata["continue"] = ContinueToken{revision, key_of(page.items.back()->document)}.str();
  // The API leaves the count out where a selector makes it costly to know.
  if (selection.labels.empty() && selection.fields.empty()) page.metadata["remainingItemCount"] = remaining;
  return page;
}

Response list_response(const Form& form, const k8s::ResourceType& type, Page page, const CustomTypes& customs,
                       int64_t now) {
  const CustomKind* custom = customs.kind_of(type);
  if (custom)
    for (Record& record : page.items) record = customs.as_version(type, std::move(record));
  if (form.shape == Form::Shape::kTable) {
    const Printer& printer = custom ? custom->printer : printer_for(type);
    json::array rows;
    for (const Record& record : page.items) rows.push_back(table_row(printer, record->document, form.row_object, now));
    return json_response(
        200, make_table(form.version, std::move(page.metadata), column_definitions(printer), std::move(rows)));
  }
  const bool partial = form.shape == Form::Shape::kPartial;
  Response response;
  size_t size = 256;
  for (const Record& record : page.items) size += record->bytes.size() + 1;
  response.body.reserve(size);
  response.body +=
      fmt::format(R"({{"kind":"{}","apiVersion":"{}","metadata":{},"items":[)",
                  partial ? "PartialObjectMetadataList" : type.kind + "List",
                  partial ? "meta.k8s.io/" + form.version : type.apiVersion(), json::serialize(page.metadata));
  bool first = true;
  for (const Record& record : page.items) {
    if (!std::exchange(first, false)) response.body += ',';
    response.body += partial ? json::serialize(partial_object(record->document, form.version)) : record->bytes;
  }
  response.body += "]}\n";
  return response;
}

}  // namespace

StatusOr<Form> negotiate(const Request& request, bool list) {
  const bool watch = request.target.query.flag("watch");
  const Encoding encoding = encoding_for(request.accept);
  if (encoding != Encoding::kJson) return Form{.protobuf = encoding == Encoding::kProtobuf};
  for (const MediaType& media : parse_accept(request.accept)) {
    if (media.type != "application/json" && media.type != "*/*" && media.type != "application/*") continue;
    if (media.as.empty()) return Form{};
    if (media.group != "meta.k8s.io" || (media.version != "v1" && media.version != "v1beta1")) continue;
    if (media.as == "Table") {
      Form form{.shape = Form::Shape::kTable, .version = media.version};
      const std::string_view include = request.target.query.get("includeObject");
      if (include == "None")
        form.row_object = RowObject::kNone;
      else if (include == "Object")
        form.row_object = RowObject::kObject;
      else if (!include.empty() && include != "Metadata")
        return std::unexpected(bad_request(fmt::format("unrecognized includeObject value: \"{}\"", include)));
      return form;
    }
    if (media.as == (list && !watch ? "PartialObjectMetadataList" : "PartialObjectMetadata"))
      return Form{.shape = Form::Shape::kPartial, .version = media.version};
  }
  return std::unexpected(not_acceptable("application/json, application/json;as=Table;v=v1;g=meta.k8s.io"));
}

StatusOr<Selection> selection_of(const Request& request, const Route& route, const CustomTypes& customs) {
  const Query& query = request.target.query;
  const CustomKind* custom = customs.kind_of(*route.type);
  Selection selection{.type = route.type, .stored_as = &customs.stored_as(*route.type), .namespace_ = route.namespace_};
  auto labels = LabelQuery::parse(query.get("labelSelector"));
  if (!labels) return std::unexpected(bad_request(labels.error().message));
  auto fields = FieldQuery::parse(*route.type, query.get("fieldSelector"),
                                  custom ? custom->selectable_fields : std::vector<std::string>{});
  if (!fields) return std::unexpected(bad_request(fields.error().message));
  selection.labels = std::move(*labels);
  selection.fields = std::move(*fields);
  return selection;
}

Record Api::stored(const Route& route) const {
  const CustomTypes& custom = registry_.custom();
  return custom.as_version(*route.type,
                           registry_.store().get(custom.stored_as(*route.type), {route.namespace_, route.name}));
}

Response Api::object_response(int code, const Form& form, const k8s::ResourceType& type, const Record& stored) {
  const Record record = registry_.custom().as_version(type, stored);
  if (form.shape == Form::Shape::kPartial) return json_response(code, partial_object(record->document, form.version));
  if (form.shape == Form::Shape::kTable) {
    const CustomKind* custom = registry_.custom().kind_of(type);
    const Printer& printer = custom ? custom->printer : printer_for(type);
    json::array rows;
    rows.push_back(table_row(printer, record->document, form.row_object, options_.now()));
    json::object metadata{{"resourceVersion", std::to_string(record->revision)}};
    return json_response(code,
                         make_table(form.version, std::move(metadata), column_definitions(printer), std::move(rows)));
  }
  Response response;
  response.code = code;
  response.body = record->bytes + "\n";
  return response;
}

StatusOr<Response> Api::get(const Request& request, const Route& route) {
  const auto form = negotiate(request, false);
  if (!form) return std::unexpected(form.error());
  const auto asked = number_of(request.target.query, "resourceVersion");
  if (!asked) return std::unexpected(asked.error());
  if (*asked > revision()) return std::unexpected(too_large_revision(*asked, revision()));
  if (request.target.query.flag("watch")) {
    // The old single-object watch: a selection by name.
    auto selection = selection_of(request, route, registry_.custom());
    if (!selection) return std::unexpected(selection.error());
    selection->fields = *FieldQuery::parse(*route.type, "metadata.name=" + route.name);
    return watch(request, route, std::move(*selection));
  }
  const Record record = stored(route);
  if (!record) return std::unexpected(not_found(*route.type, route.name));
  return object_response(200, *form, *route.type, record);
}

StatusOr<Response> Api::list(const Request& request, const Route& route) {
  const Query& query = request.target.query;
  auto selection = selection_of(request, route, registry_.custom());
  if (!selection) return std::unexpected(selection.error());
  if (query.flag("watch")) return watch(request, route, std::move(*selection));
  const auto form = negotiate(request, true);
  if (!form) return std::unexpected(form.error());
  const auto limit = number_of(query, "limit");
  if (!limit) return std::unexpected(limit.error());
  const auto asked = number_of(query, "resourceVersion");
  if (!asked) return std::unexpected(asked.error());

  const Store& store = registry_.store();
  const k8s::ResourceType& home = *selection->stored_as;
  const auto answer = [&](const Store::Objects& objects, uint64_t at, const std::optional<k8s::NamespacedName>& after) {
    return list_response(*form, *route.type, collect(objects, *selection, at, *limit, after), registry_.custom(),
                         options_.now());
  };
  if (const std::string_view text = query.get("continue"); !text.empty()) {
    const auto token = ContinueToken::parse(text);
    if (!token) return std::unexpected(bad_request("continue key is not valid: it was not given by this server"));
    if (*asked != 0)
      return std::unexpected(bad_request("specifying resource version is not allowed when using continue"));
    if (token->revision == revision()) return answer(store.objects(home), token->revision, token->after);
    const auto then = store.objects_at(home, token->revision);
    if (then) return answer(*then, token->revision, token->after);
    Status status = expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.");
    json::object body = to_json(status);
    child_object(body, "metadata")["continue"] = ContinueToken{revision(), token->after}.str();
    return json_response(status.code, body);
  }
  const auto exact = wants_exact(query, *asked, revision());
  if (!exact) return std::unexpected(exact.error());
  if (!*exact || *asked == revision()) return answer(store.objects(home), revision(), std::nullopt);
  const auto then = store.objects_at(home, *asked);
  if (!then)
    return std::unexpected(expired(fmt::format("The resourceVersion for the provided list is too old: {}", *asked)));
  return answer(*then, *asked, std::nullopt);
}

StatusOr<Response> Api::watch(const Request& request, const Route& route, Selection selection) {
  const Query& query = request.target.query;
  const auto form = negotiate(request, true);
  if (!form) return std::unexpected(form.error());
  const auto asked = number_of(query, "resourceVersion");
  if (!asked) return std::unexpected(asked.error());
  const auto timeout = number_of(query, "timeoutSeconds");
  if (!timeout) return std::unexpected(timeout.error());
  if (form->protobuf && !k8s::fields_of(*route.type)) return std::unexpected(not_acceptable("application/json"));
  const bool initial = query.flag("sendInitialEvents"), match = query.has("resourceVersionMatch");
  const auto refuse = [&](std::string_view field, std::string_view why) {
    return std::unexpected(invalid({.plural = "listoptions", .kind = "ListOptions"}, "",
                                   {field_error("Forbidden", std::string(field), "Forbidden: " + std::string(why))}));
  };
  if (query.has("sendInitialEvents") && query.get("resourceVersionMatch") != "NotOlderThan")
    return refuse("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (match && !query.has("sendInitialEvents"))
    return refuse("resourceVersionMatch",
                  "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  if (initial && !query.flag("allowWatchBookmarks"))
    return refuse("allowWatchBookmarks", "sendInitialEvents requires allowWatchBookmarks");
  if (*asked > revision() && initial) return std::unexpected(too_large_revision(*asked, revision()));

  const Store& store = registry_.store();
  const k8s::ResourceType& home = *selection.stored_as;
  WatchStream::Options options{.selection = std::move(selection),
                               .form = *form,
                               .initial = {},
                               .bookmarks = query.flag("allowWatchBookmarks"),
                               .custom = &registry_.custom(),
                               .now = options_.now};
  options.timeout_seconds = static_cast<int>(std::min<uint64_t>(*timeout, 24 * 3600));
  options.mark_end_of_initial = initial;
  std::vector<std::shared_ptr<const StoreEvent>> missed;
  // Without a revision (or "0") a watch begins with what there is.
  if (initial || (*asked == 0 && !query.has("sendInitialEvents"))) {
    for (Record& record : store.list(home, route.namespace_))
      if (options.selection.matches(record->document)) options.initial.push_back(std::move(record));
  } else if (*asked != 0) {
    auto events = store.events_after(*asked);
    if (!events) return std::unexpected(expired(fmt::format("too old resource version: {} ({})", *asked, revision())));
    missed = std::move(*events);
  }
  auto stream = std::make_shared<WatchStream>(std::move(options), revision());
  for (const auto& event : missed)
    if (event->resource == &home) stream->offer(*event);
  hub_.add(stream);
  Response response;
  response.content_type =
      form->protobuf ? "application/vnd.kubernetes.protobuf;stream=watch"
      : form->shape == Form::Shape::kPlain
          ? "application/json"
          : fmt::format("application/json;as={};v={};g=meta.k8s.io",
                        form->shape == Form::Shape::kTable ? "Table" : "PartialObjectMetadata", form->version);
  response.watch = std::move(stream);
  return response;
}

}  // namespace carrick::apiserver
