#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>

#include "controllers/cluster.h"

// Reading and writing API documents without losing what their authors wrote: a controller decides from structs and
// writes into a copy of the whole document.
namespace carrick::controllers {

namespace json = k8s::json;

using Time = std::chrono::system_clock::time_point;

std::string timestamp(Time time);  // RFC 3339, whole seconds
std::optional<Time> parse_timestamp(std::string_view text);

// Null when a step is missing or not an object.
const json::value* value_at(const json::object& object, std::initializer_list<std::string_view> path);
const json::object* object_at(const json::object& object, std::initializer_list<std::string_view> path);
const json::array* array_at(const json::object& object, std::initializer_list<std::string_view> path);
std::string_view text_at(const json::object& object, std::initializer_list<std::string_view> path);
std::optional<int64_t> number_at(const json::object& object, std::initializer_list<std::string_view> path);
// Makes the step when it is missing. A new member may move its siblings: no reference into an object outlives the next
// member that it gets.
json::object& child(json::object& object, std::string_view key);
void set_labels(json::object& metadata, const k8s::StringMap& labels);
void set_annotation(json::object& document, std::string_view key, std::string_view value);

json::object owner_reference(const k8s::ResourceType& type, const k8s::ObjectMeta& owner);
// A document of `type` with the metadata that every made object needs. An empty `name` with `generate` lets the store
// choose.
json::object new_document(const k8s::ResourceType& type, std::string_view namespace_, std::string_view name,
                          std::string_view generate = {});

// Sets one condition. lastTransitionTime moves only when the status changes (API conventions), lastUpdateTime (where
// `with_update_time`) when anything does.
void set_condition(json::array& conditions, std::string_view type, bool status, std::string_view reason,
                   std::string_view message, Time now, bool with_update_time = false);
const json::object* find_condition(const json::array& conditions, std::string_view type);

// Writes `status` unless it is what the document already has.
Result<void> write_status(Cluster& cluster, const k8s::ResourceType& type, const Document& document,
                          json::object status);

// Short lower-case text from a hash of a document, order of keys ignored: pod-template-hash and revision names.
std::string document_hash(const json::value& document, int64_t salt = 0);

}  // namespace carrick::controllers
