#pragma once

#include <functional>

#include "apiserver/document.h"
#include "apiserver/store.h"

// `Table` answers (meta.k8s.io/v1): the columns that people know from kubectl get, made by the server.
namespace carrick::apiserver {

struct Column {
  std::string_view name;
  std::string_view type = "string";  // string, integer, date
  int priority = 0;                  // 1: only with -o wide
  std::string_view format = "";      // "name" for the first
};

// The rows are made at `now` (seconds since 1970): ages are text.
struct Printer {
  std::vector<Column> columns;
  std::function<json::array(const json::object& document, int64_t now)> cells;
};
const Printer& printer_for(const k8s::ResourceType& type);

enum class RowObject { kNone, kMetadata, kObject };  // includeObject=

json::array column_definitions(const Printer& printer);
json::object table_row(const Printer& printer, const json::object& document, RowObject include, int64_t now);
// version is "v1" or "v1beta1".
json::object make_table(std::string_view version, json::object list_metadata, json::value columns, json::array rows);

// 45s, 3m2s, 5h, 2d3h: as kubectl writes a duration.
std::string human_duration(int64_t seconds);
// Seconds since 1970 of an RFC 3339 time; nullopt when it is none.
std::optional<int64_t> parse_time(std::string_view text);
std::string age(const json::object& document, std::string_view path, int64_t now);

}  // namespace carrick::apiserver
