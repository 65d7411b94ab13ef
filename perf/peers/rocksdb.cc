// RocksDB: messages under growing keys, each write synced before it returns.
//
// Used at its best: logs that are recycled, and filled once before the run (a sync into a file that
// grows has to commit the file system's journal as well), no compression, no compaction meanwhile.
// All in flight are one batch and so one sync: what its group commit makes of many threads, without
// the threads. 1024 in flight by 1, 2, 3, 4, 8, 16 of them: 375, 324, 268, 170, 177, 159 thousand a
// second on two processors.
#include <rocksdb/db.h>
#include <rocksdb/version.h>

#include "durable_peers.h"

namespace loopline::perf {
namespace {

constexpr uint64_t log_bytes = 16 << 20;  // a log ends when as much is in memory
constexpr uint64_t recycled_logs = 4;

std::string key_of(uint64_t number) {
  std::string key(8, '\0');
  for (int index = 7; index >= 0; --index, number >>= 8) {
    key[static_cast<size_t>(index)] = static_cast<char>(number & 0xff);
  }
  return key;
}

class RocksDb final : public Keeper {
 public:
  explicit RocksDb(std::unique_ptr<rocksdb::DB> database) : database_(std::move(database)) {
    options_.sync = true;
  }

  Status submit(std::span<const std::byte> message) override {
    const rocksdb::Slice bytes(reinterpret_cast<const char*>(message.data()), message.size());
    LL_TRY_STATUS(check(batch_.Put(key_of(submitted_), bytes)));
    ++submitted_;
    return ok();
  }

  Result<uint64_t> wait(uint64_t /*known*/) override {
    LL_TRY_STATUS(check(database_->Write(options_, &batch_)));
    batch_.Clear();
    return submitted_;
  }

  std::string version() override { return rocksdb::GetRocksVersionAsString(); }

  Result<std::string> settings() override {
    // Cumulative WAL: 1200 writes, 1100 syncs, ...
    std::string stats;
    database_->GetProperty("rocksdb.stats", &stats);
    constexpr std::string_view heading = "Cumulative WAL: ";
    const size_t begin = stats.find(heading) + heading.size();
    const size_t end = stats.find(" syncs", begin);
    if (end == std::string::npos) {
      return Fault(FaultCode::unsupported, "RocksDB does not tell how often it synced");
    }
    return "sync " + std::string(options_.sync ? "true" : "false") + " (" +
           stats.substr(begin, end - begin) + " syncs), recycled logs, a batch for all in flight";
  }

 private:
  static Status check(const rocksdb::Status& status) {
    if (status.ok()) return ok();
    return Fault(FaultCode::io_error, "RocksDB could not write: " + status.ToString());
  }

  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteOptions options_;
  rocksdb::WriteBatch batch_;
  uint64_t submitted_ = 0;
};

// Writes and drops so much that there are logs to be used again.
rocksdb::Status fill_logs(rocksdb::DB& database) {
  const std::string value(64 << 10, 'x');
  for (uint64_t log = 0; log < recycled_logs; ++log) {
    for (uint64_t bytes = 0; bytes < log_bytes; bytes += value.size()) {
      const auto status = database.Put({}, "", value);
      if (!status.ok()) return status;
    }
    const auto status = database.Flush({});
    if (!status.ok()) return status;
  }
  return database.SyncWAL();
}

}  // namespace

Result<std::unique_ptr<Keeper>> start_rocksdb(const std::string& folder, const Load& /*load*/) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.disable_auto_compactions = true;
  options.write_buffer_size = log_bytes;
  options.recycle_log_file_num = recycled_logs;
  rocksdb::DB* database = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, folder, &database);
  std::unique_ptr<rocksdb::DB> owned(database);
  if (status.ok()) status = fill_logs(*owned);
  if (!status.ok()) {
    return Fault(FaultCode::io_error, "RocksDB could not be opened: " + status.ToString());
  }
  return std::unique_ptr<Keeper>(std::make_unique<RocksDb>(std::move(owned)));
}

}  // namespace loopline::perf
