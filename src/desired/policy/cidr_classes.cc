#include "desired/policy/cidr_classes.h"

#include <unordered_map>

namespace carrick::desired {
namespace {

using BlockSet = std::set<uint32_t>;  // indexes of blocks

// A prefix that some block names, and how the set of blocks changes where it begins.
struct Edge {
  std::vector<uint32_t> enter, leave;
};

// The blocks in force at each prefix. Prefixes nest or are disjoint, and a parent sorts before its children, so one
// pass with a stack of ancestors does it: what holds at the parent, plus blocks that begin here, minus blocks that
// except this prefix.
void walk(const std::map<net::Prefix, Edge>& edges, bool v4, std::map<net::Prefix, BlockSet>& out) {
  struct Open {
    net::Prefix prefix;
    BlockSet blocks;
  };
  std::vector<Open> open;
  for (const auto& [prefix, edge] : edges) {
    if (prefix.is_v4() != v4) continue;
    while (!open.empty() && !open.back().prefix.contains(prefix)) open.pop_back();
    BlockSet blocks = open.empty() ? BlockSet() : open.back().blocks;
    blocks.insert(edge.enter.begin(), edge.enter.end());
    for (uint32_t index : edge.leave) blocks.erase(index);
    out[prefix] = blocks;
    open.push_back({prefix, std::move(blocks)});
  }
}

}  // namespace

CidrClasses::CidrClasses(const std::map<std::string, AddressBlock>& blocks) {
  std::map<net::Prefix, Edge> edges;
  std::vector<const std::string*> names;
  for (const auto& [text, block] : blocks) {
    auto index = static_cast<uint32_t>(names.size());
    names.push_back(&text);
    by_block_[text];
    for (const auto& cidr : block.cidrs) edges[cidr].enter.push_back(index);
    for (const auto& except : block.excepts) edges[except].leave.push_back(index);
  }
  std::map<net::Prefix, BlockSet> pieces;
  walk(edges, true, pieces);
  walk(edges, false, pieces);

  // Number = hash of the names of the blocks; equal hashes of different sets are resolved by probing in sorted order.
  std::map<std::string, const BlockSet*> sets;
  std::map<net::Prefix, std::string> keys;
  for (const auto& [prefix, set] : pieces) {
    std::string key;
    for (uint32_t index : set) key += fmt::format("{}:{},", names[index]->size(), *names[index]);
    if (!key.empty()) sets.emplace(key, &set);
    keys.emplace_hint(keys.end(), prefix, std::move(key));
  }
  std::map<std::string, CidrClass> numbers;
  std::set<CidrClass> taken{0};  // 0 = in no block
  for (const auto& [key, set] : sets) {
    auto number = static_cast<CidrClass>(net::stable_hash(key));
    while (!taken.insert(number).second) ++number;
    numbers.emplace(key, number);
    for (uint32_t index : *set) by_block_[*names[index]].insert(number);
  }
  for (const auto& [prefix, key] : keys) table_.emplace_hint(table_.end(), prefix, key.empty() ? 0 : numbers.at(key));

  // A v6 prefix shorter than 96 bits would also catch v4-mapped addresses in a trie over 16-byte addresses.
  bool short_v6 = false;
  for (const auto& [prefix, number] : table_) short_v6 |= !prefix.is_v4() && prefix.length() < 96;
  if (short_v6) table_.emplace(net::Prefix(net::IpAddress::v4(0), 96), 0);
}

const std::set<CidrClass>& CidrClasses::of_block(const std::string& text) const {
  static const std::set<CidrClass> kNone;
  auto found = by_block_.find(text);
  return found == by_block_.end() ? kNone : found->second;
}

}  // namespace carrick::desired
