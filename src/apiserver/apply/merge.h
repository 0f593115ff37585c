#pragma once

#include "apiserver/apply/field_set.h"
#include "apiserver/apply/merge_type.h"
#include "base/result.h"

// The steps of which server-side apply is made. Pure.
namespace carrick::apiserver {

// Every field that a value has. An empty object is a member itself; an empty list with an owner an
// element has none.
FieldSet fields_in(const MergeType& type, const k8s::json::value& value);

struct Comparison {
  FieldSet changed, removed;  // changed: added, or of another value
};
Comparison compare(const MergeType& type, const k8s::json::value& before, const k8s::json::value& after);

// What `applied` has over what `live` has. Elements of lists keep the order of `applied`; those that only `live` has
// stay between their neighbours. kInvalid: a list has an element twice, or one without its keys.
Result<k8s::json::value> merged(const MergeType& type, const k8s::json::value& live, const k8s::json::value& applied);

// With every field that the schema names and that leads to a member. Entries of maps and elements of lists stay out:
// who owns a part of one does not keep the whole.
FieldSet with_named_fields(const MergeType& type, const FieldSet& fields);

// What becomes of an object or a list whose last part is taken out.
enum class Emptied { kStays, kGoes };
// The value without the members of the set, each with all that is below it.
k8s::json::value without(const MergeType& type, const k8s::json::value& value, const FieldSet& fields, Emptied emptied);

}  // namespace carrick::apiserver
