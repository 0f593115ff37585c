#pragma once

#include "base/result.h"
#include "k8s/resources.h"

// What happens to a document on its way into the store: defaults, validation; and manifests as users have them.
namespace carrick::k8s {

// Fills the API's defaults (SVC-A1, pods, workloads, policies) into a document of a known kind. Unknown fields stay.
void apply_defaults(const ResourceType& type, json::object& document);

// One finding, in the words of the API: `spec.ports[0].nodePort: Invalid value: 99: must be ...`.
struct FieldError {
  std::string type;    // Required, Invalid, NotSupported, Duplicate, TooLong, TooMany, Forbidden, TypeInvalid
  std::string field;   // "spec.ports[0].port"
  std::string detail;  // the sentence after the field path
  std::string str() const { return field + ": " + detail; }
};
// Metadata and, for kinds that the network uses, spec; of a document that has its defaults, a name and a namespace.
// `old` is the stored document on update (immutable fields), else null.
std::vector<FieldError> validate(const ResourceType& type, const json::object& document,
                                 const json::object* old = nullptr);

// The first known field whose JSON type is wrong ("spec.ports[0].port: must be an integer, not a string \"x\""), as
// decode() would report it; for kinds without a struct (and for null) only metadata is looked at.
std::optional<FieldError> check_types(const ResourceType* type, const json::object& document);

// Fields that the API does not know, in its words: `unknown field "spec.foo"`.
std::vector<std::string> unknown_fields(const ResourceType& type, const json::object& document);

// One document of a manifest, with where it came from.
struct ManifestObject {
  json::object document;
  const ResourceType* type = nullptr;  // null: a kind Carrick has no use for
  std::string apiVersion, kind;
  NamespacedName key;                // namespace "default" filled in for namespaced kinds
  std::string file;                  // "-" for standard input
  int line = 0;                      // of the document's first line, from 1
  std::map<std::string, int> lines;  // field path ("spec.ingress[0].from[1]") -> line
};

// Line of a field, or of the nearest field around it that the file has.
int line_of(const ManifestObject& object, std::string_view field);

// Files, folders (recursive, *.yaml *.yml *.json, sorted), "-" for standard input. Many documents, List kinds, anchors,
// merge keys, CRLF, YAML 1.1 as kubectl reads it. Errors are kInvalid with "file:line:column: sentence". Limit: 32 MiB
// a file. The same object twice (kind, namespace, name) is an error that names both places, except that identical
// documents count once, and that of two Namespaces labels and annotations are joined (applications ship theirs with
// every file).
Result<std::vector<ManifestObject>> load_manifests(const std::vector<std::string>& paths);
Result<std::vector<ManifestObject>> parse_manifest(std::string_view text, std::string_view file_name);

}  // namespace carrick::k8s
