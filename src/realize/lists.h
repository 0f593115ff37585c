#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "reconcile/reconcile.h"

// Lists that frontends name by their content (backends, clients, consistent choice), as they lie in the maps. A change
// of a frontend is carried out whole or not at all: a list that does not fit is not begun, a frontend waits until its
// lists are whole, and a list stays while a row in the map still names it.
namespace carrick::realize {

enum class ListMap { kBackends, kMembers, kChoices, kSources };

// Name of the list that a row belongs to.
uint64_t list_of(ListMap map, std::string_view key);
// Names in a frontend's row: its set, its sources, its table; 0 where it has none.
std::vector<uint64_t> lists_in(std::string_view frontend_value);

struct Room {
  ListMap map;
  const reconcile::Table& table;
  size_t capacity;  // rows of the map; 0: unknown, taken for endless
};

// What is to be added but finds no room, by the name of the list: the row that says so, and why. A list that lies in
// several maps needs room in all of them. Those planned first come first.
struct Refusal {
  ListMap map;
  std::string key;
  Error error;
};
std::unordered_map<uint64_t, Refusal> without_room(const std::vector<Room>& rooms);

// Lists of which a row is still to be written.
std::unordered_set<uint64_t> unfinished(const std::vector<Room>& rooms);

// Lists that rows in the map name although the plan has others, or nothing, in their place.
std::unordered_set<uint64_t> still_in_use(const reconcile::Table& frontends);

}  // namespace carrick::realize
