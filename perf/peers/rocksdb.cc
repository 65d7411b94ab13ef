// RocksDB: messages under growing keys, each write synced before it returns.
//
// Used at its best: logs that are recycled, and filled once before the run (a sync into a file that
// grows has to commit the file system's journal as well), no compression, no compaction meanwhile.
// All in flight are one batch and so one sync: what its group commit makes of many threads, without
// the threads. 1024 in flight by 1, 2, 3, 4, 8, 16 of them: 375, 324, 268, 170, 177, 159 thousand a
// second on two processors.
#include <rocksdb/db.h>
#include <rocksdb/version.h>

#include <charconv>
#include <map>

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
    ++written_;
    return submitted_;
  }

  std::string version() override { return rocksdb::GetRocksVersionAsString(); }

  Result<std::string> settings() override {
    LL_TRY(syncs, sync_count());
    if (syncs != synced_before_ + written_) {
      return Fault(FaultCode::unsupported, "RocksDB synced " + std::to_string(syncs) +
                                               " times, not before each acknowledgement");
    }
    return std::string("sync=true, a batch for all in flight, recycled logs");
  }

  // How often it has synced its log, as it says itself.
  Result<uint64_t> sync_count() {
    std::map<std::string, std::string> stats;
    database_->GetMapProperty(rocksdb::DB::Properties::kDBStats, &stats);
    const std::string& text = stats["db.wal_syncs"];
    uint64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (!text.empty() && error == std::errc() && end == text.data() + text.size()) return count;
    return Fault(FaultCode::unsupported, "RocksDB does not tell how often it synced");
  }

  // To be called before the first message.
  Status begin() {
    LL_TRY(syncs, sync_count());
    synced_before_ = syncs;
    return ok();
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
  uint64_t written_ = 0;        // batches
  uint64_t synced_before_ = 0;  // the first of them
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
  auto keeper = std::make_unique<RocksDb>(std::move(owned));
  LL_TRY_STATUS(keeper->begin());
  return std::unique_ptr<Keeper>(std::move(keeper));
}

}  // namespace loopline::perf
