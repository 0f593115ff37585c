#include "apiserver/store.h"

#include <algorithm>

#include "apiserver/document.h"
#include "base/log.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {
using Type = controllers::ObjectEvent::Type;

// Custom kinds are kept under one name for all their versions.
std::string storage_name(const k8s::ResourceType& type) {
  const bool built_in = k8s::find_by_plural(type.group, type.version, type.plural) == &type;
  return type.group + "/" + (built_in ? type.version : "*") + "/" + type.plural;
}

void set_revision(k8s::json::object& document, uint64_t revision) {
  metadata_of(document)["resourceVersion"] = std::to_string(revision);
}
}  // namespace

Record make_record(k8s::json::object document, uint64_t revision) {
  auto record = std::make_shared<StoredObject>();
  record->bytes = k8s::json::serialize(document);
  record->document = std::move(document);
  record->revision = revision;
  return record;
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  std::unique_ptr<Store> store(new Store);
  store->revision_ = store->forgotten_ = 1;  // 0 means "any" to clients
  if (path.empty()) return store;
  store->journal_ = TRY(Journal::open(path));
  TRY_VOID(store->load());
  return store;
}

Result<void> Store::load() {
  revision_ = forgotten_ = std::max<uint64_t>(journal_->highest_revision(), 1);
  return journal_->load([this](std::string_view resource, std::string_view text) -> Result<void> {
    const auto parts = split(resource, '/');
    const k8s::ResourceType* type = parts.size() == 3 ? k8s::find_by_plural(parts[0], parts[1], parts[2]) : nullptr;
    const bool custom = parts.size() == 3 && parts[1] == "*";
    if (!type && !custom) {
      log::warn("the object database holds objects of {}, which this server does not offer: left alone", resource);
      return {};
    }
    boost::system::error_code error;
    k8s::json::value value = k8s::json::parse(text, error);
    if (error || !value.is_object())
      return fail(ErrorKind::kInvalid, "the object database holds a broken object of {}: {}", resource,
                  error.message());
    k8s::json::object& document = value.get_object();
    const uint64_t revision = revision_of(document);
    const k8s::NamespacedName key = key_of(document);
    Record record = make_record(std::move(document), revision);
    if (custom)
      unclaimed_[std::string(resource)].push_back(std::move(record));
    else
      objects_[type][key] = std::move(record);
    return {};
  });
}

void Store::adopt(const k8s::ResourceType& type) {
  const auto found = unclaimed_.find(storage_name(type));
  if (found == unclaimed_.end()) return;
  for (Record& record : found->second) objects_[&type][key_of(record->document)] = std::move(record);
  unclaimed_.erase(found);
}

Record Store::get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const {
  const Objects& all = objects(type);
  const auto found = all.find(key);
  return found == all.end() ? nullptr : found->second;
}

std::vector<Record> Store::list(const k8s::ResourceType& type, std::string_view namespace_) const {
  const Objects& all = objects(type);
  std::vector<Record> out;
  auto it = namespace_.empty() ? all.begin() : all.lower_bound({std::string(namespace_), ""});
  for (; it != all.end() && (namespace_.empty() || it->first.namespace_ == namespace_); ++it) out.push_back(it->second);
  return out;
}

const Store::Objects& Store::objects(const k8s::ResourceType& type) const {
  static const Objects none;
  const auto found = objects_.find(&type);
  return found == objects_.end() ? none : found->second;
}

std::optional<Store::Objects> Store::objects_at(const k8s::ResourceType& type, uint64_t revision) const {
  if (revision < forgotten_) return std::nullopt;
  Objects at = objects(type);
  for (auto event = log_.rbegin(); event != log_.rend() && (*event)->object->revision > revision; ++event) {
    if ((*event)->resource != &type) continue;
    const k8s::NamespacedName key = key_of((*event)->object->document);
    if ((*event)->type == Type::kAdded)
      at.erase(key);
    else
      at[key] = (*event)->previous;
  }
  return at;
}

Result<Record> Store::put(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object document) {
  const uint64_t revision = revision_ + 1;
  set_revision(document, revision);
  Record record = make_record(std::move(document), revision);
  if (journal_) TRY_VOID(journal_->put(storage_name(type), key.str(), record->bytes, revision));
  revision_ = revision;
  Record& slot = objects_[&type][key];
  auto event = std::make_shared<StoreEvent>();
  event->type = slot ? Type::kModified : Type::kAdded;
  event->resource = &type;
  event->object = record;
  event->previous = std::exchange(slot, record);
  publish(std::move(event));
  return record;
}

Result<Record> Store::erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object last) {
  Record previous = get(type, key);
  if (!previous) return fail(ErrorKind::kNotFound, "{} \"{}\" not found", type.plural, key.name);
  const uint64_t revision = revision_ + 1;
  set_revision(last, revision);
  Record record = make_record(std::move(last), revision);
  if (journal_) TRY_VOID(journal_->erase(storage_name(type), key.str(), revision));
  revision_ = revision;
  objects_[&type].erase(key);
  auto event = std::make_shared<StoreEvent>();
  event->type = Type::kDeleted;
  event->resource = &type;
  event->object = record;
  event->previous = std::move(previous);
  publish(std::move(event));
  return record;
}

void Store::publish(std::shared_ptr<const StoreEvent> event) {
  log_bytes_ += event->object->bytes.size();
  log_.push_back(event);
  trim();
  // By index: a subscriber may subscribe another.
  for (size_t i = 0; i < subscribers_.size(); ++i) subscribers_[i](*event);
}

void Store::trim() {
  while (!log_.empty() && (log_.size() > max_events_ || log_bytes_ > max_bytes_)) {
    forgotten_ = log_.front()->object->revision;
    log_bytes_ -= log_.front()->object->bytes.size();
    log_.pop_front();
  }
}

void Store::limit_log(size_t events, size_t bytes) {
  max_events_ = events;
  max_bytes_ = bytes;
  trim();
}

std::optional<std::vector<std::shared_ptr<const StoreEvent>>> Store::events_after(uint64_t after) const {
  if (after < forgotten_) return std::nullopt;
  const auto first = std::upper_bound(log_.begin(), log_.end(), after, [](uint64_t revision, const auto& event) {
    return revision < event->object->revision;
  });
  return std::vector(first, log_.end());
}

}  // namespace carrick::apiserver
