#include "apiserver/journal.h"

#include <sqlite3.h>

namespace carrick::apiserver {
namespace {

struct Statement {
  sqlite3_stmt* handle = nullptr;
  ~Statement() { sqlite3_finalize(handle); }
};

void bind(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string_view column(sqlite3_stmt* statement, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  return text ? std::string_view(text, static_cast<size_t>(sqlite3_column_bytes(statement, index)))
              : std::string_view{};
}

}  // namespace

std::unexpected<Error> Journal::failure(std::string_view what) const {
  return fail(ErrorKind::kTransient, "cannot {} the object database: {}", what, sqlite3_errmsg(db_));
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path) {
  sqlite3* db = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Journal> journal(new Journal(db));
  if (rc != SQLITE_OK) return with_context(journal->failure("open").error(), "{}", path);
  sqlite3_extended_result_codes(db, 1);
  if (auto ready = journal->prepare(); !ready) return with_context(ready.error(), "{}", path);
  return journal;
}

Journal::~Journal() {
  for (sqlite3_stmt* statement : {put_, erase_, mark_}) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Result<void> Journal::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure("use");
  return {};
}

Result<void> Journal::prepare() {
  // EXCLUSIVE before WAL keeps the wal-index in memory (a mapped -shm file on a full tmpfs would be a SIGBUS) and
  // refuses a second server on the same file. The kernel drops the lock of a killed process.
  TRY_VOID(execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2048;"));
  TRY_VOID(
      execute("CREATE TABLE IF NOT EXISTS objects(resource TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT "
              "NULL, document TEXT NOT NULL, "
              "PRIMARY KEY(resource, key)) WITHOUT ROWID;"
              "CREATE TABLE IF NOT EXISTS mark(id INTEGER PRIMARY KEY CHECK(id = 0), revision INTEGER NOT NULL);"
              "INSERT OR IGNORE INTO mark VALUES(0, 0);"));
  const auto compile = [this](const char* sql, sqlite3_stmt** out) {
    return sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, out, nullptr) == SQLITE_OK;
  };
  if (!compile("INSERT INTO objects VALUES(?1, ?2, ?3, ?4) ON CONFLICT(resource, key) DO UPDATE SET revision = ?3, "
               "document = ?4",
               &put_) ||
      !compile("DELETE FROM objects WHERE resource = ?1 AND key = ?2", &erase_) ||
      !compile("UPDATE mark SET revision = ?1", &mark_))
    return failure("prepare");
  Statement highest;
  if (!compile("SELECT max(coalesce((SELECT max(revision) FROM objects), 0), (SELECT revision FROM mark))",
               &highest.handle) ||
      sqlite3_step(highest.handle) != SQLITE_ROW)
    return failure("read");
  highest_ = static_cast<uint64_t>(sqlite3_column_int64(highest.handle, 0));
  return {};
}

Result<void> Journal::load(const Row& row) const {
  Statement all;
  if (sqlite3_prepare_v2(db_, "SELECT resource, document FROM objects", -1, &all.handle, nullptr) != SQLITE_OK)
    return failure("read");
  int rc;
  while ((rc = sqlite3_step(all.handle)) == SQLITE_ROW) TRY_VOID(row(column(all.handle, 0), column(all.handle, 1)));
  if (rc != SQLITE_DONE) return failure("read");
  return {};
}

Result<void> Journal::step(sqlite3_stmt* statement) {
  const int rc = sqlite3_step(statement);
  Result<void> result;
  if (rc != SQLITE_DONE) result = failure("write");  // before reset: it changes the message
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return result;
}

Result<void> Journal::put(std::string_view resource, std::string_view key, std::string_view document,
                          uint64_t revision) {
  bind(put_, 1, resource);
  bind(put_, 2, key);
  sqlite3_bind_int64(put_, 3, static_cast<int64_t>(revision));
  bind(put_, 4, document);
  return step(put_);
}

Result<void> Journal::erase(std::string_view resource, std::string_view key, uint64_t revision) {
  // The mark keeps a revision from being given twice when the newest object is the one that goes.
  TRY_VOID(execute("BEGIN"));
  sqlite3_bind_int64(mark_, 1, static_cast<int64_t>(revision));
  auto done = step(mark_);
  if (done) {
    bind(erase_, 1, resource);
    bind(erase_, 2, key);
    done = step(erase_);
  }
  if (done) done = execute("COMMIT");
  // A failed statement may have rolled back by itself; then this is a no-op that fails, which is fine.
  if (!done) (void)sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

}  // namespace carrick::apiserver
