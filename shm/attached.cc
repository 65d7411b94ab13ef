// Attached: sealing, following and the gate, composed from the steps in seal.h.
#include "attached.h"

#include <unistd.h>

#include "bell.h"
#include "bell_file.h"
#include "lock.h"
#include "recorder.h"
#include "seal.h"
#include "window.h"

namespace loopline::shm {

namespace {

constexpr uint64_t seal_lock_wait_ns = 1'000'000'000;

Ring ring_of(const Mapping& mapping) {
  const RingHeader& header = mapping.header();
  return Ring::over(&mapping.control(), mapping.producers(), mapping.cursors(), mapping.side(),
                    mapping.data(), header.capacity, header.producer_slots, header.cursor_slots);
}

// A consumer's mapping, writable for a scope.
class WriteWindow {
 public:
  explicit WriteWindow(Mapping& mapping) : mapping_(mapping) {
    if (mapping_.access() != Access::consume) return;
    open_ = static_cast<bool>(mapping_.allow_writes(true));
  }
  ~WriteWindow() {
    if (open_) (void)mapping_.allow_writes(false);
  }
  WriteWindow(const WriteWindow&) = delete;
  WriteWindow& operator=(const WriteWindow&) = delete;
  bool usable() const { return open_ || mapping_.access() == Access::produce; }

 private:
  Mapping& mapping_;
  bool open_ = false;
};

}  // namespace

Attached::Attached(Mapping mapping, std::shared_ptr<Roster> roster,
                   std::optional<Directory> directory)
    : mapping_(std::move(mapping)),
      ring_(ring_of(mapping_)),
      roster_(std::move(roster)),
      directory_(std::move(directory)) {
  if (!directory_) return;
  bell_files_ = bell_files_of(directory_->paths().shm, header());
  ring_.bell_files = bell_files_.c_str();
}

std::shared_ptr<Attached> Attached::make(Mapping mapping, std::shared_ptr<Roster> roster,
                                         std::optional<Directory> directory) {
  return std::shared_ptr<Attached>(
      new Attached(std::move(mapping), std::move(roster), std::move(directory)));
}

bool Attached::is_open() const { return seal_state(ring_) == seal_open; }

std::string Attached::name() const {
  return std::string(header().factory) + "/" + header().station;
}

Result<SeatId> Attached::my_seat() {
  const uint64_t* const ours = roster_->uuid();
  if (ours[0] != header().roster_uuid[0] || ours[1] != header().roster_uuid[1]) {
    return Fault(FaultCode::corrupted,
                 "the ring of station \"" + name() +
                     "\" belongs to another roster of living threads than its folder holds now; "
                     "was the file replaced? Remove the station and make it again");
  }
  return roster_->my_seat();
}

Fault Attached::damaged(const std::string& why) const {
  return {FaultCode::corrupted, "the ring of station \"" + name() + "\" is damaged: " + why};
}

Fault Attached::lock_held() const {
  const Holder holder = holder_of(ring_.control->lock.mutex);
  return {FaultCode::timed_out, "the ring lock of station \"" + name() + "\" is held by thread " +
                                    std::to_string(holder.tid) +
                                    ", which does not give it back; is it stopped?"};
}

Result<Mapping> Attached::attach_generation(uint32_t generation, Access access) const {
  if (!directory_) return Fault(FaultCode::closed, "station \"" + name() + "\" was closed");
  return directory_->attach_generation({header().factory, header().station}, header().partition,
                                       generation, access);
}

Result<std::shared_ptr<Attached>> Attached::at_generation(uint32_t generation,
                                                          Access access) const {
  LL_TRY(mapping, attach_generation(generation, access));
  return make(std::move(mapping), roster_, directory_);
}

Status Attached::finish_seal_locked(uint64_t target) {
  WriteWindow window(mapping_);
  if (!window.usable()) {
    return Fault(FaultCode::no_permission,
                 "station \"" + name() + "\" is being sealed and this process may only read it");
  }
  const Claim seal = claim_seal(ring_, target);
  if (seal.bytes == 0) return damaged("it cannot be sealed");
  const uint64_t state = seal_state(ring_);
  if (state != seal_removed) {
    auto mapping = attach_generation(seal_generation(state), Access::produce);
    // Gone: step 4 was done long ago (else its gate would hold it), and it has ended since.
    const bool gone = !mapping && mapping.fault().code() == FaultCode::not_found;
    if (!mapping && !gone) return mapping.fault();
    if (mapping) give_birth(ring_of(*mapping), {seal.position + unit_size, seal.sequence + 1});
  }
  commit_seal(ring_, seal);
  return ok();
}

Status Attached::seal_to_state(uint64_t target) {
  if (mapping_.access() == Access::look) {
    return Fault(FaultCode::no_permission,
                 "station \"" + name() + "\" was opened only to look: it cannot be sealed");
  }
  // An exclusive ring's sealer holds the producer's slot: one that died with it is in nobody's way.
  if (header().exclusive != 0) (void)janitor().clean_producer(0);
  LockGuard guard(ring_.control->lock.mutex,
                  lock_for(ring_.control->lock.mutex, seal_lock_wait_ns));
  if (!guard) return lock_held();
  const auto& at = ring_.control->seal.at;
  const bool claimed = at.load_first(std::memory_order_acquire) != 0;  // acquire [sealed]
  if (header().exclusive == 0 || claimed) return finish_seal_locked(target);
  // An exclusive producer claims without a CAS: nobody else may claim beside it, a seal neither.
  LL_TRY(me, roster_->my_seat());
  auto& owner = ring_.producers[0].owner;
  uint64_t expected = nobody;
  if (!owner.compare_exchange(expected, me, std::memory_order_acq_rel,  // acq_rel [slot]
                              std::memory_order_acquire) &&             // acquire [slot]
      expected != me) {
    const auto person = roster_->describe(expected);
    return Fault(FaultCode::unsupported, "station \"" + name() +
                                             "\" has an exclusive producer (pid " +
                                             std::to_string(person.pid) + "); stop it first");
  }
  Status status = finish_seal_locked(target);
  if (expected != me) owner.store(nobody, std::memory_order_release);  // release [slot]
  return status;
}

Status Attached::seal_for_good() {
  janitor().sweep();
  return seal_to_state(seal_removed);
}

Status Attached::make_successor(const RingOptions& options) const {
  if (!directory_) {
    return Fault(FaultCode::unsupported, "a ring without a file cannot have a successor");
  }
  RingOptions next = options;
  next.factory = header().factory;
  next.station = header().station;
  next.partition = header().partition;
  next.partitions = header().partitions;
  next.generation = header().generation + 1;
  next.lineage = {header().lineage[0], header().lineage[1]};
  next.born = false;
  const auto made = directory_->create(next);
  return made ? ok() : Status(made.fault());
}

Status Attached::seal_with_successor(const RingOptions& options) {
  if (is_sealed(ring_) && seal_state(ring_) != seal_removed) return ok();
  janitor().sweep();
  const Status made = make_successor(options);
  // There already: a sealer died after step 1, or another one is at work; its parameters stand.
  if (!made && made.fault().code() != FaultCode::already_exists) return made.fault();
  return seal_to_state(seal_to(header().generation + 1));
}

Result<std::shared_ptr<Attached>> Attached::successor() {
  const uint64_t state = seal_state(ring_);
  // Checked first: acting on foreign bytes would seal a ring that nobody wanted to end, or turn in
  // a circle of rings that name each other.
  const bool known = state == seal_removed || state == seal_to(header().generation + 1);
  if (!known) return damaged("its seal names no successor");
  if (!is_sealed(ring_)) LL_TRY_STATUS(seal_to_state(state));  // finishes what is unfinished
  if (state == seal_removed) {
    return Fault(FaultCode::closed, "station \"" + name() + "\" was removed");
  }
  auto mapping = attach_generation(seal_generation(state), mapping_.access());
  // Only a handle that gates nothing can come so late that the successor has ended and gone as well
  // (lift_gate): a producer that slept, a lossy reader. It goes on in the newest.
  if (!mapping && mapping.fault().code() == FaultCode::not_found && directory_) {
    mapping = directory_->attach({header().factory, header().station}, header().partition,
                                 mapping_.access());
  }
  if (!mapping && mapping.fault().code() == FaultCode::not_found) {
    return Fault(FaultCode::closed, "station \"" + name() + "\" was removed");
  }
  if (!mapping) return mapping.fault();
  if (mapping->header().generation <= header().generation) {
    return damaged("its successor is gone");  // else we would follow ourselves
  }
  return make(std::move(*mapping), roster_, directory_);
}

Status Attached::clean_up_at(const Reader& reader) {
  Janitor janitor = this->janitor();
  uint32_t owner_slot = 0;
  const uint64_t at = reader.at().first;
  if (janitor.owner_of_open(at, owner_slot) != nobody) {
    if (janitor.clean_producer(owner_slot) != Cleaned::broken) return ok();
    return damaged("at position " + std::to_string(at) + ", its ring lock is");
  }
  const uint64_t side = ring_.side(at).load(std::memory_order_acquire);  // acquire [claim]
  const bool seal_in_making = ring_.side_lap(side) == ring_.lap(at) &&
                              Ring::side_owner(side) == seal_owner && !reader.ready();
  if (!seal_in_making) return ok();
  const auto next = successor();  // finishes it; who reads follows when it gets there
  if (!next && next.fault().code() != FaultCode::closed) return next.fault();
  return ok();
}

LogFacts Attached::log_facts() const {
  const Pair gate = ring_.control->gate.pair.load(std::memory_order_acquire);  // acquire [cursor]
  if (gate.first != no_cursor.first) {
    auto before = attach_generation(header().generation - 1, Access::look);
    if (before && log_gates(ring_of(*before))) {
      return make(std::move(*before), roster_, directory_)->log_facts();
    }
  }
  const LogLine& log = ring_.control->log;
  LogFacts facts;
  const SeatId flusher = log.flusher.load(std::memory_order_acquire);  // acquire [seat]
  const uint64_t state = log.state.load(std::memory_order_acquire);    // acquire [log]
  const uint64_t error = log.error.load(std::memory_order_relaxed);    // relaxed: state acquired it
  if (state > static_cast<uint64_t>(LogState::failed)) return facts;   // garbage: nobody's
  facts.state = static_cast<LogState>(state);
  facts.error = static_cast<int>(error & 0xfff);
  // What failed stays so until the log is opened anew, by whomever.
  if (facts.state != LogState::failed && !roster_->alive(flusher)) facts.state = LogState::idle;
  return facts;
}

bool Attached::lift_gate() {
  auto& gate = ring_.control->gate.pair;
  Pair held = gate.load(std::memory_order_acquire);  // acquire [cursor]
  if (held.first == no_cursor.first) return true;
  if (mapping_.access() == Access::look) return false;  // for those who may write
  auto before = attach_generation(header().generation - 1, Access::consume);
  if (before) {
    auto predecessor = make(std::move(*before), roster_, directory_);
    predecessor->janitor().sweep();
    // Its own gate counts as one who reads there, and perhaps nobody is left there to lift it.
    if (!predecessor->lift_gate()) return false;
    if (seal_state(predecessor->ring()) == seal_open || gating_count(predecessor->ring()) != 0) {
      return false;
    }
    // What a dead one was recording there is told by this ring alone.
    if (!is_settled(*predecessor)) return false;
  } else if (before.fault().code() != FaultCode::not_found) {
    return false;
  }
  // First: if we die behind it, the next lifter finds no file and lifts. The other way round the
  // file would stay for ever.
  if (before && directory_) {
    ::unlink(directory_
                 ->ring_path({header().factory, header().station}, header().partition,
                             header().generation - 1)
                 .c_str());
  }
  // From the exact value: a second lifter finds it lifted. Nobody can join the predecessor any
  // more.
  gate.compare_exchange(held, no_cursor, std::memory_order_acq_rel,  // acq_rel [cursor]
                        std::memory_order_relaxed);                  // relaxed: lifted by another
  ring_if_parked(ring_.control->space_bell);
  return true;
}

std::shared_ptr<Attached> Attached::before_gate() const {
  const Pair held = ring_.control->gate.pair.load(std::memory_order_acquire);  // acquire [cursor]
  if (held.first == no_cursor.first) return nullptr;
  auto before = attach_generation(header().generation - 1, Access::consume);
  if (!before) return nullptr;
  return make(std::move(*before), roster_, directory_);
}

std::shared_ptr<Attached> Attached::behind_gate(uint32_t& slot) {
  const auto predecessor = before_gate();
  if (!predecessor) return nullptr;
  if (auto first = predecessor->behind_gate(slot)) return first;
  const auto slowest = slowest_reader(predecessor->ring());
  if (!slowest) return nullptr;
  slot = *slowest;
  return predecessor;
}

}  // namespace loopline::shm
