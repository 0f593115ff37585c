#include <map>

#include "apiserver/printers.h"

namespace carrick::apiserver {
namespace printers {
namespace {

size_t entries(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  if (!value) return 0;
  return value->is_object() ? value->get_object().size() : value->is_array() ? value->get_array().size() : 0;
}

std::string name(const json::object& document) { return std::string(text_at(document, "metadata.name")); }
std::string created(const json::object& document, int64_t now) {
  return age(document, "metadata.creationTimestamp", now);
}

}  // namespace

json::array plain(const json::object& d, int64_t now) { return {name(d), created(d, now)}; }
json::array namespace_(const json::object& d, int64_t now) {
  return {name(d), text_at(d, "status.phase"), created(d, now)};
}
json::array config_map(const json::object& d, int64_t now) {
  return {name(d), entries(d, "data") + entries(d, "binaryData"), created(d, now)};
}
json::array secret(const json::object& d, int64_t now) {
  return {name(d), text_at(d, "type"), entries(d, "data"), created(d, now)};
}
json::array service_account(const json::object& d, int64_t now) {
  return {name(d), entries(d, "secrets"), created(d, now)};
}
json::array lease(const json::object& d, int64_t now) {
  return {name(d), text_at(d, "spec.holderIdentity"), created(d, now)};
}

json::array event(const json::object& d, int64_t now) {
  const int64_t count = std::max<int64_t>(number_at(d, "series.count", number_at(d, "count")), 1);
  // A single event may carry only eventTime.
  const auto since = [&](std::initializer_list<std::string_view> paths) {
    for (std::string_view path : paths)
      if (field(d, path)) return age(d, path, now);
    return std::string("<unknown>");
  };
  const std::string first = since({"firstTimestamp", "eventTime"});
  std::string last = since({"series.lastObservedTime", "lastTimestamp", "eventTime"});
  if (count > 1) last = fmt::format("{} (x{} over {})", last, count, first);
  std::string source(text_at(d, "source.component"));
  if (source.empty()) source = text_at(d, "reportingComponent");
  if (const std::string_view host = text_at(d, "source.host"); !host.empty()) source += ", " + std::string(host);
  std::string kind(text_at(d, "involvedObject.kind"));
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return {last,
          text_at(d, "type"),
          text_at(d, "reason"),
          kind + "/" + std::string(text_at(d, "involvedObject.name")),
          text_at(d, "involvedObject.fieldPath"),
          source,
          text_at(d, "message"),
          first,
          count,
          name(d)};
}

std::string or_none(std::string text) { return text.empty() ? "<none>" : std::move(text); }

std::string label_map(const json::object* labels) {
  std::map<std::string_view, std::string> sorted;
  if (labels)
    for (const auto& [key, value] : *labels) sorted[key] = value.is_string() ? std::string(value.get_string()) : "";
  std::string out;
  for (const auto& [key, value] : sorted) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  return out;
}

std::string label_selector(const json::object* selector) {
  if (!selector) return "<none>";
  std::string out = label_map(object_at(*selector, "matchLabels"));
  const json::array* expressions = array_at(*selector, "matchExpressions");
  for (const json::value& value : expressions ? *expressions : json::array{}) {
    const json::object* term = value.if_object();
    if (!term) continue;
    std::string values;
    if (const json::array* given = array_at(*term, "values"))
      for (const json::value& v : *given)
        if (v.is_string()) values += (values.empty() ? "" : ",") + std::string(v.get_string());
    const std::string_view op = text_at(*term, "operator"), key = text_at(*term, "key");
    if (!out.empty()) out += ',';
    if (op == "In")
      out += fmt::format("{} in ({})", key, values);
    else if (op == "NotIn")
      out += fmt::format("{} notin ({})", key, values);
    else if (op == "DoesNotExist")
      out += fmt::format("!{}", key);
    else
      out += key;
  }
  return or_none(out);
}

std::string limited(const std::vector<std::string>& parts, size_t most) {
  std::string out;
  for (size_t i = 0; i < parts.size() && i < most; ++i) out += (i ? "," : "") + parts[i];
  if (parts.size() > most) out += fmt::format(" + {} more...", parts.size() - most);
  return out;
}

std::pair<std::string, std::string> containers_and_images(const json::object& document) {
  std::string names, images;
  const json::array* containers = array_at(document, "spec.template.spec.containers");
  if (!containers) containers = array_at(document, "spec.jobTemplate.spec.template.spec.containers");
  for (const json::value& value : containers ? *containers : json::array{}) {
    const json::object* container = value.if_object();
    if (!container) continue;
    names += (names.empty() ? "" : ",") + std::string(text_at(*container, "name"));
    images += (images.empty() ? "" : ",") + std::string(text_at(*container, "image"));
  }
  return {names, images};
}

}  // namespace printers

namespace {

constexpr Column kName{"Name", "string", 0, "name"};
constexpr Column kAge{"Age"};

std::map<std::string, Printer> make_printers() {
  using namespace printers;
  const auto wide = [](std::string_view column_name) { return Column{column_name, "string", 1}; };
  const auto number = [](std::string_view column_name) { return Column{column_name, "integer"}; };
  const Column containers = wide("Containers"), images = wide("Images"), selector = wide("Selector");
  return {
      {"pods",
       {{kName,
         {"Ready"},
         {"Status"},
         {"Restarts"},
         kAge,
         wide("IP"),
         wide("Node"),
         wide("Nominated Node"),
         wide("Readiness Gates")},
        pod}},
      {"nodes",
       {{kName,
         {"Status"},
         {"Roles"},
         kAge,
         {"Version"},
         wide("Internal-IP"),
         wide("External-IP"),
         wide("OS-Image"),
         wide("Kernel-Version"),
         wide("Container-Runtime")},
        node}},
      {"deployments.apps",
       {{kName, {"Ready"}, number("Up-to-date"), number("Available"), kAge, containers, images, selector}, deployment}},
      {"replicasets.apps",
       {{kName, number("Desired"), number("Current"), number("Ready"), kAge, containers, images, selector},
        replica_set}},
      {"statefulsets.apps", {{kName, {"Ready"}, kAge, containers, images}, stateful_set}},
      {"daemonsets.apps",
       {{kName,
         number("Desired"),
         number("Current"),
         number("Ready"),
         number("Up-to-date"),
         number("Available"),
         {"Node Selector"},
         kAge,
         containers,
         images,
         selector},
        daemon_set}},
      {"jobs.batch", {{kName, {"Status"}, {"Completions"}, {"Duration"}, kAge, containers, images, selector}, job}},
      {"cronjobs.batch",
       {{kName,
         {"Schedule"},
         {"Timezone"},
         {"Suspend"},
         number("Active"),
         {"Last Schedule"},
         kAge,
         containers,
         images,
         selector},
        cron_job}},
      {"services", {{kName, {"Type"}, {"Cluster-IP"}, {"External-IP"}, {"Port(s)"}, kAge, selector}, service}},
      {"endpoints", {{kName, {"Endpoints"}, kAge}, endpoints}},
      {"endpointslices.discovery.k8s.io", {{kName, {"AddressType"}, {"Ports"}, {"Endpoints"}, kAge}, endpoint_slice}},
      {"networkpolicies.networking.k8s.io", {{kName, {"Pod-Selector"}, kAge}, network_policy}},
      {"ingresses.networking.k8s.io", {{kName, {"Class"}, {"Hosts"}, {"Address"}, {"Ports"}, kAge}, ingress}},
      {"ingressclasses.networking.k8s.io", {{kName, {"Controller"}, {"Parameters"}, kAge}, ingress_class}},
      {"servicecidrs.networking.k8s.io", {{kName, {"CIDRs"}, kAge}, service_cidr}},
      {"ipaddresses.networking.k8s.io", {{kName, {"ParentRef"}, kAge}, ip_address}},
      {"namespaces", {{kName, {"Status"}, kAge}, namespace_}},
      {"configmaps", {{kName, number("Data"), kAge}, config_map}},
      {"secrets", {{kName, {"Type"}, number("Data"), kAge}, secret}},
      {"serviceaccounts", {{kName, number("Secrets"), kAge}, service_account}},
      {"events",
       {{{"Last Seen"},
         {"Type"},
         {"Reason"},
         {"Object"},
         wide("Subobject"),
         wide("Source"),
         {"Message"},
         wide("First Seen"),
         {"Count", "integer", 1},
         {"Name", "string", 1, "name"}},
        event}},
      {"leases.coordination.k8s.io", {{kName, {"Holder"}, kAge}, lease}},
  };
}

}  // namespace

const Printer& printer_for(const k8s::ResourceType& type) {
  static const std::map<std::string, Printer> printers_by_resource = make_printers();
  static const Printer plain{{kName, kAge}, printers::plain};
  const auto found = printers_by_resource.find(type.group.empty() ? type.plural : type.plural + "." + type.group);
  return found == printers_by_resource.end() ? plain : found->second;
}

}  // namespace carrick::apiserver
