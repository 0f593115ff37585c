#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/resources.h"

// The complete fields of every kind that Carrick offers (our structs hold only those that Carrick reads): for strict
// field checks, null handling and strategic merge patches. The data is api_fields.inc, made by tools/api_fields.
namespace carrick::k8s {

struct ObjectFields;

struct Field {
  enum class Shape { kOne, kList, kMap } shape = Shape::kOne;
  // s string, i int32, l int64, b boolean, d number, y base64, t time, m time with microseconds, q quantity, x int or
  // string, e list of strings, * anything, o object; B, A, S a JSON schema, or a boolean, a list of schemas, a list of
  // strings
  char value = '*';
  const ObjectFields* object = nullptr;  // of values o, B, A and S
  std::string_view merge_key;  // a strategic merge patch merges this list of objects by that key (patchMergeKey)
  bool merges_values = false;  // ... this list of values as a set
  bool retains_keys = false;   // ... keeps only the members that the patch names in $retainKeys
  bool required = false;       // a document without it is not valid
  bool keeps_empty = false;    // an empty value in protobuf is a value, not absence
  // Server-side apply. A list: "set", or the keys by which its elements are known ("port,protocol"), or empty: it has
  // one owner. A map or an object: "atomic" when it has one owner, "granular" when each field has one although the
  // object's type says otherwise.
  std::string_view ownership;
};

// One field of a protobuf message: of the object itself, or a message that JSON shows without a level of its own.
struct Member {
  uint32_t number = 0;
  std::string_view name;
  const Field* field = nullptr;  // null: `inside` is the message
  std::vector<Member> inside;
};
const Member* find_member(const std::vector<Member>& members, uint32_t number);

struct ObjectFields {
  std::string_view type_name, part;  // "PodSpec" of "core/v1"; "core.Event" where a name occurs twice
  std::map<std::string_view, Field> fields;
  std::vector<Member> members;  // in the order of their numbers
  bool atomic = false;          // server-side apply: one owner for all of it
  const Field* find(std::string_view name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? nullptr : &found->second;
  }
};

struct FieldError;

// Where in the document we are: a list on the stack, turned into text only when something is wrong.
struct Path {
  const Path* parent = nullptr;
  std::string_view field;
  int index = -1;

  std::string str() const {
    std::string text = parent ? parent->str() : "";
    if (index >= 0) return text + fmt::format("[{}]", index);
    return text.empty() ? std::string(field) : text + "." + std::string(field);
  }
};

// An integer as the API reads it: 1e3 is one, 1.5 is not.
bool is_integer(const json::value& value);

// What is at fault when a document has a value of another type: "a number 5", "a list".
std::string described(const json::value& value);
// The first field of another JSON type than the API says.
std::optional<FieldError> check_field_types(const ResourceType& type, const json::object& document);

// Never null for a member of resource_types().
const ObjectFields* fields_of(const ResourceType& type);
// Also kinds that are sent and not stored: reviews, Binding, Scale, Status. Null when unknown.
const ObjectFields* fields_of(std::string_view apiVersion, std::string_view kind);

}  // namespace carrick::k8s
