#include "apiserver/validate_fields.h"

#include <algorithm>

namespace carrick::apiserver {

StatusOr<> validate_fields(const Query& query, const k8s::ResourceType& type, const Body& body, Response& response,
                           const json::object* stored) {
  const std::string_view mode = query.get("fieldValidation");
  if (mode == "Ignore") return {};
  if (!mode.empty() && mode != "Strict" && mode != "Warn")
    return std::unexpected(bad_request(fmt::format(
        "fieldValidation: Unsupported value: \"{}\": supported values: \"Ignore\", \"Strict\", \"Warn\"", mode)));
  std::vector<std::string> findings;
  findings.reserve(body.duplicates.size());
  for (const std::string& path : body.duplicates) findings.push_back(fmt::format("duplicate field \"{}\"", path));
  const std::vector<std::string> before = stored ? k8s::unknown_fields(type, *stored) : std::vector<std::string>{};
  for (std::string& sentence : k8s::unknown_fields(type, body.document))
    if (std::ranges::find(before, sentence) == before.end()) findings.push_back(std::move(sentence));
  if (mode != "Strict") {
    for (const std::string& finding : findings) {
      std::string escaped;
      for (const char c : finding) escaped += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
      response.headers.emplace_back("Warning", fmt::format("299 - \"{}\"", escaped));
    }
    return {};
  }
  if (findings.empty()) return {};
  std::string text;
  for (const std::string& finding : findings) text += (text.empty() ? "" : ", ") + finding;
  return std::unexpected(
      bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}", type.kind,
                              type.version, type.kind, text)));
}

Part part_of(const Route& route) {
  return route.subresource == "status"     ? Part::kStatus
         : route.subresource == "finalize" ? Part::kFinalize
                                           : Part::kMain;
}

}  // namespace carrick::apiserver
