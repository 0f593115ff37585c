#pragma once

#include <string>
#include <string_view>
#include <vector>

// The syntaxes of names in the API (k8s.io/apimachinery/pkg/util/validation). Each function returns what is wrong, in
// the API's words; empty: the value is good.
namespace carrick::k8s {

using Complaints = std::vector<std::string>;

Complaints check_dns1123_label(std::string_view value);      // at most 63 characters
Complaints check_dns1123_subdomain(std::string_view value);  // at most 253 characters
Complaints check_dns1035_label(std::string_view value);
Complaints check_qualified_name(std::string_view value);  // label and annotation keys, finalizers, appProtocol
Complaints check_label_value(std::string_view value);
Complaints check_port_name(std::string_view value);  // IANA service name, at most 15 characters
Complaints check_port_number(int64_t value);         // 1 to 65535
Complaints check_config_map_key(std::string_view value);
Complaints check_path_segment(std::string_view value);  // names of roles and bindings
Complaints check_percent(std::string_view value);       // "25%"

}  // namespace carrick::k8s
