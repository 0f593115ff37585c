#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "apiserver/custom/custom_types.h"
#include "apiserver/selectors.h"
#include "apiserver/store.h"
#include "apiserver/table.h"

namespace carrick::apiserver {

// How objects are written for one client.
struct Form {
  enum class Shape { kPlain, kTable, kPartial } shape = Shape::kPlain;
  std::string version = "v1";  // of Table and PartialObjectMetadata
  RowObject row_object = RowObject::kMetadata;
  bool protobuf = false;  // with kPlain only
};

// What a list or watch asks for.
struct Selection {
  const k8s::ResourceType* type = nullptr;
  const k8s::ResourceType* stored_as = nullptr;  // what its events are of
  std::string namespace_;                        // empty = all
  LabelQuery labels;
  FieldQuery fields;
  bool matches(const k8s::json::object& document) const;
};

// The lines of one watch: what is there at the start, then each change, in order. Bounded: a client that lags by more
// than the limit gets an ERROR line with code 410 and the end. Single-threaded.
class WatchStream {
 public:
  struct Options {
    Selection selection;
    Form form;
    std::vector<Record> initial;  // sent as ADDED; plain objects become lines only when they are sent
    bool bookmarks = false;
    bool mark_end_of_initial = false;  // API-S7
    const CustomTypes* custom = nullptr;
    std::function<int64_t()> now;  // seconds since 1970, for ages in tables
    size_t max_pending_bytes = 16u << 20;
    int timeout_seconds = 0;  // the client's; 0 = the server's choice
  };
  WatchStream(Options options, uint64_t revision);

  void offer(const StoreEvent& event);
  void offer_bookmark(uint64_t revision);
  void fail(const k8s::json::object& status);

  // Whole lines, about `limit` bytes; empty when there is nothing to send now.
  std::string take(size_t limit);
  bool finished() const { return finished_ && pending_.empty() && next_initial_ == options_.initial.size(); }
  const k8s::ResourceType& stored_type() const { return *options_.selection.stored_as; }
  int timeout_seconds() const { return options_.timeout_seconds; }
  bool wants_bookmarks() const { return options_.bookmarks; }
  // Called whenever something to send came; must not call back into the stream.
  std::function<void()> on_ready;

 private:
  using Line = std::shared_ptr<const std::string>;
  void push(Line line);
  std::string take_lines(size_t limit);
  Record shown(const Record& record) const;  // in the version that is watched
  Line plain_line(const StoreEvent& event, controllers::ObjectEvent::Type type);
  std::string shaped_line(std::string_view type, const k8s::json::object& document);
  std::string bookmark_line(uint64_t revision, bool end_of_initial);

  Options options_;
  size_t next_initial_ = 0;
  uint64_t initial_revision_;
  std::deque<Line> pending_;
  size_t pending_bytes_ = 0;
  bool finished_ = false, sent_columns_ = false;
};

// Hands each committed change to the watches of its kind.
class WatchHub {
 public:
  explicit WatchHub(Store& store);
  void add(const std::shared_ptr<WatchStream>& stream);
  size_t watchers() const;

 private:
  void dispatch(const StoreEvent& event);
  std::unordered_map<const k8s::ResourceType*, std::vector<std::weak_ptr<WatchStream>>> streams_;
};

// The text of a document in a form other than Table.
k8s::json::object partial_object(const k8s::json::object& document, std::string_view version);

}  // namespace carrick::apiserver
