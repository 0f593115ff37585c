#include "k8s/fields.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "base/text.h"
#include "k8s/objects.h"

namespace carrick::k8s {
namespace {

constexpr std::string_view kText =
#include "k8s/api_fields.inc"
    ;

// The grammar is told in tools/api_fields/main.go.
class Catalogue {
 public:
  Catalogue() {
    for (std::string_view line : split(kText, '\n')) {
      if (line.empty()) continue;
      const auto words = split(line, ' ');
      if (line[0] == '=') {
        const size_t slash = words[0].rfind('/');
        const std::string_view api = words[0].substr(1, slash - 1), kind = words[0].substr(slash + 1);
        const ObjectFields* object = &objects_[words[1]];
        kinds_.emplace(std::pair(api, kind), object);
        if (const ResourceType* type = find_by_kind(api, kind)) roots_.emplace(type, object);
        continue;
      }
      const size_t at = words[0].find('@');
      const bool atomic = words[0][at - 1] == '%';
      const std::string_view name = words[0].substr(0, at - atomic);
      ObjectFields& object = objects_[name];
      object.type_name = name;
      object.part = words[0].substr(at + 1);
      object.atomic = atomic;
      for (size_t i = 1; i < words.size(); ++i) add(object, words[i]);
    }
  }

  const ObjectFields* find(const ResourceType& type) const {
    const auto found = roots_.find(&type);
    return found == roots_.end() ? nullptr : found->second;
  }
  const ObjectFields* find(std::string_view api_version, std::string_view kind) const {
    const auto found = kinds_.find(std::pair(api_version, kind));
    return found == kinds_.end() ? nullptr : found->second;
  }

 private:
  void add(ObjectFields& object, std::string_view word) {
    const size_t percent = std::min(word.find('%'), word.size());
    const std::string_view ownership = word.substr(std::min(percent + 1, word.size()));
    word = word.substr(0, percent);
    const size_t colon = word.find(':'), sharp = word.find('#');
    const std::string_view name = word.substr(0, colon);
    std::string_view numbers = sharp == word.npos ? std::string_view{} : word.substr(sharp + 1);
    Field field = parse(word.substr(colon + 1, sharp == word.npos ? word.npos : sharp - colon - 1));
    field.ownership = ownership;
    field.keeps_empty = numbers.ends_with('?');
    if (field.keeps_empty) numbers.remove_suffix(1);
    const Field& kept = object.fields.emplace(name, field).first->second;
    if (!numbers.empty()) place(object.members, numbers, name, kept);
  }

  static void place(std::vector<Member>& level, std::string_view numbers, std::string_view name, const Field& field) {
    const size_t dot = numbers.find('.');
    Member member;
    const std::string_view number = numbers.substr(0, dot);
    std::from_chars(number.data(), number.data() + number.size(), member.number);
    auto at = std::ranges::lower_bound(level, member.number, {}, &Member::number);
    if (at == level.end() || at->number != member.number) at = level.insert(at, std::move(member));
    if (dot != numbers.npos) return place(at->inside, numbers.substr(dot + 1), name, field);
    at->name = name;
    at->field = &field;
  }

  Field parse(std::string_view text) {
    Field field;
    if (text.ends_with('^')) {
      field.required = true;
      text.remove_suffix(1);
    }
    if (text.ends_with('+')) {
      field.retains_keys = true;
      text.remove_suffix(1);
    }
    if (text.ends_with('!')) {
      field.merges_values = true;
      text.remove_suffix(1);
    }
    if (const size_t key = text.find('@'); key != text.npos) {
      field.merge_key = text.substr(key + 1);
      text = text.substr(0, key);
    }
    if (text.starts_with("[]") || text.starts_with("{}")) {
      field.shape = text[0] == '[' ? Field::Shape::kList : Field::Shape::kMap;
      text.remove_prefix(2);
    }
    field.value = text.size() == 1 ? text[0] : 'o';
    if (field.value == 'o') field.object = &objects_[text];
    if (field.value == 'B' || field.value == 'A' || field.value == 'S') field.object = &objects_["JSONSchemaProps"];
    return field;
  }

  std::unordered_map<std::string_view, ObjectFields> objects_;  // rehashing leaves its objects where they are
  std::unordered_map<const ResourceType*, const ObjectFields*> roots_;
  std::map<std::pair<std::string_view, std::string_view>, const ObjectFields*> kinds_;
};

const Catalogue& catalogue() {
  static const Catalogue instance;
  return instance;
}

const char* expected_type(char value) {
  switch (value) {
    case 's':
    case 'y':
    case 't':
    case 'm':
      return "a string";
    case 'i':
    case 'l':
      return "an integer";
    case 'b':
      return "true or false";
    case 'd':
      return "a number";
    case 'q':
      return "a quantity (a string or a number)";
    case 'x':
      return "an integer or a string";
    case 'e':
      return "a list";
    case 'B':
      return "a schema or a boolean";
    case 'A':
    case 'S':
      return "a schema or a list";
    default:
      return "an object";
  }
}

bool has_type(const json::value& value, char type) {
  switch (type) {
    case 's':
    case 'y':
    case 't':
    case 'm':
      return value.is_string();
    case 'i':
    case 'l':
      return is_integer(value);
    case 'b':
      return value.is_bool();
    case 'd':
      return value.is_number();
    case 'q':
    case 'x':
      return value.is_string() || value.is_number();
    case 'e':
      return value.is_array();
    case 'B':
      return value.is_object() || value.is_bool();
    case 'A':
    case 'S':
      return value.is_structured();
    case 'o':
      return value.is_object();
    default:
      return true;
  }
}

// Visits a document beside its fields. Visitor: unknown(path), wrong(path, value, expected).
template <class Visitor>
class Walk {
 public:
  explicit Walk(Visitor& visitor) : visitor_(visitor) {}

  void object(const json::object& object, const ObjectFields& fields, const Path& path) {
    for (const auto& [name, value] : object) {
      const Path below{&path, name};
      const Field* field = fields.find(name);
      if (!field)
        visitor_.unknown(below);
      else if (!value.is_null())
        shaped(value, *field, below);
    }
  }

 private:
  void shaped(const json::value& value, const Field& field, const Path& path) {
    if (field.shape == Field::Shape::kOne) return one(value, field, path);
    if (field.shape == Field::Shape::kList) {
      if (!value.is_array()) return visitor_.wrong(path, value, "a list");
      const json::array& items = value.get_array();
      for (size_t i = 0; i < items.size(); ++i)
        if (!items[i].is_null()) one(items[i], field, Path{&path, {}, static_cast<int>(i)});
      return;
    }
    if (!value.is_object()) return visitor_.wrong(path, value, "an object");
    for (const auto& [key, item] : value.get_object())
      if (!item.is_null()) one(item, field, Path{&path, key});
  }
  void one(const json::value& value, const Field& field, const Path& path) {
    if (!has_type(value, field.value)) return visitor_.wrong(path, value, expected_type(field.value));
    if (field.object && value.is_object()) object(value.get_object(), *field.object, path);
    if (field.value != 'A' || !value.is_array()) return;
    const json::array& items = value.get_array();
    for (size_t i = 0; i < items.size(); ++i)
      if (items[i].is_object()) object(items[i].get_object(), *field.object, Path{&path, {}, static_cast<int>(i)});
  }

  Visitor& visitor_;
};

struct UnknownFields {
  std::vector<std::string> found;
  void unknown(const Path& path) { found.push_back("unknown field \"" + path.str() + "\""); }
  void wrong(const Path&, const json::value&, const char*) {}
};

struct FirstWrongType {
  std::optional<FieldError> found;
  void unknown(const Path&) {}
  void wrong(const Path& path, const json::value& value, const char* expected) {
    if (!found)
      found = FieldError{"TypeInvalid", path.str(), fmt::format("must be {}, not {}", expected, described(value))};
  }
};

}  // namespace

const ObjectFields* fields_of(const ResourceType& type) { return catalogue().find(type); }

const ObjectFields* fields_of(std::string_view apiVersion, std::string_view kind) {
  return catalogue().find(apiVersion, kind);
}

const Member* find_member(const std::vector<Member>& members, uint32_t number) {
  const auto at = std::ranges::lower_bound(members, number, {}, &Member::number);
  return at == members.end() || at->number != number ? nullptr : &*at;
}

std::vector<std::string> unknown_fields(const ResourceType& type, const json::object& document) {
  UnknownFields visitor;
  if (const ObjectFields* fields = fields_of(type)) Walk(visitor).object(document, *fields, Path{});
  return std::move(visitor.found);
}

std::optional<FieldError> check_field_types(const ResourceType& type, const json::object& document) {
  FirstWrongType visitor;
  if (const ObjectFields* fields = fields_of(type)) Walk(visitor).object(document, *fields, Path{});
  return std::move(visitor.found);
}

}  // namespace carrick::k8s
