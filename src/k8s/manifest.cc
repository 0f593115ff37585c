#include "k8s/manifest.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "k8s/core.h"
#include "k8s/objects.h"
#include "k8s/yaml.h"

namespace carrick::k8s {
namespace {

using yaml::Mark;
using yaml::Node;

std::string_view shown_name(std::string_view file) { return file == "-" ? "standard input" : file; }

template <class... Args>
std::unexpected<Error> error_at(std::string_view file, Mark mark, fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", shown_name(file), mark.line, mark.column,
              fmt::format(format, std::forward<Args>(args)...));
}

// Calls visit(path, node) for the node and all below it, until it returns false.
template <class Visit>
bool walk(const Node& node, const std::string& path, Visit&& visit) {
  if (!path.empty() && !visit(path, node)) return false;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string below = node.kind == Node::Kind::kList ? fmt::format("{}[{}]", path, i)
                              : path.empty()                 ? node.keys[i]
                                                             : path + "." + node.keys[i];
    if (!walk(node.items[i], below, visit)) return false;
  }
  return true;
}

Mark mark_of_field(const Node& root, std::string_view field) {
  Mark mark = root.mark;
  walk(root, "", [&](const std::string& path, const Node& node) {
    if (field.starts_with(path)) mark = node.mark;  // visited from the outside in: the last that fits is the nearest
    return path != field;
  });
  return mark;
}

std::string text_field(const Node& node, std::string_view key) {
  const Node* field = node.find(key);
  return field && field->scalar.is_string() ? std::string(field->scalar.get_string()) : "";
}

// Turns the documents of one file into objects.
class Collector {
 public:
  explicit Collector(std::string_view file) : file_(file) {}

  Result<void> add(const Node& node, std::string_view list_api_version = {}, std::string_view list_item_kind = {}) {
    if (node.kind != Node::Kind::kMap)
      return error_at(file_, node.mark, "an object with apiVersion and kind is needed here, not {}",
                      node.kind == Node::Kind::kList ? "a list" : json::serialize(node.scalar));
    std::string api_version = text_field(node, "apiVersion"), kind = text_field(node, "kind");
    // The items of a typed list ("PodList") may leave both out.
    if (api_version.empty() && !node.find("apiVersion")) api_version = list_api_version;
    if (kind.empty() && !node.find("kind")) kind = list_item_kind;
    for (const auto& [name, value] : {std::pair{"apiVersion", &api_version}, {"kind", &kind}})
      if (value->empty()) {
        const Node* field = node.find(name);
        if (!field) return error_at(file_, node.mark, "{} is missing: every object needs apiVersion and kind", name);
        return error_at(file_, field->mark, "{}: must be text", name);
      }
    const Node* items = node.find("items");
    if (!kind.ends_with("List") || !items) return add_object(node, std::move(api_version), std::move(kind));
    if (items->kind != Node::Kind::kList && !items->scalar.is_null())
      return error_at(file_, items->mark, "items: must be a list");
    const std::string item_kind = kind.substr(0, kind.size() - 4);
    for (const Node& item : items->items) TRY_VOID(add(item, item_kind.empty() ? "" : api_version, item_kind));
    return {};
  }

  std::vector<ManifestObject> take() { return std::move(objects_); }

 private:
  Result<void> add_object(const Node& node, std::string api_version, std::string kind) {
    ManifestObject object;
    object.type = find_by_kind(api_version, kind);
    object.document = yaml::to_json(node).as_object();
    object.document["apiVersion"] = api_version;
    object.document["kind"] = kind;
    if (auto wrong = check_types(object.type, object.document))
      return error_at(file_, mark_of_field(node, wrong->field), "{}", wrong->str());
    object.apiVersion = std::move(api_version);
    object.kind = std::move(kind);
    object.file = file_;
    object.line = node.mark.line;
    TRY_VOID(set_key(object, node));
    walk(node, "", [&](const std::string& path, const Node& field) {
      object.lines.emplace(path, field.mark.line);
      return true;
    });
    objects_.push_back(std::move(object));
    return {};
  }

  Result<void> set_key(ManifestObject& object, const Node& node) {
    static const Node kNothing;
    const Node* found = node.find("metadata");
    const Node& metadata = found ? *found : kNothing;
    object.key = {text_field(metadata, "namespace"), text_field(metadata, "name")};
    if (!object.type) return {};
    if (object.key.name.empty() && text_field(metadata, "generateName").empty())
      return error_at(file_, found ? found->mark : node.mark,
                      "metadata.name: Required value: name or generateName is required");
    json::object& fields = object.document["metadata"].as_object();
    if (!object.type->namespaced) {
      object.key.namespace_.clear();
      fields.erase("namespace");  // as the API server does
    } else {
      if (object.key.namespace_.empty()) object.key.namespace_ = "default";
      fields["namespace"] = object.key.namespace_;
    }
    return {};
  }

  std::string file_;
  std::vector<ManifestObject> objects_;
};

void join_maps(json::object& into, const json::object& from, std::string_view field) {
  const json::value* source = from.if_contains(field);
  if (!source || !source->is_object()) return;
  json::value& target = into[field];
  if (!target.is_object()) target.emplace_object();
  for (const auto& [key, value] : source->get_object()) target.get_object()[key] = value;
}

// kubectl also takes several JSON texts one after the other. Returns the length of each, or nothing when it is not
// JSON.
std::vector<std::string_view> split_json(std::string_view text) {
  std::vector<std::string_view> parts;
  json::parse_options options;
  options.max_depth = 128;
  size_t start = 0;
  while ((start = text.find_first_not_of(" \t\r\n", start)) != text.npos) {
    json::stream_parser parser({}, options);
    boost::system::error_code error;
    const size_t length = parser.write_some(text.data() + start, text.size() - start, error);
    if (error || !parser.done()) return {};
    parts.push_back(text.substr(start, length));
    start += length;
  }
  return parts;
}

// The reader of YAML does not know the surrogate pairs of JSON ("\\ud83d\\ude00"): writes the characters they stand
// for.
std::string without_surrogates(std::string_view text) {
  const auto code_unit = [&](size_t at) -> uint32_t {
    uint32_t unit = 0;
    const char* const begin = text.data() + std::min(at + 2, text.size());
    const bool escape = text.substr(std::min(at, text.size())).starts_with("\\u") && at + 6 <= text.size();
    return escape && std::from_chars(begin, begin + 4, unit, 16).ptr == begin + 4 ? unit : 0;
  };
  std::string plain;
  for (size_t i = 0; i < text.size();) {
    const uint32_t high = text[i] == '\\' ? code_unit(i) : 0,
                   low = high >= 0xD800 && high < 0xDC00 ? code_unit(i + 6) : 0;
    if (low >= 0xDC00 && low < 0xE000) {
      const uint32_t point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
      for (int shift : {18, 12, 6, 0})
        plain += static_cast<char>(shift == 18 ? 0xF0 | point >> 18 : 0x80 | (point >> shift & 0x3F));
      i += 12;
      continue;
    }
    const size_t length = text[i] == '\\' ? std::min<size_t>(2, text.size() - i) : 1;
    plain += text.substr(i, length);
    i += length;
  }
  return plain;
}

}  // namespace

int line_of(const ManifestObject& object, std::string_view field) {
  std::string path(field);
  while (true) {
    if (const auto found = object.lines.find(path); found != object.lines.end()) return found->second;
    const size_t cut = path.find_last_of(".[");
    if (cut == path.npos) return object.line;
    path.resize(cut);
  }
}

Result<std::vector<ManifestObject>> unite(std::vector<ManifestObject> objects) {
  std::unordered_map<std::string, size_t> places;
  std::vector<ManifestObject> united;
  for (ManifestObject& object : objects) {
    if (object.key.name.empty()) {  // generateName, or a kind without names
      united.push_back(std::move(object));
      continue;
    }
    const std::string group = object.apiVersion.substr(0, object.apiVersion.find('/'));
    const auto [place, is_new] = places.try_emplace(group + " " + object.kind + " " + object.key.str(), united.size());
    if (is_new) {
      united.push_back(std::move(object));
      continue;
    }
    ManifestObject& first = united[place->second];
    if (object.type && object.type == &resource<Namespace>()) {
      for (const char* field : {"labels", "annotations"})
        join_maps(first.document["metadata"].as_object(), object.document["metadata"].as_object(), field);
    } else if (object.document != first.document) {
      return error_at(object.file, Mark{object.line, 1}, "{} {} is already defined at {}:{}", object.kind,
                      object.key.str(), shown_name(first.file), first.line);
    }
  }
  return united;
}

Result<std::vector<ManifestObject>> parse_documents(std::string_view text, std::string_view file) {
  std::string_view content = text;
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  TRY_VOID(check_text(content, shown_name(file)));
  Collector collector(file);
  const size_t first = content.find_first_not_of(" \t\r\n");
  std::vector<std::string_view> parts;
  if (first != content.npos && content[first] == '{') parts = split_json(content);
  const bool is_json = !parts.empty();
  if (!is_json) parts = {content};
  int line = 1;
  size_t counted = 0;
  for (std::string_view part : parts) {
    const auto start = static_cast<size_t>(part.begin() - content.begin());
    line += static_cast<int>(std::ranges::count(content.substr(counted, start - counted), '\n'));
    counted = start;
    const std::string plain = is_json ? without_surrogates(part) : std::string();
    for (const yaml::Node& node : TRY(yaml::parse(is_json ? plain : part, shown_name(file), line)))
      TRY_VOID(collector.add(node));
  }
  return collector.take();
}

Result<std::vector<ManifestObject>> parse_manifest(std::string_view text, std::string_view file_name) {
  return unite(TRY(parse_documents(text, file_name)));
}

}  // namespace carrick::k8s
