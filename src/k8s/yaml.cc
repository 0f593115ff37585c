#include "k8s/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <unordered_map>

namespace carrick::k8s::yaml {
namespace {

constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxNodes = 2'000'000;
constexpr std::string_view kMergeKey = "<<";

std::string_view text_of(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view{};
}

size_t count(const Node& node) {
  size_t total = 1;
  for (const Node& item : node.items) total += count(item);
  return total;
}

size_t depth(const Node& node) {
  size_t deepest = 0;
  for (const Node& item : node.items) deepest = std::max(deepest, depth(item));
  return deepest + 1;
}

// kubectl turns keys that are not text into JSON keys after it has read them as values: `on:` becomes "true".
std::optional<std::string> key_text(const json::value& key) {
  if (key.is_string()) return std::string(key.get_string());
  if (key.is_bool()) return key.get_bool() ? "true" : "false";
  if (key.is_number()) return key.is_double() ? fmt::format("{}", key.get_double()) : json::serialize(key);
  return std::nullopt;
}

// Builds trees from the events of one stream.
class Builder {
 public:
  Builder(std::string_view file, int first_line) : file_(file), first_line_(first_line) {}

  Result<void> take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        anchors_.clear();
        return {};
      case YAML_SCALAR_EVENT:
        return scalar(event);
      case YAML_ALIAS_EVENT:
        return alias(event);
      case YAML_SEQUENCE_START_EVENT:
        return open(Node::Kind::kList, event, event.data.sequence_start.anchor);
      case YAML_MAPPING_START_EVENT:
        return open(Node::Kind::kMap, event, event.data.mapping_start.anchor);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return close();
      default:
        return {};
    }
  }

  std::vector<Node> take_documents() { return std::move(documents_); }

  template <class... Args>
  std::unexpected<Error> error_at(Mark mark, fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", file_, mark.line, mark.column,
                fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  Mark mark_of(const yaml_event_t& event) const {
    return {static_cast<int>(event.start_mark.line) + first_line_, static_cast<int>(event.start_mark.column) + 1};
  }

  // An open list or map. In a map, `key` is set between a key and its value.
  struct Level {
    Node node;
    std::string anchor;
    std::optional<std::string> key;
    Mark key_mark;
    bool merge = false;  // the pending key is an unquoted <<
    std::unordered_map<std::string, std::pair<size_t, bool>>
        index;  // key -> its place, and whether a merge put it there
  };

  Result<void> scalar(const yaml_event_t& event) {
    const auto& scalar = event.data.scalar;
    const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const std::string_view tag = text_of(scalar.tag);
    const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    Node node;
    node.mark = mark_of(event);
    if (tag == "tag:yaml.org,2002:binary") return error_at(node.mark, "!!binary is not used in manifests");
    const bool typed = tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" ||
                       tag == "tag:yaml.org,2002:bool" || tag == "tag:yaml.org,2002:null";
    if (typed || (plain && tag.empty())) {
      auto value = resolve_plain(text);
      if (!value) return error_at(node.mark, "{} is no JSON number", text);
      node.scalar = std::move(*value);
    } else {
      node.scalar = json::string_view(text);
    }
    return add(std::move(node), text_of(scalar.anchor), plain && tag.empty() && text == kMergeKey);
  }

  Result<void> alias(const yaml_event_t& event) {
    const std::string_view name = text_of(event.data.alias.anchor);
    const Mark mark = mark_of(event);
    const auto found = anchors_.find(std::string(name));
    if (found == anchors_.end()) {
      for (const Level& level : open_)
        if (level.anchor == name) return error_at(mark, "anchor '{}' contains itself", name);
      return error_at(mark, "unknown anchor '{}'", name);
    }
    nodes_ += found->second.nodes;
    if (nodes_ > kMaxNodes) return error_at(mark, "more than {} values, with what aliases stand for", kMaxNodes);
    if (open_.size() + found->second.depth > kMaxDepth)
      return error_at(mark, "nested deeper than {} levels", kMaxDepth);
    return add(found->second.node, {}, false);
  }

  Result<void> open(Node::Kind kind, const yaml_event_t& event, const yaml_char_t* anchor) {
    Level level;
    level.node.kind = kind;
    level.node.mark = mark_of(event);
    level.anchor = text_of(anchor);
    if (open_.size() >= kMaxDepth) return error_at(level.node.mark, "nested deeper than {} levels", kMaxDepth);
    open_.push_back(std::move(level));
    return {};
  }

  Result<void> close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    return add(std::move(level.node), level.anchor, false);
  }

  // A finished node goes into the open list or map, or becomes a document.
  Result<void> add(Node node, std::string_view anchor, bool is_merge_key) {
    if (++nodes_ > kMaxNodes) return error_at(node.mark, "more than {} values, with what aliases stand for", kMaxNodes);
    if (!anchor.empty()) {
      Anchor kept{node, count(node), depth(node)};
      nodes_ += kept.nodes;
      anchors_[std::string(anchor)] = std::move(kept);
    }
    if (open_.empty()) {
      const bool empty = node.kind == Node::Kind::kScalar && node.scalar.is_null();
      if (!empty) documents_.push_back(std::move(node));
      return {};
    }
    Level& level = open_.back();
    if (level.node.kind == Node::Kind::kList) {
      level.node.items.push_back(std::move(node));
      return {};
    }
    if (!level.key) return set_key(level, node, is_merge_key);
    const bool merge = level.merge;
    std::string key = *std::exchange(level.key, std::nullopt);
    if (merge) return merge_into(level, node);
    return set(level, std::move(key), std::move(node), false);
  }

  Result<void> set_key(Level& level, const Node& node, bool is_merge_key) {
    std::optional<std::string> key;
    if (node.kind == Node::Kind::kScalar) key = key_text(node.scalar);
    if (!key) return error_at(node.mark, "a key must be text");
    level.key = std::move(key);
    level.key_mark = node.mark;
    level.merge = is_merge_key;
    return {};
  }

  Result<void> set(Level& level, std::string key, Node node, bool by_merge) {
    // A field is found at its key, not where its value begins: that is what people look for.
    if (!by_merge) node.mark = level.key_mark;
    const auto [entry, is_new] = level.index.try_emplace(key, level.node.items.size(), by_merge);
    if (is_new) {
      level.node.keys.push_back(std::move(key));
      level.node.items.push_back(std::move(node));
      return {};
    }
    auto& [place, was_merged] = entry->second;
    if (!by_merge && !was_merged)
      return error_at(level.key_mark, "key \"{}\" is already set at line {}", key, level.node.items[place].mark.line);
    level.node.items[place] = std::move(node);
    was_merged = by_merge;
    return {};
  }

  // As go-yaml v2: a merge overrides the fields before it and yields to those after it; of a list the first map wins.
  Result<void> merge_into(Level& level, const Node& node) {
    if (node.kind == Node::Kind::kMap) {
      for (size_t i = 0; i < node.items.size(); ++i) TRY_VOID(set(level, node.keys[i], node.items[i], true));
      return {};
    }
    if (node.kind != Node::Kind::kList) return error_at(level.key_mark, "<< needs a map or a list of maps");
    for (auto item = node.items.rbegin(); item != node.items.rend(); ++item) {
      if (item->kind != Node::Kind::kMap) return error_at(level.key_mark, "<< needs a map or a list of maps");
      TRY_VOID(merge_into(level, *item));
    }
    return {};
  }

  struct Anchor {
    Node node;
    size_t nodes = 0, depth = 0;
  };

  std::string file_;
  int first_line_;
  std::vector<Node> documents_;
  std::vector<Level> open_;
  std::unordered_map<std::string, Anchor> anchors_;  // the latest of each name, of the current document
  size_t nodes_ = 0;
};

// Owns a parser over one text.
class Parser {
 public:
  explicit Parser(std::string_view text) : good_(yaml_parser_initialize(&parser_) != 0) {
    if (good_) yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() { yaml_parser_delete(&parser_); }

  bool next(yaml_event_t& event) { return good_ && yaml_parser_parse(&parser_, &event) != 0; }

  // The reader (characters that YAML forbids) knows an offset only.
  std::unexpected<Error> error(std::string_view text, std::string_view file, int first_line) const {
    Mark mark{static_cast<int>(parser_.problem_mark.line) + first_line,
              static_cast<int>(parser_.problem_mark.column) + 1};
    if (parser_.error == YAML_READER_ERROR) {
      const std::string_view before = text.substr(0, parser_.problem_offset);
      mark.line = first_line + static_cast<int>(std::ranges::count(before, '\n'));
      mark.column = static_cast<int>(before.size() - (before.rfind('\n') + 1)) + 1;
    }
    return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", file, mark.line, mark.column,
                parser_.problem ? parser_.problem : "not a YAML document");
  }

 private:
  yaml_parser_t parser_;
  bool good_;
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i] == key) return &items[i];
  return nullptr;
}

Result<std::vector<Node>> parse(std::string_view text, std::string_view file, int first_line) {
  Parser parser(text);
  Builder builder(file, first_line);
  yaml_event_t event;
  while (parser.next(event)) {
    const bool end = event.type == YAML_STREAM_END_EVENT;
    const Result<void> taken = builder.take(event);
    yaml_event_delete(&event);
    if (!taken) return std::unexpected(taken.error());
    if (end) return builder.take_documents();
  }
  return parser.error(text, file, first_line);
}

json::value to_json(const Node& node) {
  if (node.kind == Node::Kind::kScalar) return node.scalar;
  if (node.kind == Node::Kind::kList) {
    json::array list;
    list.reserve(node.items.size());
    for (const Node& item : node.items) list.push_back(to_json(item));
    return list;
  }
  json::object map;
  map.reserve(node.items.size());
  for (size_t i = 0; i < node.items.size(); ++i) map.emplace(node.keys[i], to_json(node.items[i]));
  return map;
}

}  // namespace carrick::k8s::yaml
