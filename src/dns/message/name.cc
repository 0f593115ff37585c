#include "dns/message/name.h"

namespace carrick::dns {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 255;

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Length bytes are below 'A' (at most 63), so a whole wire name can be folded byte by byte.
bool equal_folded(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (lower_ascii(a[i]) != lower_ascii(b[i])) return false;
  return true;
}

void append_label(std::string& out, std::string_view label, bool fold) {
  for (char c : label) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '.' || c == '\\')
      (out += '\\') += c;
    else if (byte <= 0x20 || byte >= 0x7f)
      out += fmt::format("\\{:03}", byte);
    else
      out += fold ? lower_ascii(c) : c;
  }
}

// One character of a label, with its escape. Advances `i` behind it.
Result<char> take_character(std::string_view text, size_t& i) {
  char c = text[i++];
  if (c != '\\') return c;
  if (i >= text.size()) return fail(ErrorKind::kInvalid, "name '{}' ends in a backslash", text);
  if (text[i] < '0' || text[i] > '9') return text[i++];
  if (i + 3 > text.size()) return fail(ErrorKind::kInvalid, "name '{}' has a short \\DDD escape", text);
  int value = 0;
  for (int digit = 0; digit < 3; ++digit, ++i) {
    if (text[i] < '0' || text[i] > '9') return fail(ErrorKind::kInvalid, "name '{}' has a bad \\DDD escape", text);
    value = value * 10 + (text[i] - '0');
  }
  if (value > 255) return fail(ErrorKind::kInvalid, "name '{}' has an escape above 255", text);
  return static_cast<char>(value);
}

}  // namespace

Result<Name> Name::parse(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, "empty domain name");
  if (text == ".") return Name();
  std::string wire, label;
  auto close_label = [&]() -> Result<void> {
    if (label.empty()) return fail(ErrorKind::kInvalid, "name '{}' has an empty label", text);
    if (label.size() > kMaxLabel) return fail(ErrorKind::kInvalid, "name '{}' has a label of more than 63 bytes", text);
    wire += static_cast<char>(label.size());
    wire += label;
    label.clear();
    return {};
  };
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '.') {
      TRY_VOID(close_label());
      ++i;
    } else {
      label += TRY(take_character(text, i));
    }
  }
  if (!label.empty()) TRY_VOID(close_label());
  wire += '\0';
  if (wire.size() > kMaxName) return fail(ErrorKind::kInvalid, "name '{}' is longer than 255 bytes", text);
  return Name(std::move(wire));
}

size_t Name::label_count() const {
  size_t count = 0;
  for (size_t at = 0; wire_[at] != 0; at += 1 + static_cast<unsigned char>(wire_[at])) ++count;
  return count;
}

std::vector<std::string_view> Name::labels() const {
  std::vector<std::string_view> out;
  for (size_t at = 0; wire_[at] != 0;) {
    auto size = static_cast<unsigned char>(wire_[at]);
    out.push_back(std::string_view(wire_).substr(at + 1, size));
    at += 1 + size;
  }
  return out;
}

std::string Name::text() const {
  if (is_root()) return ".";
  std::string out;
  out.reserve(wire_.size());
  for (std::string_view label : labels()) {
    if (!out.empty()) out += '.';
    append_label(out, label, false);
  }
  return out;
}

std::string Name::lower_wire() const {
  std::string out = wire_;
  for (char& c : out) c = lower_ascii(c);
  return out;
}

size_t Name::offset_of(const Name& zone) const {
  if (zone.wire_.size() > wire_.size()) return std::string::npos;
  size_t start = wire_.size() - zone.wire_.size();
  size_t at = 0;
  while (at < start && wire_[at] != 0) at += 1 + static_cast<unsigned char>(wire_[at]);
  if (at != start || !equal_folded(std::string_view(wire_).substr(start), zone.wire_)) return std::string::npos;
  return start;
}

bool Name::is_below(const Name& zone) const { return offset_of(zone) != std::string::npos; }

std::optional<std::string> Name::relative_to(const Name& zone) const {
  size_t end = offset_of(zone);
  if (end == std::string::npos) return std::nullopt;
  std::string out;
  out.reserve(end);
  for (size_t at = 0; at < end;) {
    auto size = static_cast<unsigned char>(wire_[at]);
    if (at > 0) out += '.';
    append_label(out, std::string_view(wire_).substr(at + 1, size), true);
    at += 1 + size;
  }
  return out;
}

Name Name::suffix(size_t count) const {
  size_t skip = label_count();
  skip = skip > count ? skip - count : 0;
  size_t at = 0;
  for (; skip > 0; --skip) at += 1 + static_cast<unsigned char>(wire_[at]);
  return Name(wire_.substr(at));
}

bool operator==(const Name& a, const Name& b) { return equal_folded(a.wire_, b.wire_); }

Result<Name> join_names(std::string_view relative, const Name& zone) {
  if (relative.empty()) return zone;
  return Name::parse(zone.is_root() ? std::string(relative) : fmt::format("{}.{}", relative, zone.text()));
}

}  // namespace carrick::dns
