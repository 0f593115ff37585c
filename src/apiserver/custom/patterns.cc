#include "apiserver/custom/patterns.h"

#include <boost/regex.hpp>
#include <map>

namespace carrick::apiserver {
namespace {

std::optional<boost::regex> compile(std::string_view pattern) {
  boost::regex out(std::string(pattern), boost::regex::perl | boost::regex::no_except);
  if (out.status() != 0) return std::nullopt;
  return out;
}

}  // namespace

struct Patterns::Compiled {
  std::map<std::string, boost::regex, std::less<>> by_text;
};

Patterns::Patterns(const json::object& schema) : compiled_(std::make_unique<Compiled>()) { collect(schema); }
Patterns::~Patterns() = default;

void Patterns::collect(const json::object& object) {
  for (const auto& [name, item] : object) {
    if (name == "pattern" && item.is_string()) {
      if (auto compiled = compile(item.get_string()))
        compiled_->by_text.emplace(std::string(item.get_string()), std::move(*compiled));
    } else if (item.is_object()) {
      collect(item.get_object());
    } else if (item.is_array()) {
      for (const json::value& element : item.get_array())
        if (element.is_object()) collect(element.get_object());
    }
  }
}

Patterns::Verdict Patterns::look(std::string_view pattern, std::string_view text) const {
  const auto found = compiled_->by_text.find(pattern);
  if (found == compiled_->by_text.end()) return Verdict::kTooHard;
  try {
    return boost::regex_search(text.begin(), text.end(), found->second) ? Verdict::kMatches : Verdict::kDiffers;
  } catch (const std::runtime_error&) {  // it would take too long
    return Verdict::kTooHard;
  }
}

bool Patterns::is_valid(std::string_view pattern) { return compile(pattern).has_value(); }

}  // namespace carrick::apiserver
