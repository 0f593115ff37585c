#include "apiserver/watch_stream.h"

#include <algorithm>

#include "apiserver/status.h"
#include "base/text.h"
#include "k8s/protobuf.h"

namespace carrick::apiserver {
namespace {

using Type = controllers::ObjectEvent::Type;
constexpr std::array<std::string_view, 3> kTypeNames{"ADDED", "MODIFIED", "DELETED"};

std::string_view name_of(Type type) { return kTypeNames[static_cast<size_t>(type)]; }

std::string line_of(std::string_view type, std::string_view object) {
  std::string line;
  line.reserve(object.size() + 40);
  line.append("{\"type\":\"").append(type).append("\",\"object\":").append(object).append("}\n");
  return line;
}

}  // namespace

json::object partial_object(const json::object& document, std::string_view version) {
  json::object out{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/" + std::string(version)}};
  if (const json::value* metadata = document.if_contains("metadata")) out["metadata"] = *metadata;
  return out;
}

bool Selection::matches(const json::object& document) const {
  return (namespace_.empty() || text_at(document, "metadata.namespace") == namespace_) && labels.matches(document) &&
         fields.matches(document);
}

WatchStream::WatchStream(Options options, uint64_t revision)
    : options_(std::move(options)), initial_revision_(revision) {
  if (options_.form.shape == Form::Shape::kPlain) return;
  // Made at once: the first line of a table carries its columns, and later changes must not overtake it.
  for (const Record& record : std::exchange(options_.initial, {}))
    pending_.push_back(std::make_shared<const std::string>(shaped_line("ADDED", shown(record)->document)));
  if (std::exchange(options_.mark_end_of_initial, false))
    pending_.push_back(std::make_shared<const std::string>(bookmark_line(revision, true)));
}

void WatchStream::push(Line line) {
  if (finished_) return;
  if (pending_bytes_ + line->size() > options_.max_pending_bytes) {
    fail(to_json(expired("the watch lags too far behind: list again")));
    return;
  }
  pending_bytes_ += line->size();
  pending_.push_back(std::move(line));
  if (on_ready) on_ready();
}

void WatchStream::fail(const json::object& status) {
  pending_.clear();
  pending_bytes_ = 0;
  next_initial_ = options_.initial.size();
  options_.mark_end_of_initial = false;
  pending_.push_back(std::make_shared<const std::string>(line_of("ERROR", json::serialize(status))));
  finished_ = true;
  if (on_ready) on_ready();
}

Record WatchStream::shown(const Record& record) const {
  return options_.custom ? options_.custom->as_version(*options_.selection.type, record) : record;
}

WatchStream::Line WatchStream::plain_line(const StoreEvent& event, Type type) {
  if (const Record other = shown(event.object); other != event.object)
    return std::make_shared<const std::string>(line_of(name_of(type), other->bytes));
  std::weak_ptr<const std::string>& shared = event.lines[static_cast<size_t>(type)];
  if (Line line = shared.lock()) return line;
  Line line = std::make_shared<const std::string>(line_of(name_of(type), event.object->bytes));
  shared = line;
  return line;
}

std::string WatchStream::shaped_line(std::string_view type, const json::object& document) {
  switch (options_.form.shape) {
    case Form::Shape::kPlain:
      return line_of(type, json::serialize(document));  // left the selection
    case Form::Shape::kPartial:
      return line_of(type, json::serialize(partial_object(document, options_.form.version)));
    case Form::Shape::kTable:
      break;
  }
  const CustomKind* custom = options_.custom ? options_.custom->kind_of(*options_.selection.type) : nullptr;
  const Printer& printer = custom ? custom->printer : printer_for(*options_.selection.type);
  json::array rows;
  rows.push_back(table_row(printer, document, options_.form.row_object, options_.now()));
  json::value columns;  // null after the first line, as clients expect
  if (!std::exchange(sent_columns_, true)) columns = column_definitions(printer);
  json::object metadata;
  if (const json::value* revision = field(document, "metadata.resourceVersion"))
    metadata["resourceVersion"] = *revision;
  return line_of(type, json::serialize(make_table(options_.form.version, std::move(metadata), std::move(columns),
                                                  std::move(rows))));
}

void WatchStream::offer(const StoreEvent& event) {
  if (finished_) return;
  const bool now = event.type != Type::kDeleted && options_.selection.matches(event.object->document);
  const bool before = event.type != Type::kAdded && options_.selection.matches(event.previous->document);
  if (!now && !before) return;
  // Entering the selection is ADDED, leaving it DELETED (with the state that was still selected).
  const Type type = now && before ? Type::kModified : now ? Type::kAdded : Type::kDeleted;
  const bool left = type == Type::kDeleted && event.type != Type::kDeleted;
  if (options_.form.shape == Form::Shape::kPlain && !left) return push(plain_line(event, type));
  json::object document = shown(left ? event.previous : event.object)->document;
  if (left) metadata_of(document)["resourceVersion"] = std::to_string(event.object->revision);
  push(std::make_shared<const std::string>(shaped_line(name_of(type), document)));
}

std::string WatchStream::bookmark_line(uint64_t revision, bool end_of_initial) {
  json::object metadata{{"resourceVersion", std::to_string(revision)}, {"creationTimestamp", nullptr}};
  if (end_of_initial) metadata["annotations"] = json::object{{"k8s.io/initial-events-end", "true"}};
  if (options_.form.shape == Form::Shape::kTable) {
    json::array rows;
    if (end_of_initial) {  // the annotation travels in the row's object
      json::object partial{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", metadata}};
      rows.push_back(json::object{{"cells", json::array()}, {"object", std::move(partial)}});
    }
    json::object table = make_table(options_.form.version, json::object{{"resourceVersion", std::to_string(revision)}},
                                    nullptr, std::move(rows));
    return line_of("BOOKMARK", json::serialize(table));
  }
  json::object object{{"kind", options_.selection.type->kind},
                      {"apiVersion", options_.selection.type->apiVersion()},
                      {"metadata", std::move(metadata)}};
  if (options_.form.shape == Form::Shape::kPartial) object = partial_object(object, options_.form.version);
  return line_of("BOOKMARK", json::serialize(object));
}

void WatchStream::offer_bookmark(uint64_t revision) {
  if (options_.bookmarks && next_initial_ == options_.initial.size())
    push(std::make_shared<const std::string>(bookmark_line(revision, false)));
}

std::string WatchStream::take(size_t limit) {
  if (!options_.form.protobuf) return take_lines(limit);
  std::string out;
  const std::string lines = take_lines(limit);
  for (std::string_view line : split(lines, '\n')) {
    if (line.empty()) continue;
    const json::value event = json::parse(line);  // ours, or of a document that was read with bounds
    const auto frame =
        k8s::encode_protobuf_event(text_at(event.get_object(), "type"), *object_at(event.get_object(), "object"));
    if (frame) out += *frame;
  }
  return out;
}

std::string WatchStream::take_lines(size_t limit) {
  std::string out;
  std::vector<Record>& initial = options_.initial;
  for (; next_initial_ < initial.size() && out.size() < limit; ++next_initial_) {
    const Record record = shown(initial[next_initial_]);
    out += line_of("ADDED", record->bytes);
  }
  if (next_initial_ < initial.size()) return out;
  if (std::exchange(options_.mark_end_of_initial, false)) out += bookmark_line(initial_revision_, true);
  while (!pending_.empty() && out.size() < limit) {
    out += *pending_.front();
    pending_bytes_ -= std::min(pending_bytes_, pending_.front()->size());
    pending_.pop_front();
  }
  return out;
}

WatchHub::WatchHub(Store& store) {
  store.subscribe([this](const StoreEvent& event) { dispatch(event); });
}

void WatchHub::add(const std::shared_ptr<WatchStream>& stream) {
  auto& streams = streams_[&stream->stored_type()];
  std::erase_if(streams,
                [](const auto& weak) { return weak.expired(); });  // kinds that never change are never dispatched
  streams.push_back(stream);
}

size_t WatchHub::watchers() const {
  size_t count = 0;
  for (const auto& [type, streams] : streams_)
    count += static_cast<size_t>(std::ranges::count_if(streams, [](const auto& stream) { return !stream.expired(); }));
  return count;
}

void WatchHub::dispatch(const StoreEvent& event) {
  const auto found = streams_.find(event.resource);
  if (found == streams_.end()) return;
  std::erase_if(found->second, [&](const std::weak_ptr<WatchStream>& weak) {
    const auto stream = weak.lock();
    if (stream) stream->offer(event);
    return !stream;
  });
}

}  // namespace carrick::apiserver
