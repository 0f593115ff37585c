#include "k8s/protobuf_wire.h"

namespace carrick::k8s {
namespace {

std::unexpected<Error> cut_off() { return fail(ErrorKind::kInvalid, "the message ends in the middle of a field"); }

}  // namespace

Result<uint64_t> WireReader::next_varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return cut_off();
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return fail(ErrorKind::kInvalid, "a number of the message is longer than 64 bits");
}

Result<WireField> WireReader::next() {
  const uint64_t tag = TRY(next_varint());
  WireField field{.number = static_cast<uint32_t>(tag >> 3), .type = static_cast<WireType>(tag & 7), .bytes = {}};
  if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
    return fail(ErrorKind::kInvalid, "the message has a field without number");
  const auto fixed = [&](size_t size) -> Result<void> {
    if (rest_.size() < size) return cut_off();
    for (size_t i = 0; i < size; ++i)
      field.value |= static_cast<uint64_t>(static_cast<uint8_t>(rest_[i])) << (8 * i);  // little endian
    rest_.remove_prefix(size);
    return {};
  };
  switch (field.type) {
    case WireType::kVarint:
      field.value = TRY(next_varint());
      return field;
    case WireType::kFixed64:
      TRY_VOID(fixed(8));
      return field;
    case WireType::kFixed32:
      TRY_VOID(fixed(4));
      return field;
    case WireType::kBytes: {
      const uint64_t size = TRY(next_varint());
      if (size > rest_.size()) return cut_off();
      field.bytes = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return field;
    }
  }
  return fail(ErrorKind::kInvalid, "field {} of the message has the unknown wire type {}", field.number, tag & 7);
}

void WireWriter::raw_varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
  out_ += static_cast<char>(value);
}

void WireWriter::tag(uint32_t number, WireType type) {
  raw_varint(static_cast<uint64_t>(number) << 3 | uint64_t(type));
}

void WireWriter::varint(uint32_t number, uint64_t value) {
  tag(number, WireType::kVarint);
  raw_varint(value);
}

void WireWriter::fixed64(uint32_t number, uint64_t value) {
  tag(number, WireType::kFixed64);
  for (int i = 0; i < 8; ++i) out_ += static_cast<char>(value >> (8 * i));
}

void WireWriter::bytes(uint32_t number, std::string_view value) {
  tag(number, WireType::kBytes);
  raw_varint(value.size());
  out_ += value;
}

}  // namespace carrick::k8s
