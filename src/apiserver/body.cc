#include "apiserver/body.h"

#include <boost/json/basic_parser_impl.hpp>
#include <set>

#include "k8s/protobuf.h"
#include "k8s/yaml.h"

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

constexpr size_t kMaxDepth = 128;
constexpr std::string_view kOffered = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

json::parse_options parse_options() {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  return options;
}

// Follows the parse and remembers which keys each open object has had.
class DuplicateFinder {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1), max_array_size = static_cast<size_t>(-1),
                          max_key_size = static_cast<size_t>(-1), max_string_size = static_cast<size_t>(-1);
  using Code = boost::system::error_code;

  std::vector<std::string> found;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return open(false); }
  bool on_object_end(size_t, Code&) { return close(); }
  bool on_array_begin(Code&) { return open(true); }
  bool on_array_end(size_t, Code&) { return close(); }
  bool on_key_part(std::string_view part, size_t, Code&) { return key_ += part, true; }
  bool on_key(std::string_view part, size_t, Code&) {
    key_ += part;
    Level& level = levels_.back();
    level.step = "." + key_;
    if (!level.keys.insert(key_).second) found.push_back(path());
    key_.clear();
    return true;
  }
  bool on_string_part(std::string_view, size_t, Code&) { return true; }
  bool on_string(std::string_view, size_t, Code&) { return element(); }
  bool on_number_part(std::string_view, Code&) { return true; }
  bool on_int64(int64_t, std::string_view, Code&) { return element(); }
  bool on_uint64(uint64_t, std::string_view, Code&) { return element(); }
  bool on_double(double, std::string_view, Code&) { return element(); }
  bool on_bool(bool, Code&) { return element(); }
  bool on_null(Code&) { return element(); }
  bool on_comment_part(std::string_view, Code&) { return true; }
  bool on_comment(std::string_view, Code&) { return true; }

 private:
  struct Level {
    bool array = false;
    size_t index = 0;
    std::string step;  // ".name" of the field that is being read
    std::set<std::string> keys;
  };
  bool open(bool array) { return levels_.push_back({.array = array}), true; }
  bool close() { return levels_.pop_back(), element(); }
  bool element() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
    return true;
  }
  std::string path() const {
    std::string out;
    for (const Level& level : levels_) out += level.array ? fmt::format("[{}]", level.index) : level.step;
    return out.empty() ? out : out.substr(1);
  }

  std::vector<Level> levels_;
  std::string key_;
};

}  // namespace

std::vector<std::string> duplicate_fields(std::string_view text) {
  json::basic_parser<DuplicateFinder> parser(parse_options());
  boost::system::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return error ? std::vector<std::string>{} : std::move(parser.handler().found);
}

StatusOr<json::value> decode_json(std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(body, error, {}, parse_options());
  if (error)
    return std::unexpected(bad_request(fmt::format("the body of the request is not JSON: {}", error.message())));
  return value;
}

StatusOr<json::object> decode_yaml(std::string_view body) {
  auto documents = k8s::yaml::parse(body, "body");
  if (!documents) return std::unexpected(bad_request(documents.error().message));
  if (documents->size() != 1 || documents->front().kind != k8s::yaml::Node::Kind::kMap)
    return std::unexpected(bad_request("the body of the request must hold exactly one object"));
  return std::move(k8s::yaml::to_json(documents->front()).get_object());
}

StatusOr<Body> decode_body(std::string_view content_type, std::string_view body) {
  const std::string type = media_type_of(content_type);
  if (type == "application/vnd.kubernetes.protobuf") {
    auto document = k8s::decode_protobuf(body);
    if (!document)
      return std::unexpected(
          bad_request(fmt::format("the body of the request cannot be read: {}", document.error().message)));
    return Body{std::move(*document), {}};
  }
  if (type == "application/yaml" || type == "application/x-yaml" || type == "text/yaml") {
    auto document = decode_yaml(body);
    if (!document) return std::unexpected(document.error());
    return Body{std::move(*document), {}};
  }
  if (!type.empty() && type != "application/json" && type != "text/json")
    return std::unexpected(unsupported_media(type, kOffered));
  auto value = decode_json(body);
  if (!value) return std::unexpected(value.error());
  if (!value->is_object()) return std::unexpected(bad_request("the body of the request must be a JSON object"));
  return Body{std::move(value->get_object()), duplicate_fields(body)};
}

}  // namespace carrick::apiserver
