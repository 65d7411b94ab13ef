// LogLife: a log under its real writer, chores and retention, driven by chance through publishing,
// killing, closing and opening anew, with a small model of the ring that it is written from.
//
//   SimDisk disk;
//   LogLife life(disk, plan, station, random);
//   life.run(300);                        life.wrong() says which rule was broken
//   PowerCuts cuts(disk);                 ... life.known_at(cuts.last_mark()) is what was promised
//
// What those who publish are told goes into the disk's journal as marks, so that a power cut after
// any event knows what must still be there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/log_writer.h"
#include "log_maker.h"
#include "sim_storage.h"

namespace loopline::sim {

// What goes wrong with the disk, once or twice in a schedule.
enum class Mishap : uint8_t { none, error, short_write, full, lost, misdirected, stall };
constexpr size_t mishap_count = 7;
const char* name_of(Mishap mishap);

struct LifePlan {
  io::LogOptions options;
  uint32_t in_flight_max = 4;
  uint64_t body_bytes_max = 400;  // of most messages
  Mishap mishap = Mishap::none;
};

// What was promised, and may not be taken back.
struct Known {
  io::LogPlace durable;
  io::LogPlace floor;  // the same, but for writes that the disk lost without a trace
  io::LogPlace begin;
  uint64_t epoch = 0;
  uint64_t number = 0;    // of the last segment that holds something durable
  bool may_miss = false;  // the disk lied: there may be gaps
};

// The station as those who publish see it: what they wrote, and the ring. A power cut takes the
// ring away, and what was not durable in it.
struct Station {
  io::LogPlace start{64, 1};
  std::vector<MessageBytes> messages;  // [0] has the first number
  struct Recipe {
    uint64_t body_bytes, timestamp, flavour;
  };
  std::vector<Recipe> recipes;
  io::RingAtOpen ring{1, {64, 1}};
  uint64_t now_ns = 1'700'000'000'000'000'000;

  io::LogPlace place_of(uint64_t sequence) const;  // of a message, or of the next one to come
  io::LogPlace head() const { return place_of(start.sequence + messages.size()); }
  void publish(uint64_t body_bytes, uint64_t flavour);
  // The power went: the log ends there, and a new ring begins there.
  void lose_ring(io::LogPlace end);
};

struct LifeCounts {
  uint64_t openings = 0, kills = 0, deaths_within = 0, closings = 0, strays = 0;
  uint64_t messages = 0, batches = 0, drops = 0, gaps = 0, edits = 0, purges = 0;
  uint64_t boundaries = 0;  // a writer went on from one segment to the next
  uint64_t mishaps[mishap_count] = {};
  size_t in_flight_max = 0;
  void add(const LifeCounts& other);
};

class LogLife {
 public:
  LogLife(SimDisk& disk, const LifePlan& plan, Station& station, Random& random, Known before);
  ~LogLife();

  // Takes the log over; false: it could not, and fault() says why.
  bool open();
  void run(uint32_t turns);
  // Until all that was published is durable.
  void finish();
  void close();
  // The process is gone; what it had in flight lands later, or never.
  void kill();
  bool is_open() const { return log_ != nullptr; }
  const io::LogWriter& log() const { return *log_; }

  const std::string& wrong() const { return wrong_; }
  const std::optional<Fault>& fault() const { return fault_; }
  const Known& known_at(uint64_t mark) const { return marks_.at(mark); }
  const LifeCounts& counts() const { return counts_; }
  // Whether a power cut after so many events comes while a log is opened, or retention drops.
  bool is_opening(size_t events) const { return is_within(openings_, events); }
  bool is_dropping(size_t events) const { return is_within(drops_, events); }
  bool is_purging(size_t events) const { return is_within(purges_, events); }

 private:
  static constexpr uint32_t slot_count = 5;
  struct Slot {
    io::AlignedBytes buffer;
    bool is_out = false;
    bool is_footer = false;
    bool is_first = false;      // of its segment
    io::LogPlace start;         // of its batch
    io::LogPlace durable;       // when it was issued: what it proves
    uint64_t number = 0;        // of its segment
    uint64_t issued_after = 0;  // so many mishaps
  };
  struct Range {
    size_t first, last;
  };
  static bool is_within(const std::vector<Range>& ranges, size_t events);

  void free_all_slots();
  void turn();
  void step(uint64_t dice);
  void publish();
  bool send();
  void reap(bool all);
  void complete(const io::WriteDone& done);
  void prove(const Slot& slot);
  void look_after();
  void lay_footer();
  void run_chore();
  void collect();
  void edit();
  void purge();
  void read();
  void promise_begin(io::LogPlace begin);
  bool is_purge_place(io::LogPlace place) const;
  void land_stray();
  void let_disk_full();
  void move_clock();
  void tell();
  void after_failure();
  void check_opened(const io::RingAtOpen& ring);
  void check_begin(io::LogPlace before);
  void note_names(size_t from);
  bool dies_within(const std::function<void()>& work);
  std::optional<uint32_t> free_slot();
  Trouble trouble(const Operation& operation);
  void plan_mishap();
  void broke(std::string what);

  SimDisk& disk_;
  const LifePlan& plan_;
  Station& station_;
  Random& random_;
  std::unique_ptr<SimStorage> storage_;
  std::unique_ptr<SimChores> chores_;
  std::unique_ptr<io::LogWriter> log_;
  Slot slots_[slot_count];
  std::vector<uint32_t> free_slots_;
  std::vector<size_t> strays_;  // writes of killed writers that may still land
  std::vector<Known> marks_;
  LifeCounts counts_;
  std::string wrong_;
  std::optional<Fault> fault_;
  std::vector<Range> openings_, drops_, purges_;
  std::optional<Range> manifest_;  // the last one that was stored by a chore

  uint64_t mishap_at_ = 0;  // of the disk's operations; 0: none to come
  bool waits_for_sync_ = false;
  bool dies_soon_ = false;
  uint64_t mishaps_ = 0;     // so far
  bool was_lost_ = false;    // the write just done, whatever the disk said
  bool is_excused_ = false;  // something went wrong since the log was opened
  bool has_sent_ = false;    // a batch, since the log was opened
  bool was_starved_ = false;
  uint64_t segment_bytes_ = 0;  // as edited last; 0: as planned
  uint64_t number_ = 0;   // Known's
  std::vector<io::LogPlace> purge_places_;  // of purges, done or not: no batch crosses them
  std::string unsynced_;  // a file whose sync failed
  uint64_t dead_at_ = 0;  // from this operation on the process is dead; 0: it lives
  bool is_dead_ = false;
  std::optional<io::LogPlace> hit_at_;  // the first batch that the disk lost
  io::LogPlace proven_;                 // by what was written since
};

}  // namespace loopline::sim
