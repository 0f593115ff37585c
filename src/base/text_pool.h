#pragma once

#include <algorithm>
#include <cstddef>
#include <unordered_set>

#include "base/shared_text.h"

namespace carrick {

// Lets equal texts of many objects be one. Texts that nobody else holds any more are let go as the pool grows, so it is
// never more than twice what was in use. Not thread-safe; the texts are.
class TextPool {
 public:
  void share(SharedText& text) {
    if (text.empty()) return;
    if (texts_.size() >= limit_) {
      std::erase_if(texts_, [](const SharedText& one) { return one.unshared(); });
      limit_ = std::max(kFirstLimit, 2 * texts_.size());
    }
    text = *texts_.insert(text).first;
  }
  size_t size() const { return texts_.size(); }

 private:
  static constexpr size_t kFirstLimit = 1024;
  std::unordered_set<SharedText> texts_;
  size_t limit_ = kFirstLimit;
};

}  // namespace carrick
