#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apiserver/journal.h"
#include "base/result.h"
#include "controllers/cluster.h"
#include "k8s/resources.h"

namespace carrick::apiserver {

// An object at one revision, with its JSON text: made once at the write, shared by the database, lists and every
// watcher.
struct StoredObject {
  k8s::json::object document;
  std::string bytes;
  uint64_t revision = 0;
};
using Record = std::shared_ptr<const StoredObject>;

inline controllers::Document document_of(const Record& record) {
  return record ? controllers::Document(record, &record->document) : nullptr;
}
// A record that no store knows (dry run, derived objects).
Record make_record(k8s::json::object document, uint64_t revision);

struct StoreEvent {
  controllers::ObjectEvent::Type type = controllers::ObjectEvent::Type::kAdded;
  const k8s::ResourceType* resource = nullptr;
  Record object;    // kDeleted: the last state with the revision of the deletion
  Record previous;  // kModified, kDeleted: the state before
  // The line of a plain watcher for each of ADDED, MODIFIED, DELETED; shared while somebody still has to send it.
  mutable std::array<std::weak_ptr<const std::string>, 3> lines;
};

// All objects, one revision counter, and the newest changes. Single-threaded. Writes go to the journal first, then to
// memory, then to the subscribers in order of subscription: a refused write changed nothing.
class Store {
 public:
  using Objects = std::map<k8s::NamespacedName, Record>;

  // An empty path keeps nothing on disk.
  static Result<std::unique_ptr<Store>> open(const std::string& path);

  uint64_t revision() const { return revision_; }
  Record get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const;
  std::vector<Record> list(const k8s::ResourceType& type, std::string_view namespace_ = {}) const;
  const Objects& objects(const k8s::ResourceType& type) const;
  // The objects as they were at `revision`; nullopt when the log does not reach back so far.
  std::optional<Objects> objects_at(const k8s::ResourceType& type, uint64_t revision) const;

  // Creates or replaces; sets metadata.resourceVersion.
  Result<Record> put(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object document);
  // `last` is the state that the DELETED event carries.
  Result<Record> erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object last);

  // Objects of a kind that was not known when the database was opened.
  void adopt(const k8s::ResourceType& type);

  // Events with a revision above `after`, oldest first; nullopt when some of them are forgotten.
  std::optional<std::vector<std::shared_ptr<const StoreEvent>>> events_after(uint64_t after) const;
  void subscribe(std::function<void(const StoreEvent&)> callback) { subscribers_.push_back(std::move(callback)); }
  // How much of the past to keep: events and bytes of their objects.
  void limit_log(size_t events, size_t bytes);

 private:
  Store() = default;
  Result<void> load();
  void publish(std::shared_ptr<const StoreEvent> event);
  void trim();

  std::unique_ptr<Journal> journal_;
  std::map<std::string, std::vector<Record>> unclaimed_;  // custom objects, until their definition comes
  std::unordered_map<const k8s::ResourceType*, Objects> objects_;
  uint64_t revision_ = 0;
  std::deque<std::shared_ptr<const StoreEvent>> log_;
  size_t log_bytes_ = 0, max_events_ = 8192, max_bytes_ = 16u << 20;
  uint64_t forgotten_ = 0;  // highest revision whose event is no longer in the log
  std::vector<std::function<void(const StoreEvent&)>> subscribers_;
};

}  // namespace carrick::apiserver
