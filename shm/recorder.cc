// Recorder: settling what the dead left, judging, appending.
//
// Happens-before edges
//   [recorded]  see ledger.h; its release side is in repair.cc
#include "recorder.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/units.h"

namespace loopline::shm {
namespace {

// Others hold the lock for about a copy of a message: who may not wait for room waits so long.
constexpr uint64_t lock_patience_ns = 100'000'000;
// How long a death takes to show, and its repair to be through.
constexpr uint64_t settle_patience_ns = 1'000'000'000;
constexpr useconds_t table_look_us = 1000;

uint64_t lock_deadline(uint64_t deadline_ns) {
  return std::max(deadline_ns, monotonic_ns() + lock_patience_ns);
}

bool is_open_at(const Ring& ring, uint64_t position) {
  const uint64_t side = ring.side(position).load(std::memory_order_acquire);  // acquire [claim]
  if (ring.side_lap(side) != ring.lap(position)) return false;
  const uint64_t word = ring.word(position).load(std::memory_order_acquire);  // acquire [commit]
  return !Ring::is_committed(side, word, position);
}

// Until the frame of a message in flight is complete (D2). Its owner died with the lock, which may
// show a moment before its seat does.
Status complete(Attached& there, uint64_t position, uint64_t patience_ns) {
  const uint64_t end_ns = monotonic_ns() + patience_ns;
  while (is_open_at(there.ring(), position)) {
    uint32_t slot = 0;
    Janitor janitor = there.janitor();
    const SeatId seat = janitor.owner_of_open(position, slot);
    const Cleaned cleaned = seat == nobody ? Cleaned::nothing : janitor.clean_producer(slot);
    if (cleaned == Cleaned::broken || cleaned == Cleaned::may_not) return there.lock_held();
    if (monotonic_ns() > end_ns) {
      return Fault(FaultCode::timed_out, "a message of station \"" + there.name() +
                                             "\" at position " + std::to_string(position) +
                                             " is held open; see: loopline ring show " +
                                             there.name());
    }
    ::sched_yield();
  }
  return ok();
}

// D3, for the holder of the lock.
Status settle(Ledger& ledger, Attached& here, uint64_t patience_ns = settle_patience_ns) {
  const auto flight = ledger.flight();
  if (!flight) return ok();
  if (flight->position % unit_size != 0) {  // no flight of ours
    ledger.land();
    return ok();
  }
  std::shared_ptr<Attached> other;
  Attached* there = &here;
  if (flight->generation != here.header().generation) {
    auto found = here.at_generation(flight->generation, Access::produce);
    // No ring goes before what is in flight there is settled: it never was committed.
    const bool is_gone = !found && (found.fault().code() == FaultCode::not_found ||
                                    found.fault().code() == FaultCode::closed);
    if (!found && !is_gone) return found.fault();
    if (is_gone) {
      ledger.land();
      return ok();
    }
    other = *found;
    there = other.get();
  }
  LL_TRY_STATUS(complete(*there, flight->position, patience_ns));
  auto& recorded = there->ring().control->recorded;
  const bool was_committed =
      recorded.load(std::memory_order_acquire) == flight->position;  // acquire [recorded]
  if (was_committed) LL_TRY_STATUS(ledger.enter(*flight));
  ledger.land();
  // If we die before: the next flight writes over it, or the next lifter finds nothing in flight.
  recorded.store(0, std::memory_order_release);  // release [recorded]
  return ok();
}

Marks marks_of(const ExtensionFields& fields, const std::optional<KnownProducer>& me,
               const Attached& attached) {
  Marks marks;
  if (me && fields.producer) {
    marks.producer = ProducerStamp{me->id, fields.producer->sequence, me->epoch};
  }
  if (!fields.id.empty() && attached.header().dedup_window_ns != 0) marks.id = key_of(fields.id);
  return marks;
}

// From when on ids count.
uint64_t since(uint64_t now_ns, uint64_t window_ns) {
  return now_ns > window_ns ? now_ns - window_ns : 0;
}

}  // namespace

Result<Recorder> Recorder::open(std::shared_ptr<Ledger> ledger) {
  return Recorder(std::move(ledger));
}

Result<Recorder> Recorder::open(const std::shared_ptr<Attached>& attached, uint64_t deadline_ns) {
  if (attached->mapping().access() != Access::produce) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached->name() + "\" was not opened for producing");
  }
  const auto& directory = attached->directory();
  if (!directory) {
    return Fault(FaultCode::unsupported, "a ring without a file has no ledger beside it");
  }
  struct stat status;
  if (::fstat(attached->mapping().fd(), &status) != 0) {
    return fault_from_errno(errno,
                            "cannot examine the ring of station \"" + attached->name() + "\"");
  }
  FileOwner owner;
  if (::geteuid() == 0) owner = {status.st_uid, status.st_gid};
  const std::string& folder = directory->paths().shm;
  LL_TRY(ledger, Ledger::open_or_create(folder, attached->header(), status.st_mode & 0777, owner));
  if (ledger->is_filled()) return Recorder(ledger);
  const LockGuard guard(ledger->mutex(), ledger->lock(lock_deadline(deadline_ns)));
  if (!guard) return ledger->not_locked(guard.outcome(), attached->name());
  if (!ledger->is_filled()) {
    // If we die here: the next one begins anew.
    LL_TRY_STATUS(directory->fill_ledger(attached->header(), *ledger));
    ledger->set_filled();
  }
  return Recorder(ledger);
}

Result<KnownProducer> Recorder::take_over(Attached& attached, uint64_t id, uint64_t deadline_ns) {
  const LockGuard guard(ledger_->mutex(), ledger_->lock(lock_deadline(deadline_ns)));
  if (!guard) return ledger_->not_locked(guard.outcome(), attached.name());
  LL_TRY_STATUS(settle(*ledger_, attached));
  LL_TRY(known, ledger_->take_over(id, static_cast<uint32_t>(::getpid()), utc_ns()));
  me_ = known;
  return known;
}

// What is there already, if it is.
Result<std::optional<Recorded>> Recorder::judge(const Marks& marks, const Attached& attached,
                                                uint64_t now_ns) const {
  if (marks.producer) {
    const auto known = ledger_->find_producer(marks.producer->id);
    if (!known || known->epoch != marks.producer->epoch) {
      const std::string by = known ? " by process " + std::to_string(known->pid) : "";
      return Fault(FaultCode::fenced, "producer " + std::to_string(marks.producer->id) +
                                          " of station \"" + attached.name() +
                                          "\" was opened again" + by +
                                          ": only the last to open it may publish");
    }
    if (marks.producer->sequence <= known->last) {
      const bool is_last = marks.producer->sequence == known->last;
      const uint64_t sequence = is_last ? known->place.sequence : 0;
      return std::optional(Recorded{{sequence, known->place.end_position}, true});
    }
  }
  if (!marks.id) return std::optional<Recorded>();
  const auto found = ledger_->find_id(*marks.id, since(now_ns, attached.header().dedup_window_ns));
  if (!found) return std::optional<Recorded>();
  return std::optional(Recorded{*found, true});
}

// False when the ring is full.
Result<bool> Recorder::append(Producer& producer, const RecordedMessage& message,
                              const Marks& marks, uint64_t now_ns, Recorded& recorded) {
  ExtensionFields fields = message.fields;
  if (me_) fields.producer = marks.producer;
  LL_TRY(size, extension_size(fields));
  const uint64_t payload = message.payload.size();
  OpenFrame frame;
  // A sum that wraps is refused like any other that is too large.
  LL_TRY(claimed, producer.try_claim(std::max(payload, size + payload), frame));
  if (!claimed) return false;
  recorded.place = {frame.claim.sequence, frame.claim.position + frame.claim.bytes};
  const Flight flight{marks, producer.attached()->header().generation, frame.claim.position,
                      recorded.place, now_ns};
  write_extension(fields, size, frame.body);
  if (payload != 0) copy_to_shared(frame.body + size, message.payload.data(), payload);
  LL_TRY_STATUS(finish(producer, frame, flight, size == 0 ? 0 : flag_extension));
  return true;
}

// From the claim to the entry.
Status Recorder::finish(Producer& producer, OpenFrame& frame, const Flight& flight,
                        uint16_t flags) {
  const auto ring = producer.ring_of(frame);  // which the commit may let go of
  auto& recorded = ring->ring().control->recorded;
  // If we die from here on: settle() finds out whether it was committed.
  recorded.store(flight.position, std::memory_order_release);  // release [recorded]
  ledger_->announce(flight);
  LL_TRY_STATUS(producer.commit(frame, flags));
  LL_TRY_STATUS(ledger_->enter(flight));
  ledger_->land();
  recorded.store(0, std::memory_order_release);  // release [recorded]
  return ok();
}

// A frame may be of a ring that was sealed since: it stands before the seal and counts.
Result<Recorded> Recorder::commit_locked(Producer& producer, OpenFrame& frame,
                                         const ExtensionFields& fields) {
  const LockGuard guard(ledger_->mutex(), ledger_->lock(lock_deadline(0)));
  Attached& attached = *producer.attached();
  if (!guard) return ledger_->not_locked(guard.outcome(), attached.name());
  LL_TRY_STATUS(settle(*ledger_, attached));
  const uint64_t now_ns = utc_ns();
  const Marks marks = marks_of(fields, me_, attached);
  LL_TRY(there, judge(marks, attached, now_ns));
  if (there) return *there;
  const uint64_t oldest_ns = marks.id ? ledger_->next_is_from_ns() : 0;
  if (oldest_ns > since(now_ns, attached.header().dedup_window_ns)) {
    return table_full(attached, false);
  }
  if (marks.producer) write_stamp(*marks.producer, frame.body);
  const Flight flight{marks,
                      frame.generation,
                      frame.claim.position,
                      {frame.claim.sequence, frame.claim.position + frame.claim.bytes},
                      now_ns};
  LL_TRY_STATUS(finish(producer, frame, flight, flag_extension));
  return Recorded{flight.place, false};
}

Result<Recorded> Recorder::commit(Producer& producer, OpenFrame& frame,
                                  const ExtensionFields& fields) {
  LL_TRY_STATUS(producer.attend());
  auto recorded = commit_locked(producer, frame, fields);
  if (frame.is_open()) LL_TRY_STATUS(producer.abort(frame));
  return recorded;
}

Result<Recorder::Outcome> Recorder::attempt(Producer& producer, const RecordedMessage& message,
                                            uint64_t lock_ns, Recorded& recorded) {
  const LockGuard guard(ledger_->mutex(), ledger_->lock(lock_ns));
  Attached& attached = *producer.attached();
  if (!guard) return ledger_->not_locked(guard.outcome(), attached.name());
  LL_TRY_STATUS(settle(*ledger_, attached));
  const uint64_t now_ns = utc_ns();
  const Marks marks = marks_of(message.fields, me_, attached);
  LL_TRY(there, judge(marks, attached, now_ns));
  if (there) {
    recorded = *there;
    return Outcome::done;
  }
  const uint64_t oldest_ns = marks.id ? ledger_->next_is_from_ns() : 0;
  if (oldest_ns > since(now_ns, attached.header().dedup_window_ns)) return Outcome::table_full;
  LL_TRY(appended, append(producer, message, marks, now_ns, recorded));
  return appended ? Outcome::done : Outcome::ring_full;
}

Fault Recorder::table_full(const Attached& attached, bool may_wait) const {
  return {may_wait ? FaultCode::timed_out : FaultCode::full,
          "station \"" + attached.name() + "\" takes no message with a new id yet: " +
              std::to_string(ledger_->id_entries()) + " ids were published within dedup-window (" +
              format_duration(attached.header().dedup_window_ns) +
              "), as many as dedup-entries; publish slower, or make the window shorter: "
              "loopline station edit " +
              attached.name() + " --dedup-window TIME"};
}

// D6: until the oldest id is older than the window.
Status Recorder::await_table(const Attached& attached, uint64_t deadline_ns) const {
  if (deadline_ns != 0 && monotonic_ns() < deadline_ns) {
    ::usleep(table_look_us);
    return ok();
  }
  return table_full(attached, deadline_ns != 0);
}

Result<Recorded> Recorder::publish(Producer& producer, const RecordedMessage& message,
                                   uint64_t deadline_ns) {
  LL_TRY_STATUS(producer.attend());
  Recorded recorded;
  for (;;) {
    if (deadline_ns == wait_as_station_says) {
      const bool rejects = producer.attached()->header().when_full == WhenFull::reject;
      deadline_ns = rejects ? 0 : wait_for_ever;
    }
    LL_TRY(outcome, attempt(producer, message, lock_deadline(deadline_ns), recorded));
    if (outcome == Outcome::done) break;
    if (outcome == Outcome::table_full) {
      LL_TRY_STATUS(await_table(*producer.attached(), deadline_ns));
      continue;
    }
    LL_TRY(size, extension_size(message.fields));
    LL_TRY_STATUS(producer.await_room(message.payload.size() + size, deadline_ns));
  }
  const bool is_file = producer.attached()->header().storage == Storage::file;
  if (recorded.is_duplicate && is_file) producer.adopt(recorded.place.end_position);
  return recorded;
}

bool is_settled(Attached& ring) {
  const uint64_t recorded =
      ring.ring().control->recorded.load(std::memory_order_acquire);  // acquire [recorded]
  if (recorded == 0 || !ring.directory()) return true;
  const auto ledger = Ledger::open(ring.directory()->paths().shm, ring.header());
  if (!ledger) return ledger.fault().code() == FaultCode::not_found;
  const LockGuard guard((*ledger)->mutex(), (*ledger)->lock(0));
  if (!guard) return false;
  // The flusher comes here too, and all its stations would wait for one client who lies about a
  // message that he holds open: who is not through now is asked again.
  return static_cast<bool>(settle(**ledger, ring, 0));
}

}  // namespace loopline::shm
