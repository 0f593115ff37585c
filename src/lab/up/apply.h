#pragma once

#include <functional>
#include <string>
#include <vector>

#include "k8s/objects.h"
#include "watch/client.h"

// From manifests to objects of a lab's API server.
namespace carrick::lab {

struct Manifests {
  std::vector<k8s::ManifestObject> objects;
  std::vector<std::string> ignored_kinds;       // Carrick has no use for them; "Gateway (1), HTTPRoute (2)"
  std::vector<std::string> missing_namespaces;  // used, but made by none of the objects: made by us
};

// Reads and checks everything, so that a mistake is found before anything is made. kInvalid: sentences with file and
// line, one a line.
Result<Manifests> read_manifests(const std::vector<std::string>& paths);

// Creates every object, or merges it into the one that is there. kInvalid: the server's sentence with file and line.
Result<void> apply_manifests(const watch::Credentials& credentials, const Manifests& manifests);

}  // namespace carrick::lab
