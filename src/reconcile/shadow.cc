#include "reconcile/shadow.h"

#include <algorithm>
#include <cassert>

namespace carrick::reconcile {

uint64_t Shadow::hash(std::string_view key) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  uint64_t sum = key.size();
  for (size_t i = 0; i < key.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, key.data() + i, std::min<size_t>(8, key.size() - i));
    sum = (sum ^ word) * kOdd;
    sum ^= sum >> 32;
  }
  return sum;
}

void Shadow::clear() { *this = {}; }

uint32_t Shadow::find(std::string_view wanted) const {
  if (slots_.empty() || wanted.size() != key_size_) return kNone;
  for (uint32_t slot = home(wanted); slots_[slot] != kNone; slot = (slot + 1) & mask())
    if (key(slots_[slot]) == wanted) return slots_[slot];
  return kNone;
}

uint32_t Shadow::slot_of(uint32_t row) const {
  uint32_t slot = home(key(row));
  while (slots_[slot] != row) slot = (slot + 1) & mask();
  return slot;
}

void Shadow::grow() {
  slots_.assign(std::max<size_t>(16, slots_.size() * 2), kNone);
  for (uint32_t row = 0; row < count_; ++row) {
    uint32_t slot = home(key(row));
    while (slots_[slot] != kNone) slot = (slot + 1) & mask();
    slots_[slot] = row;
  }
}

void Shadow::put(std::string_view new_key, std::string_view new_value) {
  if (const uint32_t row = find(new_key); row != kNone) {
    std::memcpy(bytes_.data() + size_t{row} * (key_size_ + value_size_) + key_size_, new_value.data(), value_size_);
    return;
  }
  if (count_ == 0) {
    key_size_ = new_key.size();
    value_size_ = new_value.size();
  }
  assert(new_key.size() == key_size_ && new_value.size() == value_size_);
  if ((count_ + 1) * 4 > slots_.size() * 3) grow();
  const size_t need = bytes_.size() + key_size_ + value_size_;
  if (need > bytes_.capacity()) bytes_.reserve(std::max<size_t>(need + need / 4, 1024));
  bytes_.insert(bytes_.end(), new_key.begin(), new_key.end());
  bytes_.insert(bytes_.end(), new_value.begin(), new_value.end());
  uint32_t slot = home(new_key);
  while (slots_[slot] != kNone) slot = (slot + 1) & mask();
  slots_[slot] = static_cast<uint32_t>(count_++);
}

// The last row takes the place of the one that goes; rows that the hole would hide move up.
void Shadow::erase(std::string_view old_key) {
  const uint32_t row = find(old_key);
  if (row == kNone) return;
  uint32_t hole = slot_of(row);
  const auto last = static_cast<uint32_t>(count_ - 1);
  if (row != last) {
    slots_[slot_of(last)] = row;
    std::memcpy(bytes_.data() + size_t{row} * (key_size_ + value_size_), at(last), key_size_ + value_size_);
  }
  bytes_.resize(bytes_.size() - key_size_ - value_size_);
  --count_;
  for (uint32_t slot = (hole + 1) & mask(); slots_[slot] != kNone; slot = (slot + 1) & mask()) {
    const uint32_t distance_to_home = (slot - home(key(slots_[slot]))) & mask();
    if (distance_to_home < ((slot - hole) & mask())) continue;
    slots_[hole] = slots_[slot];
    hole = slot;
  }
  slots_[hole] = kNone;
}

}  // namespace carrick::reconcile
