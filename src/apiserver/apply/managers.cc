#include "apiserver/apply/managers.h"

#include <algorithm>
#include <tuple>

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kUnowned[] = {"namespace",  "creationTimestamp", "selfLink",       "uid",
                                         "generation", "managedFields",     "resourceVersion"};  // of metadata
constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// Without what everybody writes and nobody owns. The name stays, so that metadata is never empty; see drop_name().
json::object owned_part(const json::object& document) {
  json::object out = document;
  for (std::string_view name : {"apiVersion", "kind"}) out.erase(name);
  json::value* metadata = out.if_contains("metadata");
  if (!metadata || !metadata->is_object()) return out;
  for (std::string_view name : kUnowned) metadata->get_object().erase(name);
  return out;
}

void drop_name(FieldSet& fields) {
  const auto metadata = fields.children.find("f:metadata");
  if (metadata == fields.children.end()) return;
  metadata->second.children.erase("f:name");
  if (metadata->second.children.empty()) fields.children.erase(metadata);
}

FieldSet owned_fields(const MergeType& type, const json::object& document) {
  FieldSet out = fields_in(type, owned_part(document));
  drop_name(out);
  return out;
}

Comparison compare_owned(const MergeType& type, const json::value& before, const json::value& after) {
  Comparison out = compare(type, before, after);
  drop_name(out.changed);
  drop_name(out.removed);
  return out;
}

json::object without_nulls(const json::object& object) {
  json::object out;
  for (const auto& [name, value] : object) {
    if (value.is_null()) continue;
    out[name] = value.is_object() ? json::value(without_nulls(value.get_object())) : value;
  }
  return out;
}

// An object that nobody has applied before.
std::vector<Manager> first_managers(const MergeType& type, const json::object& live, const Writer& writer,
                                    const std::string& now) {
  FieldSet rest = owned_fields(type, live);
  std::vector<Manager> out;
  const std::string annotation = std::string("f:") + kLastApplied;
  const json::object* annotations = object_at(live, "metadata.annotations");
  const json::value* text = annotations ? annotations->if_contains(kLastApplied) : nullptr;
  if (text && text->is_string()) {
    boost::system::error_code error;
    const json::value applied = json::parse(text->get_string(), error);
    if (!error && applied.is_object()) {
      FieldSet fields = owned_fields(type, applied.get_object()).with_ancestors().intersection(rest);
      fields.children["f:metadata"].children["f:annotations"].children[annotation].member = true;
      rest.subtract(fields);
      out.push_back({{"kubectl-client-side-apply", writer.api_version, ""}, false, now, std::move(fields)});
    }
  }
  if (!rest.empty()) out.push_back({{"before-first-apply", writer.api_version, ""}, false, now, std::move(rest)});
  return out;
}

std::string readable(const Manager& manager) {
  std::string out = fmt::format("{:?}", manager.writer.name);
  if (!manager.writer.subresource.empty()) out += fmt::format(" with subresource {:?}", manager.writer.subresource);
  if (manager.applies) return out;
  return out + " using " + manager.writer.api_version + (manager.time.empty() ? "" : " at " + manager.time);
}

// What the writer gave up, and nobody else has.
FieldSet given_up(const MergeType& type, const json::value& value, const FieldSet& last,
                  const std::vector<Manager>& managers) {
  const FieldSet before = with_named_fields(type, last);
  FieldSet kept = with_named_fields(type, fields_in(type, without(type, value, before, Emptied::kGoes)));
  for (const Manager& manager : managers) kept.unite(with_named_fields(type, manager.fields));
  FieldSet& metadata = kept.children["f:metadata"];
  metadata.member = metadata.children["f:name"].member = true;
  FieldSet gone = with_named_fields(type, fields_in(type, value));
  gone.subtract(kept);
  return gone.intersection(before);
}

void drop_empty(std::vector<Manager>& managers) {
  std::erase_if(managers, [](const Manager& manager) { return manager.fields.empty(); });
}

}  // namespace

bool Manager::is(const Writer& other, bool applying) const {
  return applies == applying && writer.name == other.name && writer.api_version == other.api_version &&
         writer.subresource == other.subresource;
}

std::vector<Manager> managers_of(const json::object& document) {
  std::vector<Manager> out;
  const json::array* entries = array_at(document, "metadata.managedFields");
  for (const json::value& value : entries ? *entries : json::array{}) {
    const json::object* entry = value.if_object();
    const json::object* fields = entry ? object_at(*entry, "fieldsV1") : nullptr;
    if (!fields) continue;
    const auto text = [&](std::string_view name) { return std::string(text_at(*entry, name)); };
    out.push_back({{text("manager"), text("apiVersion"), text("subresource")},
                   text("operation") == "Apply",
                   text("time"),
                   FieldSet::parse(*fields)});
  }
  return out;
}

json::array to_json(std::vector<Manager> managers) {
  std::ranges::sort(managers, {}, [](const Manager& m) {
    return std::tuple(!m.applies, m.time, m.writer.name, m.writer.subresource, m.writer.api_version);
  });
  json::array out;
  for (const Manager& manager : managers) {
    json::object entry{{"manager", manager.writer.name},
                       {"operation", manager.applies ? "Apply" : "Update"},
                       {"apiVersion", manager.writer.api_version}};
    if (!manager.time.empty()) entry["time"] = manager.time;
    entry["fieldsType"] = "FieldsV1";
    entry["fieldsV1"] = manager.fields.to_json();
    if (!manager.writer.subresource.empty()) entry["subresource"] = manager.writer.subresource;
    out.push_back(std::move(entry));
  }
  return out;
}

std::expected<Applied, ApplyFailure> apply(const MergeType& type, const json::object* live,
                                           const json::object& configuration, const Writer& writer, bool force,
                                           const std::string& now) {
  const json::object wanted = without_nulls(configuration);
  const json::value before = live ? json::value(owned_part(*live)) : json::value(json::object{});
  std::vector<Manager> managers;
  if (live) managers = managers_of(*live);
  if (live && managers.empty()) managers = first_managers(type, *live, writer, now);
  auto after = merged(type, before, owned_part(wanted));
  if (!after) return std::unexpected(ApplyFailure{after.error().message, {}});

  const auto mine = std::ranges::find_if(managers, [&](const Manager& m) { return m.is(writer, true); });
  FieldSet last;
  if (mine != managers.end()) {
    last = mine->fields;
    managers.erase(mine);
  }
  managers.push_back({writer, true, now, owned_fields(type, wanted)});
  const FieldSet gone = last.empty() ? FieldSet{} : given_up(type, *after, last, managers);

  // Who owns an object still owns it when its last member has gone.
  const Comparison difference = compare_owned(type, before, without(type, *after, gone, Emptied::kStays));
  after = without(type, *after, gone, Emptied::kGoes);
  ApplyFailure failure;
  for (Manager& other : managers) {
    if (other.is(writer, true)) continue;
    const FieldSet taken = other.fields.intersection(difference.changed);
    if (!force)
      for (std::string& path : taken.paths()) failure.conflicts.push_back({readable(other), std::move(path)});
    other.fields.subtract(taken);
    other.fields.subtract(difference.removed);
  }
  if (!failure.conflicts.empty()) return std::unexpected(std::move(failure));
  // The same as before: the old entry, time included.
  Manager& own = managers.back();
  if (live && own.fields == last && difference.changed.empty() && difference.removed.empty())
    for (const Manager& old : managers_of(*live))
      if (old.is(writer, true)) own.time = old.time;
  drop_empty(managers);

  Applied out{live ? *live : json::object{}, std::move(managers)};
  for (std::string_view name : {"apiVersion", "kind"})
    if (const json::value* value = wanted.if_contains(name)) out.document[name] = *value;
  // What is not ours to merge stays as it was; the rest is new.
  json::object metadata;
  if (const json::object* old = object_at(out.document, "metadata"))
    for (std::string_view name : kUnowned)
      if (const json::value* value = old->if_contains(name)) metadata[name] = *value;
  if (const json::value* value = field(wanted, "metadata.namespace")) metadata["namespace"] = *value;
  std::vector<std::string> names;
  for (const auto& [name, value] : out.document)
    if (name != "apiVersion" && name != "kind") names.emplace_back(name);
  for (const std::string& name : names) out.document.erase(name);
  out.document["metadata"] = std::move(metadata);
  for (auto& [name, value] : after->get_object()) {
    if (name != "metadata" || !value.is_object()) {
      out.document[name] = std::move(value);
      continue;
    }
    for (auto& [key, item] : value.get_object()) metadata_of(out.document)[key] = std::move(item);
  }
  return out;
}

std::vector<Manager> managers_after_update(const MergeType& type, const json::object& before, const json::object& after,
                                           const Writer& writer, const std::string& now) {
  std::vector<Manager> managers = managers_of(before);
  if (managers.empty()) return managers;
  const Comparison difference = compare_owned(type, owned_part(before), owned_part(after));
  if (difference.changed.empty() && difference.removed.empty()) return managers;
  for (Manager& manager : managers) {
    if (!manager.is(writer, false)) manager.fields.subtract(difference.changed);
    manager.fields.subtract(difference.removed);
  }
  if (!difference.changed.empty()) {
    auto mine = std::ranges::find_if(managers, [&](const Manager& m) { return m.is(writer, false); });
    if (mine == managers.end()) mine = managers.insert(managers.end(), {writer, false, now, {}});
    mine->fields.unite(difference.changed);
    mine->time = now;
  }
  drop_empty(managers);
  return managers;
}

}  // namespace carrick::apiserver
