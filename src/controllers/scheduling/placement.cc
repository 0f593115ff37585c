#include "controllers/scheduling/placement.h"

#include <algorithm>

namespace carrick::controllers {

namespace {

bool is_any_address(std::string_view ip) { return ip.empty() || ip == "0.0.0.0" || ip == "::"; }

bool requirement_holds(const json::object& requirement, const std::string* value) {
  const auto op = text_at(requirement, {"operator"});
  const auto* values = array_at(requirement, {"values"});
  auto listed = [&] {
    return value && values && std::ranges::any_of(*values, [&](const json::value& v) {
             return v.is_string() && v.get_string() == *value;
           });
  };
  if (op == "In") return listed();
  if (op == "NotIn") return !listed();
  if (op == "Exists") return value != nullptr;
  if (op == "DoesNotExist") return value == nullptr;
  if ((op == "Gt" || op == "Lt") && value && values && values->size() == 1 && values->front().is_string()) {
    const long long have = std::atoll(value->c_str()), bound = std::atoll(values->front().get_string().c_str());
    return op == "Gt" ? have > bound : have < bound;
  }
  return false;
}

bool term_holds(const json::object& term, const k8s::Node& node) {
  const auto* expressions = array_at(term, {"matchExpressions"});
  const auto* fields = array_at(term, {"matchFields"});
  if (!expressions && !fields) return false;  // the API: an empty term matches nothing
  if (expressions) {
    for (const auto& expression : *expressions) {
      const auto label = node.metadata.labels.find(std::string(text_at(expression.as_object(), {"key"})));
      if (!requirement_holds(expression.as_object(), label == node.metadata.labels.end() ? nullptr : &label->second))
        return false;
    }
  }
  if (fields) {
    for (const auto& field : *fields) {
      if (!requirement_holds(field.as_object(), &node.metadata.name)) return false;
    }
  }
  return true;
}

}  // namespace

bool tolerates(const std::vector<k8s::Toleration>& tolerations, const k8s::Taint& taint) {
  return std::ranges::any_of(tolerations, [&](const k8s::Toleration& toleration) {
    if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
    if (toleration.operator_ == "Exists") return toleration.key.empty() || toleration.key == taint.key;
    return toleration.key == taint.key && toleration.value == taint.value;
  });
}

std::optional<k8s::Taint> untolerated_taint(const k8s::Node& node, const std::vector<k8s::Toleration>& tolerations) {
  std::vector<k8s::Taint> taints = node.spec.taints;
  for (const auto& condition : node.status.conditions) {
    if (condition.type == "Ready" && condition.status != "True")
      taints.push_back({"node.kubernetes.io/not-ready", "", "NoSchedule"});
  }
  for (const auto& taint : taints) {
    if (taint.effect != "PreferNoSchedule" && !tolerates(tolerations, taint)) return taint;
  }
  return std::nullopt;
}

bool selects_node(const k8s::PodSpec& spec, const json::object& pod_document, const k8s::Node& node) {
  if (!k8s::matches(spec.nodeSelector, node.metadata.labels)) return false;
  const auto* terms = array_at(pod_document, {"spec", "affinity", "nodeAffinity",
                                              "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"});
  if (!terms) return true;
  return std::ranges::any_of(
      *terms, [&](const json::value& term) { return term.is_object() && term_holds(term.get_object(), node); });
}

std::vector<HostPort> host_ports(const k8s::PodSpec& spec) {
  std::vector<HostPort> ports;
  for (const auto& container : spec.containers) {
    for (const auto& port : container.ports) {
      // The API copies containerPort into hostPort for hostNetwork; a manifest may leave it out.
      const int32_t number = port.hostPort ? port.hostPort : spec.hostNetwork ? port.containerPort : 0;
      if (number) ports.push_back({port.hostIP, port.protocol.empty() ? "TCP" : port.protocol, number});
    }
  }
  return ports;
}

bool collide(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol &&
         (is_any_address(a.host_ip) || is_any_address(b.host_ip) || a.host_ip == b.host_ip);
}

}  // namespace carrick::controllers
