#pragma once

#include <map>

#include "controllers/cluster.h"

namespace carrick::controllers {

// Cluster without a disk, a network or a clock: for tests and for offline plans. It does what the API server does on
// the way into the store as far as controllers can tell, and gives equal names, uids and times to equal histories.
class MemoryCluster : public Cluster {
 public:
  // Called after defaults and before anything is stored; `old` is null on create. Allocation and validation go here.
  using Admission =
      std::function<Result<void>(const k8s::ResourceType&, k8s::json::object& document, const k8s::json::object* old)>;

  explicit MemoryCluster(Admission admission = {}) : admission_(std::move(admission)) {}

  Document get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const override;
  std::vector<Document> list(const k8s::ResourceType& type, std::string_view namespace_ = {}) const override;
  Result<Document> create(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<Document> update(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<Document> update_status(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<void> remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                      const DeleteOptions& options = {}) override;
  void subscribe(std::function<void(const ObjectEvent&)> callback) override {
    callbacks_.push_back(std::move(callback));
  }

  // What creationTimestamp and deletionTimestamp say.
  std::string now = "2026-01-01T00:00:00Z";
  uint64_t revision() const { return revision_; }

 private:
  using Shelf = std::map<k8s::NamespacedName, Document>;
  Result<Document> store(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object document,
                         const Document& old);
  void erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object last);
  void tell(ObjectEvent event);
  std::string make_uid();

  Admission admission_;
  std::map<const k8s::ResourceType*, Shelf> shelves_;
  std::vector<std::function<void(const ObjectEvent&)>> callbacks_;
  uint64_t revision_ = 0, uids_ = 0, names_ = 0;
};

}  // namespace carrick::controllers
