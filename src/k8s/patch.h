#pragma once

#include "base/result.h"
#include "k8s/resources.h"

// The three JSON patch types of the API. Errors are kInvalid.
namespace carrick::k8s {

// RFC 6902, application/json-patch+json. All or nothing. Limits: 10,000 operations, and as many values copied by `copy`
// as fit in a document (100,000), so that a small patch cannot make an endless document.
Result<json::object> apply_json_patch(json::object document, const json::array& operations);

// RFC 7386, application/merge-patch+json.
json::object apply_merge_patch(json::object document, const json::object& patch);

// application/strategic-merge-patch+json: as a merge patch, but lists merge by the keys that the API declares for the
// kind, and $patch, $retainKeys, $setElementOrder/<list> and $deleteFromPrimitiveList/<list> direct it. The outcome,
// order of lists included, is that of k8s.io/apimachinery/pkg/util/strategicpatch.
Result<json::object> apply_strategic_merge_patch(const ResourceType& type, json::object document, json::object patch);

}  // namespace carrick::k8s
