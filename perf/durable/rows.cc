// Rows: who is measured. Yardsticks come first, so that each round meets them right before the
// subjects that are held against them.
#include "rows.h"

#include <algorithm>

#include "disk.h"
#include "drive.h"
#include "perf/peers/durable_peers.h"
#include "saturated.h"

namespace loopline::perf {
namespace {

void add_raw_write(Rows& rows) {
  const auto run = [](const Site& site) -> Result<Figures> {
    LL_TRY(raw, start_raw_write(site.big_file, site.big_file_bytes));
    return drive(*raw, {durable_message_bytes, 1}, {site.warm_up_ns, site.measure_ns});
  };
  rows.push_back({"publish", "raw write", Kept::synced, 1, durable_message_bytes, run});
}

StartKeeper redis(RedisSync sync) {
  return [sync](const std::string& folder, const Load& load) {
    return start_redis(folder, load, sync);
  };
}

}  // namespace

const char* name_of(Kept kept) {
  switch (kept) {
    case Kept::synced:
      return "synced";
    case Kept::a_second:
      return "but 1 s";
    case Kept::kernel:
      return "not synced";
    case Kept::nothing:
      break;
  }
  return "";
}

void add_keeper(Rows& rows, const KeeperRow& subject, const StartKeeper& start,
                uint32_t in_flight_max) {
  for (const uint32_t in_flight : in_flight_counts) {
    if (in_flight > in_flight_max) break;
    const Load load{durable_message_bytes, in_flight};
    const auto run = [start, load](const Site& site) -> Result<Figures> {
      LL_TRY(keeper, start(site.folder, load));
      return drive(*keeper, load, {site.warm_up_ns, site.measure_ns});
    };
    rows.push_back({"publish", subject.name, subject.kept, in_flight, load.message_bytes, run});
  }
}

static StartKeeper loopline(bool is_spinning) {
  return [is_spinning](const std::string& folder, const Load& /*load*/) {
    return start_loopline(folder, is_spinning);
  };
}

Rows durable_rows() {
  Rows rows;
  add_raw_write(rows);
  add_keeper(rows, {"loopline spinning", Kept::synced}, loopline(true));
  add_keeper(rows, {"loopline parked", Kept::synced}, loopline(false));
  add_keeper(rows, {"redis always", Kept::synced}, redis(RedisSync::always));
  add_keeper(rows, {"rocksdb", Kept::synced}, start_rocksdb);
  add_keeper(rows, {"sqlite", Kept::synced}, start_sqlite);
  add_keeper(rows, {"redis everysec", Kept::a_second}, redis(RedisSync::every_second));
  add_keeper(rows, {"nats jetstream", Kept::kernel}, start_nats);
  rows.push_back({"write", "fio", Kept::nothing, 0, 1 << 20, write_with_fio});
  for (const bool is_spinning : {true, false}) {
    const auto run = [is_spinning](const Site& site) { return write_saturated(site, is_spinning); };
    const char* const name = is_spinning ? "loopline spinning" : "loopline parked";
    rows.push_back({"write", name, Kept::synced, 0, 64 << 10, run});
  }
  rows.push_back({"read", "raw read", Kept::nothing, 0, 1 << 20, read_raw});
  rows.push_back({"read", "loopline", Kept::nothing, 0, 64 << 10, read_log});
  // The rows of a load together, in the order above.
  std::stable_sort(rows.begin(), rows.end(), [](const Row& left, const Row& right) {
    if (left.bench != right.bench) return left.bench == "publish";
    return left.in_flight < right.in_flight;
  });
  return rows;
}

}  // namespace loopline::perf
