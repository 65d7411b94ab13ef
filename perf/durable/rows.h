// Rows: everything that is measured beside each other, each row one subject under one load.
//
// A further subject is one line, add_keeper(rows, {"loopline spinning", Kept::synced}, start),
// for publish -> acknowledged, and a Row of bench "write" or "read" where bytes a second count.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "keeper.h"
#include "shm/base/histogram.h"

namespace loopline::perf {

// What an acknowledgement is worth when the power goes.
enum class Kept {
  synced,    // the message is on the disk
  a_second,  // that of the last second may be lost
  kernel,    // it is in the page cache until the kernel, or the subject in minutes, writes it
  nothing,   // there is no acknowledgement: bare bytes
};
const char* name_of(Kept kept);

// Where a run takes place, and for how long.
struct Site {
  std::string folder;    // this run's own, empty
  std::string big_file;  // written before the first run, for whom wants written extents
  uint64_t big_file_bytes = 0;
  uint64_t warm_up_ns = 0;
  uint64_t measure_ns = 0;
};

// What a run brings back.
struct Figures {
  std::unique_ptr<Histogram> latency_ns;  // publish -> acknowledged; null: bytes alone count
  uint64_t message_count = 0;
  double rate_per_s = 0;
  double bytes_per_s = 0;
  double cores = 0;             // processors in use on average, the bench's own and the server's
  double written_per_byte = 0;  // bytes written to the disk for each that was kept; 0: not counted
  std::string version;
  std::string settings;
};

struct Row {
  std::string bench;  // publish, write, read
  std::string subject;
  Kept kept;
  uint32_t in_flight = 0;  // publish only
  uint64_t size_bytes = 0;
  std::function<Result<Figures>(const Site&)> run;
};
using Rows = std::vector<Row>;

// The loads that subjects are compared under.
inline constexpr uint32_t in_flight_counts[] = {1, 64, 1024};
inline constexpr uint64_t durable_message_bytes = 256;

struct KeeperRow {
  std::string name;
  Kept kept;
};
// Bench publish for each count in flight up to `in_flight_max`.
void add_keeper(Rows& rows, const KeeperRow& subject, const StartKeeper& start,
                uint32_t in_flight_max = 1024);

// The yardsticks, then the peers.
Rows durable_rows();

}  // namespace loopline::perf
