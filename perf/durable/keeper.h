// Keeper: what takes messages and says when it has them: a server, a library, a bare file, or we.
//
//   LL_TRY(keeper, start_redis(folder, {256, 64}, Fsync::always));
//   keeper->submit(message);                          as many as may be in flight
//   LL_TRY(acknowledged, keeper->wait(0));            the first so many are acknowledged now
//
// One thread calls it. It counts acknowledgements from the beginning and without gaps, as a
// watermark does: a peer that acknowledges out of order tells the messages before the first hole.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "shm/base/result.h"

namespace loopline::perf {

// What it is given to keep.
struct Load {
  uint64_t message_bytes = 256;
  uint32_t in_flight = 1;  // submitted and not yet acknowledged, at most
};

class Keeper {
 public:
  // Ends what it started; its folder belongs to the caller.
  virtual ~Keeper() = default;

  // Puts a message on its way, or beside others that go with the next wait().
  virtual Status submit(std::span<const std::byte> message) = 0;
  // Sends what lies there, and returns how many are acknowledged as soon as that is more than
  // `known`. Faults: timed_out, or what the keeper answered.
  virtual Result<uint64_t> wait(uint64_t known) = 0;

  virtual std::string version() = 0;
  // How it is set up, as far as possible in what it says about itself when asked.
  virtual Result<std::string> settings() = 0;
  // The process that works for it, whose processor time counts too; 0: there is none.
  virtual pid_t server() const { return 0; }
};

// Makes one that keeps everything in `folder`, which is there and empty.
using StartKeeper =
    std::function<Result<std::unique_ptr<Keeper>>(const std::string& folder, const Load& load)>;

// No answer takes longer, whatever the disk is busy with.
inline constexpr uint64_t keeper_patience_ns = 30'000'000'000;

}  // namespace loopline::perf
