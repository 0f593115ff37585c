#pragma once

// For the tests of this room only: a cluster in memory with nodes, controllers and a pretend kubelet.
#include <gtest/gtest.h>

#include "controllers/controllers.h"
#include "controllers/documents.h"
#include "controllers/memory_cluster.h"
#include "controllers/pretend_kubelet.h"
#include "k8s/codec.h"

namespace carrick::controllers {

struct World {
  Time clock = *parse_timestamp("2026-01-01T00:00:00Z");
  MemoryCluster cluster;
  PretendKubelet kubelet{cluster};
  std::unique_ptr<Controllers> controllers;

  static Options quiet_options() {
    Options options = lab_defaults();
    options.kubernetes_ips.clear();
    options.dns_ips.clear();
    return options;
  }

  explicit World(int nodes = 3, Options options = quiet_options(), MemoryCluster::Admission admission = {})
      : cluster(std::move(admission)) {
    options.now = [this] { return clock; };
    controllers = std::make_unique<Controllers>(cluster, std::move(options));
    EXPECT_TRUE(controllers->start());
    for (int i = 1; i <= nodes; ++i) add_node(fmt::format("node-{}", i));
    settle();
  }

  void add_node(const std::string& name, std::string_view extra_metadata = "{}", std::string_view spec = "{}") {
    json::object node = new_document(k8s::resource<k8s::Node>(), "", name);
    const json::value parsed = json::parse(extra_metadata);
    for (const auto& pair : parsed.as_object()) node["metadata"].as_object()[pair.key()] = pair.value();
    node["spec"] = json::parse(spec);
    make(std::move(node));
  }

  Document make(json::object document) {
    const auto* type = k8s::find_by_kind(text_at(document, {"apiVersion"}), text_at(document, {"kind"}));
    EXPECT_NE(type, nullptr) << json::serialize(document);
    auto made = cluster.create(*type, std::move(document));
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : nullptr;
  }
  Document make(std::string_view text) { return make(json::parse(text).as_object()); }

  // Merges `patch` into the stored object, as a user's edit does.
  template <class T>
  void edit(const k8s::NamespacedName& key, const std::function<void(json::object&)>& change) {
    json::object document = *cluster.get(k8s::resource<T>(), key);
    change(document);
    auto changed = cluster.update(k8s::resource<T>(), std::move(document));
    EXPECT_TRUE(changed) << changed.error().message;
  }

  // Of the first container in the template.
  template <class T>
  void set_image(const k8s::NamespacedName& key, std::string_view image) {
    edit<T>(key, [&](json::object& document) {
      json::object& spec = document["spec"].as_object()["template"].as_object()["spec"].as_object();
      spec["containers"].as_array()[0].as_object()["image"] = image;
    });
  }

  void settle() {
    for (int i = 0; i < 100'000; ++i) {
      controllers->run_until_idle();
      if (kubelet.run() == 0) return;
    }
    FAIL() << "the world does not come to rest";
  }

  // One step of controllers, then one of the kubelet; false when both were idle.
  bool step() {
    const size_t worked = controllers->run_until_idle();
    return kubelet.run() + worked > 0;
  }

  void advance(std::chrono::seconds time) {
    clock += time;
    cluster.now = kubelet.now = timestamp(clock);
    settle();
  }

  template <class T>
  std::vector<T> all(const std::string& namespace_ = "") const {
    std::vector<T> objects;
    for (const auto& document : cluster.list(k8s::resource<T>(), namespace_))
      objects.push_back(*k8s::decode<T>(*document));
    return objects;
  }
  template <class T>
  std::optional<T> get(const k8s::NamespacedName& key) const {
    const auto document = cluster.get(k8s::resource<T>(), key);
    return document ? std::optional(*k8s::decode<T>(*document)) : std::nullopt;
  }
  template <class T>
  json::object status(const k8s::NamespacedName& key) const {
    const auto document = cluster.get(k8s::resource<T>(), key);
    const auto* found = document ? object_at(*document, {"status"}) : nullptr;
    return found ? *found : json::object{};
  }
};

}  // namespace carrick::controllers
