#pragma once

#include <fmt/format.h>

#include <atomic>
#include <compare>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace carrick {

// A text that never changes; copies share it. Eight bytes where a std::string takes 32 and a copy of the text: for
// names that stand in thousands of rows. Copies may be used by different threads.
class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string_view text) : rep_(make(text)) {}
  SharedText(const std::string& text) : SharedText(std::string_view(text)) {}
  SharedText(const char* text) : SharedText(std::string_view(text)) {}
  SharedText(const SharedText& other) : rep_(other.rep_) {
    if (rep_) rep_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  SharedText(SharedText&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~SharedText() {
    if (rep_ && rep_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) ::operator delete(rep_);
  }

  std::string_view view() const { return rep_ ? std::string_view(rep_->text(), rep_->size) : std::string_view(); }
  std::string str() const { return std::string(view()); }
  operator std::string_view() const { return view(); }
  operator std::string() const { return str(); }
  bool empty() const { return !rep_; }
  bool unshared() const { return !rep_ || rep_->refs.load(std::memory_order_acquire) == 1; }
  size_t size() const { return view().size(); }
  std::string_view substr(size_t from, size_t count = std::string_view::npos) const {
    return view().substr(from, count);
  }
  size_t rfind(char c) const { return view().rfind(c); }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.rep_ == b.rep_ || a.view() == b.view(); }
  friend auto operator<=>(const SharedText& a, const SharedText& b) { return a.view() <=> b.view(); }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const std::string& b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const char* b) { return a.view() == b; }
  friend std::string operator+(const SharedText& a, std::string_view b) { return a.str().append(b); }
  friend std::string operator+(std::string a, const SharedText& b) { return std::move(a.append(b.view())); }

 private:
  struct Rep {
    std::atomic<uint32_t> refs{1};
    uint32_t size = 0;
    char* text() { return reinterpret_cast<char*>(this + 1); }
  };
  static Rep* make(std::string_view text) {
    if (text.empty()) return nullptr;
    Rep* rep = new (::operator new(sizeof(Rep) + text.size())) Rep;
    rep->size = static_cast<uint32_t>(text.size());
    std::memcpy(rep->text(), text.data(), text.size());
    return rep;
  }
  Rep* rep_ = nullptr;
};

}  // namespace carrick

template <>
struct fmt::formatter<carrick::SharedText> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const carrick::SharedText& text, Context& context) const {
    return fmt::formatter<std::string_view>::format(text.view(), context);
  }
};
template <>
struct std::hash<carrick::SharedText> {
  size_t operator()(const carrick::SharedText& text) const noexcept {
    return std::hash<std::string_view>{}(text.view());
  }
};
