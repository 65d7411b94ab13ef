// SQLite: a table of messages in WAL mode, synced at every commit, one commit for all that wait.
//
// Used at its best: one connection that locks the file for itself (the WAL's index is then in its
// own memory), prepared statements, and a write-ahead log of 64 MiB that is filled once before the
// run and then used again from its beginning after each checkpoint: a sync into a file that grows
// has to commit the file system's journal as well. The usual log of 4 MiB has a checkpoint of tens
// of milliseconds in the way more often: p99 is 29 ms with 1024 in flight, and 8 ms so.
#include <sqlite3.h>

#include "durable_peers.h"

namespace loopline::perf {
namespace {

class Sqlite final : public Keeper {
 public:
  ~Sqlite() override {
    for (sqlite3_stmt* statement : {begin_, insert_, commit_}) ::sqlite3_finalize(statement);
    ::sqlite3_close(database_);
  }

  Status open(const std::string& folder) {
    if (::sqlite3_open((folder + "/messages.db").c_str(), &database_) != SQLITE_OK) {
      return trouble("open");
    }
    LL_TRY(mode, ask("PRAGMA locking_mode=EXCLUSIVE"));
    LL_TRY(journal, ask("PRAGMA journal_mode=WAL"));
    LL_TRY_STATUS(ask("PRAGMA synchronous=FULL"));
    LL_TRY_STATUS(ask("PRAGMA wal_autocheckpoint=16384"));
    if (mode != "exclusive" || journal != "wal") {
      return Fault(FaultCode::unsupported,
                   "SQLite did not take its settings, but has locking_mode " + mode +
                       ", journal_mode " + journal);
    }
    LL_TRY_STATUS(ask("CREATE TABLE log(sequence INTEGER PRIMARY KEY, message BLOB NOT NULL)"));
    LL_TRY_STATUS(fill_log());
    LL_TRY_STATUS(prepare("BEGIN IMMEDIATE", begin_));
    LL_TRY_STATUS(prepare("INSERT INTO log(message) VALUES(?)", insert_));
    return prepare("COMMIT", commit_);
  }

  Status submit(std::span<const std::byte> message) override {
    if (is_empty_) LL_TRY_STATUS(step(begin_));
    is_empty_ = false;
    ::sqlite3_bind_blob(insert_, 1, message.data(), static_cast<int>(message.size()),
                        SQLITE_STATIC);
    LL_TRY_STATUS(step(insert_));
    ++submitted_;
    return ok();
  }

  Result<uint64_t> wait(uint64_t /*known*/) override {
    if (!is_empty_) LL_TRY_STATUS(step(commit_));
    is_empty_ = true;
    return submitted_;
  }

  std::string version() override { return ::sqlite3_libversion(); }

  Result<std::string> settings() override {
    LL_TRY(journal, ask("PRAGMA journal_mode"));
    LL_TRY(synchronous, ask("PRAGMA synchronous"));
    LL_TRY(checkpoint, ask("PRAGMA wal_autocheckpoint"));
    return "journal_mode " + journal + ", synchronous " + synchronous + " (2 is FULL), " +
           "checkpoint every " + checkpoint + " pages, one commit for all in flight";
  }

 private:
  // Lets the write-ahead log grow to its full size once, and starts it again from its beginning.
  Status fill_log() {
    LL_TRY_STATUS(ask("CREATE TABLE filling(bytes BLOB)"));
    LL_TRY_STATUS(ask("INSERT INTO filling VALUES(zeroblob(4000000))"));
    LL_TRY_STATUS(ask("PRAGMA synchronous=OFF"));
    for (int times = 0; times < 17; ++times) {
      LL_TRY_STATUS(ask("UPDATE filling SET bytes = zeroblob(4000000)"));
    }
    LL_TRY_STATUS(ask("PRAGMA synchronous=FULL"));
    LL_TRY_STATUS(ask("PRAGMA wal_checkpoint(RESTART)"));
    return ok();
  }

  Fault trouble(const std::string& what) const {
    return {FaultCode::io_error,
            "SQLite could not " + what + ": " + std::string(::sqlite3_errmsg(database_))};
  }

  Status prepare(const char* text, sqlite3_stmt*& statement) {
    if (::sqlite3_prepare_v2(database_, text, -1, &statement, nullptr) == SQLITE_OK) return ok();
    return trouble("prepare " + std::string(text));
  }

  Status step(sqlite3_stmt* statement) {
    const int status = ::sqlite3_step(statement);
    ::sqlite3_reset(statement);
    if (status == SQLITE_DONE) return ok();
    return trouble(::sqlite3_sql(statement));
  }

  // The first value that `text` answers.
  Result<std::string> ask(const char* text) {
    sqlite3_stmt* statement = nullptr;
    LL_TRY_STATUS(prepare(text, statement));
    const int status = ::sqlite3_step(statement);
    std::string answer;
    if (status == SQLITE_ROW) {
      answer = reinterpret_cast<const char*>(::sqlite3_column_text(statement, 0));
    }
    ::sqlite3_finalize(statement);
    if (status == SQLITE_ROW || status == SQLITE_DONE) return answer;
    return trouble(text);
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  bool is_empty_ = true;  // no transaction is open
  uint64_t submitted_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_sqlite(const std::string& folder, const Load& /*load*/) {
  auto sqlite = std::make_unique<Sqlite>();
  LL_TRY_STATUS(sqlite->open(folder));
  return std::unique_ptr<Keeper>(std::move(sqlite));
}

}  // namespace loopline::perf
