// Inspect: reads the control region in bulk, each pair until it is stable, then walks the frames.
#include "inspect.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/clock.h"
#include "evict.h"
#include "group_layout.h"
#include "lock.h"
#include "mapping.h"
#include "peephole.h"
#include "ring.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

constexpr int walk_tries_max = 16;
constexpr uint64_t errno_max = 4095;  // the kernel's own bound: MAX_ERRNO

// The plain images of control, producers and cursors, in the order of the file.
struct ControlImage {
  std::vector<std::byte> bytes;
  uint32_t producer_slots = 0;

  template <class T>
  T at(uint64_t offset) const {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  static uint64_t producer_offset(uint32_t slot) {
    return sizeof(ControlBlock) + slot * sizeof(ProducerSlot);
  }
  uint64_t cursor_offset(uint32_t slot) const {
    return producer_offset(producer_slots) + slot * sizeof(CursorSlot);
  }
};

class Inspector {
 public:
  Inspector(const File& file, const std::string& name, const Roster* roster,
            const InspectOptions& options)
      : name_(name), hole_(file, name), file_(file), roster_(roster), options_(options) {}

  Result<RingSnapshot> run() {
    LL_TRY(header, read_ring_header(file_, name_));
    snapshot_.header = header;
    snapshot_.path = name_;
    snapshot_.taken_ns = utc_ns();
    ring_ = Ring::over(nullptr, nullptr, nullptr, nullptr, nullptr, header.capacity,
                       header.producer_slots, header.cursor_slots);
    roster_ = roster_of(header, roster_);
    LL_TRY_STATUS(read_control());
    if (snapshot_.start.first != 0 && snapshot_.damage.empty()) LL_TRY_STATUS(find_frontier());
    finish();
    return std::move(snapshot_);
  }

 private:
  void damaged(const std::string& what) {
    if (snapshot_.damage.empty()) snapshot_.damage = what;
  }

  Status read_control();
  Status read_cursor(uint32_t slot);
  Status read_log();
  void read_producer(uint32_t slot);
  bool is_inside(uint64_t at, const LimitWord& before, const LimitWord& after) const;
  void check_window(const LimitWord& before, const LimitWord& after);
  Occupant occupant(uint64_t owner) const { return occupant_of(owner, roster_); }
  void read_lock();
  Pair walk_start() const;
  Status find_frontier();
  enum class Step { on, frontier, again, damage };
  Result<Step> step(WordReader& sides, WordReader& words, Pair& at);
  Status note_if_open(Pair at, uint64_t bytes);
  void finish();

  const std::string& name_;
  Peephole hole_;
  const File& file_;
  const Roster* roster_;
  InspectOptions options_;
  Ring ring_;
  ControlImage image_;
  Pair first_open_;
  RingSnapshot snapshot_;
};

// The lock and the bells, as the picture has them.
void Inspector::read_lock() {
  const auto mutex = image_.at<pthread_mutex_t>(offsetof(ControlBlock, lock));
  const Holder holder = holder_of(mutex);
  snapshot_.lock = {is_sound(mutex), holder.died, holder.tid};
  const uint64_t parked = offsetof(BellLine, parked);
  snapshot_.producers_wait = image_.at<uint32_t>(offsetof(ControlBlock, space_bell) + parked) != 0;
  snapshot_.consumers_wait = image_.at<uint32_t>(offsetof(ControlBlock, data_bell) + parked) != 0;
  snapshot_.durable_wait = image_.at<uint32_t>(offsetof(ControlBlock, durable_bell) + parked) != 0;
}

void Inspector::read_producer(uint32_t slot) {
  const uint64_t place = ControlImage::producer_offset(slot);
  const auto owner = image_.at<uint64_t>(place + offsetof(ProducerSlot, owner));
  if (owner == nobody) return;
  ProducerFacts facts;
  facts.slot = slot;
  facts.occupant = occupant(owner);
  facts.identity = image_.at<uint64_t>(place + offsetof(ProducerSlot, identity));
  facts.messages = image_.at<uint64_t>(place + offsetof(ProducerSlot, messages));
  facts.bytes = image_.at<uint64_t>(place + offsetof(ProducerSlot, bytes));
  facts.blocked_ns = image_.at<uint64_t>(place + offsetof(ProducerSlot, blocked_ns));
  snapshot_.producers.push_back(std::move(facts));
}

Status Inspector::read_cursor(uint32_t slot) {
  const uint64_t place = image_.cursor_offset(slot);
  const auto owner = image_.at<uint64_t>(place + offsetof(CursorSlot, owner));
  if (owner == nobody) return ok();
  CursorFacts facts;
  facts.slot = slot;
  facts.occupant = occupant(owner);
  const auto kind = image_.at<uint32_t>(place + offsetof(CursorSlot, kind));
  facts.kind =
      kind == static_cast<uint32_t>(CursorKind::lossy) ? CursorKind::lossy : CursorKind::lossless;
  facts.is_waiting = image_.at<uint32_t>(place + offsetof(CursorSlot, waiting)) != 0;
  facts.messages = image_.at<uint64_t>(place + offsetof(CursorSlot, messages));
  facts.bytes = image_.at<uint64_t>(place + offsetof(CursorSlot, bytes));
  facts.lost = image_.at<uint64_t>(place + offsetof(CursorSlot, lost));
  const bool is_lossy = facts.kind == CursorKind::lossy;
  LL_TRY(at, hole_.pair(place +
                        (is_lossy ? offsetof(CursorSlot, shown) : offsetof(CursorSlot, cursor))));
  facts.is_evicted = at == evicted_cursor;
  facts.is_joining = at.first == 0 || at == no_cursor;  // taken, and not put anywhere yet
  if (facts.has_place()) facts.at = at;
  snapshot_.cursors.push_back(std::move(facts));
  return ok();
}

// `durable` before the seal: a ring all on disk says so only after it was sealed.
Status Inspector::read_log() {
  if (snapshot_.header.storage != Storage::file) return ok();
  FlushFacts facts;
  LL_TRY(durable, hole_.pair(offsetof(ControlBlock, durable)));
  LL_TRY(seal_at, hole_.pair(offsetof(ControlBlock, seal) + offsetof(SealLine, at)));
  facts.durable = durable;
  facts.is_done = durable.first == no_cursor.first;
  if (facts.is_done) facts.durable = {seal_at.first + unit_size, seal_at.second + 1};
  if (facts.is_done && seal_at.first == 0) damaged("its log ends, and the ring is not sealed");
  const uint64_t place = offsetof(ControlBlock, log);
  const auto state = image_.at<uint64_t>(place + offsetof(LogLine, state));
  if (state > static_cast<uint64_t>(LogState::failed)) {
    damaged("the state of its log is " + std::to_string(state) + ", which none is");
  } else {
    facts.state = static_cast<LogState>(state);
  }
  const auto error = image_.at<uint64_t>(place + offsetof(LogLine, error));
  facts.error = error <= errno_max ? static_cast<int>(error) : EIO;
  facts.commits = image_.at<uint64_t>(place + offsetof(LogLine, commits));
  facts.bytes = image_.at<uint64_t>(place + offsetof(LogLine, bytes));
  const auto flusher = image_.at<uint64_t>(place + offsetof(LogLine, flusher));
  if (flusher != nobody) facts.flusher = occupant(flusher);
  // What failed stays so until the log is opened anew, by whomever.
  const bool is_dead = !facts.flusher || facts.flusher->life == Life::dead;
  if (is_dead && facts.state != LogState::failed) facts.state = LogState::idle;
  snapshot_.log = std::move(facts);
  return ok();
}

Status Inspector::read_control() {
  const RingHeader& header = snapshot_.header;
  image_.producer_slots = header.producer_slots;
  image_.bytes.resize(image_.cursor_offset(header.cursor_slots));
  LL_TRY_STATUS(hole_.read(image_.bytes.data(), image_.bytes.size(), Peephole::control_offset));
  read_lock();
  snapshot_.seal_state = image_.at<uint64_t>(offsetof(ControlBlock, seal));
  snapshot_.repairs = image_.at<uint64_t>(offsetof(ControlBlock, repairs));
  snapshot_.reaped = image_.at<uint64_t>(offsetof(ControlBlock, reaped));
  snapshot_.fillers = image_.at<uint64_t>(offsetof(ControlBlock, fillers));
  snapshot_.evicted = image_.at<uint64_t>(offsetof(ControlBlock, evicted));
  LL_TRY(seal_at, hole_.pair(offsetof(ControlBlock, seal) + offsetof(SealLine, at)));
  LL_TRY(start, hole_.pair(offsetof(ControlBlock, start)));
  LL_TRY(gate, hole_.pair(offsetof(ControlBlock, gate)));
  snapshot_.seal_at = seal_at;
  snapshot_.start = start;
  snapshot_.gate = gate;
  if (start.first == 0) return ok();  // unborn: nothing stands in it yet
  LL_TRY(limit, hole_.limit());
  for (uint32_t slot = 0; slot < header.producer_slots; ++slot) read_producer(slot);
  for (uint32_t slot = 0; slot < header.cursor_slots; ++slot) LL_TRY_STATUS(read_cursor(slot));
  LL_TRY_STATUS(read_log());
  LL_TRY(hint, hole_.pair(offsetof(ControlBlock, hint)));
  snapshot_.hint = hint;
  LL_TRY(limit_after, hole_.limit());
  check_window(limit, limit_after);
  return ok();
}

// Of what gates, read between `before` and `after`: whether it stands between what the two say.
bool Inspector::is_inside(uint64_t at, const LimitWord& before, const LimitWord& after) const {
  const uint64_t oldest = before.position - std::min(before.position, ring_.capacity);
  return at >= oldest && at <= after.position && at % unit_size == 0;
}

void Inspector::check_window(const LimitWord& before, const LimitWord& after) {
  const uint64_t capacity = ring_.capacity;
  if (after.position < capacity || after.position % unit_size != 0 ||
      after.position - capacity > position_max) {
    damaged("the limit, " + std::to_string(after.position) + ", is no place of a ring");
    return;
  }
  snapshot_.oldest = {after.position - capacity, after.sequence};
  snapshot_.limit = after.position;
  if (before.position > after.position) damaged("the limit went back");
  for (const CursorFacts& cursor : snapshot_.cursors) {
    if (!cursor.has_place() || cursor.kind == CursorKind::lossy) continue;
    const uint64_t at = cursor.at.first;
    if (is_inside(at, before, after)) continue;
    damaged("cursor slot " + std::to_string(cursor.slot) + " stands at position " +
            std::to_string(at) + ", outside of the window");
  }
  if (!snapshot_.log) return;
  const Pair durable = snapshot_.log->durable;
  if (!is_inside(durable.first, before, after) || durable.second < before.sequence) {
    damaged("its log is on disk up to position " + std::to_string(durable.first) +
            ", outside of the window");
  }
}

// The furthest true boundary that everything before it is committed: nobody reads what is open. A
// lossy reader's place would do too, were it not stored by halves of different age.
Pair Inspector::walk_start() const {
  Pair start = snapshot_.oldest;
  for (const CursorFacts& cursor : snapshot_.cursors) {
    const bool usable = cursor.has_place() && cursor.kind == CursorKind::lossless;
    if (usable && cursor.at.first > start.first && cursor.at.first <= snapshot_.limit) {
      start = cursor.at;
    }
  }
  return start;
}

Status Inspector::find_frontier() {
  const RingHeader& header = snapshot_.header;
  snapshot_.visible = snapshot_.frontier =
      snapshot_.hint.first >= snapshot_.oldest.first ? snapshot_.hint : snapshot_.oldest;
  if (!options_.walk) return ok();
  WordReader sides(hole_, header.side_offset, header.capacity / unit_size * sizeof(uint64_t));
  WordReader words(hole_, header.data_offset, header.capacity);
  const uint64_t steps_max = std::min(options_.steps_max, header.capacity / unit_size + 1);
  Pair at = walk_start();
  int tries = 0;
  for (uint64_t count = 0; count < steps_max; ++count) {
    LL_TRY(step, this->step(sides, words, at));
    if (step == Step::damage) return ok();
    if (step == Step::frontier) {
      snapshot_.frontier = at;
      snapshot_.visible = snapshot_.open_claim_count == 0 ? at : first_open_;
      snapshot_.is_walked = true;
      return ok();
    }
    if (step == Step::on) continue;
    if (++tries == walk_tries_max) break;  // producers are faster than we: the hint has to do
    LL_TRY(limit, hole_.limit());
    if (limit.position < snapshot_.limit) break;
    at = {limit.position - header.capacity, limit.sequence};
    snapshot_.oldest = at;
    snapshot_.limit = limit.position;
    snapshot_.open_claims.clear();
    snapshot_.open_claim_count = 0;
    sides.forget();
    words.forget();
    count = 0;
  }
  snapshot_.open_claims.clear();
  snapshot_.open_claim_count = 0;
  return ok();
}

Result<Inspector::Step> Inspector::step(WordReader& sides, WordReader& words, Pair& at) {
  bool is_fresh_side = false, is_fresh_word = false;
  const uint64_t place = at.first & ring_.mask;
  LL_TRY(side, sides.word(place / unit_size * sizeof(uint64_t), is_fresh_side));
  LL_TRY(word, words.word(place, is_fresh_word));
  if (is_fresh_side || is_fresh_word) {  // R6, once for all that a block holds from here on
    LL_TRY(limit, hole_.limit());
    if (limit.position > at.first + ring_.capacity) return Step::again;
  }
  const uint64_t lap = ring_.lap(at.first);
  if (ring_.side_lap(side) < lap) return Step::frontier;
  const uint64_t bytes = ring_.side_bytes(side);
  const bool is_sense = ring_.side_lap(side) == lap && bytes <= ring_.units_max * unit_size &&
                        at.first + bytes <= snapshot_.limit + ring_.capacity;
  if (!is_sense) {
    damaged("the claim word at position " + std::to_string(at.first) + " makes no sense");
    return Step::damage;
  }
  if (!Ring::is_committed(side, word, at.first)) LL_TRY_STATUS(note_if_open(at, bytes));
  at = {at.first + bytes, at.second + 1};
  return Step::on;
}

// What the blocks say may be old by now: an open claim is looked at once more, the side word first.
Status Inspector::note_if_open(Pair at, uint64_t bytes) {
  const uint64_t place = at.first & ring_.mask;
  uint64_t side = 0, word = 0;
  LL_TRY_STATUS(hole_.read(&side, sizeof side,
                           snapshot_.header.side_offset + place / unit_size * sizeof(uint64_t)));
  LL_TRY_STATUS(hole_.read(&word, sizeof word, snapshot_.header.data_offset + place));
  if (ring_.side_lap(side) != ring_.lap(at.first)) return ok();  // lapped: the next block says so
  if (Ring::is_committed(side, word, at.first)) return ok();
  if (++snapshot_.open_claim_count == 1) first_open_ = at;
  if (snapshot_.open_claims.size() >= RingSnapshot::open_claims_max) return ok();
  OpenClaim claim;
  claim.position = at.first;
  claim.sequence = at.second;
  claim.bytes = bytes;
  claim.slot = Ring::side_owner(side);
  if (claim.slot < snapshot_.header.producer_slots) {
    claim.owner = occupant(image_.at<uint64_t>(ControlImage::producer_offset(claim.slot) +
                                               offsetof(ProducerSlot, owner)));
  }
  snapshot_.open_claims.push_back(std::move(claim));
  return ok();
}

// What follows from the rest.
void Inspector::finish() {
  for (CursorFacts& cursor : snapshot_.cursors) {
    if (!cursor.has_place()) cursor.at = snapshot_.oldest;
    cursor.lag_messages =
        snapshot_.frontier.second - std::min(cursor.at.second, snapshot_.frontier.second);
    cursor.lag_bytes =
        snapshot_.frontier.first - std::min(cursor.at.first, snapshot_.frontier.first);
  }
  if (snapshot_.log) {
    FlushFacts& log = *snapshot_.log;
    const Pair visible = snapshot_.visible;
    log.lag_messages = visible.second - std::min(log.durable.second, visible.second);
    log.lag_bytes = visible.first - std::min(log.durable.first, visible.first);
  }
  for (ProducerFacts& producer : snapshot_.producers) {
    for (const OpenClaim& claim : snapshot_.open_claims) {
      if (claim.slot == producer.slot) ++producer.open_claims;
    }
  }
}

}  // namespace

Occupant occupant_of(uint64_t owner, const Roster* roster) {
  Occupant who;
  who.seat = owner & ~repairing_bit;
  who.is_repaired_now = (owner & repairing_bit) != 0;
  if (is_group_seat(owner)) {  // it lives until it is removed, with or without members
    who.life = Life::alive;
    who.command = "a consumer group";
    return who;
  }
  if (roster == nullptr) return who;
  const auto person = roster->describe(who.seat);
  if (!person.is_known) return who;
  who.life = person.alive ? Life::alive : Life::dead;
  who.pid = person.pid;
  who.tid = person.tid;
  who.uid = person.uid;
  who.command = person.command;
  return who;
}

const Roster* roster_of(const RingHeader& header, const Roster* roster) {
  const bool is_its =
      roster != nullptr && std::equal(header.roster_uuid, header.roster_uuid + 2, roster->uuid());
  return is_its ? roster : nullptr;
}

Result<RingSnapshot> inspect(const File& file, const std::string& name, const Roster* roster,
                             const InspectOptions& options) {
  return Inspector(file, name, roster, options).run();
}

Result<RingSnapshot> inspect(const std::string& path, const Roster* roster,
                             const InspectOptions& options) {
  LL_TRY(file, open_file("ring", path, false));
  return inspect(file, path, roster, options);
}

}  // namespace loopline::shm
