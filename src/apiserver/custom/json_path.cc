#include "apiserver/custom/json_path.h"

#include <charconv>

#include "base/text.h"

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

constexpr size_t kMaxLength = 4096, kMaxSteps = 64;
constexpr std::string_view kEndsName = ".[]()=!<>'\" ";

// Numbers by size, texts by letters, everything else is only equal or not.
int compare(const json::value& a, const json::value& b, bool& comparable) {
  comparable = true;
  if (a.is_number() && b.is_number()) {
    const double x = a.to_number<double>(), y = b.to_number<double>();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a.is_string() && b.is_string()) return a.get_string().compare(std::string_view(b.get_string()));
  comparable = a.kind() == b.kind();
  return a == b ? 0 : 1;
}

}  // namespace

class JsonPath::Parser {
 public:
  explicit Parser(std::string_view text) : whole_(text), rest_(text) {}

  Result<JsonPath> run() {
    if (whole_.size() > kMaxLength)
      return fail(ErrorKind::kInvalid, "the JSONPath is longer than {} bytes", kMaxLength);
    if (take("{") && !whole_.ends_with('}')) return broken("no } at its end");
    if (whole_.starts_with('{')) rest_.remove_suffix(1);
    take("$");
    JsonPath path;
    while (!rest_.empty()) {
      if (path.steps_.size() == kMaxSteps) return broken("too many steps");
      path.steps_.push_back(TRY(step()));
    }
    return path;
  }

 private:
  Error broken_error(std::string_view why) const {
    return Error{ErrorKind::kInvalid, fmt::format("the JSONPath \"{}\" cannot be used: {}", whole_, why)};
  }
  std::unexpected<Error> broken(std::string_view why) const { return std::unexpected(broken_error(why)); }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void skip_blanks() {
    while (take(" ")) {
    }
  }

  Result<std::string> name() {
    std::string out;
    while (!rest_.empty() && kEndsName.find(rest_.front()) == std::string_view::npos) {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    if (out.empty()) return broken("a name is missing");
    return out;
  }

  Result<std::string> quoted() {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) return broken("a quote is not closed");
    rest_.remove_prefix(1);
    return out;
  }

  Result<Step> step() {
    Step out;
    if (take(".")) {
      if (rest_.starts_with('.')) return broken("it searches at every depth (..)");
      if (rest_.starts_with('[')) return bracket();
      if (take("*")) {
        out.kind = Step::Kind::kAll;
        return out;
      }
      out.name = TRY(name());
      return out;
    }
    if (rest_.starts_with('[')) return bracket();
    return broken("a step must begin with . or [");
  }

  Result<Step> bracket() {
    rest_.remove_prefix(1);
    Step out;
    if (take("?(")) {
      TRY_VOID(filter(out));
      if (!take(")")) return broken("the filter is not closed");
    } else if (take("*")) {
      out.kind = Step::Kind::kAll;
    } else if (rest_.starts_with('\'') || rest_.starts_with('"')) {
      out.name = TRY(quoted());
    } else {
      out.kind = Step::Kind::kIndex;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out.index);
      if (error != std::errc{}) return broken("there is no index between the brackets");
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    }
    if (!take("]")) return broken("a bracket is not closed");
    return out;
  }

  Result<void> filter(Step& out) {
    out.kind = Step::Kind::kFilter;
    skip_blanks();
    if (!take("@")) return broken("a filter must begin with @");
    while (rest_.starts_with('.') || rest_.starts_with("['") || rest_.starts_with("[\"")) {
      if (out.inner.size() == kMaxSteps) return broken("too many steps in a filter");
      if (take(".")) {
        out.inner.push_back(TRY(name()));
        continue;
      }
      rest_.remove_prefix(1);
      out.inner.push_back(TRY(quoted()));
      if (!take("]")) return broken("a bracket is not closed");
    }
    skip_blanks();
    if (rest_.starts_with(')')) return {};
    for (std::string_view comparison : {"==", "!=", "<=", ">=", "<", ">"})
      if (out.comparison.empty() && take(comparison)) out.comparison = comparison;
    if (out.comparison.empty()) return broken("the filter compares in a way that is not known");
    skip_blanks();
    TRY_VOID(literal(out.literal));
    skip_blanks();
    return {};
  }

  Result<void> literal(json::value& out) {
    if (rest_.starts_with('\'') || rest_.starts_with('"')) {
      out = TRY(quoted());
      return {};
    }
    const size_t end = std::min(rest_.find_first_of(") "), rest_.size());
    boost::system::error_code error;
    out = json::parse(rest_.substr(0, end), error);
    if (error || out.is_structured()) return broken("the filter compares with neither a text nor a number");
    rest_.remove_prefix(end);
    return {};
  }

  std::string_view whole_, rest_;
};

Result<JsonPath> JsonPath::parse(std::string_view text) { return Parser(text).run(); }

bool JsonPath::holds(const Step& filter, const json::value& element) {
  const json::value* at = &element;
  for (const std::string& name : filter.inner) {
    const json::object* object = at->if_object();
    at = object ? object->if_contains(name) : nullptr;
    if (!at) return false;
  }
  if (filter.comparison.empty()) return true;
  bool comparable = false;
  const int order = compare(*at, filter.literal, comparable);
  if (filter.comparison == "==") return comparable && order == 0;
  if (filter.comparison == "!=") return !comparable || order != 0;
  if (!comparable || !(at->is_number() || at->is_string())) return false;
  if (filter.comparison == "<") return order < 0;
  if (filter.comparison == "<=") return order <= 0;
  if (filter.comparison == ">") return order > 0;
  return order >= 0;
}

const json::value* JsonPath::first(const json::value& root) const { return first(root, 0); }

const json::value* JsonPath::first(const json::value& at, size_t number) const {
  if (number == steps_.size()) return &at;
  const Step& step = steps_[number];
  if (step.kind == Step::Kind::kMember) {
    const json::object* object = at.if_object();
    const json::value* member = object ? object->if_contains(step.name) : nullptr;
    return member ? first(*member, number + 1) : nullptr;
  }
  const json::array* list = at.if_array();
  if (step.kind == Step::Kind::kAll && at.is_object()) {
    for (const auto& [name, value] : at.get_object())
      if (const json::value* found = first(value, number + 1)) return found;
    return nullptr;
  }
  if (!list) return nullptr;
  if (step.kind == Step::Kind::kIndex) {
    const int64_t size = static_cast<int64_t>(list->size()), index = step.index < 0 ? size + step.index : step.index;
    return index >= 0 && index < size ? first((*list)[static_cast<size_t>(index)], number + 1) : nullptr;
  }
  for (const json::value& element : *list)
    if (step.kind == Step::Kind::kAll || holds(step, element))
      if (const json::value* found = first(element, number + 1)) return found;
  return nullptr;
}

}  // namespace carrick::apiserver
