#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace carrick::dns {

// A domain name in uncompressed wire form (RFC 1035 3.1), at most 255 bytes. Case is kept, comparison ignores it (RFC
// 4343).
class Name {
 public:
  Name() : wire_(1, '\0') {}  // the root

  // "web.default.svc" with or without trailing dot; "\." and "\DDD" as in RFC 1035 5.1. kInvalid: empty label, label >
  // 63, name > 255.
  static Result<Name> parse(std::string_view text);
  // Bytes that a parser has already checked.
  static Name from_wire(const uint8_t* wire, size_t size) {
    return Name(std::string(reinterpret_cast<const char*>(wire), size));
  }

  const std::string& wire() const { return wire_; }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(wire_.data()); }
  bool is_root() const { return wire_.size() == 1; }
  size_t label_count() const;
  std::vector<std::string_view> labels() const;  // leftmost first, raw bytes, without the root
  std::string text() const;                      // without trailing dot; "." for the root
  std::string lower_wire() const;                // key of caches and sets

  // The labels left of `zone`, lower case and joined by dots ("" for the zone itself); nothing when the name is not
  // below it. A label that holds a dot or a NUL gives a text no table has ("\." stays escaped).
  std::optional<std::string> relative_to(const Name& zone) const;
  bool is_below(const Name& zone) const;  // or equal
  // The last `count` labels.
  Name suffix(size_t count) const;

  friend bool operator==(const Name& a, const Name& b);

 private:
  explicit Name(std::string wire) : wire_(std::move(wire)) {}
  // Offset in the wire where `zone` begins, or npos.
  size_t offset_of(const Name& zone) const;

  std::string wire_;
};

// The zone's name below which `relative` lies: "web.default.svc" + "cluster.local". Both from tables; kInvalid as
// parse.
Result<Name> join_names(std::string_view relative, const Name& zone);

}  // namespace carrick::dns
