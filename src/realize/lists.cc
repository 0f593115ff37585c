#include "realize/lists.h"

#include <algorithm>
#include <cstring>

#include "wire/choice.h"
#include "wire/services.h"

namespace carrick::realize {
namespace {

template <class T>
T as(std::string_view bytes) {
  T out{};
  bytes.copy(reinterpret_cast<char*>(&out), sizeof out);
  return out;
}

// Rows that a list still needs, and the first of them.
struct Need {
  size_t rows = 0;
  const reconcile::Row* first = nullptr;
};
using Needs = std::unordered_map<uint64_t, Need>;

size_t free_rows(const Room& room) {
  if (room.capacity == 0) return SIZE_MAX;
  return room.capacity - std::min(room.capacity, room.table.size());
}

bool everything_fits(const std::vector<Room>& rooms) {
  for (const auto& room : rooms)
    if (room.table.pending().size() > free_rows(room)) return false;
  return true;
}

}  // namespace

uint64_t list_of(ListMap map, std::string_view key) {
  switch (map) {
    case ListMap::kBackends:
      return as<backend_key>(key).set;
    case ListMap::kMembers:
      return as<member_key>(key).set;
    case ListMap::kChoices:
      return as<choice_key>(key).table;
    case ListMap::kSources: {
      const auto source = as<source_lpm_key>(key);
      return source.list[0] | uint64_t{source.list[1]} << 32;
    }
  }
  return 0;
}

std::vector<uint64_t> lists_in(std::string_view frontend_value_bytes) {
  const auto value = as<frontend_value>(frontend_value_bytes);
  return {value.set, value.sources, value.table};
}

std::unordered_map<uint64_t, Refusal> without_room(const std::vector<Room>& rooms) {
  std::unordered_map<uint64_t, Refusal> refused;
  if (everything_fits(rooms)) return refused;
  std::vector<Needs> needs(rooms.size());
  std::vector<size_t> left;
  std::vector<uint64_t> order;
  std::unordered_set<uint64_t> known;
  for (size_t i = 0; i < rooms.size(); ++i) {
    left.push_back(free_rows(rooms[i]));
    for (const auto& row : rooms[i].table.pending()) {
      const uint64_t name = list_of(rooms[i].map, row.key);
      if (known.insert(name).second) order.push_back(name);
      Need& need = needs[i][name];
      if (!need.first) need.first = &row;
      if (!rooms[i].table.stored(row.key)) ++need.rows;
    }
  }
  for (const uint64_t name : order) {
    const Need* lacking = nullptr;
    size_t in = 0;
    for (size_t i = 0; i < rooms.size() && !lacking; ++i)
      if (auto need = needs[i].find(name); need != needs[i].end() && need->second.rows > left[i])
        lacking = &need->second, in = i;
    if (lacking) {
      refused.emplace(name,
                      Refusal{rooms[in].map, lacking->first->key,
                              Error{ErrorKind::kTransient,
                                    fmt::format("map {} has room for {} more rows of {}, and {} are needed",
                                                rooms[in].table.name(), left[in], rooms[in].capacity, lacking->rows)}});
      continue;
    }
    for (size_t i = 0; i < rooms.size(); ++i)
      if (auto need = needs[i].find(name); need != needs[i].end()) left[i] -= need->second.rows;
  }
  return refused;
}

std::unordered_set<uint64_t> unfinished(const std::vector<Room>& rooms) {
  std::unordered_set<uint64_t> out;
  for (const auto& room : rooms)
    for (const auto& row : room.table.pending()) out.insert(list_of(room.map, row.key));
  return out;
}

std::unordered_set<uint64_t> still_in_use(const reconcile::Table& frontends) {
  std::unordered_set<uint64_t> out;
  const auto note = [&](std::string_view key) {
    if (const auto value = frontends.stored(key))
      for (const uint64_t name : lists_in(*value)) out.insert(name);
  };
  for (const auto& row : frontends.pending()) note(row.key);
  for (const auto& key : frontends.pending_removals()) note(key);
  return out;
}

}  // namespace carrick::realize
