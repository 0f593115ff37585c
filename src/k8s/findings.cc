#include "k8s/findings.h"

#include <algorithm>

#include "net/ip.h"

namespace carrick::k8s {

std::string go_value(std::string_view text) { return json::serialize(json::string(text)); }

std::string go_value(const std::vector<std::string>& list) {
  if (list.empty()) return "[]string(nil)";
  std::string text;
  for (const std::string& item : list) text += (text.empty() ? "" : ", ") + go_value(item);
  return "[]string{" + text + "}";
}

std::string go_value(const StringMap& map) {
  if (map.empty()) return "map[string]string(nil)";
  std::string text;
  for (const auto& [key, value] : map) text += (text.empty() ? "" : ", ") + go_value(key) + ":" + go_value(value);
  return "map[string]string{" + text + "}";
}

std::string go_value(const LabelSelector& selector) {
  std::string expressions;
  for (const LabelSelectorRequirement& r : selector.matchExpressions)
    expressions +=
        fmt::format("{}v1.LabelSelectorRequirement{{Key:{}, Operator:{}, Values:{}}}", expressions.empty() ? "" : ", ",
                    go_value(r.key), go_value(r.operator_), go_value(r.values));
  return fmt::format("v1.LabelSelector{{MatchLabels:{}, MatchExpressions:[]v1.LabelSelectorRequirement{}}}",
                     go_value(selector.matchLabels), expressions.empty() ? "(nil)" : "{" + expressions + "}");
}

std::string go_value(const IntOrString& value) {
  const int* number = std::get_if<int32_t>(&value);
  return number
             ? fmt::format("intstr.IntOrString{{Type:0, IntVal:{}, StrVal:\"\"}}", *number)
             : fmt::format("intstr.IntOrString{{Type:1, IntVal:0, StrVal:{}}}", go_value(std::get<std::string>(value)));
}

void Findings::add(std::string type, std::string field, std::string text, std::string_view detail) {
  if (!detail.empty()) text.append(": ").append(detail);
  findings_.push_back({std::move(type), std::move(field), std::move(text)});
}

void Findings::not_supported(std::string field, std::string_view value,
                             const std::vector<std::string_view>& supported) {
  std::string list;
  for (std::string_view item : supported) list += (list.empty() ? "" : ", ") + go_value(item);
  add("NotSupported", std::move(field), "Unsupported value: " + go_value(value), "supported values: " + list);
}

void Findings::check_supported(const std::string& field, std::string_view value,
                               const std::vector<std::string_view>& supported) {
  if (std::ranges::find(supported, value) == supported.end()) not_supported(field, value, supported);
}

std::string at(std::string_view list, size_t index) { return fmt::format("{}[{}]", list, index); }

void check_labels(const StringMap& labels, const std::string& field, Findings& findings) {
  for (const auto& [key, value] : labels) {
    findings.invalid(field, key, check_qualified_name(key));
    findings.invalid(field, value, check_label_value(value));
  }
}

void check_annotations(const StringMap& annotations, const std::string& field, Findings& findings) {
  constexpr size_t kMostBytes = 256 << 10;
  size_t bytes = 0;
  for (const auto& [key, value] : annotations) {
    std::string lower = key;  // case does not matter here
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    findings.invalid(field, key, check_qualified_name(lower));
    bytes += key.size() + value.size();
  }
  if (bytes > kMostBytes) findings.too_long(field, kMostBytes);
}

void check_selector(const LabelSelector& selector, const std::string& field, Findings& findings) {
  check_labels(selector.matchLabels, field + ".matchLabels", findings);
  for (size_t i = 0; i < selector.matchExpressions.size(); ++i) {
    const LabelSelectorRequirement& requirement = selector.matchExpressions[i];
    const std::string path = at(field + ".matchExpressions", i);
    if (requirement.operator_ == "In" || requirement.operator_ == "NotIn") {
      if (requirement.values.empty())
        findings.required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (requirement.operator_ == "Exists" || requirement.operator_ == "DoesNotExist") {
      if (!requirement.values.empty())
        findings.forbidden(path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
      findings.invalid(path + ".operator", requirement.operator_, "not a valid selector operator");
    }
    findings.invalid(path + ".key", requirement.key, check_qualified_name(requirement.key));
    for (size_t j = 0; j < requirement.values.size(); ++j)
      findings.invalid(at(path + ".values", j), requirement.values[j], check_label_value(requirement.values[j]));
  }
}

bool check_ip(std::string_view text, const std::string& field, Findings& findings) {
  const bool good = net::IpAddress::parse(text).has_value();
  if (!good) findings.invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  return good;
}

bool check_cidr(std::string_view text, const std::string& field, Findings& findings) {
  const bool good = net::Prefix::parse(text).has_value();
  if (!good) findings.invalid(field, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  return good;
}

void check_endpoint_ip(std::string_view text, const std::string& field, Findings& findings) {
  const auto address = net::IpAddress::parse(text);
  if (!address) return findings.invalid(field, text, "must be a valid IP address");
  if (address->is_unspecified()) findings.invalid(field, text, fmt::format("may not be unspecified ({})", text));
  if (address->is_loopback()) findings.invalid(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (address->is_link_local())
    findings.invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  const bool local_multicast =
      net::Prefix::parse("224.0.0.0/24")->contains(*address) || net::Prefix::parse("ff02::/16")->contains(*address);
  if (local_multicast)
    findings.invalid(field, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

void check_port_number_or_name(const IntOrString& port, const std::string& field, Findings& findings) {
  if (const int32_t* number = std::get_if<int32_t>(&port))
    findings.invalid(field, *number, check_port_number(*number));
  else
    findings.invalid(field, std::get<std::string>(port), check_port_name(std::get<std::string>(port)));
}

}  // namespace carrick::k8s
