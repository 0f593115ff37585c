#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

// Protocol buffers on the wire: numbered fields, each a varint, eight bytes, four bytes, or a counted run of bytes.
namespace carrick::k8s {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // of kVarint, kFixed64, kFixed32
  std::string_view bytes;  // of kBytes; into the message
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}
  bool at_end() const { return rest_.empty(); }
  Result<WireField> next();        // kInvalid: cut off, a group, field number 0
  Result<uint64_t> next_varint();  // of a packed list

 private:
  std::string_view rest_;
};

class WireWriter {
 public:
  void varint(uint32_t number, uint64_t value);
  void fixed64(uint32_t number, uint64_t value);
  void bytes(uint32_t number, std::string_view value);
  std::string take() { return std::move(out_); }
  bool empty() const { return out_.empty(); }

 private:
  void raw_varint(uint64_t value);
  void tag(uint32_t number, WireType type);
  std::string out_;
};

}  // namespace carrick::k8s
