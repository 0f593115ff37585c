#pragma once

#include "apiserver/registry.h"
#include "controllers/cluster.h"

namespace carrick::apiserver {

// The controllers' door to the registry: same admission as requests, no serialization in between.
class ClusterDoor final : public controllers::Cluster {
 public:
  explicit ClusterDoor(Registry& registry);
  controllers::Document get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const override;
  std::vector<const k8s::ResourceType*> custom_types() const override;
  std::vector<controllers::Document> list(const k8s::ResourceType& type, std::string_view namespace_) const override;
  Result<controllers::Document> create(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<controllers::Document> update(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<controllers::Document> update_status(const k8s::ResourceType& type, k8s::json::object document) override;
  Result<void> remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                      const controllers::DeleteOptions& options) override;
  void subscribe(std::function<void(const controllers::ObjectEvent&)> callback) override;

 private:
  Registry& registry_;
};

}  // namespace carrick::apiserver
