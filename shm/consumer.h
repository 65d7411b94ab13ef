// Consumer: a handle that reads a ring in runs, waits for more, cleans up after the dead, and
// follows a sealed ring to its successor.
//
//   auto consumer = Consumer::open(attached, {.from = From::earliest});
//   FrameView views[64];
//   while (auto run = consumer->read(views)) { ... use views[0 .. *run) ...; consumer->release(); }
//
// A lossless consumer gates the producers: its views point into the ring and stay valid until
// release() or the next read(). A lossy one never holds anybody back: its views point into copies
// of its own, and what it missed is reported by take_gap(). All consumers of a file station are
// lossy towards the ring: what they miss is on disk, and resume_at() brings them back. Headers of
// a whole run are walked before the payloads are touched: reading at the producer's heels steals
// the line being written (57 -> 20-36 ns at 256 B). One thread at a time; may move between threads;
// every call in a forked child answers `forked`.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "attached.h"
#include "base/from.h"
#include "base/one_thread.h"
#include "bell_file.h"
#include "evict.h"
#include "reader.h"
#include "wait.h"

namespace loopline::shm {

struct ConsumerOptions {
  bool lossy = false;
  From from = From::latest;
  WaitKind wait = WaitKind::adaptive;
};

// Messages a consumer did not get: `count` sequences from `first` (fillers counted). Of a lossless
// one only those that were gone before it came, when it asked for them by sequence.
struct Gap {
  uint64_t first = 0;
  uint64_t count = 0;
  uint64_t position = 0;  // of the first, in the log on disk too; 0: not known, look for `first`
};

// What a consumer passes over on its way to the first message it wants.
struct PassOver {
  uint64_t position = 0;   // messages that stand before it
  uint64_t sequence = 0;   // messages with a smaller one
  uint64_t timestamp = 0;  // messages with an older one

  bool is_nothing() const { return position == 0 && sequence == 0 && timestamp == 0; }
  bool holds(const FrameView& view) const {
    return view.position < position || view.sequence < sequence || view.timestamp < timestamp;
  }
};

class Consumer {
 public:
  // Faults: too_many (cursor slots), no_permission, closed, timed_out (joins too fast to count, or
  // slots are held by the dead and the ring lock by one who is named), unsupported (from a time,
  // where the station keeps none).
  static Result<Consumer> open(std::shared_ptr<Attached> attached, const ConsumerOptions& options);
  Consumer(Consumer&& other) noexcept;
  Consumer& operator=(Consumer&& other) noexcept;
  ~Consumer();

  // The next messages, as many as are there and fit; 0 when there are none now. Releases the
  // previous run. Faults: corrupted, closed (the station was removed and read to its end), fenced
  // (its thread ended, or it was evicted, see evict.h), forked.
  Result<size_t> read(std::span<FrameView> views);
  // Whether read() would return 0 and do nothing else: the look of one who spins, in few
  // instructions. False says nothing.
  bool is_idle() const {
    return here() && may_idle_ && !unreleased_ && !reader_.ready() && !is_evicted();
  }
  // Gives the space of the last run back to the producers. Faults: fenced: the run may have been
  // overwritten while it was looked at.
  Status release();
  // Until there is something to read, or `deadline_ns` (monotonic): true when there is.
  Result<bool> wait(uint64_t deadline_ns);
  // The same for one consumer of several rings, which waits as the first of them does.
  static Result<bool> wait_any(std::span<Consumer* const> consumers, uint64_t deadline_ns);
  // In an event loop: readiness.h.
  // What was missed before the run that read() returned last; count 0: nothing.
  Gap take_gap() { return std::exchange(gap_, {}); }

  // For one who caught up elsewhere, in the log on disk: goes on at a true boundary, in this ring
  // or in a later one, and forgets what gaps it was not told of. False: the window has passed it,
  // or it is not there yet; nothing has changed then but perhaps the ring. What it asked for by
  // time counts as found. Faults: unsupported (a lossless consumer), those of read().
  Result<bool> resume_at(Pair at);

  // {position, sequence} of the next message.
  Pair at() const { return reader_.at(); }
  uint32_t slot() const { return slot_; }
  bool lossy() const { return options_.lossy; }
  const std::shared_ptr<Attached>& attached() const { return attached_; }
  // Rebinds to the calling thread if need be: what each call does first.
  Status ensure_here() {
    if (here()) [[likely]]
      return ok();
    return rebind();
  }

 private:
  friend class Readiness;
  Consumer() = default;
  // How we come to a ring: from outside, or from its predecessor, whose seal frame we have read.
  enum class Arrival { fresh, following };
  Status bind(std::shared_ptr<Attached> attached, From from, Arrival arrival);
  Status take_place(SeatId seat);
  Status start_reading(From from, Arrival arrival);
  Status choose_start(From from, Pair oldest);
  Pair newest() const;
  void pass_over_older();
  bool passes_over(const FrameView& view);
  void note_lapped(bool behind_this_run);
  Status rebind();
  Status follow(From from);
  void note_gap(const Gap& more, bool behind_this_run);
  Result<size_t> read_lossless(std::span<FrameView> views);
  Result<size_t> read_lossy(std::span<FrameView> views);
  ReadOutcome read_views(std::span<FrameView> views, size_t& count);
  ReadOutcome read_copies(std::span<FrameView> views, size_t& count);
  Status clean_up_ahead();
  bool has_news() const;
  Status listen(int epoll);
  void stop_listening(int epoll);
  Result<bool> arm();
  void note_parked(bool parked);
  void take_down_bell();
  void hand_on_bell(Consumer& there);
  Bedside lie_down();
  static void sleep(std::span<Consumer* const> consumers, Waiter& waiter);
  Status publish(Pair at);
  bool is_evicted() const { return evictable_ && !is_held(*mine_); }
  Fault evicted_fault() const;
  void count_messages(size_t messages, uint64_t bytes);
  void keep_off_the_heels(size_t count);
  Fault corrupt_fault() const;
  void close();
  bool here() const { return thread_key() == thread_key_; }

  std::shared_ptr<Attached> attached_;
  ConsumerOptions options_;
  Reader reader_;
  CursorSlot* mine_ = nullptr;
  BellLine* bell_ = nullptr;  // of producers that wait for room
  uint32_t slot_ = 0;
  bool may_idle_ = false;  // lossless, and without an event loop: nothing to read is nothing to do
  bool unreleased_ = false;
  Pair released_;              // what our cursor shows
  bool evictable_ = false;     // by producers, see evict.h
  bool streaming_ = false;     // see keep_off_the_heels
  uint32_t short_runs_ = 0;    // since the clock was read
  uint64_t counted_ = 0;       // messages since then
  uint64_t counted_from_ = 0;  // when that was
  bool sealed_ = false;
  bool passing_ = false;  // on the way to the first message that is ours
  PassOver pass_over_;
  Gap gap_;                            // in front of the last run
  Gap gap_pending_;                    // behind it
  std::unique_ptr<CursorSlot> ghost_;  // stands in for a slot when we may only read the ring
  std::vector<std::byte> copies_;      // lossy: allocated once
  uint64_t thread_key_ = 0;
  SeatId seat_ = nobody;
  uint64_t fork_generation_ = 0;
  uint64_t messages_ = 0, bytes_ = 0, lost_ = 0;
  std::unique_ptr<BellFile> bell_file_;  // of one in an event loop
  bool bell_is_old_ = false;             // it is of the ring before this one
  uint32_t mark_ = 0;                    // see armed.h
  uint64_t armed_at_ = 0;                // our next sequence then
  OneThread one_thread_;
};

}  // namespace loopline::shm
