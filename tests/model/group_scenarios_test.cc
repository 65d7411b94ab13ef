// Group scenarios: consumer groups in every interleaving of a few members, with every stale read.
//
// Each test names the rules of shm/group.h it watches. After each execution a last member, alone,
// finishes what is left: every message is then acknowledged exactly once, and the floor is behind
// the last.
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "explorer.h"
#include "group_arena.h"
#include "shm/bell.h"

namespace loopline {
namespace {

using model::GroupArena;
using model::Limits;
using model::Report;
using model::require;
using model::RingArena;
using model::Scenario;
using shm::Claimer;
using shm::Lease;
using shm::LeaseState;
using shm::LeaseWatch;
using shm::Settled;
using shm::Taker;
using shm::TakeStop;

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: flags of the scenario itself
constexpr auto acquire = std::memory_order_acquire;  // acquire: of the scenario's own flags
constexpr auto release = std::memory_order_release;  // release: of the scenario's own flags
constexpr uint64_t small = model::small_frame;
constexpr uint64_t large = model::large_frame;
constexpr uint32_t batch_max = 4;
constexpr uint64_t far_future = ~0ull - 1;

// What one member was told, by sequence.
struct Told {
  std::array<uint32_t, 32> handed = {};
  std::array<uint32_t, 32> acked = {};
};

class GroupScenario : public testing::Test {
 protected:
  void expect_sound(Scenario scenario, const Limits& limits = {}) {
    scenario.set_up = [this, more = scenario.set_up] {
      told_ = {};
      if (more) more();
    };
    scenario.check = [this, more = scenario.check] {
      if (more) more();
      finish();
    };
    const Report report = model::explore(scenario, limits);
    EXPECT_TRUE(report.passed) << report;
    std::printf("  %-28s states %llu, transitions %llu, executions %llu, depth %u, %.1f s\n",
                report.name.c_str(), static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.transitions),
                static_cast<unsigned long long>(report.executions), report.depth_max,
                report.seconds);
  }
  const shm::Group& group() const { return arena_.group; }

  // A ring with messages 1 .. count, none of them handed out.
  void make(uint32_t entries_log2, int count, uint64_t bytes = small) {
    arena_.make(entries_log2);
    arena_.ring_arena.fill(0, bytes, count);
  }
  // In prepare: one who has no part in the scenario is handed messages and acknowledges them.
  void handle_before(size_t count) {
    Taker taker(group(), 2);
    Lease leases[batch_max];
    size_t got = 0;
    taker.take_new(std::span(leases, count), got);
    for (size_t index = 0; index < got; ++index) shm::ack(group(), leases[index]);
    handled_before_ = got;
  }

  // Verbs of a member, in its thread.
  std::span<Lease> take(uint32_t member, Taker& taker, std::span<Lease> leases) {
    size_t count = 0;
    const TakeStop stop = taker.take_new(leases, count);
    require(stop != TakeStop::corrupt && stop != TakeStop::detached, "nothing is garbage");
    return note_handed(member, leases.first(count));
  }
  std::span<Lease> take_again(uint32_t member, Taker& taker, std::span<Lease> leases,
                              uint64_t now_ns = far_future) {
    size_t count = 0;
    const TakeStop stop = taker.take_again(leases, count, now_ns);
    require(stop != TakeStop::corrupt && stop != TakeStop::detached, "nothing is garbage");
    return note_handed(member, leases.first(count));
  }
  std::span<Lease> note_handed(uint32_t member, std::span<Lease> leases) {
    for (const Lease& lease : leases) {
      ++told_[member].handed[lease.message.sequence];
      arena_.require_intact(lease);
    }
    return leases;
  }
  void ack(uint32_t member, const Lease& lease) {
    if (shm::ack(group(), lease) == Settled::done) ++told_[member].acked[lease.message.sequence];
  }
  void take_and_ack(uint32_t member, size_t count) {
    told_[member] = {};
    Taker taker(group(), member);
    Lease leases[batch_max];
    for (const Lease& lease : take(member, taker, std::span(leases, count))) ack(member, lease);
  }
  // Where message `sequence` stands, if all are small.
  static uint64_t place_of(uint64_t sequence) {
    return model::arena_capacity + (sequence - 1) * small;
  }
  uint32_t acks(uint64_t sequence) const {
    uint32_t count = 0;
    for (const Told& told : told_) count += told.acked[sequence];
    return count;
  }

  // After all threads ended: somebody sweeps, takes what is left and acknowledges it.
  void finish() {
    require(shm::is_floor(arena_.floor().first), "there is a floor");
    LeaseWatch watch(group(), 0);
    Taker taker(group(), 2);
    for (int round = 0; round < 8; ++round) {
      watch.look(1);
      Lease leases[batch_max];
      for (const Lease& lease : take_again(2, taker, leases)) ack(2, lease);
      for (const Lease& lease : take(2, taker, leases)) ack(2, lease);
    }
    const uint64_t end = arena_.ring_arena.ring.control->hint.pair.load(relaxed).second;
    for (uint64_t sequence = handled_before_ + 1; sequence < end; ++sequence) {
      const bool dead_may_have = one_dies_ && told_[0].handed[sequence] != 0;
      require(acks(sequence) == 1 || dead_may_have, "no message is lost");
      require(acks(sequence) <= 1, "no message is acknowledged twice");
    }
    require(arena_.floor() == arena_.ring_arena.ring.control->hint.pair.load(relaxed),
            "the floor came behind the last message, with its true pair");
  }

  GroupArena arena_;
  std::array<Told, GroupArena::members> told_;
  uint64_t handled_before_ = 0;
  bool one_dies_ = false;  // member 0, and may have acknowledged what it could not say any more
};

// G1, G2, G3: two members share three messages at once, one of them in a batch of two.
TEST_F(GroupScenario, EachMessageIsHandedToOneMember) {
  expect_sound({.name = "two members",
                .prepare = [&] { make(2, 3), arena_.keep(); },
                .threads = {[&] { take_and_ack(0, 2); }, [&] { take_and_ack(1, 1); }},
                .check =
                    [&] {
                      for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
                        require(told_[0].handed[sequence] + told_[1].handed[sequence] == 1,
                                "each message is handed to one member");
                      }
                      require(arena_.floor().second == 4, "the floor follows by itself");
                    }});
}

// G1 in a table of two entries: who is a lap ahead waits, and helps the floor.
TEST_F(GroupScenario, ATableThatIsFullHoldsTakersBack) {
  expect_sound({.name = "table of two",
                .prepare = [&] { make(1, 3), arena_.keep(); },
                .threads = {[&] { take_and_ack(0, 3); }, [&] { take_and_ack(1, 1); }},
                .check =
                    [&] {
                      for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
                        require(told_[0].handed[sequence] + told_[1].handed[sequence] <= 1,
                                "no message is handed out twice");
                      }
                    }});
}

// G3: two members acknowledge neighbours at once; one of them sees that both may go.
TEST_F(GroupScenario, TheFloorIsNeverLeftBehind) {
  Lease leases[2];
  Scenario scenario{.name = "two acks"};
  scenario.prepare = [&] {
    make(2, 2);
    for (uint32_t member : {0u, 1u}) {
      Taker taker(group(), member);
      size_t count = 0;
      taker.take_new(std::span(leases + member, 1), count);
    }
    arena_.keep();
  };
  scenario.threads = {[&] {
                        told_[0] = {};
                        ack(0, leases[0]);
                      },
                      [&] {
                        told_[1] = {};
                        ack(1, leases[1]);
                      }};
  scenario.check = [&] {
    require(arena_.floor().second == 3, "both are done, the floor is there");
  };
  expect_sound(scenario);
}

// G2: a lease expires under its holder, whose ack is late or not, while the table goes round.
TEST_F(GroupScenario, ALateAckIsRefusedAndHarmsNoLaterLap) {
  expect_sound({.name = "expiry and late ack",
                .prepare =
                    [&] {
                      make(1, 3);
                      handle_before(1);
                      arena_.keep();
                    },
                .threads = {[&] { take_and_ack(0, 1); },
                            [&] {
                              told_[1] = {};
                              LeaseWatch watch(group(), 0);
                              watch.look(1);
                              Taker taker(group(), 1);
                              Lease leases[batch_max];
                              for (const Lease& lease : take_again(1, taker, std::span(leases, 1)))
                                ack(1, lease);
                              for (const Lease& lease : take(1, taker, std::span(leases, 2)))
                                ack(1, lease);
                            }}});
}

// G5, G7, and all that a death leaves half-made: a member dies between any two steps.
TEST_F(GroupScenario, WhatADeadMemberHeldIsHandedToAnother) {
  Atomic<uint64_t> ended;
  one_dies_ = true;
  expect_sound({.name = "death of a member",
                .prepare =
                    [&] {
                      make(1, 4);
                      handle_before(2);
                      arena_.keep();
                      model::name_location(&ended, "ended");
                    },
                .set_up = [&] { ended.store(0, relaxed); },
                .threads = {[&] {
                              take_and_ack(0, 2);
                              ended.store(1, release);
                            },
                            [&] {
                              told_[1] = {};
                              while (ended.load(acquire) == 0) spin_pause();
                              const Pair floor = group().floor->load(acquire);
                              require(floor.first == place_of(floor.second), "a true pair");
                              bool was_acked[8] = {};
                              for (uint64_t s = 3; s <= 4; ++s) {
                                const uint64_t word = group().entry(s).load(acquire).first;
                                was_acked[s] = group().is(word, s, LeaseState::acked);
                              }
                              shm::give_back(group(), 0, GroupArena::seat(0));
                              Taker taker(group(), 1);
                              Lease leases[batch_max];
                              if (taker.has_pending()) {
                                for (const Lease& lease : take_again(1, taker, leases))
                                  ack(1, lease);
                              }
                              for (const Lease& lease : take(1, taker, leases)) ack(1, lease);
                              shm::help_floor(group());
                              require(group().floor->load(acquire).second == 5,
                                      "nothing waits for the dead");
                              for (uint64_t s = 3; s <= 4; ++s) {
                                require(!was_acked[s] || told_[1].handed[s] == 0,
                                        "what it acknowledged is never handed out");
                              }
                            }},
                .mortals = {0},
                .on_death = [&](unsigned) { ended.store(1, release); }});
}

// G5: two sweep the same dead member, one of them slowly; its slot is another's meanwhile.
TEST_F(GroupScenario, ASlowSweeperTakesNothingFromTheLiving) {
  const shm::SeatId next = shm::make_seat(9, 1);
  expect_sound({.name = "two sweepers and an heir",
                .prepare =
                    [&] {
                      make(1, 2);
                      Taker dead(group(), 0);
                      Lease lease;
                      size_t count = 0;
                      dead.take_new(std::span(&lease, 1), count);
                      arena_.keep();
                    },
                .threads = {[&] { shm::give_back(group(), 0, GroupArena::seat(0)); },
                            [&] {
                              told_[0] = {};
                              shm::give_back(group(), 0, GroupArena::seat(0));
                              shm::SeatId expected = shm::nobody;
                              if (!group().members[0].owner.compare_exchange(
                                      expected, next, std::memory_order_acq_rel, relaxed)) {
                                return;
                              }
                              Taker taker(group(), 0);
                              Lease leases[1];
                              for (const Lease& lease : take(0, taker, leases)) {
                                require(shm::ack(group(), lease) == Settled::done,
                                        "the living keep their leases");
                                ++told_[0].acked[lease.message.sequence];
                              }
                            }}});
}

// G3, R2: a full ring; what a member holds is never overwritten, and its ack makes room.
TEST_F(GroupScenario, ProducersWaitForTheFloor) {
  uint64_t published = 0;
  expect_sound({.name = "floor and producer",
                .prepare =
                    [&] {
                      make(4, 7, large);
                      arena_.ring_arena.fill(0, small, 7);
                      arena_.keep();
                    },
                .set_up = [&] { published = 0; },
                .threads = {[&] { take_and_ack(0, 2); },
                            [&] {
                              Claimer claimer(group().ring, 1, false);
                              auto& ring = arena_.ring_arena;
                              published = ring.publish_over(claimer, small, 150, 2);
                              if (published != 0) ring.publish_over(claimer, small, 160, 2);
                            }},
                .check =
                    [&] {
                      const Pair oldest = group().ring.window_start();
                      require(oldest.first <= arena_.floor().first, "the window follows the floor");
                      require(published == 0 || published == 15, "a number of its own");
                    }},
               {.payload_words = 1});
}

// G4 for walkers: one who was away walks over messages whose frames are being overwritten.
TEST_F(GroupScenario, OneWhoWasAwayFindsTheWayBack) {
  std::optional<Taker> stale;
  expect_sound({.name = "stale walker",
                .prepare =
                    [&] {
                      make(4, 7, large);
                      arena_.ring_arena.fill(0, small, 7);
                      stale.emplace(group(), 0);
                      Taker other(group(), 2);
                      Lease lease;
                      size_t count = 0;
                      other.take_new(std::span(&lease, 1), count);
                      shm::settle(group(), lease, LeaseState::acked);
                      group().control->hint.pair.store(arena_.floor(), relaxed);
                      handled_before_ = 1;
                      arena_.keep();
                    },
                .threads = {[&] {
                              told_[0] = {};
                              Taker taker = *stale;
                              Lease leases[1];
                              for (const Lease& lease : take(0, taker, leases)) {
                                require(lease.message.sequence == 2, "the oldest that is nobody's");
                                ack(0, lease);
                              }
                            },
                            [&] {
                              shm::help_floor(group());
                              Claimer claimer(group().ring, 1, false);
                              auto& ring = arena_.ring_arena;
                              if (ring.publish_over(claimer, small, 150, 2) != 0)
                                ring.publish_over(claimer, small, 160, 2);
                            }}},
               {.payload_words = 1});
}

// A nack with a delay: nobody is handed the message before its time, and then somebody is.
TEST_F(GroupScenario, ADelayedMessageIsNotHandedOutBeforeItsTime) {
  expect_sound({.name = "delayed nack",
                .prepare = [&] { make(1, 1), arena_.keep(); },
                .threads = {[&] {
                              told_[0] = {};
                              Taker taker(group(), 0);
                              Lease leases[1];
                              for (const Lease& lease : take(0, taker, leases))
                                shm::nack(group(), lease, 100);
                            },
                            [&] {
                              told_[1] = {};
                              Taker taker(group(), 1);
                              Lease leases[1];
                              require(take_again(1, taker, leases, 99).empty(), "not before");
                              for (const Lease& lease : take_again(1, taker, leases, 100)) {
                                require(lease.attempts() == 2, "the second delivery");
                                ack(1, lease);
                              }
                            }}});
}

// The producer sleeps at the limit until the floor moves: without a fence in the acknowledger.
TEST_F(GroupScenario, NoProducerMissesTheFloor) {
  expect_sound({.name = "park for the floor",
                .prepare =
                    [&] {
                      make(4, 7, large);
                      arena_.keep();
                    },
                .threads = {[&] { take_and_ack(0, 1); },
                            [&] {
                              Claimer claimer(group().ring, 1, false);
                              auto& bell = group().ring.control->space_bell;
                              while (arena_.ring_arena.publish_over(claimer, large, 80, 2) == 0) {
                                const uint64_t end = claimer.full_at() + large + shm::unit_size;
                                const uint32_t ticket = shm::prepare_to_park(bell, 1);
                                if (shm::advance(group().ring, end).outcome ==
                                    shm::AdvanceOutcome::gated) {
                                  shm::park(bell, ticket, 1);
                                }
                              }
                            }}});
}

}  // namespace
}  // namespace loopline
