// Consumer: waiting for more, in one ring or in several, and cleaning up what is in the way.
//
// A consumer of many partitions sleeps by the bells of all of them (futex_waitv); the protocol is
// that of one, bell by bell: ticket, parked bit, fence, second look.
#include <unistd.h>

#include <algorithm>
#include <array>

#include "armed.h"
#include "consumer.h"

namespace loopline::shm {
namespace {

constexpr useconds_t ghost_poll_us = 500;

}  // namespace

Result<bool> Consumer::wait(uint64_t deadline_ns) {
  Consumer* const only[] = {this};
  return wait_any(only, deadline_ns);
}

Result<bool> Consumer::wait_any(std::span<Consumer* const> consumers, uint64_t deadline_ns) {
  for (Consumer* consumer : consumers) {
    LL_TRY_STATUS(consumer->ensure_here());
    if (consumer->reader_.ready()) return true;
  }
  // A run still held would keep producers, and so ourselves, waiting.
  for (Consumer* consumer : consumers) {
    if (consumer->unreleased_) LL_TRY_STATUS(consumer->release());
  }
  const auto has_news = [&] {
    return std::any_of(consumers.begin(), consumers.end(),
                       [](const Consumer* consumer) { return consumer->has_news(); });
  };
  Waiter waiter(consumers.front()->options_.wait, deadline_ns);
  for (;;) {
    if (has_news()) return true;
    if (waiter.time_to_look_around()) {
      for (Consumer* consumer : consumers) LL_TRY_STATUS(consumer->clean_up_ahead());
    }
    if (waiter.expired()) return has_news();
    if (!waiter.spin()) sleep(consumers, waiter);
  }
}

// Something to read, to follow, or to be told.
bool Consumer::has_news() const {
  if (reader_.ready() || sealed_ || is_evicted()) return true;
  return options_.lossy && !reader_.ring().still_inside(reader_.at().first);
}

void Consumer::sleep(std::span<Consumer* const> consumers, Waiter& waiter) {
  LL_CHECK(consumers.size() <= partitions_max);
  std::array<Bedside, partitions_max> bedsides;
  size_t count = 0;
  bool has_news = false;
  for (Consumer* consumer : consumers) {
    if (consumer->ghost_) {  // nobody can ring for one who may not say that it sleeps
      ::usleep(ghost_poll_us);
      return;
    }
    bedsides[count++] = consumer->lie_down();
    has_news = has_news || consumer->reader_.ready();
  }
  if (!has_news) waiter.sleep(std::span(bedsides).first(count));
  for (Consumer* consumer : consumers) consumer->note_parked(false);
}

// For people. A mark stays: the event loop goes on by it, and shows as much.
void Consumer::note_parked(bool parked) {
  if (bell_file_) return;
  mine_->waiting.store(parked ? waiting_parked : 0, std::memory_order_relaxed);  // relaxed: as said
}

// Our parked bit is set; who looks again now and finds nothing may sleep.
Bedside Consumer::lie_down() {
  BellLine& bell = attached_->ring().control->data_bell;
  note_parked(true);
  const uint32_t ticket = prepare_to_park(bell, 1u << (slot_ & 31));
  uint32_t owner_slot = 0;
  const SeatId owner =
      attached_->janitor().owner_of_open(reader_.at().first, owner_slot) & ~repairing_bit;
  return {&bell, ticket, &attached_->roster(), owner};
}

Status Consumer::clean_up_ahead() { return ghost_ ? ok() : attached_->clean_up_at(reader_); }

}  // namespace loopline::shm
