#pragma once

#include "k8s/objects.h"

// The steps of load_manifests(); for this room.
namespace carrick::k8s {

inline constexpr size_t kMaxManifestBytes = 32u << 20;

// kInvalid unless the text is at most 32 MiB of UTF-8 without control characters.
Result<void> check_text(std::string_view text, std::string_view shown_name);
// The objects of one file, repeated ones included.
Result<std::vector<ManifestObject>> parse_documents(std::string_view text, std::string_view file);
// Each object once; kInvalid when two documents of one name differ.
Result<std::vector<ManifestObject>> unite(std::vector<ManifestObject> objects);

}  // namespace carrick::k8s
