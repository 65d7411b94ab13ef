// Ledger scenarios: who publishes a message that a ledger knows again is killed at every step, and
// those who come next settle its fate, in every interleaving with whoever repairs the ring.
//
// The steps are those of Recorder (shm/recorder.cc), over the real claims, commits and repairs; the
// tables are one word, since the ledger's lock orders them: its handing over by the kernel is a
// word here, too. D1 to D3 of shm/ledger.h are watched: the message is in the ring once.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "explorer.h"
#include "ring_arena.h"
#include "shm/repair.h"

namespace loopline {
namespace {

using model::Report;
using model::require;
using model::RingArena;
using model::Scenario;
using shm::Claim;
using shm::Claimer;
using shm::Ring;

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: the lock orders it
constexpr auto acquire = std::memory_order_acquire;  // acquire: as the recorder does, or the lock
constexpr auto release = std::memory_order_release;  // release: as the recorder does, or the lock
constexpr uint64_t small = model::small_frame;
constexpr uint64_t the_message = 100;

class LedgerScenario : public testing::Test {
 protected:
  // Whose the ledger's lock is: publisher 0, 1 and 2 in turn, each when the one before is gone.
  void wait_for_lock(uint64_t turn) {
    while (lock_.load(acquire) < turn) spin_pause();
  }
  void hand_over(uint64_t turn) { lock_.store(turn + 1, release); }

  // Recorder's settle(), of the holder of the lock.
  void settle() {
    const uint64_t flight = flight_.load(acquire);
    if (flight == 0) return;
    while (is_open_at(flight)) spin_pause();
    const bool was_committed = recorded().load(acquire) == flight;
    if (was_committed) entered_.store(1, relaxed);
    flight_.store(0, release);
    recorded().store(0, release);
  }
  // Recorder's append() and finish(), unless it is known.
  void publish(uint32_t slot) {
    if (entered_.load(relaxed) != 0) return;
    Claimer claimer(arena_.ring, slot, false);
    Claim claim;
    require(claimer.claim(small, claim) == shm::ClaimOutcome::claimed, "there is room");
    recorded().store(claim.position, release);
    flight_.store(claim.position, release);
    arena_.finish(claimer, claim, the_message);
    entered_.store(1, release);
    flight_.store(0, release);
    recorded().store(0, release);
  }
  void live(uint32_t number) {
    wait_for_lock(number);
    settle();
    publish(number);
    hand_over(number);
  }
  // The ring's lock keeps repairers apart; who died is told by the ledger's lock alone.
  void repair_the_dead(uint32_t count) {
    for (uint32_t slot = 0; slot < count; ++slot) {
      wait_for_lock(slot + 1);
      shm::repair_owner(arena_.ring, slot);
    }
  }

  // Publishers `first` to `last` in turn, all but the last of them mortal, after `before`.
  void expect_once(const char* name, uint32_t first, const std::function<void()>& before) {
    uint64_t flight = 0;
    Scenario scenario;
    scenario.name = name;
    scenario.prepare = [&] {
      arena_.make();
      flight_.store(0, relaxed);
      before();
      flight = flight_.load(relaxed);
      arena_.keep();
    };
    scenario.set_up = [&] {
      lock_.store(first, relaxed);
      flight_.store(flight, relaxed);
      entered_.store(0, relaxed);
    };
    scenario.threads = {[&] { live(first); }, [&] { live(first + 1); },
                        [&] { repair_the_dead(first + 1); }};
    scenario.mortals = {0};
    scenario.on_death = [&](unsigned) {  // the next one's turn comes behind its own
      wait_for_lock(first);
      hand_over(first);
    };
    scenario.check = [&] {
      const auto marks = arena_.read_everything();
      require(std::count(marks.begin(), marks.end(), the_message) == 1, "it is there once");
      require(flight_.load(relaxed) == 0 && entered_.load(relaxed) == 1, "and it is known");
    };
    const Report report = model::explore(scenario);
    EXPECT_TRUE(report.passed) << report;
    std::printf("  %-28s states %llu, executions %llu, %.1f s\n", name,
                static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.executions), report.seconds);
  }
  // What a publisher left who died in front of the commit, or right behind it.
  void leave(bool is_committed) {
    Claimer claimer(arena_.ring, 0, false);
    Claim claim;
    (void)claimer.claim(small, claim);
    recorded().store(claim.position, relaxed);
    flight_.store(claim.position, relaxed);
    if (is_committed) arena_.finish(claimer, claim, the_message);
  }

 private:
  Atomic<uint64_t>& recorded() { return arena_.ring.control->recorded; }
  bool is_open_at(uint64_t position) {
    const Ring& ring = arena_.ring;
    const uint64_t side = ring.side(position).load(acquire);
    if (ring.side_lap(side) != ring.lap(position)) return false;
    return !Ring::is_committed(side, ring.word(position).load(acquire), position);
  }

  RingArena arena_;
  Atomic<uint64_t> lock_, flight_, entered_;
};

// D1, D2: whatever the dead one had done, the next one knows whether it was committed.
TEST_F(LedgerScenario, ARetryAfterADeathAppendsOnce) {
  expect_once("ledger, one death", 0, [] {});
}

// D3: who settles may die at it, and in its own publishing.
TEST_F(LedgerScenario, ARetryAfterASettlersDeathAppendsOnce) {
  expect_once("ledger, an open frame", 1, [&] { leave(false); });
  expect_once("ledger, a committed frame", 1, [&] { leave(true); });
}

}  // namespace
}  // namespace loopline
