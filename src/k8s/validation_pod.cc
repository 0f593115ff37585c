#include <algorithm>
#include <limits>
#include <set>

#include "base/text.h"
#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"

// The parts of ValidatePod (kube-apiserver 1.33) that concern what Carrick reads of a pod.
namespace carrick::k8s {
namespace {

void check_container_ports(const std::vector<ContainerPort>& ports, const std::string& list, Findings& findings) {
  std::set<std::string> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const ContainerPort& port = ports[i];
    const std::string field = at(list, i);
    if (!port.name.empty()) {
      const Complaints complaints = check_port_name(port.name);
      findings.invalid(field + ".name", port.name, complaints);
      if (complaints.empty() && !names.insert(port.name).second) findings.duplicate(field + ".name", port.name);
    }
    if (port.containerPort == 0)
      findings.required(field + ".containerPort");
    else
      findings.invalid(field + ".containerPort", port.containerPort, check_port_number(port.containerPort));
    if (port.hostPort != 0) findings.invalid(field + ".hostPort", port.hostPort, check_port_number(port.hostPort));
    if (!port.protocol.empty()) findings.check_supported(field + ".protocol", port.protocol, {"SCTP", "TCP", "UDP"});
  }
}

void check_probe(const std::optional<Probe>& probe, const std::string& field, bool succeeds_once, Findings& findings) {
  if (!probe) return;
  bool handled = false;
  const auto handler = [&](bool present, const char* name) {
    if (present && handled)
      findings.forbidden(fmt::format("{}.{}", field, name), "may not specify more than 1 handler type");
    const bool first = present && !handled;
    handled |= present;
    return first;
  };
  if (handler(probe->exec.has_value(), "exec") && probe->exec->command.empty())
    findings.required(field + ".exec.command");
  if (handler(probe->httpGet.has_value(), "httpGet")) {
    check_port_number_or_name(probe->httpGet->port, field + ".httpGet.port", findings);
    if (!probe->httpGet->scheme.empty())
      findings.check_supported(field + ".httpGet.scheme", probe->httpGet->scheme, {"HTTP", "HTTPS"});
  }
  if (handler(probe->tcpSocket.has_value(), "tcpSocket"))
    check_port_number_or_name(probe->tcpSocket->port, field + ".tcpSocket.port", findings);
  if (handler(probe->grpc.has_value(), "grpc"))
    findings.invalid(field + ".grpc.port", probe->grpc->port, check_port_number(probe->grpc->port));
  if (!handled) findings.required(field, "must specify a handler type");
  findings.not_negative(field + ".initialDelaySeconds", probe->initialDelaySeconds);
  findings.not_negative(field + ".timeoutSeconds", probe->timeoutSeconds);
  findings.not_negative(field + ".periodSeconds", probe->periodSeconds);
  findings.not_negative(field + ".successThreshold", probe->successThreshold);
  findings.not_negative(field + ".failureThreshold", probe->failureThreshold);
  if (succeeds_once && probe->successThreshold > 1)
    findings.invalid(field + ".successThreshold", probe->successThreshold, "must be 1");
}

void check_container(const Container& container, const std::string& field, Findings& findings) {
  if (container.name.empty())
    findings.required(field + ".name");
  else
    findings.invalid(field + ".name", container.name, check_dns1123_label(container.name));
  if (container.image.empty()) findings.required(field + ".image");
  check_container_ports(container.ports, field + ".ports", findings);
  for (size_t i = 0; i < container.env.size(); ++i) {
    const std::string &name = container.env[i].name, path = at(field + ".env", i) + ".name";
    const bool printable = std::ranges::all_of(name, [](unsigned char c) { return c >= 0x20 && c < 0x7F && c != '='; });
    if (name.empty())
      findings.required(path);
    else if (!printable)
      findings.invalid(
          path, name,
          "a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
  check_probe(container.livenessProbe, field + ".livenessProbe", true, findings);
  check_probe(container.readinessProbe, field + ".readinessProbe", false, findings);
  check_probe(container.startupProbe, field + ".startupProbe", true, findings);
}

void check_host_ports(const Container& container, const std::string& field, std::set<std::string>& taken,
                      Findings& findings) {
  for (size_t i = 0; i < container.ports.size(); ++i) {
    const ContainerPort& port = container.ports[i];
    const std::string use = fmt::format("{}/{}/{}", port.protocol, port.hostIP, port.hostPort);
    if (port.hostPort != 0 && !taken.insert(use).second) findings.duplicate(at(field + ".ports", i) + ".hostPort", use);
  }
}

void check_containers(const PodSpec& spec, const std::string& pod, bool is_pod, Findings& findings) {
  const std::string list = pod + ".containers";
  if (spec.containers.empty()) findings.required(list);
  std::set<std::string> names, host_ports;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const Container& container = spec.containers[i];
    const std::string field = at(list, i);
    check_container(container, field, findings);
    if (!names.insert(container.name).second) findings.duplicate(field + ".name", container.name);
    if (!container.restartPolicy.empty())
      findings.forbidden(field + ".restartPolicy", "may not be set for non-init containers");
    check_host_ports(container, field, host_ports, findings);
    for (size_t j = 0; spec.hostNetwork && j < container.ports.size(); ++j) {
      const ContainerPort& port = container.ports[j];
      if ((is_pod || port.hostPort != 0) && port.hostPort != port.containerPort)
        findings.invalid(at(field + ".ports", j) + ".hostPort", port.hostPort,
                         "must match `containerPort` when `hostNetwork` is true");
    }
  }
  for (size_t i = 0; i < spec.initContainers.size(); ++i) {
    const Container& container = spec.initContainers[i];
    const std::string field = at(pod + ".initContainers", i);
    check_container(container, field, findings);
    if (!names.insert(container.name).second) findings.duplicate(field + ".name", container.name);
    if (container.restartPolicy == "Always") continue;
    if (!container.restartPolicy.empty())
      findings.not_supported(field + ".restartPolicy", container.restartPolicy, {"Always"});
    for (const auto& [probe, name] : {std::pair{&container.livenessProbe, "livenessProbe"},
                                      {&container.readinessProbe, "readinessProbe"},
                                      {&container.startupProbe, "startupProbe"}})
      if (*probe)
        findings.forbidden(fmt::format("{}.{}", field, name),
                           "may not be set for init containers without restartPolicy=Always");
  }
}

void check_dns(const PodSpec& spec, const std::string& pod, Findings& findings) {
  if (!spec.dnsPolicy.empty())
    findings.check_supported(pod + ".dnsPolicy", spec.dnsPolicy,
                             {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  const std::string field = pod + ".dnsConfig";
  if (spec.dnsPolicy == "None") {
    if (!spec.dnsConfig) return findings.required(field, "must provide `dnsConfig` when `dnsPolicy` is None");
    if (spec.dnsConfig->nameservers.empty())
      return findings.required(field + ".nameservers",
                               "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (!spec.dnsConfig) return;
  const PodDNSConfig& config = *spec.dnsConfig;
  if (config.nameservers.size() > 3)
    findings.invalid(field + ".nameservers", config.nameservers, "must not have more than 3 nameservers");
  for (size_t i = 0; i < config.nameservers.size(); ++i)
    check_ip(config.nameservers[i], at(field + ".nameservers", i), findings);
  if (config.searches.size() > 32)
    findings.invalid(field + ".searches", config.searches, "must not have more than 32 search paths");
  if (join(config.searches, " ").size() > 2048)
    findings.invalid(field + ".searches", config.searches,
                     "must not have more than 2048 characters (including spaces) in the search list");
  for (size_t i = 0; i < config.searches.size(); ++i) {
    std::string search = config.searches[i];
    if (search == ".") continue;
    if (search.ends_with('.')) search.pop_back();
    std::ranges::replace(search, '_', 'x');  // underscores are allowed here and only here
    if (!check_dns1123_subdomain(search).empty())
      findings.invalid(at(field + ".searches", i), config.searches[i], check_dns1123_subdomain(search));
  }
  for (size_t i = 0; i < config.options.size(); ++i)
    if (config.options[i].name.empty()) findings.required(at(field + ".options", i), "must not be empty");
}

void check_tolerations(const std::vector<Toleration>& tolerations, const std::string& list, Findings& findings) {
  for (size_t i = 0; i < tolerations.size(); ++i) {
    const Toleration& toleration = tolerations[i];
    const std::string field = at(list, i);
    if (!toleration.key.empty())
      findings.invalid(field + ".key", toleration.key, check_qualified_name(toleration.key));
    else if (toleration.operator_ != "Exists")
      findings.invalid(field + ".operator", toleration.operator_,
                       "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (!toleration.operator_.empty())
      findings.check_supported(field + ".operator", toleration.operator_, {"Equal", "Exists"});
    if (toleration.operator_ == "Exists" && !toleration.value.empty())
      findings.invalid(field + ".operator", toleration.value, "value must be empty when `operator` is 'Exists'");
    if (!toleration.effect.empty())
      findings.check_supported(field + ".effect", toleration.effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  }
}

// What may differ between a pod and its update is taken out of both.
void drop_mutable(json::object& spec, bool was_scheduled) {
  for (const char* name : {"activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds",
                           "ephemeralContainers"})
    spec.erase(name);
  if (!was_scheduled) spec.erase("nodeName");  // set by the scheduler's binding
  for (const char* list_name : {"containers", "initContainers"})
    each_object(spec, list_name, [](json::object& container) { container.erase("image"); });
}

void check_pod_update(const json::object& document, const json::object& old, Findings& findings) {
  const json::object *now = child(document, "spec"), *before = child(old, "spec");
  if (!now || !before || *now == *before) return;
  json::object left = *now, right = *before;
  const bool was_scheduled = !text(right, "nodeName").empty();
  drop_mutable(left, was_scheduled);
  drop_mutable(right, was_scheduled);
  if (left == right) return;
  std::string differing;
  for (const auto& [name, value] : left)
    if (const json::value* other = right.if_contains(name); !other || *other != value)
      differing += (differing.empty() ? "" : ", ") + std::string(name);
  for (const auto& [name, value] : right)
    if (!left.contains(name)) differing += (differing.empty() ? "" : ", ") + std::string(name);
  findings.forbidden(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
      "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\ndiffers in: " +
          differing);
}

}  // namespace

void check_pod_spec(const PodSpec& spec, const std::string& field, bool is_pod, Findings& findings) {
  check_containers(spec, field, is_pod, findings);
  if (!spec.restartPolicy.empty())
    findings.check_supported(field + ".restartPolicy", spec.restartPolicy, {"Always", "OnFailure", "Never"});
  check_dns(spec, field, findings);
  check_labels(spec.nodeSelector, field + ".nodeSelector", findings);
  if (!spec.serviceAccountName.empty())
    findings.invalid(field + ".serviceAccountName", spec.serviceAccountName,
                     check_dns1123_subdomain(spec.serviceAccountName));
  if (!spec.nodeName.empty())
    findings.invalid(field + ".nodeName", spec.nodeName, check_dns1123_subdomain(spec.nodeName));
  if (!spec.hostname.empty()) findings.invalid(field + ".hostname", spec.hostname, check_dns1123_label(spec.hostname));
  if (!spec.subdomain.empty())
    findings.invalid(field + ".subdomain", spec.subdomain, check_dns1123_label(spec.subdomain));
  check_tolerations(spec.tolerations, field + ".tolerations", findings);
  for (size_t i = 0; i < spec.readinessGates.size(); ++i) {
    const std::string& gate = spec.readinessGates[i].conditionType;
    findings.invalid(at(field + ".readinessGates", i) + ".conditionType", gate, check_qualified_name(gate));
  }
}

void check_pod(const json::object& document, const json::object* old, Findings& findings) {
  const Pod pod = decode<Pod>(document).value();
  check_pod_spec(pod.spec, "spec", true, findings);
  for (size_t i = 0; i < pod.status.podIPs.size(); ++i)
    check_ip(pod.status.podIPs[i].ip, at("status.podIPs", i), findings);
  if (old) check_pod_update(document, *old, findings);
}

}  // namespace carrick::k8s
