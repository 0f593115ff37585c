#include "apiserver/strategy.h"

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

// True when every one of cpu and memory that `quantities` may name is there.
bool complete(const json::object* quantities) {
  return quantities && quantities->contains("cpu") && quantities->contains("memory");
}

struct Demand {
  bool any = false, guaranteed = true;
};

void add_demand(const json::array* containers, Demand& demand) {
  for (const json::value& value : containers ? *containers : json::array{}) {
    const json::object* container = value.if_object();
    if (!container) continue;
    const json::object* limits = object_at(*container, "resources.limits");
    const json::object* requests = object_at(*container, "resources.requests");
    if ((limits && !limits->empty()) || (requests && !requests->empty())) demand.any = true;
    if (!complete(limits))
      demand.guaranteed = false;
    else if (requests)
      for (std::string_view name : {"cpu", "memory"})
        if (const json::value* request = requests->if_contains(name); request && *request != limits->at(name))
          demand.guaranteed = false;
  }
}

}  // namespace

std::string quality_of_service(const json::object& pod) {
  Demand demand;
  add_demand(array_at(pod, "spec.containers"), demand);
  add_demand(array_at(pod, "spec.initContainers"), demand);
  if (!demand.any) return "BestEffort";
  return demand.guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_new_pod(json::object& pod) {
  pod["status"] = json::object{{"phase", "Pending"}, {"qosClass", quality_of_service(pod)}};
}

void prepare_new_namespace(json::object& namespace_) {
  child_object(metadata_of(namespace_), "labels")["kubernetes.io/metadata.name"] = metadata_of(namespace_)["name"];
  child_object(namespace_, "spec")["finalizers"] = json::array{"kubernetes"};
  namespace_["status"] = json::object{{"phase", "Active"}};
}

void prepare_new_job(json::object& job) {
  json::object& spec = child_object(job, "spec");
  if (flag_at(job, "spec.manualSelector")) return;
  const std::string uid(text_at(job, "metadata.uid")), name(text_at(job, "metadata.name"));
  json::object& labels = child_object(metadata_of(child_object(spec, "template")), "labels");
  for (std::string_view prefix : {"", "batch.kubernetes.io/"}) {
    labels[std::string(prefix) + "controller-uid"] = uid;
    labels[std::string(prefix) + "job-name"] = name;
  }
  spec["selector"] = json::object{{"matchLabels", json::object{{"batch.kubernetes.io/controller-uid", uid}}}};
}

}  // namespace carrick::apiserver
