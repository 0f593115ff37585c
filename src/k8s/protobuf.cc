#include "k8s/protobuf.h"

#include <boost/json/parse.hpp>

#include "base/encoding.h"
#include "k8s/fields.h"
#include "k8s/protobuf_message.h"
#include "k8s/protobuf_wire.h"

namespace carrick::k8s {

namespace {
constexpr std::string_view kMagic("k8s\0", 4);
}

namespace {

// runtime.Unknown: 1 typeMeta (1 apiVersion, 2 kind), 2 raw, 3 contentEncoding, 4 contentType.
struct Envelope {
  std::string_view api_version, kind, raw, encoding, content_type;
};

Result<Envelope> open_envelope(std::string_view bytes) {
  if (!bytes.starts_with(kMagic))
    return fail(ErrorKind::kInvalid, "the body does not begin with the four bytes of Kubernetes protobuf, \"k8s\\0\"");
  Envelope out;
  WireReader reader(bytes.substr(kMagic.size()));
  while (!reader.at_end()) {
    const WireField field = TRY(reader.next());
    if (field.type != WireType::kBytes) continue;
    if (field.number == 2) out.raw = field.bytes;
    if (field.number == 3) out.encoding = field.bytes;
    if (field.number == 4) out.content_type = field.bytes;
    if (field.number != 1) continue;
    WireReader type(field.bytes);
    while (!type.at_end()) {
      const WireField part = TRY(type.next());
      if (part.type != WireType::kBytes) continue;
      if (part.number == 1) out.api_version = part.bytes;
      if (part.number == 2) out.kind = part.bytes;
    }
  }
  return out;
}

const ObjectFields* message_of(std::string_view api_version, std::string_view kind) {
  // Options are known to every group.
  if (kind == "DeleteOptions") return fields_of("v1", kind);
  return fields_of(api_version, kind);
}

std::string_view text_of(const json::object& document, std::string_view name) {
  const json::value* value = document.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

std::string encode_list(const json::object& document, const ObjectFields& item_fields) {
  WireWriter out;
  const json::value* metadata = document.if_contains("metadata");
  out.bytes(1, encode_message(*fields_of("v1", "ListMeta"),
                              metadata && metadata->is_object() ? metadata->get_object() : json::object{}));
  const json::value* items = document.if_contains("items");
  if (items && items->is_array())
    for (const json::value& item : items->get_array())
      out.bytes(2, encode_message(item_fields, item.is_object() ? item.get_object() : json::object{}));
  return out.take();
}

std::string enclose(std::string_view api_version, std::string_view kind, std::string_view raw) {
  WireWriter type, unknown;
  type.bytes(1, api_version);
  type.bytes(2, kind);
  unknown.bytes(1, type.take());
  unknown.bytes(2, raw);
  unknown.bytes(3, "");
  unknown.bytes(4, "");
  return std::string(kMagic) + unknown.take();
}

}  // namespace

Result<json::object> decode_protobuf(std::string_view bytes) {
  const Envelope envelope = TRY(open_envelope(bytes));
  if (!envelope.encoding.empty())
    return fail(ErrorKind::kInvalid, "content encoding {:?} inside a protobuf body is not known", envelope.encoding);
  if (envelope.content_type == "application/json") {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 128;
    json::value value = json::parse(envelope.raw, error, {}, options);
    if (error || !value.is_object()) return fail(ErrorKind::kInvalid, "the JSON inside a protobuf body is no object");
    return std::move(value.get_object());
  }
  const ObjectFields* fields = message_of(envelope.api_version, envelope.kind);
  if (!fields || !is_utf8(envelope.api_version))
    return fail(ErrorKind::kInvalid, "no kind {:?} is registered for version {:?}", envelope.kind,
                envelope.api_version);
  json::object document{{"apiVersion", envelope.api_version}, {"kind", envelope.kind}};
  for (auto& [name, value] : TRY(decode_message(*fields, envelope.raw))) document[name] = std::move(value);
  return document;
}

Result<std::string> encode_protobuf(const json::object& document) {
  const std::string_view api_version = text_of(document, "apiVersion"), kind = text_of(document, "kind");
  if (const ObjectFields* fields = message_of(api_version, kind))
    return enclose(api_version, kind, encode_message(*fields, document));
  if (kind.ends_with("List"))
    if (const ObjectFields* fields = message_of(api_version, kind.substr(0, kind.size() - 4)))
      return enclose(api_version, kind, encode_list(document, *fields));
  return fail(ErrorKind::kUnsupported, "{} of {} has no protobuf form", kind, api_version);
}

Result<std::string> encode_protobuf_event(std::string_view type, const json::object& document) {
  const std::string object = TRY(encode_protobuf(document));
  WireWriter raw, event;
  raw.bytes(1, object);
  event.bytes(1, type);
  event.bytes(2, raw.take());
  const std::string body = event.take();
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(body.size() >> shift);
  return frame + body;
}

}  // namespace carrick::k8s
