// Durable peers: everything that keeps messages and can be measured, each from its own file.
#pragma once

#include "perf/durable/rows.h"

namespace loopline::perf {

// When Redis syncs its append-only file.
enum class RedisSync { always, every_second };
Result<std::unique_ptr<Keeper>> start_redis(const std::string& folder, const Load& load,
                                            RedisSync sync);
// We, with the flusher in the same process; it and the producer spin, or sleep.
Result<std::unique_ptr<Keeper>> start_loopline(const std::string& folder, bool is_spinning);
Result<std::unique_ptr<Keeper>> start_nats(const std::string& folder, const Load& load);
Result<std::unique_ptr<Keeper>> start_rocksdb(const std::string& folder, const Load& load);
Result<std::unique_ptr<Keeper>> start_sqlite(const std::string& folder, const Load& load);

}  // namespace loopline::perf
