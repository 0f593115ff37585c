#pragma once

#include <unordered_map>
#include <unordered_set>

#include "controllers/controller.h"

namespace carrick::controllers {

// Deletes what has lost all its owners (Background), what an owner waits for (Foreground), and cuts ties where
// dependents shall stay (Orphan). Works on any kind: it reads metadata only. Its keys are uids.
class GarbageCollector : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "garbage-collector"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  struct Owner {
    std::string uid;
    bool known_kind = true;  // one we could see if it existed
    bool blocks = false;     // blockOwnerDeletion
    bool operator==(const Owner&) const = default;
  };
  struct Item {
    const k8s::ResourceType* type = nullptr;
    k8s::NamespacedName key;
    std::vector<Owner> owners;
    bool deleting = false, foreground = false, orphan = false;
  };
  Item read(const Change& change) const;
  bool is_known(std::string_view api_version, std::string_view kind) const;
  void forget(const std::string& uid);
  Result<void> finish_foreground(const std::string& uid, const Item& item);
  Result<void> orphan_dependents(const std::string& uid, const Item& item);
  Result<void> collect(const std::string& uid, const Item& item);
  Result<void> remove(const std::string& uid, const Item& item, std::string propagation);
  Result<void> drop_finalizer(const Item& item, std::string_view finalizer);
  Result<void> drop_owners(const Item& item, const std::unordered_set<std::string>& uids);

  std::unordered_map<std::string, Item> items_;
  std::unordered_map<std::string, std::unordered_set<std::string>> dependents_;
};

}  // namespace carrick::controllers
