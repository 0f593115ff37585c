#include "apiserver/request.h"

#include <algorithm>
#include <map>

#include "apiserver/custom/custom_types.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr size_t kMaxTarget = 16 * 1024, kMaxSegments = 32, kMaxQueryValues = 256;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986 2.1; in a query '+' is a space (HTML forms, and what Go's url.Values writes).
Result<std::string> decode(std::string_view text, bool query) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(ErrorKind::kInvalid, "the URL has a broken %-escape");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += query && text[i] == '+' ? ' ' : text[i];
    }
  }
  if (out.find('\0') != std::string::npos) return fail(ErrorKind::kInvalid, "the URL has a NUL in it");
  return out;
}

std::string unquote(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

double quality_of(std::string_view text) {
  // 0, 0.ddd, 1, 1.000 (RFC 9110 12.4.2); anything else counts as 1.
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return 1;
  if (text[0] == '1') return 1;
  double value = 0, unit = 0.1;
  for (size_t i = 2; i < text.size() && i < 5 && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10)
    value += (text[i] - '0') * unit;
  return value;
}

}  // namespace

std::string_view Query::get(std::string_view key) const {
  for (const auto& [name, value] : values)
    if (name == key) return value;
  return {};
}

bool Query::has(std::string_view key) const {
  return std::ranges::any_of(values, [&](const auto& pair) { return pair.first == key; });
}

bool Query::flag(std::string_view key) const {
  const std::string_view value = get(key);
  return value == "1" || value == "true" || value == "True" || value == "TRUE" || value == "t" || value == "T";
}

Result<Target> parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return fail(ErrorKind::kInvalid, "the request target must be a path");
  if (target.size() > kMaxTarget)
    return fail(ErrorKind::kInvalid, "the request target is longer than {} bytes", kMaxTarget);
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  Target out;
  for (std::string_view part : split(target.substr(0, mark), '/')) {
    if (part.empty()) continue;
    if (out.segments.size() == kMaxSegments)
      return fail(ErrorKind::kInvalid, "the request target has too many segments");
    out.segments.push_back(TRY(decode(part, false)));
    if (out.segments.back() == "." || out.segments.back() == "..")
      return fail(ErrorKind::kInvalid, "the request target must not walk upwards");
  }
  if (mark == std::string_view::npos) return out;
  for (std::string_view part : split(target.substr(mark + 1), '&')) {
    if (part.empty()) continue;
    if (out.query.values.size() == kMaxQueryValues)
      return fail(ErrorKind::kInvalid, "the request target has too many query values");
    const size_t equals = part.find('=');
    std::string key = TRY(decode(part.substr(0, equals), true));
    std::string value = equals == std::string_view::npos ? "" : TRY(decode(part.substr(equals + 1), true));
    out.query.values.emplace_back(std::move(key), std::move(value));
  }
  return out;
}

std::optional<Route> route_of(const std::vector<std::string>& segments, const CustomTypes* custom) {
  Route route;
  size_t at;
  if (segments.size() >= 3 && segments[0] == "api") {
    route.version = segments[1];
    at = 2;
  } else if (segments.size() >= 4 && segments[0] == "apis") {
    route.group = segments[1];
    route.version = segments[2];
    at = 3;
  } else {
    return std::nullopt;
  }
  const auto find = [&](const std::string& plural) {
    const k8s::ResourceType* type = k8s::find_by_plural(route.group, route.version, plural);
    return type || !custom ? type : custom->find(route.group, route.version, plural);
  };
  // /namespaces/NS/RESOURCE, unless RESOURCE is a subresource of the namespace itself.
  if (segments[at] == "namespaces" && segments.size() >= at + 3) {
    if (const k8s::ResourceType* type = find(segments[at + 2]); type && type->namespaced) {
      route.type = type;
      route.namespace_ = segments[at + 1];
      at += 3;
    }
  }
  if (!route.type) {
    route.type = find(segments[at]);
    if (!route.type) return std::nullopt;
    ++at;
    if (route.type->namespaced && at < segments.size()) return std::nullopt;  // a name without its namespace
  }
  if (at < segments.size()) route.name = segments[at++];
  if (at < segments.size()) route.subresource = segments[at++];
  for (; at < segments.size(); ++at) route.subresource += "/" + segments[at];  // proxy/PATH
  return route;
}

std::vector<MediaType> parse_accept(std::string_view accept) {
  std::multimap<double, MediaType, std::greater<>> found;  // equal qualities stay in the order given
  for (std::string_view clause : split(accept, ',')) {
    const auto parts = split(clause, ';');
    MediaType media{.type = lower(trim(parts.front()))};
    if (media.type.empty()) continue;
    double quality = 1;
    for (size_t i = 1; i < parts.size(); ++i) {
      const size_t equals = parts[i].find('=');
      if (equals == std::string_view::npos) continue;
      const std::string key = lower(trim(parts[i].substr(0, equals)));
      const std::string value = unquote(parts[i].substr(equals + 1));
      if (key == "as")
        media.as = value;
      else if (key == "g")
        media.group = value;
      else if (key == "v")
        media.version = value;
      else if (key == "q")
        quality = quality_of(value);
    }
    if (quality > 0) found.emplace(quality, std::move(media));
  }
  std::vector<MediaType> out;
  for (auto& [quality, media] : found) out.push_back(std::move(media));
  if (out.empty()) out.push_back({.type = "*/*"});
  return out;
}

std::string media_type_of(std::string_view content_type) {
  return lower(trim(content_type.substr(0, content_type.find(';'))));
}

}  // namespace carrick::apiserver
