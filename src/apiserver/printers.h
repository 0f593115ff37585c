#pragma once

#include "apiserver/table.h"

// What the columns of one kind say; each gives the cells in the order of its printer's columns.
namespace carrick::apiserver::printers {

// table_pods.cc
json::array pod(const json::object& document, int64_t now);
json::array node(const json::object& document, int64_t now);
// table_workloads.cc
json::array deployment(const json::object& document, int64_t now);
json::array replica_set(const json::object& document, int64_t now);
json::array stateful_set(const json::object& document, int64_t now);
json::array daemon_set(const json::object& document, int64_t now);
json::array job(const json::object& document, int64_t now);
json::array cron_job(const json::object& document, int64_t now);
// table_network.cc
json::array service(const json::object& document, int64_t now);
json::array endpoints(const json::object& document, int64_t now);
json::array endpoint_slice(const json::object& document, int64_t now);
json::array network_policy(const json::object& document, int64_t now);
json::array ingress(const json::object& document, int64_t now);
json::array ingress_class(const json::object& document, int64_t now);
json::array service_cidr(const json::object& document, int64_t now);
json::array ip_address(const json::object& document, int64_t now);
// table_rest.cc
json::array plain(const json::object& document, int64_t now);
json::array namespace_(const json::object& document, int64_t now);
json::array config_map(const json::object& document, int64_t now);
json::array secret(const json::object& document, int64_t now);
json::array service_account(const json::object& document, int64_t now);
json::array event(const json::object& document, int64_t now);
json::array lease(const json::object& document, int64_t now);

// Shared ways of writing.
std::string or_none(std::string text);                                                    // "<none>" for empty
std::string label_map(const json::object* labels);                                        // a=b,c=d
std::string label_selector(const json::object* selector);                                 // metav1.FormatLabelSelector
std::string limited(const std::vector<std::string>& parts, size_t most);                  // "a,b,c + 2 more..."
std::pair<std::string, std::string> containers_and_images(const json::object& document);  // of spec.template

}  // namespace carrick::apiserver::printers
