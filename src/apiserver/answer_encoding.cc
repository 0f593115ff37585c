#include "apiserver/answer_encoding.h"

#include <algorithm>

#include "k8s/protobuf.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";

bool is_json(const MediaType& media) {
  return media.type == "application/json" || media.type == "*/*" || media.type == "application/*";
}

// True for text that YAML reads back as the same text without quotes. Rather quoted once too often.
bool is_plain(std::string_view text) {
  if (text.empty() || text.ends_with(' ') || text.ends_with(':')) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(text.front()) && text.front() != '/' && text.front() != '_') return false;
  for (const char c : text)
    if (!letter(c) && !(c >= '0' && c <= '9') && std::string_view("-_./ :@=+,").find(c) == std::string_view::npos)
      return false;
  if (text.find(": ") != text.npos || text.find(" #") != text.npos) return false;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (std::string_view word : {"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
    if (lower == word) return false;
  return true;
}

std::string scalar(const json::value& value) {
  if (const auto* text = value.if_string(); text && is_plain(*text)) return std::string(*text);
  return json::serialize(value);  // JSON's scalars, and its empty {} and [], are YAML's
}

bool is_block(const json::value& value) {
  return (value.is_object() && !value.get_object().empty()) || (value.is_array() && !value.get_array().empty());
}

void write_block(std::string& out, const json::value& value, size_t indent) {
  const std::string margin(indent, ' ');
  if (const auto* object = value.if_object()) {
    std::vector<const json::key_value_pair*> members;
    for (const auto& member : *object) members.push_back(&member);
    std::ranges::sort(members, {}, [](const json::key_value_pair* member) { return member->key(); });
    for (const auto* member : members) {
      out += margin + scalar(json::value(member->key())) + ":";
      if (!is_block(member->value())) {
        out += " " + scalar(member->value()) + "\n";
        continue;
      }
      out += "\n";
      write_block(out, member->value(), member->value().is_array() ? indent : indent + 2);
    }
    return;
  }
  for (const json::value& item : value.get_array()) {
    if (!is_block(item)) {
      out += margin + "- " + scalar(item) + "\n";
      continue;
    }
    const size_t begin = out.size();
    write_block(out, item, indent + 2);
    out[begin + indent] = '-';  // its first line is indented by two more
  }
}

}  // namespace

std::string yaml_text(const json::value& value) {
  if (!is_block(value)) return scalar(value) + "\n";
  std::string out;
  write_block(out, value, 0);
  return out;
}

Encoding encoding_for(std::string_view accept) {
  if (accept.find("protobuf") == accept.npos && accept.find("yaml") == accept.npos) return Encoding::kJson;
  Encoding found = Encoding::kJson;
  for (const MediaType& media : parse_accept(accept)) {
    if (is_json(media)) return Encoding::kJson;
    if (found != Encoding::kJson || !media.as.empty()) continue;
    if (media.type == kProtobuf) found = Encoding::kProtobuf;
    if (media.type == "application/yaml") found = Encoding::kYaml;
  }
  return found;
}

Response encoded(Response response, Encoding encoding) {
  if (encoding == Encoding::kJson || response.watch || response.stream || response.content_type != "application/json")
    return response;
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 256;
  const json::value document = json::parse(response.body, error, {}, options);
  if (error || !document.is_object()) return response;
  if (encoding == Encoding::kYaml) {
    response.content_type = "application/yaml";
    response.body = yaml_text(document);
    return response;
  }
  auto bytes = k8s::encode_protobuf(document.get_object());
  if (!bytes) return status_response(not_acceptable("application/json, application/yaml"));
  response.content_type = kProtobuf;
  response.body = std::move(*bytes);
  return response;
}

}  // namespace carrick::apiserver
