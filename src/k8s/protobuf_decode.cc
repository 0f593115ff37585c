#include <bit>
#include <boost/json/parse.hpp>

#include "base/encoding.h"
#include "base/timestamp.h"
#include "k8s/protobuf_message.h"
#include "k8s/protobuf_wire.h"

namespace carrick::k8s {
namespace {

constexpr int kMaxDepth = 128;

class Decoder {
 public:
  // Into `document`: of a field that comes twice, the last counts, and messages are joined.
  Result<void> object(const ObjectFields& fields, std::string_view message, json::object& document, int depth) {
    return members(fields.members, message, document, depth);
  }

 private:
  Result<void> members(const std::vector<Member>& known, std::string_view message, json::object& document, int depth) {
    if (depth > kMaxDepth) return fail(ErrorKind::kInvalid, "the message is nested deeper than {} levels", kMaxDepth);
    WireReader reader(message);
    while (!reader.at_end()) {
      const WireField wire = TRY(reader.next());
      const Member* member = find_member(known, wire.number);
      if (!member) continue;  // of a newer version of the API
      if (!member->field) {
        TRY_VOID(as_bytes(wire, "message"));
        TRY_VOID(members(member->inside, wire.bytes, document, depth + 1));
        continue;
      }
      if (auto read = shaped(*member, wire, document, depth + 1); !read)
        return with_context(read.error(), "{}", member->name);
    }
    return {};
  }

  Result<void> shaped(const Member& member, const WireField& wire, json::object& document, int depth) {
    const Field& field = *member.field;
    if (field.shape == Field::Shape::kList) {
      json::value& list = document[member.name];
      if (!list.is_array()) list.emplace_array();
      return add_item(field, wire, list.get_array(), depth);
    }
    if (field.shape == Field::Shape::kMap) {
      json::value& map = document[member.name];
      if (!map.is_object()) map.emplace_object();
      return add_entry(field, wire, map.get_object(), depth);
    }
    json::value value;
    if (field.value == 'o') {  // joined with an earlier part of the same message
      json::value* before = document.if_contains(member.name);
      if (before && before->is_object())
        value = std::move(*before);
      else
        value.emplace_object();
    }
    if (TRY(one(field, wire, value, depth)) || field.keeps_empty) {
      if (!value.is_null()) document[member.name] = std::move(value);
    } else {
      document.erase(member.name);
    }
    return {};
  }

  Result<void> add_item(const Field& field, const WireField& wire, json::array& list, int depth) {
    const bool number = field.value == 'i' || field.value == 'l' || field.value == 'b';
    if (number && wire.type == WireType::kBytes) {  // packed
      WireReader packed(wire.bytes);
      while (!packed.at_end()) {
        WireField item{.number = wire.number, .type = WireType::kVarint, .bytes = {}};
        item.value = TRY(packed.next_varint());
        TRY_VOID(one(field, item, list.emplace_back(nullptr), depth));
      }
      return {};
    }
    json::value value;
    if (field.value == 'o') value.emplace_object();
    TRY_VOID(one(field, wire, value, depth));
    list.push_back(std::move(value));
    return {};
  }

  Result<void> add_entry(const Field& field, const WireField& wire, json::object& map, int depth) {
    TRY_VOID(as_bytes(wire, "map"));
    std::string_view key;
    WireField value_wire{.number = 2, .type = WireType::kBytes, .bytes = {}};  // absent: the empty value
    WireReader reader(wire.bytes);
    while (!reader.at_end()) {
      const WireField part = TRY(reader.next());
      if (part.number == 1) key = TRY(as_text(part));
      if (part.number == 2) value_wire = part;
    }
    json::value value;
    if (field.value == 'o') value.emplace_object();
    TRY_VOID(one(field, value_wire, value, depth));
    map[key] = std::move(value);
    return {};
  }

  // Whether the value is another than the empty one of its type.
  Result<bool> one(const Field& field, const WireField& wire, json::value& out, int depth) {
    switch (field.value) {
      case 's': {
        const std::string_view text = TRY(as_text(wire));
        out = text;
        return !text.empty();
      }
      case 'i':
        out = static_cast<int32_t>(TRY(as_varint(wire)));
        return out.get_int64() != 0;
      case 'l':
        out = static_cast<int64_t>(TRY(as_varint(wire)));
        return out.get_int64() != 0;
      case 'b':
        out = TRY(as_varint(wire)) != 0;
        return out.get_bool();
      case 'd':
        return number(wire, out);
      case 'y':
        TRY_VOID(as_bytes(wire, "bytes"));
        out = base64(wire.bytes);
        return !wire.bytes.empty();
      case 'o':
        TRY_VOID(as_bytes(wire, "message"));
        TRY_VOID(members(field.object->members, wire.bytes, out.get_object(), depth));
        return true;
      default:
        TRY_VOID(as_bytes(wire, "message"));
        return wrapped(field, wire.bytes, out, depth);
    }
  }

  static Result<bool> number(const WireField& wire, json::value& out) {
    if (wire.type != WireType::kFixed64) return fail(ErrorKind::kInvalid, "must be a number of eight bytes");
    const double value = std::bit_cast<double>(wire.value);
    if (!(value - value == 0)) return fail(ErrorKind::kInvalid, "must be a finite number");  // JSON has no other
    out = value;
    return value != 0;
  }

  // Values that JSON writes plainly and protobuf as a message of its own.
  Result<bool> wrapped(const Field& field, std::string_view message, json::value& out, int depth) {
    WireReader reader(message);
    uint64_t numbers[4] = {};
    std::string_view texts[4];
    json::array list;
    while (!reader.at_end()) {
      const WireField part = TRY(reader.next());
      if (part.number >= 4) continue;
      if (part.type == WireType::kVarint) numbers[part.number] = part.value;
      if (part.type != WireType::kBytes) continue;
      texts[part.number] = part.bytes;
      if (field.value == 'e' && part.number == 1) list.emplace_back(TRY(as_text(part)));
      if (field.value == 'S' && part.number == 2) list.emplace_back(TRY(as_text(part)));
      if (field.value == 'A' && part.number == 2) {
        json::value& item = list.emplace_back(json::object{});
        TRY_VOID(members(field.object->members, part.bytes, item.get_object(), depth));
      }
    }
    switch (field.value) {
      case 't':
      case 'm':  // 1 seconds, 2 nanos
        return time(message, {static_cast<int64_t>(numbers[1]), static_cast<int32_t>(numbers[2])}, field.value, out);
      case 'q':  // 1 string
        if (!is_utf8(texts[1])) return not_text();
        out = texts[1].empty() ? "0" : texts[1];
        return true;
      case 'x':  // 1 type, 2 intVal, 3 strVal
        if (!is_utf8(texts[3])) return not_text();
        if (numbers[1] == 1)
          out = texts[3];
        else
          out = static_cast<int32_t>(numbers[2]);
        return true;
      case 'e':
        out = std::move(list);
        return true;
      case 'B':  // 1 allows, 2 schema
        if (texts[2].data() == nullptr) {
          out = numbers[1] != 0;
          return true;
        }
        break;
      case 'A':
      case 'S':  // 1 the schema, 2 the list
        if (!list.empty()) {
          out = std::move(list);
          return true;
        }
        break;
      default:  // 1 raw: JSON
        return raw(texts[1], out);
    }
    out.emplace_object();
    TRY_VOID(members(field.object->members, texts[field.value == 'B' ? 2 : 1], out.get_object(), depth));
    return true;
  }

  static Result<bool> time(std::string_view message, Timestamp at, char precision, json::value& out) {
    if (message.empty()) return false;  // Go's zero time
    const auto text = timestamp_text(at, precision == 'm' ? 6 : 0);
    if (!text) return fail(ErrorKind::kInvalid, "must be a time between the years 0 and 9999");
    out = *text;
    return true;
  }

  static Result<bool> raw(std::string_view text, json::value& out) {
    if (text.empty()) return false;
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = kMaxDepth;
    out = json::parse(text, error, {}, options);
    if (error) return fail(ErrorKind::kInvalid, "must be JSON: {}", error.message());
    return true;
  }

  static std::unexpected<Error> not_text() { return fail(ErrorKind::kInvalid, "must be text in UTF-8"); }
  static Result<void> as_bytes(const WireField& wire, std::string_view what) {
    if (wire.type != WireType::kBytes) return fail(ErrorKind::kInvalid, "field {}: must be a {}", wire.number, what);
    return {};
  }
  static Result<std::string_view> as_text(const WireField& wire) {
    TRY_VOID(as_bytes(wire, "string"));
    if (!is_utf8(wire.bytes)) return not_text();
    return wire.bytes;
  }
  static Result<uint64_t> as_varint(const WireField& wire) {
    if (wire.type != WireType::kVarint) return fail(ErrorKind::kInvalid, "must be a whole number");
    return wire.value;
  }
};

}  // namespace

Result<json::object> decode_message(const ObjectFields& fields, std::string_view message) {
  json::object document;
  TRY_VOID(Decoder().object(fields, message, document, 0));
  return document;
}

}  // namespace carrick::k8s
