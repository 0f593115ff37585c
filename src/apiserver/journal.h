#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace carrick::apiserver {

// What the store keeps on disk: one row an object, and the highest revision ever given. One writer, one statement a
// change, each its own transaction (WAL, synchronous=NORMAL: no fsync but at checkpoints), so an answered write
// survives kill -9 and a refused one (full disk) left no trace. Errors are kTransient with the database's words.
class Journal {
 public:
  static Result<std::unique_ptr<Journal>> open(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  using Row = std::function<Result<void>(std::string_view resource, std::string_view document)>;
  Result<void> load(const Row& row) const;
  // 0 for a new database.
  uint64_t highest_revision() const { return highest_; }

  Result<void> put(std::string_view resource, std::string_view key, std::string_view document, uint64_t revision);
  Result<void> erase(std::string_view resource, std::string_view key, uint64_t revision);

 private:
  explicit Journal(sqlite3* db) : db_(db) {}
  Result<void> prepare();
  Result<void> execute(const char* sql);
  Result<void> step(sqlite3_stmt* statement);
  std::unexpected<Error> failure(std::string_view what) const;

  sqlite3* db_;
  sqlite3_stmt *put_ = nullptr, *erase_ = nullptr, *mark_ = nullptr;
  uint64_t highest_ = 0;
};

}  // namespace carrick::apiserver
