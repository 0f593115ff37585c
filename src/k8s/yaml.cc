#include "k8s/yaml.h"

#include <libfyaml.h>

#include <memory>
#include <unordered_map>

namespace carrick::k8s::yaml {
namespace {

constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxNodes = 2'000'000;
constexpr std::string_view kMergeKey = "<<";

std::string_view text_of(fy_token* token) {
  if (!token) return {};
  size_t length = 0;
  const char* text = fy_token_get_text(token, &length);
  return text ? std::string_view(text, length) : std::string_view{};
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

  Result<void> take(fy_event* event) {
    switch (event->type) {
      case FYET_DOCUMENT_START:
        anchors_.clear();
        return {};
      case FYET_SCALAR: return scalar(event);
      case FYET_ALIAS: return alias(event);
      case FYET_SEQUENCE_START: return open(Node::Kind::kList, event, event->sequence_start.anchor);
      case FYET_MAPPING_START: return open(Node::Kind::kMap, event, event->mapping_start.anchor);
      case FYET_SEQUENCE_END:
      case FYET_MAPPING_END: return close();
      default: return {};
    }
  }

  std::vector<Node> take_documents() { return std::move(documents_); }

  template <class... Args>
  std::unexpected<Error> error_at(Mark mark, fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", file_, mark.line, mark.column,
                fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  Mark mark_of(fy_event* event) const {
    const fy_mark* mark = fy_event_start_mark(event);
    return mark ? Mark{mark->line + first_line_, mark->column + 1} : Mark{first_line_, 1};
  }

  // An open list or map. In a map, `key` is set between a key and its value.
  struct Level {
    Node node;
    std::string anchor;
    std::optional<std::string> key;
    Mark key_mark;
    bool merge = false;  // the pending key is an unquoted <<
    std::unordered_map<std::string, std::pair<size_t, bool>> index;  // key -> its place, and whether a merge put it there
  };

  Result<void> scalar(fy_event* event) {
    const std::string_view text = text_of(event->scalar.value);
    const std::string_view tag = text_of(event->scalar.tag);
    const bool plain = fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
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
    return add(std::move(node), text_of(event->scalar.anchor), plain && tag.empty() && text == kMergeKey);
  }

  Result<void> alias(fy_event* event) {
    const std::string_view name = text_of(event->alias.anchor);
    Mark mark = mark_of(event);
    --mark.column;  // the event begins after the asterisk
    const auto found = anchors_.find(std::string(name));
    if (found == anchors_.end()) {
      for (const Level& level : open_)
        if (level.anchor == name) return error_at(mark, "anchor '{}' contains itself", name);
      return error_at(mark, "unknown anchor '{}'", name);
    }
    nodes_ += found->second.nodes;
    if (nodes_ > kMaxNodes) return error_at(mark, "more than {} values, with what aliases stand for", kMaxNodes);
    if (open_.size() + found->second.depth > kMaxDepth) return error_at(mark, "nested deeper than {} levels", kMaxDepth);
    return add(found->second.node, {}, false);
  }

  Result<void> open(Node::Kind kind, fy_event* event, fy_token* anchor) {
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

struct ParserDeleter { void operator()(fy_parser* parser) const { fy_parser_destroy(parser); } };
struct DiagDeleter { void operator()(fy_diag* diag) const { fy_diag_destroy(diag); } };

std::unexpected<Error> syntax_error(fy_diag* diag, std::string_view file, int first_line) {
  void* iterator = nullptr;
  const fy_diag_error* error = fy_diag_errors_iterate(diag, &iterator);
  if (!error) return fail(ErrorKind::kInvalid, "{}:{}:1: not a YAML document", file, first_line);
  std::string_view message = error->msg;
  while (message.ends_with('\n')) message.remove_suffix(1);
  return fail(ErrorKind::kInvalid, "{}:{}:{}: {}", file, std::max(error->line, 1) + first_line - 1, std::max(error->column, 1), message);
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i] == key) return &items[i];
  return nullptr;
}

Result<std::vector<Node>> parse(std::string_view text, std::string_view file, int first_line) {
  fy_diag_cfg diag_config;
  fy_diag_cfg_default(&diag_config);
  diag_config.fp = nullptr;
  std::unique_ptr<fy_diag, DiagDeleter> diag(fy_diag_create(&diag_config));
  fy_diag_set_collect_errors(diag.get(), true);
  const fy_parse_cfg config{.search_path = "",
                            .flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_JSON_NONE),
                            .userdata = nullptr,
                            .diag = diag.get()};
  std::unique_ptr<fy_parser, ParserDeleter> parser(fy_parser_create(&config));
  if (!parser || fy_parser_set_string(parser.get(), text.data(), text.size()) != 0)
    return fail(ErrorKind::kInternal, "{}: the YAML parser did not start", file);

  Builder builder(file, first_line);
  while (fy_event* event = fy_parser_parse(parser.get())) {
    const bool end = event->type == FYET_STREAM_END;
    Result<void> taken = builder.take(event);
    fy_parser_event_free(parser.get(), event);
    if (!taken) return std::unexpected(taken.error());
    if (end) return builder.take_documents();
  }
  return syntax_error(diag.get(), file, first_line);
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
