#pragma once

#include <string>
#include <string_view>
#include <tuple>

#include "base/result.h"
#include "base/text_pool.h"
#include "k8s/snapshot.h"

// PURE: what lists and watch events say, put together into one state and what changed in it. No I/O, no clock.
namespace carrick::watch {

struct Page {
  std::string resource_version, next;
};

// Of each kind: the resourceVersion up to which every change is in the last published snapshot.
struct KindVersions {
  uint64_t namespaces = 0, nodes = 0, pods = 0, services = 0, endpointslices = 0, networkpolicies = 0,
           clusternetworkpolicies = 0;
};

// How much of each object is kept. kWholePods: all of it; what programs are started with (args, env, init containers)
// is of no use but to a kubelet. kTables: what desired:: computes tables from (one agent a node holds them all); an
// event that changes nothing of that is no change.
enum class Detail { kWholePods, kObjects, kTables };

// What an Assembly of Detail::kTables would have kept of these objects.
k8s::Snapshot for_tables(const k8s::Snapshot& whole);

class Assembly {
 public:
  explicit Assembly(Detail detail = Detail::kObjects) : detail_(detail) {}

  // One page of a list; an object that cannot be decoded is left out and counted. After the last page (without `next`)
  // finish_list() takes them all as what there is. A page with `first` begins anew.
  template <class T>
  Result<Page> take_page(std::string_view body, bool first);
  template <class T>
  void finish_list(const std::string& resource_version);
  // One line of a watch. kTransient: the state is unknown from here.
  template <class T>
  Result<void> take_event(std::string_view line);

  // Where the next watch of this kind goes on; empty: the state is unknown, list again.
  template <class T>
  std::string& resource_version() {
    return of<T>().resource_version;
  }
  const k8s::Snapshot& current() const { return current_; }
  bool changed() const { return !changes_.empty(); }
  // The present state under a new revision, and what changed since the last time. The first one changes everything.
  k8s::Snapshot publish(k8s::ChangeSet& changes);
  KindVersions versions() const;

  uint64_t events = 0, decode_failures = 0;

 private:
  template <class T>
  struct Incoming {
    k8s::ObjectMap<T> objects;  // pages of a list in progress
    std::string resource_version;
    bool listed = false;
  };
  template <class T>
  Incoming<T>& of() {
    return std::get<Incoming<T>>(incoming_);
  }

  template <class T>
  uint64_t number() const;
  KindVersions now() const;
  template <class T>
  void trim(T& object);

  std::tuple<Incoming<k8s::Namespace>, Incoming<k8s::Node>, Incoming<k8s::Pod>, Incoming<k8s::Service>,
             Incoming<k8s::EndpointSlice>, Incoming<k8s::NetworkPolicy>, Incoming<k8s::ClusterNetworkPolicy>>
      incoming_;
  const Detail detail_;
  TextPool texts_;
  k8s::Snapshot current_;
  k8s::ChangeSet changes_;
  KindVersions published_versions_;
  size_t listed_ = 0;
  bool published_ = false;
};

}  // namespace carrick::watch
