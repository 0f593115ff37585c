#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared_text.h"
#include "reconcile/shadow.h"

// From the rows that shall be to the rows that are. Knows no feature and no kernel: rows are bytes, of one size in one
// table.
namespace carrick::reconcile {

using Time = std::chrono::steady_clock::time_point;

struct Row {
  std::string key, value;
  SharedText owner;  // the object whose status suffers when this row fails
};

// Where rows are realized.
class Store {
 public:
  // Entries before `done` took effect; with an error, entry number `done` failed and the rest was not tried.
  struct Outcome {
    size_t done = 0;
    std::optional<Error> error;
  };
  virtual ~Store() = default;
  virtual Result<std::vector<Row>> read() = 0;  // owners empty
  virtual Outcome write(std::span<const Row> rows) = 0;
  virtual Outcome erase(std::span<const std::string> keys) = 0;
};

struct Failure {
  std::string table, key, owner;
  Error error;
  unsigned attempts = 0;
  Time next;  // not tried again before
};

struct Options {
  size_t batch = 1024;  // rows of one write
  std::chrono::milliseconds first_delay{100}, longest_delay{30000};
};

// One table. desire() computes a plan against what is known to be there; write() and erase() carry it out, each row on
// its own: one bad row never holds up another. Several tables are ordered by calling write() and erase() in the order
// of their dependencies. Not for two threads at once.
class Table {
 public:
  Table(std::string name, Store& store, Options options = {})
      : name_(std::move(name)), store_(store), options_(options) {}

  // Takes what the store holds as what is there. To be called once before the first plan, and after any doubt.
  Result<void> read_back();

  // All rows, in any order; keys are unique. Without `prune` rows that are not desired stay (a watch is not in sync
  // yet).
  void desire(std::vector<Row> rows, bool prune);
  // A part of them: `rows` shall be, `gone` is no longer desired, of everything else what was desired before still
  // holds. A key is named once.
  void adjust(std::vector<Row> rows, const std::vector<std::string>& gone, bool prune);

  // Additions and changes, then removals, that are due at `now`. The number of rows that changed in the store.
  size_t write(Time now);
  size_t erase(Time now);

  // Rows for which `held` is true are not written until hold(nullptr): something they rest on is missing.
  void hold(std::function<bool(const Row&)> held) { held_ = std::move(held); }
  // Rows for which this gives an error fail with it and are not tried, until refuse(nullptr).
  void refuse(std::function<std::optional<Error>(const Row&)> refused) { refused_ = std::move(refused); }
  // Rows for which this is true are not removed until keep(nullptr): something still rests on them.
  void keep(std::function<bool(const std::string& key)> kept) { kept_ = std::move(kept); }

  // What is not carried out yet, and what the store holds under a key.
  const std::vector<Row>& pending() const { return puts_; }
  const std::vector<std::string>& pending_removals() const { return removals_; }
  std::optional<std::string_view> stored(std::string_view key) const {
    const uint32_t there = shadow_.find(key);
    return there == Shadow::kNone ? std::nullopt : std::optional(shadow_.value(there));
  }

  bool settled() const { return puts_.empty() && removals_.empty(); }
  size_t size() const { return shadow_.size(); }  // rows that are in the store
  std::vector<Failure> failures() const;
  std::optional<Time> next_retry() const;
  const std::string& name() const { return name_; }

 private:
  struct Trouble {
    SharedText owner;
    Error error;
    unsigned attempts = 0;
    Time next;
  };

  void want(Row row);
  void forget_healed_troubles();
  size_t next_size(size_t size, const Store::Outcome& outcome) const;
  bool due(const std::string& key, Time now) const;
  void failed(const std::string& key, const SharedText& owner, Error error, Time now);

  std::string name_;
  Store& store_;
  Options options_;
  std::function<bool(const Row&)> held_;
  std::function<std::optional<Error>(const Row&)> refused_;
  std::function<bool(const std::string&)> kept_;
  Shadow shadow_;
  std::vector<Row> puts_;
  std::vector<std::string> removals_;
  std::map<std::string, Trouble, std::less<>> troubles_;
};

}  // namespace carrick::reconcile
