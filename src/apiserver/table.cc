#include "apiserver/table.h"

#include <ctime>

namespace carrick::apiserver {

// k8s.io/apimachinery/pkg/util/duration HumanDuration: two units where the first is small, one where it is large.
std::string human_duration(int64_t seconds) {
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60 * 2) return fmt::format("{}s", seconds);
  const int64_t minutes = seconds / 60;
  if (minutes < 10) return seconds % 60 ? fmt::format("{}m{}s", minutes, seconds % 60) : fmt::format("{}m", minutes);
  if (minutes < 60 * 3) return fmt::format("{}m", minutes);
  const int64_t hours = minutes / 60;
  if (hours < 8) return minutes % 60 ? fmt::format("{}h{}m", hours, minutes % 60) : fmt::format("{}h", hours);
  if (hours < 48) return fmt::format("{}h", hours);
  const int64_t days = hours / 24;
  if (hours < 24 * 8) return hours % 24 ? fmt::format("{}d{}h", days, hours % 24) : fmt::format("{}d", days);
  if (hours < 24 * 365 * 2) return fmt::format("{}d", days);
  const int64_t years = days / 365;
  if (hours < 24 * 365 * 8) return days % 365 ? fmt::format("{}y{}d", years, days % 365) : fmt::format("{}y", years);
  return fmt::format("{}y", years);
}

std::optional<int64_t> parse_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text.substr(0, 19));
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!end || *end) return std::nullopt;
  return timegm(&parts);
}

std::string age(const json::object& document, std::string_view path, int64_t now) {
  const auto time = parse_time(text_at(document, path));
  return time ? human_duration(now - *time) : "<unknown>";
}

json::array column_definitions(const Printer& printer) {
  json::array out;
  for (const Column& column : printer.columns)
    out.push_back(json::object{{"name", column.name},
                               {"type", column.type},
                               {"format", column.format},
                               {"description", column.name},
                               {"priority", column.priority}});
  return out;
}

json::object table_row(const Printer& printer, const json::object& document, RowObject include, int64_t now) {
  json::object row{{"cells", printer.cells(document, now)}};
  if (include == RowObject::kObject) row["object"] = document;
  if (include == RowObject::kMetadata) {
    json::object partial{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}};
    if (const json::value* metadata = document.if_contains("metadata")) partial["metadata"] = *metadata;
    row["object"] = std::move(partial);
  }
  return row;
}

json::object make_table(std::string_view version, json::object list_metadata, json::value columns, json::array rows) {
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/" + std::string(version)},
          {"metadata", std::move(list_metadata)},
          {"columnDefinitions", std::move(columns)},
          {"rows", std::move(rows)}};
}

}  // namespace carrick::apiserver
