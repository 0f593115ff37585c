#pragma once

#include <concepts>

#include "k8s/names.h"
#include "k8s/objects.h"

// What the validators of this room share: how the API words its findings.
namespace carrick::k8s {

// Values as Go prints them in error messages (%q, %v and %#v).
std::string go_value(std::string_view text);
std::string go_value(const std::vector<std::string>& list);
std::string go_value(const StringMap& map);
std::string go_value(const LabelSelector& selector);
std::string go_value(const IntOrString& value);
inline std::string go_value(const std::string& text) { return go_value(std::string_view(text)); }
inline std::string go_value(const char* text) { return go_value(std::string_view(text)); }
template <std::integral Number>
std::string go_value(Number number) {
  return std::to_string(number);
}

class Findings {
 public:
  void required(std::string field, std::string_view detail = {}) {
    add("Required", std::move(field), "Required value", detail);
  }
  void forbidden(std::string field, std::string_view detail) {
    add("Forbidden", std::move(field), "Forbidden", detail);
  }
  void too_long(std::string field, size_t bytes) {
    add("TooLong", std::move(field), "Too long", fmt::format("may not be more than {} bytes", bytes));
  }
  void too_many(std::string field, size_t have, size_t most) {
    add("TooMany", std::move(field), fmt::format("Too many: {}", have),
        fmt::format("must have at most {} items", most));
  }
  template <class Value>
  void invalid(std::string field, const Value& value, std::string_view detail) {
    add("Invalid", std::move(field), "Invalid value: " + go_value(value), detail);
  }
  template <class Value>
  void invalid(const std::string& field, const Value& value, const Complaints& complaints) {
    for (const std::string& complaint : complaints) invalid(field, value, std::string_view(complaint));
  }
  template <class Value>
  void duplicate(std::string field, const Value& value) {
    add("Duplicate", std::move(field), "Duplicate value: " + go_value(value), {});
  }
  // `supported` in the order in which the API lists it.
  void not_supported(std::string field, std::string_view value, const std::vector<std::string_view>& supported);
  // A finding unless the value is one of the supported ones.
  void check_supported(const std::string& field, std::string_view value,
                       const std::vector<std::string_view>& supported);
  void not_negative(const std::string& field, int64_t value) {
    if (value < 0) invalid(field, value, "must be greater than or equal to 0");
  }

  // A finding whose text is made elsewhere.
  void add(std::string type, std::string field, std::string text, std::string_view detail);
  std::vector<FieldError> take() { return std::move(findings_); }
  bool empty() const { return findings_.empty(); }

 private:
  std::vector<FieldError> findings_;
};

std::string at(std::string_view list, size_t index);  // "ports", 0 -> "ports[0]"

// Shared by several kinds.
void check_labels(const StringMap& labels, const std::string& field, Findings& findings);
void check_annotations(const StringMap& annotations, const std::string& field, Findings& findings);
void check_selector(const LabelSelector& selector, const std::string& field, Findings& findings);
bool check_ip(std::string_view text, const std::string& field, Findings& findings);
bool check_cidr(std::string_view text, const std::string& field, Findings& findings);
// An address a packet may be sent to: not unspecified, loopback, link-local.
void check_endpoint_ip(std::string_view text, const std::string& field, Findings& findings);
void check_port_number_or_name(const IntOrString& port, const std::string& field, Findings& findings);

void check_metadata(const ResourceType& type, const ObjectMeta& metadata, Findings& findings);
void check_metadata_update(const ObjectMeta& metadata, const ObjectMeta& old, Findings& findings);

// One function a file of validation_*.cc; `old` is null on creation.
void check_service(const json::object& document, const json::object* old, Findings& findings);
void check_networkpolicy(const json::object& document, Findings& findings);
void check_clusternetworkpolicy(const json::object& document, Findings& findings);
void check_endpointslice(const json::object& document, const json::object* old, Findings& findings);
void check_service_cidr(const json::object& document, const json::object* old, Findings& findings);
void check_ip_address(const json::object& document, const json::object* old, Findings& findings);
void check_pod(const json::object& document, const json::object* old, Findings& findings);
void check_deployment(const json::object& document, const json::object* old, Findings& findings);
void check_replicaset(const json::object& document, const json::object* old, Findings& findings);
void check_statefulset(const json::object& document, const json::object* old, Findings& findings);
void check_daemonset(const json::object& document, const json::object* old, Findings& findings);
void check_job(const json::object& document, const json::object* old, Findings& findings);

struct PodSpec;
// `is_pod`: of a Pod itself, not of a template.
void check_pod_spec(const PodSpec& spec, const std::string& field, bool is_pod, Findings& findings);

}  // namespace carrick::k8s
