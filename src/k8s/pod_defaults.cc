#include "k8s/pod_defaults.h"

#include <algorithm>

#include "k8s/document.h"

namespace carrick::k8s {
namespace {

// "latest", said or implied, is the only tag that is pulled each time; a digest alone has no tag.
bool has_latest_tag(std::string_view image) {
  if (const size_t digest = image.find('@'); digest != image.npos) {
    image = image.substr(0, digest);
    return image.ends_with(":latest");
  }
  const size_t colon = image.rfind(':');
  const size_t slash = image.rfind('/');
  const bool tagged = colon != image.npos && (slash == image.npos || colon > slash);
  return !tagged || image.substr(colon + 1) == "latest";
}

void default_http_get(json::object& action) {
  json::object* get = child(action, "httpGet");
  if (!get) return;
  set_default_text(*get, "path", "/");
  set_default_text(*get, "scheme", "HTTP");
}

void default_number(json::object& object, std::string_view name, int value) {
  json::value* old = member(object, name);
  if (!old || (old->is_int64() && old->get_int64() == 0)) object[name] = value;
}

void default_probe(json::object* probe) {
  if (!probe) return;
  default_number(*probe, "timeoutSeconds", 1);
  default_number(*probe, "periodSeconds", 10);
  default_number(*probe, "successThreshold", 1);
  default_number(*probe, "failureThreshold", 3);
  default_http_get(*probe);
  if (json::object* grpc = child(*probe, "grpc")) set_default(*grpc, "service", "");
}

void default_container(json::object& container) {
  set_default_text(container, "imagePullPolicy", has_latest_tag(text(container, "image")) ? "Always" : "IfNotPresent");
  set_default_text(container, "terminationMessagePath", "/dev/termination-log");
  set_default_text(container, "terminationMessagePolicy", "File");
  ensure(container, "resources");
  each_object(container, "ports", [](json::object& port) { set_default_text(port, "protocol", "TCP"); });
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) default_probe(child(container, probe));
  if (json::object* lifecycle = child(container, "lifecycle"))
    for (const char* hook : {"postStart", "preStop"})
      if (json::object* action = child(*lifecycle, hook)) default_http_get(*action);
  each_object(container, "env", [](json::object& variable) {
    if (json::object* source = child(variable, "valueFrom"))
      if (json::object* field = child(*source, "fieldRef")) set_default_text(*field, "apiVersion", "v1");
  });
}

void default_downward_items(json::object& source) {
  each_object(source, "items", [](json::object& item) {
    if (json::object* field = child(item, "fieldRef")) set_default_text(*field, "apiVersion", "v1");
  });
}

void default_volume(json::object& volume) {
  constexpr int kFileMode = 0644;
  if (volume.size() == 1 && volume.contains("name")) volume["emptyDir"].emplace_object();
  for (const char* source : {"secret", "configMap", "downwardAPI", "projected"})
    if (json::object* files = child(volume, source)) set_default(*files, "defaultMode", kFileMode);
  if (json::object* path = child(volume, "hostPath")) set_default(*path, "type", "");
  if (json::object* downward = child(volume, "downwardAPI")) default_downward_items(*downward);
  if (json::object* projected = child(volume, "projected"))
    each_object(*projected, "sources", [](json::object& source) {
      if (json::object* token = child(source, "serviceAccountToken")) set_default(*token, "expirationSeconds", 3600);
      if (json::object* downward = child(source, "downwardAPI")) default_downward_items(*downward);
    });
  if (json::object* ephemeral = child(volume, "ephemeral"))
    if (json::object* claim = child(*ephemeral, "volumeClaimTemplate"))
      if (json::object* spec = ensure(*claim, "spec")) set_default_text(*spec, "volumeMode", "Filesystem");
}

constexpr const char* kContainerLists[] = {"initContainers", "containers", "ephemeralContainers"};

// A limit without a request is also the request.
void default_requests(json::object& container) {
  json::object* resources = child(container, "resources");
  const json::object* limits = resources ? child(*resources, "limits") : nullptr;
  if (!limits) return;
  const json::object limit_values = *limits;  // making room for `requests` may move the limits
  json::object* requests = ensure(*resources, "requests");
  if (!requests) return;
  for (const auto& [name, quantity] : limit_values) set_default(*requests, name, quantity);
}

// Guaranteed: cpu and memory limits everywhere, equal to the requests. BestEffort: neither anywhere.
std::string_view qos_class(json::object& spec) {
  bool any = false, guaranteed = true;
  for (const char* name : {"initContainers", "containers"})
    each_object(spec, name, [&](json::object& container) {
      const json::object* resources = child(container, "resources");
      for (const char* resource : {"cpu", "memory"}) {
        const json::object* limits = resources ? child(*resources, "limits") : nullptr;
        const json::object* requests = resources ? child(*resources, "requests") : nullptr;
        const json::value* limit = limits ? member(*limits, resource) : nullptr;
        const json::value* request = requests ? member(*requests, resource) : nullptr;
        any |= limit || request;
        guaranteed &= limit && request && *limit == *request;
      }
    });
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

}  // namespace

void default_pod_spec(json::object& spec) {
  set_default_text(spec, "dnsPolicy", "ClusterFirst");
  set_default_text(spec, "restartPolicy", "Always");
  set_default(spec, "terminationGracePeriodSeconds", 30);
  set_default_text(spec, "schedulerName", "default-scheduler");
  ensure(spec, "securityContext");
  for (const char* list_name : kContainerLists) each_object(spec, list_name, default_container);
  each_object(spec, "volumes", default_volume);
}

void default_pod(json::object& document) {
  ensure(document, "status");  // before any pointer into the document: growing moves its members
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  for (const char* list_name : kContainerLists) each_object(*spec, list_name, default_requests);
  default_pod_spec(*spec);
  set_default(*spec, "enableServiceLinks", true);
  set_default_text(*spec, "serviceAccountName", "default");
  if (is_true(*spec, "hostNetwork"))
    for (const char* list_name : kContainerLists)
      each_object(*spec, list_name, [](json::object& container) {
        each_object(container, "ports", [](json::object& port) {
          if (const json::value* number = member(port, "containerPort"); number && number->is_int64())
            default_number(port, "hostPort", static_cast<int>(number->get_int64()));
        });
      });
  json::object* status = child(document, "status");
  if (!status) return;
  set_default_text(*status, "phase", "Pending");
  set_default_text(*status, "qosClass", qos_class(*spec));
}

}  // namespace carrick::k8s
