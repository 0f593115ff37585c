#include <bit>
#include <boost/json/serialize.hpp>

#include "base/encoding.h"
#include "base/timestamp.h"
#include "k8s/protobuf_message.h"
#include "k8s/protobuf_wire.h"

namespace carrick::k8s {
namespace {

void put_object(WireWriter& out, const std::vector<Member>& members, const json::object& document);

std::string time_message(std::string_view text) {
  WireWriter out;
  const auto at = parse_timestamp(text);
  if (!at) return {};
  out.varint(1, static_cast<uint64_t>(at->seconds));
  out.varint(2, static_cast<uint64_t>(at->nanos));
  return out.take();
}

std::string quantity_message(const json::value& value) {
  WireWriter out;
  out.bytes(1, value.is_string() ? std::string(value.get_string()) : json::serialize(value));
  return out.take();
}

int64_t whole(const json::value& value) {
  boost::system::error_code error;
  return value.to_number<int64_t>(error);
}

std::string int_or_string_message(const json::value& value) {
  WireWriter out;
  const bool text = value.is_string();
  out.varint(1, text ? 1 : 0);
  out.varint(2, text ? 0 : static_cast<uint64_t>(whole(value)));
  out.bytes(3, text ? std::string_view(value.get_string()) : std::string_view{});
  return out.take();
}

std::string object_message(const ObjectFields& fields, const json::value& value) {
  WireWriter out;
  if (value.is_object()) put_object(out, fields.members, value.get_object());
  return out.take();
}

std::string schema_message(const Field& field, const json::value& value) {
  WireWriter out;
  if (value.is_bool()) {
    out.varint(1, value.get_bool());
  } else if (value.is_object()) {
    if (field.value == 'B') out.varint(1, 1);
    out.bytes(field.value == 'B' ? 2 : 1, object_message(*field.object, value));
  } else if (value.is_array()) {
    for (const json::value& item : value.get_array())
      if (item.is_string())
        out.bytes(2, item.get_string());
      else
        out.bytes(2, object_message(*field.object, item));
  }
  return out.take();
}

std::string raw_message(const json::value& value) {
  WireWriter out;
  out.bytes(1, json::serialize(value));
  return out.take();
}

std::string list_message(const json::value& value) {
  WireWriter out;
  if (value.is_array())
    for (const json::value& item : value.get_array())
      if (item.is_string()) out.bytes(1, item.get_string());
  return out.take();
}

std::string_view text_or_empty(const json::value& value) {
  return value.is_string() ? std::string_view(value.get_string()) : std::string_view{};
}

void put_one(WireWriter& out, uint32_t number, const Field& field, const json::value& value) {
  switch (field.value) {
    case 's':
      return out.bytes(number, text_or_empty(value));
    case 'i':
    case 'l':
      return out.varint(number, static_cast<uint64_t>(whole(value)));
    case 'b':
      return out.varint(number, value.is_bool() && value.get_bool());
    case 'd': {
      boost::system::error_code error;
      return out.fixed64(number, std::bit_cast<uint64_t>(value.to_number<double>(error)));
    }
    case 'y':
      return out.bytes(number, from_base64(text_or_empty(value)).value_or(""));
    case 't':
    case 'm':
      return out.bytes(number, time_message(text_or_empty(value)));
    case 'q':
      return out.bytes(number, quantity_message(value));
    case 'x':
      return out.bytes(number, int_or_string_message(value));
    case 'e':
      return out.bytes(number, list_message(value));
    case 'o':
      return out.bytes(number, object_message(*field.object, value));
    case 'B':
    case 'A':
    case 'S':
      return out.bytes(number, schema_message(field, value));
    default:
      return out.bytes(number, raw_message(value));
  }
}

void put_field(WireWriter& out, uint32_t number, const Field& field, const json::value& value) {
  if (value.is_null()) return;
  if (field.shape == Field::Shape::kOne) return put_one(out, number, field, value);
  if (field.shape == Field::Shape::kList) {
    if (value.is_array())
      for (const json::value& item : value.get_array()) put_one(out, number, field, item);
    return;
  }
  if (!value.is_object()) return;
  for (const auto& [key, item] : value.get_object()) {
    WireWriter entry;
    entry.bytes(1, key);
    put_one(entry, 2, field, item);
    out.bytes(number, entry.take());
  }
}

void put_object(WireWriter& out, const std::vector<Member>& members, const json::object& document) {
  for (const Member& member : members) {
    if (member.field) {
      if (const json::value* value = document.if_contains(member.name))
        put_field(out, member.number, *member.field, *value);
      continue;
    }
    WireWriter inside;
    put_object(inside, member.inside, document);
    if (!inside.empty()) out.bytes(member.number, inside.take());
  }
}

}  // namespace

std::string encode_message(const ObjectFields& fields, const json::object& document) {
  WireWriter out;
  put_object(out, fields.members, document);
  return out.take();
}

}  // namespace carrick::k8s
