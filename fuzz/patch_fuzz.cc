// rooms: k8s

// A document and a patch of each type, in three lines of JSON: kind, document, patch.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "k8s/objects.h"
#include "k8s/patch.h"

using namespace carrick;
using namespace carrick::k8s;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto lines = split({reinterpret_cast<const char*>(data), size}, '\n');
  if (lines.size() < 3) return 0;
  boost::system::error_code error;
  const json::value document = json::parse(lines[1], error);
  if (error || !document.is_object()) return 0;
  const json::value patch = json::parse(lines[2], error);
  if (error) return 0;
  if (patch.is_array()) {
    const auto result = apply_json_patch(document.get_object(), patch.get_array());
    if (!result && result.error().kind != ErrorKind::kInvalid) std::abort();
  }
  if (!patch.is_object()) return 0;
  const json::object merged = apply_merge_patch(document.get_object(), patch.get_object());
  if (apply_merge_patch(merged, patch.get_object()) != merged) std::abort();  // RFC 7386: twice is once
  for (const ResourceType& type : resource_types()) {
    if (type.kind != lines[0]) continue;
    const auto result = apply_strategic_merge_patch(type, document.get_object(), patch.get_object());
    if (!result && result.error().kind != ErrorKind::kInvalid) std::abort();
  }
  return 0;
}
