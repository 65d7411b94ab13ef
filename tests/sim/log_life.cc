// LogLife: what the flusher does, decided by chance, and what must hold while it does it.
#include "log_life.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/log/log_reader.h"
#include "io/log/paths.h"
#include "io/log/purge_mark.h"
#include "log_reading.h"
#include "shm/base/hash.h"

namespace loopline::sim {
namespace {

using io::LogPlace;

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint32_t storage_depth = 8;
constexpr uint32_t finish_turns_max = 4000;
constexpr uint64_t buffer_bytes = 256u << 10;  // of the largest segment an edit makes
constexpr uint64_t mishaps_max = 6;

bool is_before(LogPlace one, LogPlace other) { return one.position < other.position; }

bool is_segment(const std::string& path) {
  return path.ends_with(".segment") || path.ends_with(".spare");
}

uint64_t number_of(const std::string& path) {
  const auto name = io::parse_segment_name(path.substr(path.rfind('/') + 1));
  return name ? name->number : 0;
}

}  // namespace

const char* name_of(Mishap mishap) {
  constexpr const char* names[] = {"none", "error",       "short write", "full",
                                   "lost", "misdirected", "stall"};
  return names[static_cast<size_t>(mishap)];
}

// ---- the station ------------------------------------------------------------

LogPlace Station::place_of(uint64_t sequence) const {
  if (sequence == start.sequence) return start;
  const MessageBytes& before = messages.at(sequence - start.sequence - 1);
  return {before.at.position + before.bytes, sequence};
}

void Station::publish(uint64_t body_bytes, uint64_t flavour) {
  const LogPlace at = head();
  const auto frame = make_frame(at, body_bytes, now_ns, flavour);
  messages.push_back({at, frame.size(), hash64(frame)});
  recipes.push_back({body_bytes, now_ns, flavour});
}

void Station::lose_ring(LogPlace end) {
  messages.resize(end.sequence - start.sequence);
  recipes.resize(messages.size());
  ring = {ring.id + 1, end};
}

void LifeCounts::add(const LifeCounts& other) {
  openings += other.openings;
  kills += other.kills;
  deaths_within += other.deaths_within;
  closings += other.closings;
  strays += other.strays;
  messages += other.messages;
  batches += other.batches;
  boundaries += other.boundaries;
  drops += other.drops;
  edits += other.edits;
  purges += other.purges;
  gaps += other.gaps;
  for (size_t index = 0; index < mishap_count; ++index) mishaps[index] += other.mishaps[index];
  in_flight_max = std::max(in_flight_max, other.in_flight_max);
}

// ---- beginning and end ------------------------------------------------------

LogLife::LogLife(SimDisk& disk, const LifePlan& plan, Station& station, Random& random,
                 Known before)
    : disk_(disk), plan_(plan), station_(station), random_(random) {
  free_all_slots();
  marks_.push_back(before);
  disk_.trouble = [this](const Operation& operation) { return trouble(operation); };
  plan_mishap();
}

LogLife::~LogLife() { disk_.trouble = nullptr; }

void LogLife::broke(std::string what) {
  if (wrong_.empty()) wrong_ = std::move(what);
}

bool LogLife::is_within(const std::vector<Range>& ranges, size_t events) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
    return events > range.first && events <= range.last;
  });
}

bool LogLife::open() {
  const size_t first = disk_.events().size();
  storage_ = std::make_unique<SimStorage>(disk_, random_, storage_depth);
  chores_ = std::make_unique<SimChores>();
  io::RingAtOpen ring;
  const auto look = [&]() -> Result<io::RingAtOpen> {
    if (!strays_.empty() && random_.once_in(2)) land_stray();
    return ring = station_.ring;
  };
  fault_.reset();
  unsynced_.clear();
  is_excused_ = false;
  has_sent_ = false;
  ++counts_.openings;
  io::LogOptions options = plan_.options;
  if (segment_bytes_ != 0) options.segment_bytes = segment_bytes_;
  auto opened = io::LogWriter::open(disk_, *chores_, options, look, station_.now_ns);
  openings_.push_back({first, disk_.events().size()});
  if (!opened) {
    fault_ = opened.fault();
    return false;
  }
  log_ = std::move(*opened);
  check_opened(ring);
  station_.ring.durable = log_->durable();
  tell();
  return true;
}

void LogLife::check_opened(const io::RingAtOpen& ring) {
  const io::LogFacts& facts = log_->recovered();
  const Known& known = marks_.back();
  counts_.gaps += facts.gaps.size();
  if (!facts.gaps.empty() && !known.may_miss && !hit_at_) {
    broke("opening reports a gap from " + text_of(facts.gaps[0].from) + " to " +
          text_of(facts.gaps[0].to) + " that nobody made: " + facts.gaps[0].why);
  }
  if (log_->epoch() <= known.epoch) {
    broke("opened with epoch " + std::to_string(log_->epoch()) + ", which was used before");
  }
  const LogPlace end = log_->end();
  if (end != log_->durable()) broke("what was opened is not durable");
  if (end.position < ring.durable.position) {
    broke("opened at " + text_of(end) + ", but up to " + text_of(ring.durable) +
          " was acknowledged");
  }
  const bool is_known = end.sequence >= station_.start.sequence &&
                        end.sequence <= station_.head().sequence &&
                        station_.place_of(end.sequence) == end;
  if (!is_known) broke("opened at " + text_of(end) + ", where no message ends");
  // What was purged and is still on its way from the ring is dropped later.
  const LogPlace begin = std::max(log_->begin(), log_->purged(), is_before);
  if (begin.position < known.begin.position) {
    broke("what was dropped is back: the log begins at " + text_of(begin) + " again");
  }
}

// Into the journal goes what may not be taken back from now on.
void LogLife::tell() {
  Known known = marks_.back();
  known.durable = log_->durable();
  known.floor = known.durable;
  known.begin = std::max(known.begin, log_->begin(), is_before);
  known.epoch = log_->epoch();
  known.number = std::max(known.number, number_);
  known.may_miss = known.may_miss || hit_at_;
  if (hit_at_) {
    const LogPlace least = proven_.position > hit_at_->position ? proven_ : *hit_at_;
    if (least.position < known.floor.position) known.floor = least;
  }
  marks_.push_back(known);
  disk_.mark(marks_.size() - 1);
}

void LogLife::free_all_slots() {
  free_slots_.clear();
  for (uint32_t index = slot_count; index-- > 0;) free_slots_.push_back(index);
}

void LogLife::kill() {
  ++counts_.kills;
  log_.reset();
  chores_.reset();
  if (storage_) {
    for (const size_t event : storage_->abandon()) strays_.push_back(event);
  }
  storage_.reset();
  disk_.forget_locks();
  free_all_slots();
  for (uint64_t count = random_.below(strays_.size() + 1); count > 0; --count) land_stray();
}

void LogLife::land_stray() {
  if (strays_.empty()) return;
  const size_t index = random_.below(strays_.size());
  const size_t event = strays_[index];
  strays_.erase(strays_.begin() + static_cast<ptrdiff_t>(index));
  if (random_.once_in(4)) return;  // never
  ++counts_.strays;
  random_.coin() ? disk_.land_write(event) : (void)disk_.end_write(event);
}

void LogLife::close() {
  ++counts_.closings;
  storage_->unstall();
  reap(true);
  while (!chores_->is_idle()) {
    run_chore();
    collect();
  }
  if (log_->failed()) return after_failure();
  const Status closed = log_->close(station_.now_ns);
  if (log_->end() != station_.place_of(log_->end().sequence)) broke("closed where nothing ends");
  if (!closed && !is_excused_ && !is_dead_) broke("cannot close: " + closed.fault().message());
  log_.reset();
  disk_.forget_locks();
}

// ---- mishaps ----------------------------------------------------------------

void LogLife::plan_mishap() {
  if (plan_.mishap == Mishap::none || plan_.mishap == Mishap::stall) return;
  if (hit_at_) return;  // what a second lie costs is not reckoned with
  mishap_at_ = disk_.operations() + random_.between(1, 60);
  waits_for_sync_ = random_.once_in(3);
}

Trouble LogLife::trouble(const Operation& operation) {
  if (dead_at_ != 0 && operation.count >= dead_at_) {
    is_dead_ = true;
    return {Trouble::fail, EIO};
  }
  if (operation.kind == EventKind::sync && operation.path == unsynced_) {
    broke("L3: " + unsynced_ + " is synced again after an error");
  }
  const bool is_due = mishap_at_ != 0 && operation.count >= mishap_at_;
  if (!is_due || dead_at_ != 0) return {};
  const bool is_write = operation.kind == EventKind::write;
  Trouble now;
  switch (plan_.mishap) {
    case Mishap::error:
      if (!waits_for_sync_ || operation.kind == EventKind::sync) now = {Trouble::fail, EIO};
      break;
    case Mishap::short_write:
      if (is_write) now = {Trouble::partly, EIO};
      break;
    case Mishap::lost:
    case Mishap::misdirected:
      if (is_write && is_segment(operation.path)) {
        now = {plan_.mishap == Mishap::lost ? Trouble::lost : Trouble::misdirected, 0};
      }
      break;
    default:
      break;
  }
  if (now.kind == Trouble::none) return now;
  ++counts_.mishaps[static_cast<size_t>(plan_.mishap)];
  mishap_at_ = 0;
  was_lost_ = now.kind == Trouble::lost || now.kind == Trouble::misdirected;
  is_excused_ = true;
  ++mishaps_;
  if (operation.kind == EventKind::sync) unsynced_ = operation.path;
  return now;
}

// The process dies within `work`: from some operation on, nothing it does happens.
bool LogLife::dies_within(const std::function<void()>& work) {
  dead_at_ = disk_.operations() + random_.between(1, 12);
  work();
  dead_at_ = 0;
  const bool died = is_dead_;
  is_dead_ = false;
  if (died) ++counts_.deaths_within;
  return died;
}

// After the first error nothing more is written, and nothing is believed (L3).
void LogLife::after_failure() {
  const LogPlace durable = log_->durable();
  const size_t writes = storage_->in_flight();
  if (log_->room(shm::unit_size, station_.now_ns) != 0) broke("L3: room for more after an error");
  const auto slot = free_slot();
  if (slot && log_->lay_out_footer(slots_[*slot].buffer.span(), *slot, station_.now_ns)) {
    broke("L3: a footer after an error");
  }
  const bool had_chores = !chores_->is_idle();
  log_->look_after(station_.now_ns + 10 * second_ns, true);
  if (!had_chores && !chores_->is_idle()) broke("L3: a chore after an error");
  if (!random_.once_in(4)) reap(true);
  if (log_->durable() != durable) broke("L3: something became durable after an error");
  if (storage_->in_flight() > writes) broke("L3: a write after an error");
  if (log_->close(station_.now_ns)) broke("L3: closed in order after an error");
  kill();
  if (mishaps_ < mishaps_max) plan_mishap();
}

// ---- turns ------------------------------------------------------------------

void LogLife::run(uint32_t turns) {
  for (uint32_t turn_index = 0; turn_index < turns && wrong_.empty(); ++turn_index) turn();
}

void LogLife::finish() {
  storage_ ? storage_->unstall() : void();
  disk_.capacity = ~0ull;
  const auto is_done = [&] { return log_ && log_->durable() == station_.head(); };
  for (uint32_t left = finish_turns_max; !is_done() && wrong_.empty(); --left) {
    if (left == 0) return broke("it hangs: " + text_of(station_.head()) + " is never durable");
    if (!log_) {
      turn();
      continue;
    }
    step(random_.between(4, 75));
    station_.now_ns += second_ns / 10;
  }
}

void LogLife::turn() {
  if (log_) return step(random_.below(100));
  if (random_.once_in(4)) land_stray();
  if (random_.once_in(20)) random_.coin() ? purge() : read();
  const bool died = random_.once_in(5) && dies_within([&] { (void)open(); });
  if (died) return kill();
  if (!log_ && !open()) {
    const bool is_due = is_excused_ || fault_->code() == FaultCode::no_space;
    if (!is_due) broke("cannot open: " + fault_->message());
    disk_.capacity = ~0ull;
    disk_.forget_locks();
  }
}

void LogLife::step(uint64_t dice) {
  if (dice < 4 || dice >= 83) {
    publish();
  } else if (dice < 22) {
    for (uint64_t count = random_.between(1, 4); count > 0 && send();) --count;
  } else if (dice < 44) {
    reap(false);
  } else if (dice < 56) {
    run_chore();
  } else if (dice < 66) {
    collect();
  } else if (dice < 76) {
    look_after();
  } else if (dice < 77) {
    move_clock();
  } else if (dice == 77) {
    const uint64_t which = random_.below(6);
    which == 0   ? edit()
    : which == 1 ? purge()
    : which == 2 ? read()
                 : move_clock();
  } else if (dice == 78) {
    kill();
  } else if (dice == 79) {
    if (random_.coin() || !dies_within([&] { close(); })) {
      if (log_) close();
    } else {
      kill();
    }
  } else if (dice == 80) {
    if (dies_within([&] { run_chore(); })) kill();
  } else if (dice == 81) {
    land_stray();
  } else if (dice == 82 && plan_.mishap == Mishap::stall) {
    ++counts_.mishaps[static_cast<size_t>(Mishap::stall)];
    random_.coin() ? storage_->stall_one() : storage_->unstall();
  }
  if (plan_.mishap == Mishap::full && random_.once_in(20)) let_disk_full();
  if (log_ && dies_soon_) {  // with the end of the log lost, but in the ring's memory
    dies_soon_ = false;
    reap(true);
    kill();
  }
  if (log_ && log_->failed()) {
    if (!is_excused_ && !is_dead_) broke("it failed: " + log_->failed()->message());
    after_failure();
  }
}

void LogLife::publish() {
  if (station_.head().sequence - log_->durable().sequence > 40) return;
  for (uint64_t count = random_.between(1, 4); count > 0; --count) {
    uint64_t bytes = random_.below(plan_.body_bytes_max);
    if (random_.once_in(12)) bytes = random_.below(9000);
    // As large as a segment may hold now; an edit may make them smaller before it is written.
    const uint64_t segment = std::max(segment_bytes_, plan_.options.segment_bytes);
    if (random_.once_in(60)) bytes = io::body_bytes_max(segment) - bytes;
    station_.now_ns += random_.below(1'000'000);
    station_.publish(bytes, random_.next());
    ++counts_.messages;
  }
}

void LogLife::move_clock() {
  const uint64_t hour = 3600 * second_ns;
  station_.now_ns += random_.below(5 * second_ns);
  if (random_.once_in(6)) station_.now_ns += hour;
  if (random_.once_in(6)) station_.now_ns -= random_.below(2 * hour);  // it goes back
  // Another ring takes over where all of this one is on disk.
  const bool is_all =
      log_->durable() == station_.head() && station_.ring.durable == log_->durable();
  if (is_all && random_.once_in(3)) ++station_.ring.id;
}

void LogLife::let_disk_full() {
  if (disk_.capacity != ~0ull) {
    if (was_starved_) disk_.capacity += 2 * plan_.options.segment_bytes;
    return;
  }
  uint64_t used = 0;
  const auto image = disk_.image();
  for (const auto& [path, content] : image.files) used += content->size;
  disk_.capacity = used + random_.below(plan_.options.segment_bytes);
}

// ---- batches ----------------------------------------------------------------

std::optional<uint32_t> LogLife::free_slot() {
  if (free_slots_.empty()) return {};
  Slot& slot = slots_[free_slots_.back()];
  if (slot.buffer.size() == 0) slot.buffer = io::AlignedBytes(buffer_bytes);
  return free_slots_.back();
}

bool LogLife::send() {
  const auto index = free_slot();
  if (!index || log_->in_flight() >= plan_.in_flight_max) return false;
  uint64_t sequence = log_->end().sequence;
  const uint64_t left = station_.head().sequence - sequence;
  if (left == 0) return false;
  const auto bytes_of = [&](uint64_t of) {
    return station_.messages[of - station_.start.sequence].bytes;
  };
  const uint64_t room = log_->room(bytes_of(sequence), station_.now_ns);
  if (room == 0) return false;
  if (room < bytes_of(sequence)) broke("there is less room than was asked for");
  Slot& slot = slots_[*index];
  io::LogWriter::BatchFrames batch;
  batch.start = log_->end();
  batch.ring = station_.ring.id;
  std::byte* const frames = slot.buffer.data() + io::LogWriter::frames_offset;
  for (uint64_t most = std::min(left, random_.between(1, 6)); most > 0; --most, ++sequence) {
    if (batch.bytes + bytes_of(sequence) > room) break;
    if (batch.count != 0 && is_purge_place(station_.place_of(sequence))) break;
    const Station::Recipe& recipe = station_.recipes[sequence - station_.start.sequence];
    const auto frame = make_frame(station_.place_of(sequence), recipe.body_bytes, recipe.timestamp,
                                  recipe.flavour);
    std::memcpy(frames + batch.bytes, frame.data(), frame.size());
    batch.bytes += frame.size();
    ++batch.count;
    const bool is_first = batch.timestamp_min == 0 || recipe.timestamp < batch.timestamp_min;
    if (is_first) batch.timestamp_min = recipe.timestamp;
    batch.timestamp_max = std::max(batch.timestamp_max, recipe.timestamp);
  }
  free_slots_.pop_back();
  const auto request = log_->lay_out(batch, hash64(frames, batch.bytes), slot.buffer.span(), *index,
                                     station_.now_ns);
  slot.is_footer = false;
  slot.is_first = request.offset == 0;
  slot.start = batch.start;
  slot.durable = log_->durable();
  slot.number = number_of(request.file->path());
  slot.issued_after = mishaps_;
  if (slot.is_first) {
    counts_.boundaries += has_sent_ ? 1 : 0;
    if (slot.number <= marks_.back().number) broke("a segment's number is used twice");
  }
  storage_->submit(request);
  has_sent_ = true;
  ++counts_.batches;
  counts_.in_flight_max = std::max(counts_.in_flight_max, log_->in_flight());
  return true;
}

void LogLife::reap(bool all) {
  io::WriteDone done;
  for (;;) {
    if (all) storage_->wait({}, 0);
    was_lost_ = false;
    if (storage_->reap({&done, 1}) == 0) return;
    complete(done);
  }
}

void LogLife::complete(const io::WriteDone& done) {
  Slot& slot = slots_[done.token];
  free_slots_.push_back(static_cast<uint32_t>(done.token));
  const bool was_lost = was_lost_;
  if (was_lost && !slot.is_footer && !hit_at_) {
    dies_soon_ = random_.coin();
    hit_at_ = slot.start;
  }
  const LogPlace before = log_->durable();
  const bool had_failed = log_->failed().has_value();
  const bool moved = log_->completed(done.token, done.error);
  if (moved != (log_->durable() != before)) broke("completed() does not say what it did");
  if (moved && (had_failed || done.error != 0)) broke("L3: an error is acknowledged");
  if (done.error != 0 && !log_->failed()) broke("L3: it goes on after an error");
  if (!was_lost && done.error == 0) prove(slot);
  if (!moved) return;
  const bool is_ring_done = log_->end() == log_->durable() && is_purge_place(log_->end());
  if (is_ring_done) log_->go_on_in_next_ring();
  number_ = std::max(number_, slot.number);
  // The process may die before the ring is told.
  station_.ring.durable = log_->durable();
  tell();
}

// What is on the disk since the disk lied, and says how far it was.
void LogLife::prove(const Slot& slot) {
  const bool counts = hit_at_ && slot.issued_after == mishaps_;
  if (counts && slot.durable.position > proven_.position) proven_ = slot.durable;
}

// ---- beside the batches -----------------------------------------------------

void LogLife::look_after() {
  log_->look_after(station_.now_ns, random_.once_in(3));
  if (random_.coin()) lay_footer();
}

void LogLife::lay_footer() {
  const auto index = free_slot();
  if (!index) return;
  Slot& slot = slots_[*index];
  const auto request = log_->lay_out_footer(slot.buffer.span(), *index, station_.now_ns);
  if (!request) return;
  free_slots_.pop_back();
  slot.is_footer = true;
  slot.is_first = false;
  io::SegmentFooter footer;
  std::memcpy(&footer, slot.buffer.data(), sizeof footer);
  slot.durable = footer.end;  // it says no more of what was durable
  slot.number = number_of(request->file->path());
  slot.issued_after = mishaps_;
  storage_->submit(*request);
}

void LogLife::run_chore() {
  const size_t first = disk_.events().size();
  if (!chores_->run_one()) return;
  note_names(first);
}

// Which of the events from `first` on belong to retention.
void LogLife::note_names(size_t first) {
  const auto& events = disk_.events();
  const Range range{first, events.size()};
  const std::string prefix = plan_.options.folder + "/";
  bool is_dropping = false;
  for (size_t index = first; index < events.size(); ++index) {
    const Event& event = events[index];
    if (event.kind == EventKind::write && event.path == prefix + "manifest") manifest_ = range;
    if (event.has_replaced && is_segment(event.to)) broke("segment " + event.to + " was replaced");
    const bool is_removed = event.kind == EventKind::remove;
    const bool is_spared = event.kind == EventKind::rename && !event.to.starts_with(prefix);
    const bool is_drop = (is_removed || is_spared) && event.path.starts_with(prefix) &&
                         event.path.ends_with(".segment");
    is_dropping = is_dropping || is_drop;
  }
  if (is_dropping) drops_.push_back(range);
}

// The station gets segments of another size while it is flushed.
void LogLife::edit() {
  segment_bytes_ = plan_.options.segment_bytes * random_.between(1, 3);
  log_->reload(segment_bytes_, plan_.options.retention);
  ++counts_.edits;
}

bool LogLife::is_purge_place(LogPlace place) const {
  const auto& places = purge_places_;
  return std::find(places.begin(), places.end(), place) != places.end();
}

// By a process of its own, whose kill leaves the mark made, renamed, or neither; the ring was
// sealed at that place before.
void LogLife::purge() {
  const LogPlace place = station_.head();
  purge_places_.push_back(place);
  const size_t first = disk_.events().size();
  io::PurgeMark mark{};
  mark.log = plan_.options.id;
  mark.place = place;
  mark.purged_ns = station_.now_ns;
  bool is_done = false, is_killed = false;
  const auto store = [&] {
    is_done = static_cast<bool>(io::store_purge_mark(disk_, plan_.options.folder, mark));
  };
  if (random_.once_in(3)) {
    is_killed = dies_within(store);
  } else if (!random_.once_in(8)) {  // or before it began
    store();
  }
  if (unsynced_.ends_with("/purged.making")) unsynced_.clear();  // each one is a new file
  purges_.push_back({first, disk_.events().size()});
  ++counts_.purges;
  if (is_done && !is_killed) promise_begin(place);
  if (is_killed && random_.coin()) read();
  if (log_ && random_.coin()) log_->look_for_purge();
}

// Somebody reads the log, and is told what was purged: that may not come back.
void LogLife::read() {
  const auto reader = io::LogReader::open(disk_, plan_.options.folder);
  if (!reader) return;
  LogPlace purged;
  for (const LogPlace& place : purge_places_) {
    if (!is_before(reader->begin(), place)) purged = place;
  }
  promise_begin(purged);
}

void LogLife::promise_begin(LogPlace begin) {
  Known known = marks_.back();
  known.begin = std::max(known.begin, begin, is_before);
  marks_.push_back(known);
  disk_.mark(marks_.size() - 1);
}

void LogLife::collect() {
  const LogPlace before = log_->begin();
  chores_->collect();
  const bool is_starved = log_->starved().has_value();
  if (is_starved && !was_starved_) ++counts_.mishaps[static_cast<size_t>(Mishap::full)];
  was_starved_ = is_starved;
  if (is_starved && disk_.capacity == ~0ull && plan_.mishap != Mishap::full) {
    broke("starved, but the disk is not full");
  }
  if (!log_->failed() && log_->begin() != before) check_begin(before);
}

// Retention drops no more than it should, and only what was durable.
void LogLife::check_begin(LogPlace before) {
  ++counts_.drops;
  if (manifest_) drops_.push_back(*manifest_);
  const io::Retention& keep = plan_.options.retention;
  const LogPlace begin = log_->begin();
  if (begin.position < before.position) broke("the beginning of the log goes back");
  if (begin.position > log_->durable().position) broke("L5: what is not durable is dropped");
  const bool is_purge = !is_before(log_->purged(), begin);
  if (!is_purge && keep.age_ns == 0 && keep.bytes == 0 &&
      log_->durable().sequence - begin.sequence < keep.messages) {
    broke("retention leaves fewer messages than it should");
  }
  tell();
}

}  // namespace loopline::sim
