#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace carrick::reconcile {

// What a store holds: rows of one size side by side, found by hash. A tree of strings would take five times the memory
// of the rows themselves.
class Shadow {
 public:
  size_t size() const { return count_; }
  void clear();
  // Number of the row, good until the next erase(); kNone when there is none.
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t find(std::string_view key) const;
  std::string_view key(uint32_t row) const { return {at(row), key_size_}; }
  std::string_view value(uint32_t row) const { return {at(row) + key_size_, value_size_}; }
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);

 private:
  const char* at(uint32_t row) const { return bytes_.data() + size_t{row} * (key_size_ + value_size_); }
  static uint64_t hash(std::string_view key);
  uint32_t home(std::string_view key) const { return static_cast<uint32_t>(hash(key)) & mask(); }
  uint32_t mask() const { return static_cast<uint32_t>(slots_.size()) - 1; }
  uint32_t slot_of(uint32_t row) const;
  void grow();

  size_t key_size_ = 0, value_size_ = 0, count_ = 0;
  std::vector<char> bytes_;
  std::vector<uint32_t> slots_;  // row, or kNone; linear probing, a power of two of them
};

}  // namespace carrick::reconcile
