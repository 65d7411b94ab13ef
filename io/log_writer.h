// LogWriter: one log open for writing: recovery, batches, segments, what is durable; no thread, no
// clock and no ring of its own, so that a test can drive it through every power cut.
//
//   LL_TRY(log, LogWriter::open(disk, chores, options, look, now_ns));
//   if (log->room(frame_bytes) == 0) ...                  no segment is ready yet
//   copy frames to buffer + LogWriter::frames_offset, hash them
//   storage.submit(log->lay_out(batch, hash, buffer, token, now_ns));
//   log->completed(token, error);  log->durable();        up to here nothing can be lost
//
// Invariants (L1 .. L6 are LOG.md's)
//   W1  durable() passes a batch only when it and all before it are completed (L2).
//   W2  After the first error nothing more is written; what was in flight is not believed (L3).
//   W3  A segment's footer is written when all of it is durable; retention drops it only behind a
//       manifest that says so (L5).
//   W4  No block is written twice, but footers and the manifest; none that an earlier writer of a
//       log that was not closed may have written.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chores.h"
#include "log/examine.h"
#include "log/station_conf.h"
#include "shm/name.h"
#include "storage.h"

namespace loopline::io {

struct LogOptions {
  std::string folder;
  std::string spares;  // folder of dropped segments; empty: they are removed
  shm::StationName name;
  uint32_t partition = 0;
  LogId id;
  uint64_t segment_bytes = 64u << 20;  // at most: a log begins with small ones, and grows
  Retention retention;
  bool prefill =
      true;  // writes new segments full of zeros first: commits cost half of what they do
             // in extents that were never written
};

// The ring that the log is written from, as it stands when the log is opened.
struct RingAtOpen {
  uint64_t id = 0;
  LogPlace durable;
};
// Asked once the log is locked: until then a writer before us may still move `durable`.
using RingLook = std::function<Result<RingAtOpen>()>;

class LogWriter {
 public:
  // Takes the log's lock and brings it into order: what was cut is behind us, what is missing is in
  // recovered().gaps. A log that is not there is begun where `look` says that its ring is. Faults:
  // already_exists (somebody else writes it), corrupted (another station's log; a log that knows
  // more than its ring), version_mismatch, no_space, those of the disk and of `look`: nothing was
  // acknowledged then.
  static Result<std::unique_ptr<LogWriter>> open(Disk& disk, Chores& chores,
                                                 const LogOptions& options, const RingLook& look,
                                                 uint64_t now_ns);
  ~LogWriter();

  const LogFacts& recovered() const { return recovered_; }
  // Where the next frame goes, and up to where everything is safe.
  LogPlace end() const { return end_; }
  LogPlace durable() const { return durable_; }
  LogPlace begin() const { return manifest_.first; }
  // Up to where the station was purged, as far as we know; begin() follows when all before it is
  // durable. Nobody who reads the log sees what is before it.
  LogPlace purged() const { return purged_; }
  uint64_t epoch() const { return manifest_.epoch; }
  size_t in_flight() const { return in_flight_.size(); }
  // The first error; the log is read-only from then on.
  const std::optional<Fault>& failed() const { return failed_; }
  // No segment can be made, but what is there is safe: the disk is full. Tried again each second.
  const std::optional<Fault>& starved() const { return starved_; }

  static constexpr uint64_t frames_offset = batches_offset + sizeof(BatchRecord);
  // A buffer for batches of so many bytes.
  static constexpr uint64_t buffer_bytes(uint64_t frames) {
    return batches_offset + batch_bytes(frames);
  }

  // How many bytes of frames the next batch may have, when its first frame has `frame_bytes`: in
  // this segment, or in the next one if this one is too full. 0: wait for chores.
  uint64_t room(uint64_t frame_bytes, uint64_t now_ns);

  struct BatchFrames {
    LogPlace start;
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint64_t timestamp_min = 0;
    uint64_t timestamp_max = 0;
    uint64_t ring = 0;
  };
  // The write of a batch whose frames stand in `buffer` at frames_offset, and are end().
  WriteRequest lay_out(const BatchFrames& batch, uint64_t frames_hash, std::span<std::byte> buffer,
                       uint64_t token, uint64_t now_ns);
  // The footer of a segment that is whole, laid out in `buffer`; none: nothing to seal.
  std::optional<WriteRequest> lay_out_footer(std::span<std::byte> buffer, uint64_t token,
                                             uint64_t now_ns);
  uint64_t footer_buffer_bytes() const;
  // Any write of ours is done. True: durable() moved.
  bool completed(uint64_t token, int error);

  // Posts what is due: a segment in reserve once this one is used, retention, names, a manifest
  // that says how far it is (`idle`: nothing was written for a while).
  void look_after(uint64_t now_ns, bool idle);
  // What an edit of the station may change: retention counts at once, the size of segments for the
  // next ones.
  void reload(uint64_t segment_bytes, const Retention& retention);
  // Nothing is in flight, half-done or due, but for retention.
  bool is_settled() const;
  // A next ring begins at end(), all before it is durable: so does a next segment, so that a purge
  // can drop whole ones. And whoever sealed the last ring may have purged it.
  void go_on_in_next_ring();
  // Posts a look at the mark of a purge.
  void look_for_purge();
  // With nothing in flight and chores done: the log says that it was closed. Synchronous.
  Status close(uint64_t now_ns);

  struct Size {
    uint64_t segments = 0;
    uint64_t bytes = 0;  // of their files
  };
  Size size() const;
  // So many bytes were written for so many bytes of frames.
  uint64_t frames_written() const { return frames_written_; }
  uint64_t bytes_written() const { return bytes_written_; }

 private:
  struct Written {  // a batch in flight
    uint64_t token;
    LogPlace end;
    bool is_done;
  };
  struct OpenSegment {  // one that we write, or that waits for its footer
    std::unique_ptr<DiskFile> file;
    SegmentHeader header{};
    SegmentFooter footer{};
    std::vector<IndexEntry> index;
    uint64_t offset = 0;    // of the next batch
    bool is_begun = false;  // its header was laid out
    bool is_full = false;   // the next one was begun
    bool is_new = false;    // it has no name yet that says its place
    std::optional<uint64_t> footer_token;
  };
  struct KnownSegment {  // what retention looks at
    std::string file;
    uint64_t number = 0;
    uint64_t bytes = 0;  // of its file, as far as we know
    LogPlace start;
    uint64_t newest_ns = 0;  // UTC, of its messages; 0: not read yet
    bool is_named = false;   // by its place too
    bool is_sealed = false;
    bool is_asked = false;  // for newest_ns
    bool is_ours = false;   // no writer before us may still write to it
  };
  struct NextSegment {
    std::unique_ptr<DiskFile> file;
    uint64_t number = 0;
    uint64_t bytes = 0;
  };

  LogWriter(Disk& disk, Chores& chores, const LogOptions& options)
      : disk_(disk), chores_(chores), options_(options) {}
  Status recover(const RingLook& look, uint64_t now_ns);
  Status check_identity() const;
  Status settle_end(const RingAtOpen& ring);
  Status make_durable();
  Status take_over_purge();
  Status seal_recovered(uint64_t now_ns, std::vector<SegmentFacts>& sealed);
  Status store_manifest_now(uint64_t now_ns, bool is_closed);
  Status reopen_last();
  Status take_over_files();
  bool is_superseded(const SegmentFacts& facts) const;
  void remember_segments();
  void begin_segment(uint64_t now_ns);
  void note_batch(OpenSegment& segment, const BatchRecord& record, uint64_t time_mark_before);
  void fail(Fault fault);
  KnownSegment* find_known(uint64_t number);
  void post(std::function<std::function<void(LogWriter&)>()> work);
  uint64_t room_here() const;
  bool is_used() const;
  void make_next(uint64_t now_ns);
  void post_next(uint64_t now_ns);
  uint64_t next_bytes() const;
  void give_up_next();
  uint64_t known_bytes() const;
  void post_name(KnownSegment& known);
  void post_age(KnownSegment& known, uint64_t now_ns);
  void post_manifest(size_t drop_count, uint64_t now_ns);
  // Files that count no more: our own, which may be used again; those that a killed writer may
  // still write to; and what such a one left to be found when we opened the log.
  enum class Retired { ours, theirs, leftovers };
  void post_retire(std::vector<std::string> files, Retired kind);
  void post_punch(const SegmentFacts& facts);
  size_t droppable(uint64_t now_ns);
  bool is_purged(size_t index) const;
  void note_purge(const PurgeMark& mark);
  bool is_purge_due() const;
  bool is_droppable(size_t index, uint64_t bytes_behind, uint64_t now_ns) const;
  void fill_manifest(Manifest& manifest, uint64_t now_ns) const;
  void move_durable();
  std::string path_of(const std::string& file) const { return options_.folder + "/" + file; }

  Disk& disk_;
  Chores& chores_;
  LogOptions options_;
  std::unique_ptr<Disk::Lock> lock_;
  LogFacts recovered_;
  Manifest manifest_{};
  LogPlace end_;
  LogPlace durable_;
  LogPlace purged_;
  uint64_t chain_ = 0;
  uint64_t time_mark_ = 0;
  uint64_t number_ = 0;  // the highest that was ever given to a segment or a file made for one
  std::deque<OpenSegment> open_;  // the last one is written, those before wait for their footer
  std::deque<KnownSegment> known_;
  std::optional<NextSegment> next_;
  std::deque<Written> in_flight_;
  std::optional<Fault> failed_;
  std::optional<Fault> starved_;
  bool is_making_next_ = false;
  uint64_t frame_bytes_wanted_ = 0;  // of the frame that waits for the next segment
  bool is_writing_manifest_ = false;
  uint32_t purge_looks_ = 0;  // posted
  uint64_t try_again_ns_ = 0;
  bool has_leftovers_ = false;  // as far as we know
  uint64_t frames_written_ = 0;
  uint64_t bytes_written_ = 0;
  // Chores outlive us: what they bring back is dropped then.
  std::shared_ptr<LogWriter*> self_;
};

}  // namespace loopline::io
