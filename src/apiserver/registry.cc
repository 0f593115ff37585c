#include "apiserver/registry.h"

#include <sys/random.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "apiserver/apply/managers.h"
#include "apiserver/document.h"
#include "apiserver/strategy.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";  // as the API: no vowels, no look-alikes
constexpr size_t kMaxGenerateName = 58;

uint64_t unpredictable(uint64_t below) {
  static thread_local std::mt19937_64 engine{std::random_device{}()};
  return below <= 1 ? 0 : std::uniform_int_distribution<uint64_t>(0, below - 1)(engine);
}

bool is_kind(const k8s::ResourceType& type, std::string_view group, std::string_view plural) {
  return type.group == group && type.plural == plural;
}

StatusOr<> require_field_types(const k8s::ResourceType& type, const json::object& document) {
  const auto wrong = k8s::check_types(&type, document);
  if (!wrong) return {};
  return std::unexpected(bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", type.kind,
                                                 type.version, type.kind, wrong->str())));
}

// The API's statuses are written by their owners only; nodes bring theirs along when they register.
bool drops_status_on_create(const k8s::ResourceType& type) { return type.has_status && !is_kind(type, "", "nodes"); }

}  // namespace

bool counts_generations(const k8s::ResourceType& type) {
  if (k8s::find_by_plural(type.group, type.version, type.plural) != &type) return true;  // custom
  for (std::string_view plural :
       {"services", "namespaces", "nodes", "configmaps", "secrets", "serviceaccounts", "events", "endpoints", "leases",
        "resourcequotas", "limitranges", "persistentvolumes", "persistentvolumeclaims"})
    if (type.plural == plural) return false;
  return true;
}

Registry::Registry(Store& store, Options options)
    : store_(store),
      custom_(store),
      options_(std::move(options)),
      allocator_(options_.service_ranges, options_.random ? options_.random : unpredictable) {
  if (!options_.random) options_.random = unpredictable;
  if (!options_.now) options_.now = [] { return static_cast<int64_t>(std::time(nullptr)); };
  follow_addresses();
}

std::string Registry::timestamp(int64_t offset_seconds) const {
  const std::time_t at = options_.now() + offset_seconds;
  std::tm parts{};
  gmtime_r(&at, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string Registry::uuid() {
  std::array<uint8_t, 16> b{};
  for (uint8_t& byte : b) byte = static_cast<uint8_t>(options_.random(256));
  b[6] = (b[6] & 0x0f) | 0x40;  // RFC 4122 version 4
  b[8] = (b[8] & 0x3f) | 0x80;
  std::string out;
  for (size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", b[i]);
  }
  return out;
}

StatusOr<> Registry::check_namespace(const k8s::ResourceType& type, std::string_view namespace_,
                                     std::string_view name) const {
  if (!type.namespaced) return {};
  const k8s::ResourceType* namespaces = k8s::find_by_kind("v1", "Namespace");
  const Record owner = store_.get(*namespaces, {"", std::string(namespace_)});
  if (!owner) return std::unexpected(not_found(*namespaces, namespace_));
  if (!is_terminating(owner->document)) return {};
  const std::string why =
      fmt::format("unable to create new content in namespace {} because it is being terminated", namespace_);
  Status status = forbidden(type, name, why);
  status.causes.push_back(
      {"NamespaceTerminating", fmt::format("namespace {} is being terminated", namespace_), "metadata.namespace"});
  return std::unexpected(std::move(status));
}

StatusOr<> Registry::name_new_object(const k8s::ResourceType& type, json::object& metadata) {
  const auto text = [&](std::string_view key) {
    const json::value* value = metadata.if_contains(key);
    return value && value->is_string() ? std::string(value->get_string()) : std::string{};
  };
  if (!text("name").empty()) return {};
  std::string base = text("generateName");
  if (base.empty())
    return std::unexpected(invalid(
        type, "", {field_error("Required", "metadata.name", "Required value: name or generateName is required")}));
  base.resize(std::min(base.size(), kMaxGenerateName));
  for (int i = 0; i < 5; ++i) base += kNameAlphabet[options_.random(kNameAlphabet.size())];
  metadata["name"] = base;
  return {};
}

StatusOr<Record> Registry::create(const k8s::ResourceType& type, std::string_view namespace_, json::object document,
                                  bool dry_run, const WrittenBy& by) {
  document["apiVersion"] = type.apiVersion();
  document["kind"] = type.kind;
  json::object& metadata = metadata_of(document);
  if (type.namespaced) {
    const std::string_view own = text_at(document, "metadata.namespace");
    if (!own.empty() && own != namespace_)
      return std::unexpected(
          bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    metadata["namespace"] = namespace_;
  } else {
    metadata.erase("namespace");
  }
  if (!text_at(document, "metadata.resourceVersion").empty())
    return std::unexpected(bad_request("resourceVersion should not be set on objects to be created"));
  if (auto named = name_new_object(type, metadata); !named) return std::unexpected(named.error());
  const k8s::NamespacedName key = key_of(document);
  if (auto allowed = check_namespace(type, namespace_, key.name); !allowed) return std::unexpected(allowed.error());
  if (const CustomKind* custom = custom_.kind_of(type))
    if (auto alive = check_definition_lives(*custom); !alive) return std::unexpected(alive.error());
  if (store_.get(custom_.stored_as(type), key)) return std::unexpected(already_exists(type, key.name));
  for (std::string_view name :
       {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "resourceVersion"})
    metadata.erase(name);
  if (by.managed && !by.managed->empty()) metadata["managedFields"] = *by.managed;
  metadata["uid"] = uuid();
  metadata["creationTimestamp"] = timestamp();
  if (counts_generations(type))
    metadata["generation"] = 1;
  else
    metadata.erase("generation");
  if (auto prepared = prepare_create(type, document); !prepared) return std::unexpected(prepared.error());
  return put(type, key, std::move(document), dry_run);
}

StatusOr<> Registry::prepare_create(const k8s::ResourceType& type, json::object& document) {
  if (auto typed = require_field_types(type, document); !typed) return typed;
  if (drops_status_on_create(type)) document.erase("status");
  std::vector<k8s::FieldError> errors;
  if (auto prepared = prepare_custom(type, document, nullptr); !prepared) return prepared;
  if (is_kind(type, "", "pods")) prepare_new_pod(document);
  if (is_kind(type, "", "namespaces")) prepare_new_namespace(document);
  if (is_kind(type, "batch", "jobs")) prepare_new_job(document);
  if (is_kind(type, "networking.k8s.io", "servicecidrs")) prepare_new_range(document);
  if (is_kind(type, "", "services")) {
    errors = allocator_.allocate(document, nullptr);
    document["status"] = json::object{{"loadBalancer", json::object{}}};
  }
  k8s::apply_defaults(type, document);
  if (errors.empty()) errors = k8s::validate(type, document);
  if (!errors.empty()) return std::unexpected(invalid(type, text_at(document, "metadata.name"), errors));
  return {};
}

StatusOr<> Registry::check_update(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                  const json::object& document, const StoredObject& old) const {
  const std::string_view name = text_at(document, "metadata.name");
  if (!name.empty() && name != key.name)
    return std::unexpected(bad_request(
        fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, key.name)));
  const std::string_view namespace_ = text_at(document, "metadata.namespace");
  if (type.namespaced && !namespace_.empty() && namespace_ != key.namespace_)
    return std::unexpected(
        bad_request("the namespace of the provided object does not match the namespace sent on the request"));
  const std::string_view revision = text_at(document, "metadata.resourceVersion");
  if (!revision.empty() && revision != "0" && revision != std::to_string(old.revision))
    return std::unexpected(conflict(
        type, key.name, "the object has been modified; please apply your changes to the latest version and try again"));
  const std::string_view uid = text_at(document, "metadata.uid"), old_uid = text_at(old.document, "metadata.uid");
  if (!uid.empty() && uid != old_uid)
    return std::unexpected(
        conflict(type, key.name,
                 fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, old_uid)));
  return {};
}

void Registry::keep_server_fields(const k8s::ResourceType& type, json::object& document, const json::object& old,
                                  Part part) const {
  const json::object& before = old.at("metadata").as_object();
  if (part == Part::kStatus) {
    json::object kept = old;
    const json::object& given = metadata_of(document);
    for (std::string_view name : {"labels", "annotations"})
      if (const json::value* value = given.if_contains(name)) metadata_of(kept)[name] = *value;
    if (const json::value* status = document.if_contains("status")) kept["status"] = *status;
    document = std::move(kept);
    return;
  }
  json::object& metadata = metadata_of(document);
  metadata.erase("selfLink");
  for (std::string_view name :
       {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        "generation", "resourceVersion", "generateName", "managedFields"}) {
    if (const json::value* value = before.if_contains(name))
      metadata[name] = *value;
    else
      metadata.erase(name);
  }
  document["apiVersion"] = type.apiVersion();
  document["kind"] = type.kind;
  const auto keep = [&](json::object& to, const json::object* from, std::string_view name) {
    const json::value* value = from ? from->if_contains(name) : nullptr;
    if (value)
      to[name] = *value;
    else
      to.erase(name);
  };
  if (type.has_status) keep(document, &old, "status");
  if (is_kind(type, "", "namespaces")) {
    child_object(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"];
    if (part == Part::kMain) keep(child_object(document, "spec"), object_at(old, "spec"), "finalizers");
  }
}

StatusOr<> Registry::prepare_update(const k8s::ResourceType& type, json::object& document, const json::object& old,
                                    Part part) {
  if (auto typed = require_field_types(type, document); !typed) return typed;
  keep_server_fields(type, document, old, part);
  if (auto prepared = prepare_custom(type, document, &old); !prepared) return prepared;
  std::vector<k8s::FieldError> errors;
  if (part != Part::kStatus) {
    if (is_kind(type, "", "services")) errors = allocator_.allocate(document, &old);
    k8s::apply_defaults(type, document);
  }
  if (errors.empty()) errors = k8s::validate(type, document, &old);
  if (!errors.empty()) return std::unexpected(invalid(type, text_at(document, "metadata.name"), errors));
  return {};
}

MergeType Registry::merge_type_of(const k8s::ResourceType& type) const {
  const CustomKind* custom = custom_.kind_of(type);
  return custom && !custom->schema.empty() ? MergeType::of_schema(custom->schema.text()) : MergeType::of(type);
}

// Ownership is followed from the first apply on (apply/managers.h); a client may also hand in what it has made of it.
void Registry::own_fields(const k8s::ResourceType& type, json::object& document, const json::object& old, Part part,
                          const WrittenBy& by, const std::optional<json::array>& given) const {
  json::object& metadata = metadata_of(document);
  std::optional<json::array> managed = by.managed;
  if (!managed && given) managed = given;
  if (!managed) {
    if (!has_entries(old, "metadata.managedFields") || document == old) return;
    managed = to_json(managers_after_update(merge_type_of(type), old, document,
                                            {by.manager, type.apiVersion(), part == Part::kStatus ? "status" : ""},
                                            timestamp()));
  }
  if (managed->empty())
    metadata.erase("managedFields");
  else
    metadata["managedFields"] = std::move(*managed);
}

StatusOr<Record> Registry::update(const k8s::ResourceType& type, const k8s::NamespacedName& key, json::object document,
                                  Part part, bool dry_run, const WrittenBy& by) {
  const Record old = custom_.as_version(type, store_.get(custom_.stored_as(type), key));
  if (!old) return std::unexpected(not_found(type, key.name));
  if (auto checked = check_update(type, key, document, *old); !checked) return std::unexpected(checked.error());
  std::optional<json::array> given;
  if (const json::array* handed = array_at(document, "metadata.managedFields")) {
    const json::array* before = array_at(old->document, "metadata.managedFields");
    if (!before || *handed != *before) given = *handed;
  }
  if (auto prepared = prepare_update(type, document, old->document, part); !prepared)
    return std::unexpected(prepared.error());
  own_fields(type, document, old->document, part, by, given);
  return finish_update(type, key, std::move(document), old, dry_run);
}

StatusOr<Record> Registry::finish_update(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                         json::object document, const Record& old, bool dry_run) {
  // The last finalizer of an object that is being deleted is gone: so is the object. Pods also wait for their grace
  // period.
  const bool released = is_terminating(document) && !has_entries(document, "metadata.finalizers") &&
                        number_at(document, "metadata.deletionGracePeriodSeconds") == 0 &&
                        !(is_kind(type, "", "namespaces") && has_entries(document, "spec.finalizers"));
  if (released) {
    auto gone = erase(type, key, std::move(document), dry_run);
    if (!gone) return std::unexpected(gone.error());
    return gone->object;
  }
  if (document == old->document) return old;
  if (counts_generations(type)) {
    const auto without = [&](json::object copy) {
      if (type.has_status || !custom_.kind_of(type)) copy.erase("status");
      copy.erase("metadata");
      return copy;
    };
    if (without(document) != without(old->document))
      metadata_of(document)["generation"] = number_at(old->document, "metadata.generation") + 1;
  }
  return put(type, key, std::move(document), dry_run);
}

StatusOr<Record> Registry::put(const k8s::ResourceType& type, const k8s::NamespacedName& key, json::object document,
                               bool dry_run) {
  if (dry_run) return make_record(std::move(document), store_.revision());
  const Record before = store_.get(custom_.stored_as(type), key);
  if (is_kind(type, "", "services"))
    if (auto held = hold_addresses(document); !held) return std::unexpected(held.error());
  auto record = store_.put(custom_.stored_as(type), key, std::move(document));
  if (!record) return std::unexpected(from_error(record.error()));
  if (auto done = after_write(type, before ? &before->document : nullptr, &(*record)->document); !done)
    return std::unexpected(done.error());
  return *record;
}

StatusOr<Deletion> Registry::erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, json::object last,
                                   bool dry_run) {
  if (dry_run) return Deletion{make_record(std::move(last), store_.revision()), true};
  auto record = store_.erase(custom_.stored_as(type), key, std::move(last));
  if (!record) return std::unexpected(from_error(record.error()));
  if (const CustomKind* custom = custom_.kind_of(type))
    if (auto finished = finish_definition(*custom); !finished) return std::unexpected(finished.error());
  if (auto done = after_write(type, &(*record)->document, nullptr); !done) return std::unexpected(done.error());
  return Deletion{*record, true};
}

}  // namespace carrick::apiserver
