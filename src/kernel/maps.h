#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

// BPF maps as rows of bytes.
namespace carrick::kernel {

struct MapShape {
  std::string name;
  uint32_t key_size = 0, value_size = 0, max_entries = 0;
};

struct MapEntry {
  std::string key, value;
  bool operator==(const MapEntry&) const = default;
};

// Of a batch: entries before `done` took effect; when there is an error, entry number `done` is the one that failed and
// those behind it were not tried.
struct BatchOutcome {
  size_t done = 0;
  std::optional<Error> error;
};

// One map (hash, LRU hash, LPM trie or array). Not for two threads at once.
class Map {
 public:
  virtual ~Map() = default;
  virtual const MapShape& shape() const = 0;

  virtual BatchOutcome update(std::span<const MapEntry> entries) = 0;  // adds or replaces
  virtual BatchOutcome remove(std::span<const std::string> keys) = 0;  // a missing key counts as removed
  virtual Result<std::optional<std::string>> lookup(std::string_view key) = 0;
  virtual Result<std::vector<MapEntry>> read_all() = 0;  // order unspecified

  Result<void> put(std::string_view key, std::string_view value);
  Result<void> erase(std::string_view key);
};

// Takes over a descriptor of a map.
Result<std::unique_ptr<Map>> open_map(Fd fd);

// Sum over CPUs of every slot of a per-CPU array of 64-bit counters.
Result<std::vector<uint64_t>> read_counters(int map_fd, uint32_t slots);

// A map in memory. Full maps refuse as the kernel does; `fault` (when set) is asked before every entry and may refuse
// it.
class FakeMap : public Map {
 public:
  explicit FakeMap(MapShape shape) : shape_(std::move(shape)) {}
  const MapShape& shape() const override { return shape_; }
  BatchOutcome update(std::span<const MapEntry> entries) override;
  BatchOutcome remove(std::span<const std::string> keys) override;
  Result<std::optional<std::string>> lookup(std::string_view key) override;
  Result<std::vector<MapEntry>> read_all() override;

  std::map<std::string, std::string, std::less<>> rows;
  std::function<std::optional<Error>()> fault;
  std::function<void(const std::string& map, bool removal)> on_write;  // called for each entry that took effect
  uint64_t writes = 0;                                                 // entries updated or removed so far

 private:
  MapShape shape_;
};

}  // namespace carrick::kernel
