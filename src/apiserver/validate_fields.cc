#include "apiserver/validate_fields.h"

#include <algorithm>

namespace carrick::apiserver {
namespace {

// For a header: quotes escaped, and nothing that could end it.
std::string quotable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

}  // namespace

StatusOr<> validate_fields(const Query& query, const k8s::ResourceType& type, const CustomKind* custom,
                           const Body& body, Response& response, const json::object* stored) {
  if (custom && !custom->warning.empty())
    response.headers.emplace_back("Warning", fmt::format("299 - \"{}\"", quotable(custom->warning)));
  const std::string_view mode = query.get("fieldValidation");
  if (mode == "Ignore") return {};
  if (!mode.empty() && mode != "Strict" && mode != "Warn")
    return std::unexpected(bad_request(fmt::format(
        "fieldValidation: Unsupported value: \"{}\": supported values: \"Ignore\", \"Strict\", \"Warn\"", mode)));
  std::vector<std::string> findings;
  findings.reserve(body.duplicates.size());
  for (const std::string& path : body.duplicates) findings.push_back(fmt::format("duplicate field \"{}\"", path));
  const auto unknown = [&](const json::object& document) {
    if (!custom) return k8s::unknown_fields(type, document);
    std::vector<std::string> sentences = custom->schema.unknown_fields(document);
    for (std::string& path : sentences) path = fmt::format("unknown field \"{}\"", path);
    return sentences;
  };
  const std::vector<std::string> before = stored ? unknown(*stored) : std::vector<std::string>{};
  for (std::string& sentence : unknown(body.document))
    if (std::ranges::find(before, sentence) == before.end()) findings.push_back(std::move(sentence));
  if (mode != "Strict") {
    for (const std::string& finding : findings)
      response.headers.emplace_back("Warning", fmt::format("299 - \"{}\"", quotable(finding)));
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
