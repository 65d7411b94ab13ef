// Flusher: the thread that brings the stations of one disk to it, and knows what is safe.
//
//   LL_TRY(flusher, Flusher::start({}));
//   LL_TRY_STATUS(flusher->add(source));          recovery, then it flushes until it is destroyed
//   LL_TRY_STATUS(flusher->drain(deadline_ns));   what was visible a moment ago is durable
//
// Group commit: whatever is committed in the ring goes out as one write; while up to four of a
// log's writes are in flight, what comes meanwhile gathers for the next one. No timer, unless the
// station asks for one. Never in the way of those who publish: they see the watermark in the ring.
//
// A log that had nothing to do for a while rests: its bell is watched by another thread, and a
// thousand of them cost what their bells ring. Of each one is asked once in a while all the same
// (nine tenths of a second), since who committed may have been killed before he rang.
//
// Thread safety: its functions may be called by any thread, one at a time (`add` by many at once);
// they wait for the flusher's thread. Killed at any point, it leaves rings whose watermark stands,
// and logs that the next opening recovers.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bell_watch.h"
#include "flush_log.h"
#include "shm/wait.h"
#include "storage.h"
#include "thread_chores.h"

namespace loopline::io {

struct FlusherOptions {
  std::string storage = "auto";  // or io_uring, posix
  shm::WaitKind wait = shm::WaitKind::adaptive;
  uint32_t depth = 8;  // writes in flight, of all logs together
  // A log rests when it had nothing to do for so long, and is asked once in such a round.
  uint64_t rest_after_ns = 2'000'000'000;
  uint64_t resting_round_ns = 900'000'000;
};

// One log as people are told about it.
struct FlushStatus {
  shm::StationName name;
  uint32_t partition = 0;
  LogPlace begin;
  LogPlace durable;
  LogPlace end;  // written, or on its way
  uint64_t segments = 0;
  uint64_t disk_bytes = 0;
  uint64_t bytes_written = 0;   // since it was opened
  uint64_t frames_written = 0;  // of these, bytes of frames
  WriteTimes::Picture times;
  bool is_resting = false;
  std::optional<Fault> failed;
  std::optional<Fault> starved;
  std::vector<LogGap> gaps;  // that opening found
};

class Flusher {
 public:
  static Result<std::unique_ptr<Flusher>> start(const FlusherOptions& options);
  // Ends what is in flight, closes the logs, and ends the thread.
  ~Flusher();

  // Recovers the log, in the calling thread, and flushes it from now on. Faults: FlushLog::open's.
  Status add(const FlushSource& source);
  // Many at once, each waiting for its own syncs: what became of each.
  std::vector<Status> add_all(std::span<const FlushSource> sources);
  // Closes one; not_found when it is not flushed here.
  Status remove(const shm::StationName& name, uint32_t partition);
  // Gives one the parameters of an edited station: retention, segment, flush. Faults: not_found
  // (it is not flushed here, or it is another station of that name).
  Status reload(const FlushSource& source);
  // Until everything published before the call is durable. Faults: timed_out, no_space or io_error
  // (that of the first log that cannot go on).
  Status drain(uint64_t deadline_ns);
  std::vector<FlushStatus> status();
  // Closes all logs in order; the first fault that stood in the way. Once.
  Status stop();

  const std::string& storage_name() const { return storage_name_; }
  // Why it is not io_uring, where that was looked for; empty: it is, or was not wanted.
  const std::string& why_not() const { return why_not_; }

 private:
  explicit Flusher(const FlusherOptions& options) : options_(options) {}
  using Targets = std::vector<std::pair<std::shared_ptr<FlushLog>, uint64_t>>;
  void run();
  Status drain(const Targets& targets, uint64_t deadline_ns);
  void call(std::function<void()> work);
  bool take_calls();
  bool reap();
  bool step(uint64_t now_ns);
  void look_after(uint64_t now_ns);
  void let_rest();
  void look_at_resting(uint64_t now_ns);
  bool wake_rung();
  void wake(FlushLog& log);
  void sleep();
  Status close_log(FlushLog& log);
  std::vector<std::shared_ptr<FlushLog>>::iterator find_log(const shm::StationName& name,
                                                            uint32_t partition);

  FlusherOptions options_;
  std::string storage_name_;
  std::string why_not_;

  // The thread's own.
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<FlushSlots> slots_;
  std::vector<std::shared_ptr<FlushLog>> logs_;
  std::vector<FlushLog*> awake_;  // those that do not rest
  size_t next_resting_ = 0;       // in logs_, to be asked next
  uint64_t asked_resting_ns_ = 0;
  uint64_t spin_until_ns_ = 0;
  uint64_t next_look_ns_ = 0;
  bool is_over_ = false;

  ThreadChores chores_;
  std::mutex mutex_;  // guards calls_
  std::vector<std::function<void()>> calls_;
  std::atomic<bool> has_calls_{false};
  shm::BellLine call_bell_{};
  BellWatch watch_{call_bell_};
  std::thread thread_;
};

}  // namespace loopline::io
