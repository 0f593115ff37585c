#pragma once

#include <memory>
#include <optional>

#include "apiserver/custom/json_path.h"
#include "apiserver/custom/schema.h"
#include "apiserver/table.h"
#include "k8s/resources.h"

namespace carrick::apiserver {

// Where a workload keeps what the scale subresource shows: paths below the object, "spec.replicas".
struct ScalePaths {
  std::string spec = "spec.replicas", status = "status.replicas";
  std::string selector;  // empty: of matchLabels, as the built-in workloads have it
};

struct PrinterColumn {
  std::string name, type, format, description;
  int priority = 0;
  JsonPath path;
};

// One version of a kind that a CustomResourceDefinition defines. Its address never changes while the server runs: the
// type's address is what objects, watches and controllers know the kind by.
struct CustomKind {
  k8s::ResourceType type;
  std::string definition;  // metadata.name of the CustomResourceDefinition
  bool served = false, storage = false;
  const k8s::ResourceType* stored_as = nullptr;  // the version that objects are kept in; never null
  std::string warning;                           // of a deprecated version, for clients
  Schema schema;
  std::optional<ScalePaths> scale;
  std::vector<PrinterColumn> columns;
  std::vector<std::string> selectable_fields;
  Printer printer;  // its texts are those of `columns`
};

// To be called once a kind is where it stays.
void make_printer(CustomKind& kind);

// What is at fault with a definition (apiextensions.k8s.io/v1) that has its defaults.
std::vector<k8s::FieldError> check_definition(const json::object& definition, const json::object* old);
void fill_definition_defaults(json::object& definition);
// Its versions; `definition` has passed the check.
std::vector<std::unique_ptr<CustomKind>> kinds_of(const json::object& definition);

}  // namespace carrick::apiserver
