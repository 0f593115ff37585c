#pragma once

#include <functional>
#include <optional>

#include "apiserver/apply/merge_type.h"
#include "apiserver/custom/custom_types.h"
#include "apiserver/service_allocation.h"
#include "apiserver/status.h"
#include "apiserver/store.h"

namespace carrick::apiserver {

// Which part of the object a write may change.
enum class Part {
  kMain,      // everything but status
  kStatus,    // status, labels and annotations
  kFinalize,  // as kMain, and a Namespace's spec.finalizers
};

// Who writes, for metadata.managedFields.
struct WrittenBy {
  std::string manager = "carrick";
  std::optional<k8s::json::array> managed = {};  // decided already, by an apply
};

struct Deletion {
  Record object;      // the last state
  bool gone = false;  // false: it waits for its finalizers or its grace period
};

// The way into the store, the same for requests from outside and for controllers: metadata, namespace life, defaults,
// allocation, validation, generation, graceful deletion. Knows no HTTP.
class Registry {
 public:
  struct Options {
    ServiceAllocator::Ranges service_ranges;
    std::function<int64_t()> now = {};              // seconds since 1970; empty = the system clock
    std::function<uint64_t(uint64_t)> random = {};  // a number below its argument; empty = unpredictable
  };
  Registry(Store& store, Options options);

  StatusOr<Record> create(const k8s::ResourceType& type, std::string_view namespace_, k8s::json::object document,
                          bool dry_run = false, const WrittenBy& by = {});
  // `key` is what the URL says. An update that changes nothing writes nothing.
  StatusOr<Record> update(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object document,
                          Part part, bool dry_run = false, const WrittenBy& by = {});
  StatusOr<Deletion> remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                            const controllers::DeleteOptions& options, bool dry_run = false);

  // pods/binding: the scheduler's write.
  StatusOr<> bind(const k8s::NamespacedName& pod, const k8s::json::object& binding, bool dry_run = false);
  // The scale subresource (autoscaling/v1) of a workload.
  static k8s::json::object scale_of(const k8s::json::object& workload, const ScalePaths& paths = {});
  StatusOr<Record> set_scale(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                             const k8s::json::object& scale, const ScalePaths& paths = {}, bool dry_run = false);

  // SVC-A13: the ServiceCIDR of the start, and an IPAddress for each address of a stored Service.
  StatusOr<> have_address_objects();

  const CustomTypes& custom() const { return custom_; }
  // How server-side apply sees the kind.
  MergeType merge_type_of(const k8s::ResourceType& type) const;
  Store& store() { return store_; }
  std::string timestamp(int64_t offset_seconds = 0) const;  // RFC 3339, UTC

 private:
  StatusOr<> check_namespace(const k8s::ResourceType& type, std::string_view namespace_, std::string_view name) const;
  StatusOr<> name_new_object(const k8s::ResourceType& type, k8s::json::object& metadata);
  StatusOr<> prepare_create(const k8s::ResourceType& type, k8s::json::object& document);
  StatusOr<> check_update(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                          const k8s::json::object& document, const StoredObject& old) const;
  void keep_server_fields(const k8s::ResourceType& type, k8s::json::object& document, const k8s::json::object& old,
                          Part part) const;
  StatusOr<> prepare_update(const k8s::ResourceType& type, k8s::json::object& document, const k8s::json::object& old,
                            Part part);
  void own_fields(const k8s::ResourceType& type, k8s::json::object& document, const k8s::json::object& old, Part part,
                  const WrittenBy& by, const std::optional<k8s::json::array>& given) const;
  StatusOr<Record> finish_update(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                 k8s::json::object document, const Record& old, bool dry_run);
  StatusOr<Deletion> remove_namespace(const Record& old, bool dry_run);
  StatusOr<Deletion> begin_deletion(const k8s::ResourceType& type, const Record& old, k8s::json::object document,
                                    int64_t grace, bool dry_run);
  StatusOr<Record> put(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object document,
                       bool dry_run);
  StatusOr<Deletion> erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, k8s::json::object last,
                           bool dry_run);
  std::string uuid();

  // registry_addresses.cc
  static const k8s::ResourceType& ranges();
  static const k8s::ResourceType& addresses();
  void follow_addresses();
  void prepare_new_range(k8s::json::object& range) const;
  StatusOr<> hold_addresses(const k8s::json::object& service);
  StatusOr<> let_go_of_addresses(const k8s::json::object& before, const k8s::json::object* now);
  StatusOr<> address_went(const k8s::json::object& address);
  bool is_needed(const k8s::json::object& range) const;
  StatusOr<> release_ranges();
  // `before` and `now` may be null, not both.
  StatusOr<> after_write(const k8s::ResourceType& type, const k8s::json::object* before, const k8s::json::object* now);

  // registry_custom.cc
  StatusOr<> prepare_custom(const k8s::ResourceType& type, k8s::json::object& document, const k8s::json::object* old);
  StatusOr<> prepare_definition(k8s::json::object& definition, const k8s::json::object* old) const;
  StatusOr<Deletion> remove_definition(const Record& old, const controllers::DeleteOptions& options);
  StatusOr<> finish_definition(const CustomKind& kind);
  StatusOr<> check_definition_lives(const CustomKind& kind) const;

  Store& store_;
  CustomTypes custom_;
  Options options_;
  ServiceAllocator allocator_;
};

bool counts_generations(const k8s::ResourceType& type);

}  // namespace carrick::apiserver
