#include "kernel/maps.h"

namespace carrick::kernel {

BatchOutcome FakeMap::update(std::span<const MapEntry> entries) {
  for (size_t done = 0; done < entries.size(); ++done) {
    if (fault)
      if (auto error = fault()) return {done, std::move(error)};
    const auto& [key, value] = entries[done];
    if (key.size() != shape_.key_size || value.size() != shape_.value_size)
      return {done, Error{ErrorKind::kInternal, fmt::format("map {}: a row of wrong size", shape_.name)}};
    if (rows.size() >= shape_.max_entries && !rows.contains(key))
      return {done, Error{ErrorKind::kTransient,
                          fmt::format("map {} is full ({} entries)", shape_.name, shape_.max_entries)}};
    rows[key] = value;
    ++writes;
    if (on_write) on_write(shape_.name, false);
  }
  return {entries.size(), {}};
}

BatchOutcome FakeMap::remove(std::span<const std::string> keys) {
  for (size_t done = 0; done < keys.size(); ++done) {
    if (fault)
      if (auto error = fault()) return {done, std::move(error)};
    if (rows.erase(keys[done])) {
      ++writes;
      if (on_write) on_write(shape_.name, true);
    }
  }
  return {keys.size(), {}};
}

Result<std::optional<std::string>> FakeMap::lookup(std::string_view key) {
  const auto row = rows.find(key);
  if (row == rows.end()) return std::optional<std::string>();
  return std::optional(row->second);
}

Result<std::vector<MapEntry>> FakeMap::read_all() {
  std::vector<MapEntry> entries;
  for (const auto& [key, value] : rows) entries.push_back({key, value});
  return entries;
}

}  // namespace carrick::kernel
