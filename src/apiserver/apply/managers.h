#pragma once

#include <expected>

#include "apiserver/apply/merge.h"

// Who owns which fields of an object (metadata.managedFields), and what server-side apply and other writes make of it.
// Fields are followed from an object's first apply on: what was there before belongs to "before-first-apply", or, as
// far as kubectl's annotation says so, to "kubectl-client-side-apply". Pure.
namespace carrick::apiserver {

struct Writer {
  std::string name;
  std::string api_version;
  std::string subresource;  // empty, "status"
};

struct Manager {
  Writer writer;
  bool applies = false;  // operation Apply, else Update
  std::string time;      // RFC 3339
  FieldSet fields;
  bool is(const Writer& other, bool applying) const;
};

// Total: entries that are not understood are left out.
std::vector<Manager> managers_of(const k8s::json::object& document);
// Those who apply first, then by time, as the API orders them.
k8s::json::array to_json(std::vector<Manager> managers);

struct Conflict {
  std::string manager;  // `"kubectl" using apps/v1`
  std::string path;     // `.spec.replicas`
};
struct ApplyFailure {
  std::string invalid;  // the configuration itself is at fault, or
  std::vector<Conflict> conflicts;
};
struct Applied {
  k8s::json::object document;
  std::vector<Manager> managers;
};

// `live` is null when there is no such object yet.
std::expected<Applied, ApplyFailure> apply(const MergeType& type, const k8s::json::object* live,
                                           const k8s::json::object& configuration, const Writer& writer, bool force,
                                           const std::string& now);

// After any other write. Empty when the object's fields are not followed.
std::vector<Manager> managers_after_update(const MergeType& type, const k8s::json::object& before,
                                           const k8s::json::object& after, const Writer& writer,
                                           const std::string& now);

}  // namespace carrick::apiserver
