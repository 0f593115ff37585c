#include "k8s/codec.h"

#include <boost/mp11.hpp>
#include <cmath>
#include <limits>

#include "k8s/fields.h"
#include "k8s/objects.h"

namespace carrick::k8s {
namespace {

namespace describe = boost::describe;
namespace mp11 = boost::mp11;

template <class T>
concept Described = describe::has_describe_members<T>::value;

// What is common to all kinds.
struct PartialObject {
  ObjectMeta metadata;
};
BOOST_DESCRIBE_STRUCT(PartialObject, (), (metadata))

template <class T>
using Members = describe::describe_members<T, describe::mod_public>;

// The API's name of a member: ours without the underscore that C++ keywords need.
constexpr std::string_view api_name(std::string_view member) {
  if (member.ends_with('_')) member.remove_suffix(1);
  return member;
}

// Fields that the API writes even when they are empty; typed clients (Python's) refuse an object without them.
template <class T>
constexpr bool is_required(std::string_view) {
  return false;
}
template <>
constexpr bool is_required<EndpointSlice>(std::string_view name) {
  return name == "endpoints" || name == "ports";
}
template <>
constexpr bool is_required<Endpoint>(std::string_view name) {
  return name == "addresses";
}
template <>
constexpr bool is_required<ReplicaSetStatus>(std::string_view name) {
  return name == "replicas";
}

// ---- decode ----

std::string_view json_type(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
  }
  return "unknown";
}

// Read one value; false: `error` says what is wrong. null leaves the target as it is (absent).
class Reader {
 public:
  FieldError error;

  bool read(const json::value& from, std::string& to, const Path& path) {
    if (!from.is_string()) return refuse(from, "a string", path);
    to.assign(from.get_string().data(), from.get_string().size());
    return true;
  }
  bool read(const json::value& from, SharedText& to, const Path& path) {
    if (!from.is_string()) return refuse(from, "a string", path);
    to = SharedText(std::string_view(from.get_string()));
    return true;
  }
  bool read(const json::value& from, bool& to, const Path& path) {
    if (!from.is_bool()) return refuse(from, "true or false", path);
    to = from.get_bool();
    return true;
  }
  template <std::signed_integral Int>
  bool read(const json::value& from, Int& to, const Path& path) {
    if (!is_integer(from)) return refuse(from, "an integer", path);
    const int64_t number = from.is_double() ? static_cast<int64_t>(from.get_double()) : from.to_number<int64_t>();
    if (number < std::numeric_limits<Int>::min() || number > std::numeric_limits<Int>::max())
      return refuse(from, "an integer of 32 bits", path);
    to = static_cast<Int>(number);
    return true;
  }
  bool read(const json::value& from, IntOrString& to, const Path& path) {
    if (from.is_string()) {
      to = std::string(from.get_string().data(), from.get_string().size());
      return true;
    }
    int32_t number = 0;
    if (!from.is_number()) return refuse(from, "an integer or a string", path);
    if (!read(from, number, path)) return false;
    to = number;
    return true;
  }
  template <class T>
  bool read(const json::value& from, std::optional<T>& to, const Path& path) {
    return read(from, to.emplace(), path);
  }
  template <class T>
  bool read(const json::value& from, Boxed<T>& to, const Path& path) {
    return read(from, to.emplace(), path);
  }
  template <class T>
  bool read(const json::value& from, std::vector<T>& to, const Path& path) {
    if (!from.is_array()) return refuse(from, "a list", path);
    const json::array& items = from.get_array();
    to.resize(items.size());
    for (size_t i = 0; i < items.size(); ++i)
      if (!items[i].is_null() && !read(items[i], to[i], Path{&path, {}, static_cast<int>(i)})) return false;
    return true;
  }
  bool read(const json::value& from, StringMap& to, const Path& path) {
    if (!from.is_object()) return refuse(from, "an object", path);
    for (const auto& [key, value] : from.get_object()) {
      std::string& target = to[std::string(key)];
      if (!value.is_null() && !read(value, target, Path{&path, key})) return false;
    }
    return true;
  }
  template <Described T>
  bool read(const json::value& from, T& to, const Path& path) {
    if (!from.is_object()) return refuse(from, "an object", path);
    return read_members(from.get_object(), to, path, Members<T>{});
  }
  template <Described T>
  bool read(const json::object& from, T& to, const Path& path) {
    return read_members(from, to, path, Members<T>{});
  }
  template <Described T>
  bool read_object(const json::object& from, T& to) {
    return read_members(from, to, Path{}, Members<T>{});
  }

 private:
  bool refuse(const json::value& from, std::string_view expected, const Path& path) {
    error = {"TypeInvalid", path.str(), fmt::format("must be {}, not {}", expected, described(from))};
    if (error.field.empty()) error.field = "document";
    return false;
  }

  template <class T, template <class...> class List, class... D>
  bool read_members(const json::object& from, T& to, const Path& path, List<D...>) {
    return (read_member(from, api_name(D::name), to.*D::pointer, path) && ...);
  }
  template <class Field>
  bool read_member(const json::object& from, std::string_view name, Field& to, const Path& path) {
    const json::value* value = from.if_contains(name);
    return !value || value->is_null() || read(*value, to, Path{&path, name});
  }
};

// ---- encode ----

json::value write(const std::string& from) { return json::value(json::string_view(from)); }
json::value write(const SharedText& from) { return json::value(json::string_view(from.view())); }
json::value write(bool from) { return from; }
json::value write(int32_t from) { return from; }
json::value write(int64_t from) { return from; }
json::value write(const IntOrString& from) {
  return std::visit([](const auto& value) { return write(value); }, from);
}
json::value write(const StringMap& from) {
  json::object to;
  to.reserve(from.size());
  for (const auto& [key, value] : from) to.emplace(key, write(value));
  return to;
}
template <class T>
json::value write(const std::vector<T>& from);
template <Described T>
json::object write(const T& from);
template <class T>
json::value write(const std::optional<T>& from) {
  return write(*from);
}
template <class T>
json::value write(const Boxed<T>& from) {
  return write(*from);
}
template <class T>
json::value write(const std::vector<T>& from) {
  json::array to;
  to.reserve(from.size());
  for (const T& item : from) to.emplace_back(write(item));
  return to;
}

// What omitempty leaves out in Go: not structs.
bool is_empty(const std::string& value) { return value.empty(); }
bool is_empty(const SharedText& value) { return value.empty(); }
bool is_empty(bool value) { return !value; }
bool is_empty(int32_t value) { return value == 0; }
bool is_empty(int64_t value) { return value == 0; }
bool is_empty(const StringMap& value) { return value.empty(); }
bool is_empty(const IntOrString& value) { return value == IntOrString{}; }
template <class T>
bool is_empty(const std::vector<T>& value) {
  return value.empty();
}
template <class T>
bool is_empty(const std::optional<T>& value) {
  return !value;
}
template <class T>
bool is_empty(const Boxed<T>& value) {
  return !value;
}
template <Described T>
bool is_empty(const T&) {
  return false;
}

template <Described T>
void write_members(const T& from, json::object& to) {
  mp11::mp_for_each<Members<T>>([&](auto descriptor) {
    constexpr std::string_view name = api_name(descriptor.name);
    const auto& value = from.*descriptor.pointer;
    if (is_required<T>(name) || !is_empty(value)) to.emplace(name, write(value));
  });
}
template <Described T>
json::object write(const T& from) {
  json::object to;
  write_members(from, to);
  return to;
}

}  // namespace

bool is_integer(const json::value& value) {
  // A number that our own code put in may be unsigned; what is parsed is that only above INT64_MAX.
  if (!value.is_double()) return value.is_int64() || (value.is_uint64() && value.get_uint64() <= INT64_MAX);
  return std::abs(value.get_double()) < 1e15 && std::trunc(value.get_double()) == value.get_double();
}

std::string described(const json::value& value) {
  return value.is_structured() ? std::string(json_type(value))
                               : fmt::format("{} {}", json_type(value), json::serialize(value));
}

template <class T>
Result<T> decode(const json::value& document) {
  Result<T> object;
  Reader reader;
  if (!reader.read(document, *object, Path{})) return fail(ErrorKind::kInvalid, "{}", reader.error.str());
  return object;
}

template <class T>
Result<T> decode(const json::object& document) {
  Result<T> object;
  Reader reader;
  if (!reader.read(document, *object, Path{})) return fail(ErrorKind::kInvalid, "{}", reader.error.str());
  return object;
}

template <class T>
json::object encode(const T& object) {
  const ResourceType& type = resource<T>();
  json::object document;
  document.emplace("apiVersion", type.apiVersion());
  document.emplace("kind", type.kind);
  write_members(object, document);
  return document;
}

Result<ObjectMeta> metadata_of(const json::object& document) {
  PartialObject object;
  Reader reader;
  if (!reader.read_object(document, object)) return fail(ErrorKind::kInvalid, "{}", reader.error.str());
  return std::move(object.metadata);
}

std::optional<FieldError> check_types(const ResourceType* type, const json::object& document) {
  Reader reader;
  const auto check = [&]<class T>(T object) { return reader.read_object(document, object); };
  bool good;
#define CARRICK_CHECK(T)      \
  if (type == &resource<T>()) \
    good = check(T{});        \
  else
  CARRICK_K8S_KINDS(CARRICK_CHECK) good = check(PartialObject{});
#undef CARRICK_CHECK
  if (!good) return std::move(reader.error);
  return type ? check_field_types(*type, document) : std::nullopt;
}

#define CARRICK_DEFINE_CODEC(T)                      \
  template Result<T> decode<T>(const json::value&);  \
  template Result<T> decode<T>(const json::object&); \
  template json::object encode<T>(const T&);
CARRICK_K8S_KINDS(CARRICK_DEFINE_CODEC)
#undef CARRICK_DEFINE_CODEC

}  // namespace carrick::k8s
