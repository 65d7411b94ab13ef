// Rounds: goes round all rows again and again, each run in an empty folder of its own.
//
//   raw write  redis  rocksdb  ...  fio  raw read  raw write  redis ...     all meet the same disk
//
// Before each run the file system is synced, so that nobody pays for what another left unwritten.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rows.h"

namespace loopline::perf {

// One run in figures; what a row does not measure is 0.
struct Round {
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double max_ns = 0;
  double rate_per_s = 0;
  double bytes_per_s = 0;
  double cores = 0;
  double written_per_byte = 0;
  uint64_t message_count = 0;
};
Round round_of(const Figures& figures);

// All runs of a row, the first of them in the first round: same index, same round.
struct RowRounds {
  const Row* row;
  std::vector<Round> rounds;
  std::string version;
  std::string settings;
  std::string failure;      // why it was run no further; empty: it was not needed
  bool is_possible = true;  // false: it cannot run here, and that is no failure
};
using AllRounds = std::vector<RowRounds>;

struct MinMedianMax {
  double min = 0;
  double median = 0;
  double max = 0;
};
MinMedianMax middle_of(std::vector<double> values);
MinMedianMax middle_of(const RowRounds& rounds, double Round::*figure);

struct RoundPlan {
  std::string folder;  // for everything that is kept meanwhile; removed by its owner
  uint64_t big_file_bytes = 512 << 20;
  uint64_t warm_up_ns = 300'000'000;
  uint64_t measure_ns = 1'500'000'000;
  uint32_t round_count = 5;
  uint64_t budget_ns = 480'000'000'000;  // no round begins that would probably end later
};

// `kept` hears of each run. `rows` must outlive what comes back.
Result<AllRounds> run_rounds(const Rows& rows, const RoundPlan& plan,
                             const std::function<void(const Row&, const Round&)>& kept);

}  // namespace loopline::perf
