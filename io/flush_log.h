// FlushLog: one partition on its way to disk: its ring's cursor, its log, and what lies between.
//
// Driven by the flusher's thread; see flusher.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flush_slots.h"
#include "log_writer.h"
#include "shm/directory.h"
#include "shm/flush_cursor.h"
#include "write_times.h"

namespace loopline::io {

// What the flusher is asked to keep on disk.
struct FlushSource {
  shm::Directory directory;
  shm::StationName name;
  uint32_t partition = 0;
  LogOptions log;
  uint64_t flush_interval_ns = 0;  // 0: as soon as there is something (group commit)
};

class FlushLog {
 public:
  // Finds the oldest ring that is not wholly on disk and opens the log; any thread. Faults:
  // not_found (no such station), those of LogWriter::open.
  static Result<std::unique_ptr<FlushLog>> open(Disk& disk, Chores& chores,
                                                const FlushSource& source, uint64_t now_ns);
  ~FlushLog();
  // Takes the ring's cursor and brings the two together; the flusher's thread, whose life the ring
  // shows from now on.
  Status attach(uint64_t rest_after_ns);

  // Submits what is committed and fits; true when something went out.
  bool submit(Storage& storage, FlushSlots& slots, uint64_t now_ns);
  // A write of ours is done; true when the durable watermark moved.
  bool completed(uint32_t slot, bool is_footer, int error);
  // Chores, footers, states for people; goes on to the next ring at a seal.
  void look_after(Storage& storage, FlushSlots& slots, uint64_t now_ns);
  // Adds the bell to sleep by, if one could help, its ticket drawn before the last look. False:
  // there is something to send.
  bool prepare_to_sleep(std::vector<BellTicket>& bells);
  // When it wants to be looked at again without a bell, monotonic.
  uint64_t due_ns() const;

  // The station's parameters were edited: those that a log has count from now on.
  void reload(const FlushSource& source);

  // Whether it may rest: there was nothing to do for a while, and nothing is half-done. Then the
  // bell to wake it by, its ticket drawn before the last look; none: nothing can wake it.
  bool lie_down(BellTicket& by);
  // Of one that rests, now and then: whether there is work all the same, since somebody was killed
  // before he rang. It is looked after here, far less often than one that is awake.
  bool stirs(Storage& storage, FlushSlots& slots, uint64_t now_ns);
  bool is_resting() const { return is_resting_; }
  void get_up() { is_resting_ = false; }

  const FlushSource& source() const { return source_; }
  const LogWriter& log() const { return *log_; }
  WriteTimes& times() { return times_; }
  bool is_quiet() const { return log_->in_flight() == 0 && footers_ == 0; }
  // Everything that was claimed when it was asked is durable, or never will be.
  bool has_reached(uint64_t position) const;
  uint64_t frontier() const;
  // The station was removed: nothing is left to do.
  bool is_over() const { return is_over_; }
  const std::optional<Fault>& failed() const { return failed_; }
  // Marks the log as closed, once it is quiet.
  Status close(uint64_t now_ns);

 private:
  FlushLog(const FlushSource& source, std::shared_ptr<shm::Attached> ring,
           std::unique_ptr<LogWriter> log)
      : source_(source), ring_(std::move(ring)), log_(std::move(log)) {}
  bool is_gathering();
  bool find_run(uint64_t now_ns);
  bool send(Storage& storage, FlushSlots& slots, uint64_t now_ns);
  void go_on_in_successor();
  void publish_durable();
  void publish_state();
  void fail(const Fault& fault);
  void lose_ring();
  template <class Work>
  auto on_ring(Work&& work) -> decltype(work());

  FlushSource source_;
  std::shared_ptr<shm::Attached> ring_;
  std::optional<shm::FlushCursor> cursor_;
  std::unique_ptr<LogWriter> log_;
  WriteTimes times_;  // of batches
  shm::FlushRun run_;                   // found, and not sent yet
  std::optional<LogPlace> sealed_end_;  // the ring ends here, and all of it was sent
  uint64_t last_bytes_ = 0;             // of the batch sent last
  uint64_t gathers_since_ns_ = 0;       // monotonic; 0: it does not
  bool is_starved_ = false;             // there is a run, and no room for it
  bool is_over_ = false;
  bool is_resting_ = false;
  uint32_t footers_ = 0;  // in flight
  shm::LogState shown_ = shm::LogState::flushing;
  std::optional<Fault> failed_;
  uint64_t rest_after_ns_ = 0;
  uint64_t last_sent_ns_ = 0;  // monotonic, as the next two
  uint64_t next_commit_ns_ = 0;
  uint64_t next_look_ns_ = 0;
};

}  // namespace loopline::io
