#include <algorithm>

#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"
#include "net/ip.h"

namespace carrick::k8s {
namespace {

// With generateName, something is appended: a trailing dash is good.
std::string mask_trailing_dash(std::string name) {
  if (name.size() > 1 && name.ends_with('-')) name.replace(name.size() - 2, 2, "a");
  return name;
}

Complaints check_name(const ResourceType& type, std::string_view name) {
  if (&type == &resource<Service>()) return check_dns1035_label(name);
  if (&type == &resource<Namespace>() || &type == &resource<StatefulSet>()) return check_dns1123_label(name);
  if (type.group == "rbac.authorization.k8s.io") return check_path_segment(name);
  if (type.plural == "ipaddresses" && type.group == "networking.k8s.io") {
    const auto address = net::IpAddress::parse(name);
    if (!address) return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
    if (address->str() != name) return {fmt::format("must be in canonical form (\"{}\")", address->str())};
    return {};
  }
  return check_dns1123_subdomain(name);
}

void check_owners(const std::vector<OwnerReference>& owners, Findings& findings) {
  const std::string field = "metadata.ownerReferences";
  std::string controller;
  for (const OwnerReference& owner : owners) {
    if (owner.apiVersion.empty())
      findings.invalid(field + ".apiVersion", owner.apiVersion, "version must not be empty");
    if (owner.kind.empty()) findings.invalid(field + ".kind", owner.kind, "kind must not be empty");
    if (owner.name.empty()) findings.invalid(field + ".name", owner.name, "name must not be empty");
    if (owner.uid.empty()) findings.invalid(field + ".uid", owner.uid, "uid must not be empty");
    if (!owner.controller.value_or(false)) continue;
    const std::string name = owner.kind + "/" + owner.name;
    if (!controller.empty())
      findings.invalid(
          field, name,
          fmt::format("Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                      controller, name));
    else
      controller = name;
  }
}

void check_finalizers(const std::vector<std::string>& finalizers, Findings& findings) {
  bool orphan = false, foreground = false;
  for (const std::string& finalizer : finalizers) {
    findings.invalid("metadata.finalizers", finalizer, check_qualified_name(finalizer));
    orphan |= finalizer == "orphan";
    foreground |= finalizer == "foregroundDeletion";
  }
  if (orphan && foreground)
    findings.invalid("metadata.finalizers", finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

void check_node(const json::object& document, const json::object* old, Findings& findings) {
  const Node node = decode<Node>(document).value();
  const std::vector<std::string>& cidrs = node.spec.podCIDRs;
  int families[2] = {0, 0};
  for (size_t i = 0; i < cidrs.size(); ++i)
    if (check_cidr(cidrs[i], at("spec.podCIDRs", i), findings)) ++families[cidrs[i].find(':') != std::string::npos];
  if (families[0] > 1 || families[1] > 1)
    findings.invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family");
  if (!old) return;
  const auto before = decode<Node>(*old);
  if (!before) return;
  if (!before->spec.podCIDRs.empty() && before->spec.podCIDRs != cidrs)
    findings.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
  if (!before->spec.providerID.empty() && before->spec.providerID != node.spec.providerID)
    findings.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
}

// ConfigMap and Secret: keys that may become file names, 1 MiB in all, immutable when they say so.
void check_keyed_data(const json::object& document, const json::object* old, std::initializer_list<const char*> fields,
                      Findings& findings) {
  constexpr size_t kMostBytes = 1 << 20;
  size_t bytes = 0;
  for (const char* field : fields) {
    const json::object* data = child(document, field);
    if (!data) continue;
    for (const auto& [key, value] : *data) {
      const std::string path = fmt::format("{}[{}]", field, std::string_view(key));
      findings.invalid(path, std::string_view(key), check_config_map_key(key));
      if (!value.is_string()) {
        findings.add("TypeInvalid", path, "must be a string", {});
        continue;
      }
      bytes += value.get_string().size();
    }
  }
  const json::object* data = child(document, "data");
  if (const json::object* binary = child(document, "binaryData"); data && binary)
    for (const auto& [key, value] : *data)
      if (binary->contains(key))
        findings.invalid(fmt::format("data[{}]", std::string_view(key)), std::string_view(key),
                         "duplicate of key present in binaryData");
  if (bytes > kMostBytes) findings.too_long("", kMostBytes);
  if (!old || !is_true(*old, "immutable")) return;
  if (!is_true(document, "immutable")) findings.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const char* field : fields) {
    const json::value *now = member(document, field), *before = member(*old, field);
    if ((now ? *now : json::value{}) != (before ? *before : json::value{}))
      findings.forbidden(field, "field is immutable when `immutable` is set");
  }
}

void check_spec(const ResourceType& type, const json::object& document, const json::object* old, Findings& findings) {
  if (&type == &resource<Service>()) return check_service(document, old, findings);
  if (&type == &resource<NetworkPolicy>()) return check_networkpolicy(document, findings);
  // By name: where it is defined by a CustomResourceDefinition it is a type of the server's own.
  if (type.kind == "ClusterNetworkPolicy" && type.group == resource<ClusterNetworkPolicy>().group)
    return check_clusternetworkpolicy(document, findings);
  if (&type == &resource<EndpointSlice>()) return check_endpointslice(document, old, findings);
  if (&type == &resource<Pod>()) return check_pod(document, old, findings);
  if (&type == &resource<Deployment>()) return check_deployment(document, old, findings);
  if (&type == &resource<ReplicaSet>()) return check_replicaset(document, old, findings);
  if (&type == &resource<StatefulSet>()) return check_statefulset(document, old, findings);
  if (&type == &resource<DaemonSet>()) return check_daemonset(document, old, findings);
  if (&type == &resource<Job>()) return check_job(document, old, findings);
  if (&type == &resource<Node>()) return check_node(document, old, findings);
  if (&type == &resource<ConfigMap>()) return check_keyed_data(document, old, {"data", "binaryData"}, findings);
  static const ResourceType* const service_cidr = find_by_kind("networking.k8s.io/v1", "ServiceCIDR");
  if (&type == service_cidr) return check_service_cidr(document, old, findings);
  static const ResourceType* const ip_address = find_by_kind("networking.k8s.io/v1", "IPAddress");
  if (&type == ip_address) return check_ip_address(document, old, findings);
  static const ResourceType* const secret = find_by_kind("v1", "Secret");
  if (&type == secret) return check_keyed_data(document, old, {"data"}, findings);
}

}  // namespace

void check_metadata(const ResourceType& type, const ObjectMeta& metadata, Findings& findings) {
  if (!metadata.generateName.empty())
    findings.invalid("metadata.generateName", metadata.generateName,
                     check_name(type, mask_trailing_dash(metadata.generateName)));
  if (metadata.name.empty())
    findings.required("metadata.name", "name or generateName is required");
  else
    findings.invalid("metadata.name", metadata.name, check_name(type, metadata.name));
  if (type.namespaced) {
    if (metadata.namespace_.empty())
      findings.required("metadata.namespace");
    else
      findings.invalid("metadata.namespace", metadata.namespace_, check_dns1123_label(metadata.namespace_));
  } else if (!metadata.namespace_.empty()) {
    findings.forbidden("metadata.namespace", "not allowed on this type");
  }
  findings.not_negative("metadata.generation", metadata.generation);
  check_labels(metadata.labels, "metadata.labels", findings);
  check_annotations(metadata.annotations, "metadata.annotations", findings);
  check_owners(metadata.ownerReferences, findings);
  check_finalizers(metadata.finalizers, findings);
}

void check_metadata_update(const ObjectMeta& metadata, const ObjectMeta& old, Findings& findings) {
  if (old.deletionTimestamp) {
    std::vector<std::string> added;
    for (const std::string& finalizer : metadata.finalizers)
      if (std::ranges::find(old.finalizers, finalizer) == old.finalizers.end()) added.push_back(finalizer);
    if (!added.empty())
      findings.forbidden(
          "metadata.finalizers",
          "no new finalizers can be added if the object is being deleted, found new finalizers " + go_value(added));
  }
  if (metadata.name != old.name) findings.invalid("metadata.name", metadata.name, "field is immutable");
  if (metadata.namespace_ != old.namespace_)
    findings.invalid("metadata.namespace", metadata.namespace_, "field is immutable");
  if (!metadata.uid.empty() && metadata.uid != old.uid)
    findings.invalid("metadata.uid", metadata.uid, "field is immutable");
}

std::vector<FieldError> validate(const ResourceType& type, const json::object& document, const json::object* old) {
  if (auto wrong = check_types(&type, document)) return {std::move(*wrong)};
  Findings findings;
  const ObjectMeta metadata = metadata_of(document).value_or(ObjectMeta{});
  check_metadata(type, metadata, findings);
  if (old) check_metadata_update(metadata, metadata_of(*old).value_or(ObjectMeta{}), findings);
  check_spec(type, document, old, findings);
  return findings.take();
}

}  // namespace carrick::k8s
