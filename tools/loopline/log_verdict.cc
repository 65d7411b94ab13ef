// LogVerdict: a log examined as its next opening would, then read as a consumer does, and the two
// held against each other.
//
// Others may write and drop segments meanwhile. What counts is what was durable before we began and
// is still kept when we end: a gap in it is one, whatever happens beside us.
#include "log_verdict.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "io/log/log_reader.h"
#include "io/log/manifest.h"
#include "io/log/posix_disk.h"
#include "output.h"
#include "shm/base/units.h"
#include "signals.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

using io::LogGap;
using io::LogPlace;

constexpr int attempts_max = 4;  // somebody began to write it, or dropped what we were reading
constexpr int looks_max = 3;
constexpr uint64_t look_again_ns = 20'000'000;
constexpr double examined_part = 0.5;  // of the work

// What a writer tells of itself.
struct WriterMark {
  uint64_t epoch = 0;
  LogPlace first;
};

WriterMark mark_of(const std::string& folder) {
  const auto found = io::load_manifest(io::posix_disk(), folder);
  if (!found || !found->manifest) return {};
  return {found->manifest->epoch, found->manifest->first};
}

// What is left of them between two places.
std::vector<LogGap> clipped(const std::vector<LogGap>& gaps, LogPlace from, LogPlace to) {
  std::vector<LogGap> kept;
  for (LogGap gap : gaps) {
    if (gap.from.position < from.position) gap.from = from;
    if (gap.to.position > to.position) gap.to = to;
    if (gap.from.position < gap.to.position && gap.from.sequence < gap.to.sequence) {
      kept.push_back(std::move(gap));
    }
  }
  return kept;
}

bool is_same_range(const LogGap& one, const LogGap& other) {
  return one.from.sequence == other.from.sequence && one.to.sequence == other.to.sequence;
}

// Those of both. The reasons of an opening are the better ones: it has seen more.
std::vector<LogGap> merged(const std::vector<LogGap>& opening, std::vector<LogGap> reading) {
  for (LogGap& gap : reading) {
    const auto same = std::find_if(opening.begin(), opening.end(),
                                   [&](const LogGap& one) { return is_same_range(one, gap); });
    if (same != opening.end()) gap.why = same->why;
  }
  for (const LogGap& gap : opening) {
    const bool is_covered = std::any_of(reading.begin(), reading.end(), [&](const LogGap& one) {
      return one.from.sequence <= gap.from.sequence && one.to.sequence >= gap.to.sequence;
    });
    if (!is_covered) reading.push_back(gap);
  }
  std::sort(reading.begin(), reading.end(), [](const LogGap& one, const LogGap& other) {
    return one.from.position < other.from.position;
  });
  return reading;
}

class Verification {
 public:
  explicit Verification(const LogToVerify& log) : log_(log) {}

  // False: it changed below us; to be done anew.
  Result<bool> run(LogVerdict& verdict);

 private:
  const shm::FlushFacts* ring_log() const {
    return log_.ring && log_.ring->log ? &*log_.ring->log : nullptr;
  }
  bool is_written() const {
    return ring_log() != nullptr && ring_log()->state != shm::LogState::idle;
  }
  Status examine();
  void choose_end();
  bool is_refused() const;
  Status read();
  void check_indexes();
  std::string file_of(const LogGap& gap) const;
  std::string next_opening() const;
  void conclude(LogVerdict& verdict);

  const LogToVerify& log_;
  WriterMark before_;
  io::LogFacts facts_;
  bool is_stopped_ = false;
  LogPlace upto_;
  std::vector<LogGap> lost_;  // of the end, that the ring proves
  std::vector<LogGap> met_;   // by a reader
  uint64_t batches_ = 0, readable_ = 0;
  std::vector<std::string> notes_;
};

Fault stopped() { return {FaultCode::closed, "the check was stopped before its end"}; }

Status Verification::examine() {
  io::ExamineOptions options;
  options.everything = true;
  options.progress = [this](uint64_t done, uint64_t all) {
    const double part = static_cast<double>(done) / static_cast<double>(all);
    if (log_.goes_on) is_stopped_ = !log_.goes_on(part * examined_part) || is_stopped_;
  };
  LL_TRY(facts, io::examine(io::posix_disk(), log_.folder, options));
  facts_ = std::move(facts);
  return ok();
}

// Up to where everything has to be there.
void Verification::choose_end() {
  upto_ = facts_.end;
  const shm::FlushFacts* ring = ring_log();
  if (ring == nullptr) return;
  const LogPlace durable{ring->durable.first, ring->durable.second};
  const bool is_fresh = facts_.end == LogPlace{};
  const LogPlace start{log_.ring->start.first, log_.ring->start.second};
  const LogPlace end = is_fresh ? start : facts_.end;
  if (end.position < durable.position) {
    const std::string why = is_fresh ? "there is no segment" : "the disk lost what was synced";
    lost_.push_back({end, durable, why});
  }
  // What a flusher that is gone left behind is taken over by the next one.
  if (is_written() || is_fresh || is_refused() || durable.position > end.position) {
    upto_ = durable;
  }
}

// As LogWriter::settle_end decides.
bool Verification::is_refused() const {
  const shm::FlushFacts* ring = ring_log();
  if (ring == nullptr || is_written() || !facts_.manifest) return false;
  if (facts_.begin == facts_.end) return false;  // it was purged, and the ring is on its way there
  const bool is_of_ring =
      !facts_.segments.empty() && facts_.segments.back().last_ring == log_.ring->header.uuid[0];
  return !is_of_ring && facts_.end.position > ring->durable.first &&
         facts_.manifest->durable.position > ring->durable.first;
}

Status Verification::read() {
  if (facts_.end == LogPlace{}) return ok();
  LL_TRY(reader, io::LogReader::open(io::posix_disk(), log_.folder, facts_.log));
  const uint64_t begin = reader.begin().position;
  const double all = static_cast<double>(upto_.position - std::min(begin, upto_.position)) + 1;
  for (;;) {
    LL_TRY(step, reader.next(upto_));
    if (step.kind == io::LogReader::Step::Kind::end) return ok();
    if (step.kind == io::LogReader::Step::Kind::later) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(look_again_ns));
    }
    if (step.kind == io::LogReader::Step::Kind::gap) met_.push_back(step.gap);
    if (step.kind == io::LogReader::Step::Kind::batch) {
      ++batches_;
      readable_ += step.record.count;
    }
    const double part = static_cast<double>(reader.at().position - begin) / all;
    const double done = examined_part + part * (1 - examined_part);
    if (log_.goes_on && !log_.goes_on(done)) return stopped();
  }
}

// Why the index of a segment that has none cannot be used; empty: it was not written yet. One that
// is whole but for what says whose it is, is this segment's all the same.
Result<std::string> index_damage(io::SegmentReader& segment) {
  std::string why;
  LL_TRY(index, segment.read_index(why));
  if (index) return std::string();
  if (why.starts_with("its ")) return why;
  const io::SegmentHeader& header = segment.header();
  const uint64_t size = io::footer_bytes(header.segment_bytes);
  LL_TRY(blocks, segment.bytes(io::footer_offset(header.segment_bytes), size));
  if (blocks.size() < size) return why;
  std::vector<std::byte> mended(blocks.begin(), blocks.end());
  io::SegmentFooter footer;
  std::memcpy(&footer, mended.data(), sizeof footer);
  footer.magic = io::footer_magic;
  footer.log = header.log;
  footer.number = header.number;
  std::memcpy(mended.data(), &footer, sizeof footer);
  std::string other;
  return io::read_footer(mended, header, other) ? why : std::string();
}

// Derived data, so that damage costs time only; but it is damage.
void Verification::check_indexes() {
  for (const io::SegmentFacts& facts : facts_.segments) {
    if (!facts.is_scanned || facts.is_sealed) continue;
    auto segment = io::SegmentReader::open(io::posix_disk(), log_.folder + "/" + facts.file);
    auto damage = segment ? index_damage(*segment) : Result<std::string>(segment.fault());
    // It may be on its way to the disk just now.
    for (int count = 0; count < looks_max && damage && !damage->empty(); ++count) {
      pause_for(look_again_ns);
      damage = index_damage(*segment);
    }
    if (!damage || damage->empty()) continue;
    notes_.push_back("the index of " + facts.file + " cannot be used: " + *damage +
                     "; its messages are read without it, a little slower");
  }
}

std::string Verification::file_of(const LogGap& gap) const {
  constexpr std::string_view word = "segment ";
  if (!gap.why.starts_with(word)) return {};
  uint64_t number = 0;
  const char* const begin = gap.why.data() + word.size();
  std::from_chars(begin, gap.why.data() + gap.why.size(), number);
  for (const io::SegmentFacts& facts : facts_.segments) {
    if (facts.number == number) return facts.file;
  }
  return {};
}

std::string Verification::next_opening() const {
  if (is_written()) return "it is being written now; this is what was durable when the check began";
  if (facts_.end == LogPlace{}) return "it begins with a first segment";
  const std::string behind = "behind message " + format_count(upto_.sequence - 1);
  std::string text = facts_.is_closed && !facts_.segments.empty()
                         ? "it goes on " + behind + " in " + facts_.segments.back().file
                         : "it goes on " + behind + " in a new segment";
  if (facts_.is_cut) {
    text += "; what stands behind that was never acknowledged as durable, and does not count";
  }
  return text;
}

void Verification::conclude(LogVerdict& verdict) {
  const LogPlace first = mark_of(log_.folder).first;  // retention may have moved it
  std::vector<LogGap> opening = facts_.gaps;
  opening.insert(opening.end(), lost_.begin(), lost_.end());
  const std::vector<LogGap> gaps =
      merged(clipped(opening, first, upto_), clipped(met_, first, upto_));
  for (const LogGap& gap : gaps) verdict.missing.push_back({gap, file_of(gap)});
  verdict.first = std::max(facts_.begin.sequence, first.sequence);
  verdict.last = upto_.sequence == 0 ? 0 : upto_.sequence - 1;
  verdict.first = std::min(verdict.first, std::max<uint64_t>(upto_.sequence, 1));
  if (facts_.end == LogPlace{}) verdict.first = log_.ring ? log_.ring->start.second : 1;
  verdict.readable = readable_;
  verdict.batches = batches_;
  verdict.segments = facts_.segments.size();
  verdict.disk_bytes = bytes_on_disk(log_.folder, facts_);
  verdict.notes = facts_.notes;
  verdict.notes.insert(verdict.notes.end(), notes_.begin(), notes_.end());
  for (const std::string& file : facts_.strangers) {
    // A segment in the making, by a flusher of now or one that died, is not strange.
    if (!file.ends_with(".making")) verdict.strangers.push_back(file);
  }
  verdict.next_opening = next_opening();
  if (log_.id && facts_.log && *facts_.log != *log_.id) {
    verdict.trouble = "the log in " + log_.folder +
                      " is not this station's but another one's; was the folder copied?";
    verdict.next_opening = "it is refused";
  } else if (is_refused()) {
    verdict.trouble = "the log holds messages up to " + format_count(facts_.end.sequence - 1) +
                      ", while its ring begins at " + format_count(ring_log()->durable.second) +
                      "; was the data folder put back from a copy while the ring lived?";
    verdict.next_opening = "it is refused; remove the ring's memory, then open the station anew";
  }
}

Result<bool> Verification::run(LogVerdict& verdict) {
  before_ = mark_of(log_.folder);
  const Status examined = examine();
  if (is_stopped_) return stopped();
  const bool is_moved = !examined && examined.fault().code() == FaultCode::not_found;
  if (is_moved && before_.epoch != 0) return false;  // a segment was dropped below us
  if (!examined && !is_moved) {
    verdict.trouble = examined.fault().message();
    verdict.next_opening = "it is refused";
    return true;
  }
  choose_end();
  LL_TRY_STATUS(read());
  check_indexes();
  conclude(verdict);
  return mark_of(log_.folder).epoch == before_.epoch;
}

}  // namespace

uint64_t LogVerdict::missing_count() const {
  uint64_t count = 0;
  for (const MissingRange& range : missing)
    count += range.gap.to.sequence - range.gap.from.sequence;
  return count;
}

bool StationVerdict::is_well() const {
  return conf_damage.empty() &&
         std::all_of(logs.begin(), logs.end(), [](const LogVerdict& log) { return log.is_well(); });
}

Result<LogVerdict> verify_log(const LogToVerify& log) {
  for (int count = 0;; ++count) {
    LogVerdict verdict;
    verdict.partition = log.partition;
    verdict.folder = log.folder;
    if (log.ring && log.ring->log && log.ring->log->state != shm::LogState::idle) {
      verdict.flusher = log.ring->log->flusher;
    }
    LL_TRY(is_final, Verification(log).run(verdict));
    if (is_final || count == attempts_max) return verdict;
  }
}

}  // namespace loopline::cli
