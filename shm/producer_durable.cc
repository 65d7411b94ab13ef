// Producer: waiting for the disk: until a message is durable, or why it will not be.
#include <cstring>

#include "base/clock.h"
#include "producer.h"
#include "seal.h"

namespace loopline::shm {
namespace {

bool is_durable(const Ring& ring, uint64_t end_position) {
  const auto& durable = ring.control->durable.pair;
  return durable.load_first(std::memory_order_acquire) >= end_position;  // acquire [durable]
}

bool begins_before(const Attached& ring, uint64_t end_position) {
  const auto& start = ring.ring().control->start.pair;
  return start.load_first(std::memory_order_acquire) < end_position;  // acquire [birth]
}

std::string failed_text(const LogFacts& log) {
  char buffer[128];
  return std::string("the disk of its log failed (") +
         ::strerror_r(log.error, buffer, sizeof buffer) + "), and nothing more is written to it";
}

// Why the disk does not keep up, and the remedy.
std::string behind_text(const LogFacts& log, const std::string& name) {
  switch (log.state) {
    case LogState::idle:
      return "nobody flushes it to disk; start the broker: loopline up";
    case LogState::flushing:
      return "the disk is behind; see: loopline ring show " + name;
    case LogState::disk_full:
      return "the disk of its log is full; make room there";
    case LogState::failed:
      break;
  }
  return failed_text(log) + "; see: loopline ring show " + name;
}

// Why no message of this ring becomes durable soon, if so.
Status check_disk(const Attached& ring) {
  const std::string message = "a message of station \"" + ring.name() + "\" is ";
  const LogFacts log = ring.log_facts();
  if (log.state == LogState::failed) {
    return Fault(FaultCode::io_error, message + "visible to consumers but not durable: " +
                                          behind_text(log, ring.name()));
  }
  if (log.state == LogState::disk_full) {
    return Fault(FaultCode::no_space,
                 message + "in the ring and not yet on disk, and may still become durable: " +
                     behind_text(log, ring.name()));
  }
  if (seal_state(ring.ring()) == seal_removed) {
    return Fault(FaultCode::closed,
                 message + "not durable: the station was removed before it was on disk");
  }
  return ok();
}

Fault late_fault(const Attached& ring) {
  return {FaultCode::timed_out, "a message of station \"" + ring.name() +
                                    "\" is in the ring and not durable yet: " +
                                    behind_text(ring.log_facts(), ring.name())};
}

}  // namespace

Fault Producer::full_log_fault(const Waiter& waiter, const LogFacts& log) const {
  const std::string name = attached_->name();
  return {waiter.may_wait() ? FaultCode::timed_out : FaultCode::full,
          "station \"" + name + "\" is full: " + behind_text(log, name)};
}

// Who waits for a disk that failed would wait for ever.
Status Producer::check_log(const Advance& held) const {
  const bool is_held = held.outcome == AdvanceOutcome::gated &&
                       (held.blocker == blocker_is_log || held.blocker == blocker_is_gate);
  if (!is_held || attached_->header().storage != Storage::file) return ok();
  const LogFacts log = attached_->log_facts();
  if (log.state != LogState::failed) return ok();
  const std::string name = attached_->name();
  return Fault(FaultCode::io_error,
               "station \"" + name + "\" takes no more messages: " + behind_text(log, name));
}

// Positions go on over successors: the ring whose frames end there. Null: one that is all on disk.
std::shared_ptr<Attached> Producer::published_in(uint64_t end_position) const {
  if (begins_before(*attached_, end_position)) return attached_;
  for (auto ring = left_.rbegin(); ring != left_.rend(); ++ring) {
    if (begins_before(**ring, end_position)) return *ring;
  }
  return nullptr;
}

// Behind a gate that is lifted all is on disk.
void Producer::adopt(uint64_t end_position) {
  std::vector<std::shared_ptr<Attached>> older;
  std::shared_ptr<Attached> ring = attached_;
  while (ring && !begins_before(*ring, end_position)) {
    ring = ring->before_gate();
    if (ring) older.push_back(ring);
  }
  left_.insert(left_.end(), older.rbegin(), older.rend());
}

Result<bool> Producer::wait_durable(uint64_t end_position, uint64_t deadline_ns) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  if (attached_->header().storage != Storage::file) {
    return Fault(FaultCode::unsupported, "station \"" + attached_->name() +
                                             "\" is kept in memory and nothing of it is ever "
                                             "durable; make a station with storage file");
  }
  const std::shared_ptr<Attached> there = published_in(end_position);
  if (!there || is_durable(there->ring(), end_position)) return true;
  if (deadline_ns == 0) return false;
  BellLine& bell = there->ring().control->durable_bell;
  Waiter waiter(wait_kind, deadline_ns);
  for (;;) {
    if (waiter.time_to_look_around()) {
      const Status disk = check_disk(*there);
      if (!disk && !is_durable(there->ring(), end_position)) return disk.fault();
    }
    if (is_durable(there->ring(), end_position)) return true;
    if (waiter.expired()) return late_fault(*there);
    if (waiter.spin()) continue;
    const uint32_t ticket = prepare_to_park(bell, 1u << (slot_ & 31));
    const Status disk = check_disk(*there);
    if (is_durable(there->ring(), end_position)) return true;
    if (!disk) return disk.fault();
    const Bedside bedside[] = {{&bell, ticket, &there->roster(), nobody}};
    waiter.sleep(bedside);
  }
}

}  // namespace loopline::shm
