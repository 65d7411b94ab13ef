// RingLiar: words of a ring, and what may be written into them.
#include "ring_liar.h"

#include <unistd.h>

#include <climits>
#include <iterator>

#include "shm/bell.h"
#include "shm/bus_guard.h"
#include "shm/lock.h"
#include "shm/ring.h"

namespace loopline::test {
namespace {

using Word = std::atomic_ref<uint64_t>;

Word word_at(void* base, uint64_t index) { return Word(static_cast<uint64_t*>(base)[index]); }

}  // namespace

void RingLiar::tell(uint64_t count, const std::atomic<bool>& is_over) {
  const shm::BusGuard guard;
  for (; count > 0 && !is_over.load(); --count) {
    lie();
    if (random_.once_in(8)) shm::ring(mapping_.control().data_bell);
    if (random_.once_in(40)) ::usleep(200);
  }
}

uint64_t RingLiar::hint() { return word_at(&mapping_.control().hint, 0).load(); }

// One that might be one.
uint64_t RingLiar::place() {
  const uint64_t near = hint() + 64 * random_.below(64) - 64 * random_.below(64);
  return random_.coin() ? near : 64 * random_.below(4 * capacity() / 64);
}

uint64_t RingLiar::value(uint64_t before) {
  switch (random_.below(8)) {
    case 0:
      return 0;
    case 1:
      return ~uint64_t{0};
    case 2:
      return random_.next();
    case 3:
      return before ^ 1ull << random_.below(64);
    case 4:
      return before + 64 - 128 * random_.below(2);
    case 5:
      return place();
    case 6:
      return shm::word_tag(place()) | random_.below(8);
    default:
      return random_.below(2000);
  }
}

void RingLiar::spoil(void* base, uint64_t words) {
  Word word = word_at(base, random_.below(words));
  word.store(value(word.load()));
}

// All but the lock.
void RingLiar::spoil_control() {
  shm::ControlBlock& control = mapping_.control();
  void* const lines[] = {&control.hint,       &control.limit,        &control.start,
                         &control.gate,       &control.durable,      &control.data_bell,
                         &control.space_bell, &control.durable_bell, &control.seal,
                         &control.log,        &control.cursor_count, &control.repairs,
                         &control.recorded};
  void* const line = lines[random_.below(std::size(lines))];
  spoil(line, line == &control.recorded ? 1 : random_.coin() ? 2 : 6);
}

// A frame that is committed as far as anybody can see, but for one thing or another.
void RingLiar::forge_frame() {
  const uint64_t at = random_.coin() ? hint() : place();
  if (at % 64 != 0) return;
  auto* const frame = reinterpret_cast<uint64_t*>(mapping_.data() + (at & (capacity() - 1)));
  word_at(frame, 1).store(
      shm::pack_meta(static_cast<uint32_t>(random_.below(random_.coin() ? 200 : ~0u)),
                     static_cast<shm::FrameType>(random_.below(6)), 0));
  word_at(frame, 2).store(word_at(&mapping_.control().hint, 1).load() + random_.below(3));
  word_at(frame, 0).store(shm::word_tag(at) | random_.below(8));
}

void RingLiar::forge_side() {
  const uint64_t at = place() & ~63ull;
  const uint32_t log2 = static_cast<uint32_t>(log2_exact(capacity()));
  const uint64_t lap = (at >> log2) + random_.below(3);
  const uint64_t owner = random_.coin() ? random_.below(4) : random_.below(1024);
  Word word = word_at(mapping_.side(), (at & (capacity() - 1)) / 64);
  word.store(lap << (13 + log2 - 9) | random_.below(128) << 13 | owner << 2 | random_.below(3));
}

void RingLiar::lie() {
  switch (random_.below(7)) {
    case 0:
    case 1:
      return spoil_control();
    case 2:
      return spoil(mapping_.producers(), 64 * 16);
    case 3:
      return spoil(mapping_.cursors(), 64 * 16);
    case 4:
      return forge_side();
    case 5:
      return forge_frame();
    default:
      return spoil(mapping_.data(), capacity() / 8);
  }
}

// Whatever it is made to look like, nobody can take it: a lock that others hold is not forged.
void RingLiar::foul_lock() {
  const shm::BusGuard guard;
  pthread_mutex_t& mutex = mapping_.control().lock.mutex;
  if (shm::try_lock(mutex) != shm::LockOutcome::taken) return;
  auto& words = mutex.__data;
  switch (random_.below(4)) {
    case 0:
      __atomic_store_n(&words.__kind, static_cast<int>(random_.next()), __ATOMIC_RELAXED);
      break;
    case 1:
      __atomic_store_n(&words.__owner, INT_MAX - 1, __ATOMIC_RELAXED);
      break;
    case 2:
      __atomic_store_n(&words.__lock, 1, __ATOMIC_RELAXED);  // somebody who never gives it back
      break;
    default:
      break;  // we are a holder who ends without giving it back
  }
}

}  // namespace loopline::test
