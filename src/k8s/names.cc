#include "k8s/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace carrick::k8s {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

// [edge]([edge or inner]*[edge])?
template <class Edge>
bool is_word(std::string_view value, Edge edge, std::string_view inner) {
  return !value.empty() && edge(value.front()) && edge(value.back()) &&
         std::ranges::all_of(value, [&](char c) { return edge(c) || inner.find(c) != inner.npos; });
}

bool is_subdomain(std::string_view value) {
  return std::ranges::all_of(split(value, '.'),
                             [](std::string_view label) { return is_word(label, is_lower_alnum, "-"); });
}

std::string too_long(size_t limit) { return fmt::format("must be no more than {} characters", limit); }

constexpr const char* kSubdomain =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* kLabel =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric "
    "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kDns1035 =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an "
    "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kQualifiedPart =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or "
    "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr const char* kLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr const char* kConfigMapKey =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex "
    "used for validation is '[-._a-zA-Z0-9]+')";

}  // namespace

Complaints check_dns1123_label(std::string_view value) {
  Complaints complaints;
  if (value.size() > 63) complaints.push_back(too_long(63));
  if (!is_word(value, is_lower_alnum, "-"))
    complaints.push_back(is_subdomain(value) ? "must not contain dots" : kLabel);
  return complaints;
}

Complaints check_dns1123_subdomain(std::string_view value) {
  Complaints complaints;
  if (value.size() > 253) complaints.push_back(too_long(253));
  if (!is_subdomain(value)) complaints.push_back(kSubdomain);
  return complaints;
}

Complaints check_dns1035_label(std::string_view value) {
  Complaints complaints;
  if (value.size() > 63) complaints.push_back(too_long(63));
  if (!is_word(value, is_lower_alnum, "-") || !is_lower(value.front())) complaints.push_back(kDns1035);
  return complaints;
}

Complaints check_qualified_name(std::string_view value) {
  Complaints complaints;
  const auto parts = split(value, '/');
  if (parts.size() > 2)
    return {std::string("a qualified name ") + kQualifiedPart +
            " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
  if (parts.size() == 2) {
    if (parts[0].empty())
      complaints.push_back("prefix part must be non-empty");
    else
      for (const std::string& complaint : check_dns1123_subdomain(parts[0]))
        complaints.push_back("prefix part " + complaint);
  }
  const std::string_view name = parts.back();
  if (name.empty()) complaints.push_back("name part must be non-empty");
  if (name.size() > 63) complaints.push_back("name part " + too_long(63));
  if (!is_word(name, is_alnum, "-_.")) complaints.push_back(std::string("name part ") + kQualifiedPart);
  return complaints;
}

Complaints check_label_value(std::string_view value) {
  Complaints complaints;
  if (value.size() > 63) complaints.push_back(too_long(63));
  if (!value.empty() && !is_word(value, is_alnum, "-_.")) complaints.push_back(kLabelValue);
  return complaints;
}

Complaints check_port_name(std::string_view value) {
  Complaints complaints;
  if (value.size() > 15) complaints.push_back(too_long(15));
  if (value.empty() || !std::ranges::all_of(value, [](char c) { return is_lower_alnum(c) || c == '-'; }))
    complaints.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!std::ranges::any_of(value, is_lower)) complaints.push_back("must contain at least one letter (a-z)");
  if (value.find("--") != value.npos) complaints.push_back("must not contain consecutive hyphens");
  if (value.starts_with('-') || value.ends_with('-')) complaints.push_back("must not begin or end with a hyphen");
  return complaints;
}

Complaints check_port_number(int64_t value) {
  if (value >= 1 && value <= 65535) return {};
  return {"must be between 1 and 65535, inclusive"};
}

Complaints check_config_map_key(std::string_view value) {
  Complaints complaints;
  if (value.size() > 253) complaints.push_back(too_long(253));
  if (value.empty() || !std::ranges::all_of(value, [](char c) {
        return is_alnum(c) || std::string_view("-._").find(c) != std::string_view::npos;
      }))
    complaints.push_back(kConfigMapKey);
  if (value == "." || value == "..")
    complaints.push_back(fmt::format("must not be '{}'", value));
  else if (value.starts_with(".."))
    complaints.push_back("must not start with '..'");
  return complaints;
}

Complaints check_path_segment(std::string_view value) {
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  for (std::string_view illegal : {"/", "%"})
    if (value.find(illegal) != value.npos) return {fmt::format("may not contain '{}'", illegal)};
  return {};
}

Complaints check_percent(std::string_view value) {
  if (value.size() > 1 && value.ends_with('%') && std::ranges::all_of(value.substr(0, value.size() - 1), is_digit))
    return {};
  return {
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
      "validation is '[0-9]+%')"};
}

}  // namespace carrick::k8s
