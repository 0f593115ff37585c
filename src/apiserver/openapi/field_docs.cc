#include "apiserver/openapi/field_docs.h"

#include <map>

#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kText =
#include "apiserver/openapi/field_docs.inc"
    ;

using Docs = std::map<std::pair<std::string_view, std::string_view>, std::string_view>;

// Read when the first client asks for a schema; the texts stay where the program has them.
const Docs& docs() {
  static const Docs all = [] {
    Docs out;
    std::string_view type;
    for (std::string_view line : split(kText, '\n')) {
      if (line.empty()) continue;
      const bool field = line.front() == ' ';
      if (field) line.remove_prefix(1);
      const size_t blank = line.find(' ');
      const std::string_view name = line.substr(0, blank);
      if (!field) type = name;
      if (blank != line.npos && blank + 1 < line.size())
        out.emplace(std::pair(type, field ? name : std::string_view{}), line.substr(blank + 1));
    }
    return out;
  }();
  return all;
}

}  // namespace

std::string_view doc_of_type(std::string_view type) {
  const auto found = docs().find({type, ""});
  return found == docs().end() ? std::string_view{} : found->second;
}

std::string_view doc_of_field(std::string_view type, std::string_view field) {
  for (const std::string_view owner : {type, std::string_view("*")})
    if (const auto found = docs().find({owner, field}); found != docs().end()) return found->second;
  return {};
}

}  // namespace carrick::apiserver
