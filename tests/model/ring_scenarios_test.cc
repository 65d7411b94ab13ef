// Ring scenarios: the real ring code in every interleaving of a few threads, with every stale read.
//
// Each test names the rules of RING.md it watches; tests/model/broken shows that it fails when one
// of them is left out.
#include <gtest/gtest.h>

#include <algorithm>

#include "explorer.h"
#include "ring_arena.h"
#include "shm/armed.h"
#include "shm/evict.h"
#include "shm/repair.h"
#include "shm/seal.h"

namespace loopline {
namespace {

using model::Limits;
using model::Report;
using model::require;
using model::RingArena;
using model::Scenario;
using shm::Claim;
using shm::Claimer;
using shm::ClaimOutcome;
using shm::FrameView;
using shm::Reader;
using shm::ReadOutcome;

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: flags of the scenario itself
constexpr auto acquire = std::memory_order_acquire;  // acquire: of the scenario's own flags
constexpr auto release = std::memory_order_release;  // release: of the scenario's own flags
constexpr uint64_t small = model::small_frame;
constexpr uint64_t large = model::large_frame;
constexpr uint64_t forged_mark = 666;

class RingScenario : public testing::Test {
 protected:
  void expect_sound(const Scenario& scenario, const Limits& limits = {}) {
    const Report report = model::explore(scenario, limits);
    EXPECT_TRUE(report.passed) << report;
    testing::Test::RecordProperty("states", std::to_string(report.states));
    std::printf("  %-28s states %llu, transitions %llu, executions %llu, depth %u, %.1f s\n",
                report.name.c_str(), static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.transitions),
                static_cast<unsigned long long>(report.executions), report.depth_max,
                report.seconds);
  }
  // A place that will be a boundary of this lap already carries a perfect imitation of a frame.
  void forge(uint64_t position, uint64_t sequence) {
    shm::FrameHeader& frame = arena_.ring.frame(position);
    const uint32_t body = small - shm::frame_header_size;
    frame.word.store(shm::word_tag(position), relaxed);
    frame.meta.store(shm::pack_meta(body, shm::FrameType::message, 0), relaxed);
    frame.sequence.store(sequence, relaxed);
    std::memcpy(arena_.ring.at(position) + shm::frame_header_size, &forged_mark,
                sizeof forged_mark);
  }
  // Reads what is there now: sequences dense from `next`, marks ten times the sequence or `extra`.
  void read_and_check(Reader& reader, uint64_t& next) {
    FrameView view;
    for (;;) {
      const auto outcome = reader.next(view);
      require(outcome != ReadOutcome::corrupt, "nothing read is corrupt");
      if (outcome != ReadOutcome::frame) return;
      require(view.sequence >= next, "sequences only grow");
      next = view.sequence + 1;
      require(RingArena::mark_of(view) != forged_mark, "no imitation is accepted");
      require(RingArena::mark_of(view) != 0, "no payload is read before it was written");
    }
  }

  // Joins and reads the oldest frame, which must be there and intact whatever the others do.
  void join_and_read() {
    const auto slot = shm::take_cursor_slot(arena_.ring, 5, shm::CursorKind::lossless);
    const auto at = shm::join(arena_.ring, *slot);
    Reader reader(arena_.ring, *at);
    FrameView view;
    require(reader.next(view) == ReadOutcome::frame, "the oldest frame is there after a join");
    require(view.sequence == at->second, "it has the number joined at");
    require(RingArena::mark_of(view) == view.sequence * 10, "and is intact");
  }
  // Full but for the reserve: seven large frames and seven small ones; the claim after the next one
  // overwrites the header and the mark of the oldest.
  void fill_to_the_brim() {
    arena_.fill(0, large, 7);
    arena_.fill(0, small, 7);
  }

  RingArena arena_;
};

// R1, R2, R4, R8: two producers claim at once, a consumer follows them.
TEST_F(RingScenario, TwoClaimersAndAReaderAgreeOnOneDenseChain) {
  uint64_t got[2] = {};
  expect_sound({.name = "two claimers",
                .prepare = [&] { arena_.make(), arena_.keep(); },
                .set_up = [&] { got[0] = got[1] = 0; },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              got[0] = arena_.publish(claimer, small, 100);
                              arena_.publish(claimer, small, 101);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              got[1] = arena_.publish(claimer, small, 200);
                            },
                            [&] {
                              Reader reader(arena_.ring, {model::arena_capacity, 1});
                              uint64_t next = 1;
                              read_and_check(reader, next);
                            }},
                .check =
                    [&] {
                      const auto marks = arena_.read_everything();
                      require(marks.size() == 3, "three messages are there");
                      require(marks[got[0] - 1] == 100 && marks[got[1] - 1] == 200,
                              "each message has the sequence its claim was given");
                      const auto first = std::find(marks.begin(), marks.end(), 100u);
                      require(std::find(first, marks.end(), 101u) != marks.end(),
                              "a producer's messages keep their order");
                    }});
}

// R2, R3: a full ring; the consumer frees a frame, two producers want its place.
TEST_F(RingScenario, ClaimersAndAdvancersNeverOverwriteTheUnread) {
  uint64_t published = 0;
  expect_sound(
      {.name = "claimer and advancer",
       .prepare =
           [&] {
             arena_.make();
             shm::take_cursor_slot(arena_.ring, 1, shm::CursorKind::lossless);
             shm::join(arena_.ring, 0);
             fill_to_the_brim();
             arena_.keep();
           },
       .set_up = [&] { published = 0; },
       .threads = {[&] {
                     Reader reader(arena_.ring, {model::arena_capacity, 1});
                     FrameView view;
                     require(reader.next(view) == ReadOutcome::frame, "an unread frame is there");
                     require(RingArena::mark_of(view) == 10, "an unread frame is intact");
                     arena_.ring.cursors[0].cursor.store(reader.at(), release);
                     require(reader.next(view) == ReadOutcome::frame, "the next frame is there");
                     require(RingArena::mark_of(view) == 20, "the next frame is intact");
                   },
                   [&] {
                     Claimer claimer(arena_.ring, 1, false);
                     if (arena_.publish_over(claimer, small, 1000) != 0) ++published;
                   },
                   [&] {
                     Claimer claimer(arena_.ring, 2, false);
                     if (arena_.publish_over(claimer, small, 2000, 2) != 0) ++published;
                   }},
       .check =
           [&] {
             const auto marks = arena_.read_everything();
             const uint64_t first = arena_.ring.window_start().second;
             require(first <= 2, "the window never passed the cursor");
             require(marks.size() == 14 - (first - 1) + published, "all frames are there");
           }});
}

// evict-after: a reader at work, and producers that detach it and overwrite what it looks at. What
// it says it read, it read; a cursor that is not evicted is never passed.
TEST_F(RingScenario, AnEvictedReaderNeverBelievesWhatWasOverwritten) {
  bool is_taken = false;
  shm::EvictionWatch first_look;
  const auto read_one = [&] {
    const MeantRace if_evicted;
    const Pair held{model::arena_capacity, 1};
    Reader reader(arena_.ring, held);
    FrameView view;
    const auto outcome = reader.next(view);
    const uint64_t mark = outcome == ReadOutcome::frame ? RingArena::mark_of(view) : 0;
    shm::CursorSlot& slot = arena_.ring.cursors[0];
    if (!shm::is_held(slot)) return;
    require(outcome == ReadOutcome::frame, "an unread frame is there");
    require(mark == 10, "an unread frame is intact");
    is_taken = shm::move_cursor(slot, held, reader.at());
  };
  expect_sound({.name = "evict and release",
                .prepare =
                    [&] {
                      arena_.make();
                      shm::take_cursor_slot(arena_.ring, 1, shm::CursorKind::lossless);
                      shm::join(arena_.ring, 0);
                      fill_to_the_brim();
                      first_look.look(arena_.ring, 1, 0, 1, 0);
                      arena_.keep();
                    },
                .set_up = [&] { is_taken = false; },
                .threads = {read_one,
                            [&] {
                              shm::EvictionWatch watch = first_look;
                              watch.look(arena_.ring, 1, 0, 1, 1);
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, small, 1000, 2);
                              arena_.publish_over(claimer, large, 1001, 2);
                            }},
                .check =
                    [&] {
                      const Pair cursor = arena_.ring.cursors[0].cursor.load(relaxed);
                      require((cursor == shm::evicted_cursor) == !is_taken, "one of the two wins");
                      require(arena_.ring.window_start().first <= cursor.first,
                              "the window never passed the cursor");
                    }},
               {.payload_words = 1});
}

// The join protocol: a joiner's place is never taken by an advancer that did not see it.
TEST_F(RingScenario, AJoinerIsNeverOvertakenByAStalledAdvancer) {
  expect_sound({.name = "joiner and stalled advancer",
                .prepare =
                    [&] {
                      arena_.make();
                      fill_to_the_brim();
                      arena_.keep();
                    },
                .threads = {[&] { join_and_read(); },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, small, 1000, 2);
                              arena_.publish_over(claimer, small, 1001, 2);
                            }}});
}

// The order in advance: limit first, then the cursors; here one cursor leaves while another joins.
TEST_F(RingScenario, AnAdvancerSeesTheJoinerWhenTheSlowestLeaves) {
  expect_sound({.name = "leave, join and advance",
                .prepare =
                    [&] {
                      arena_.make();
                      shm::take_cursor_slot(arena_.ring, 1, shm::CursorKind::lossless);
                      shm::join(arena_.ring, 0);
                      fill_to_the_brim();
                      arena_.keep();
                    },
                .threads = {[&] { shm::leave(arena_.ring, 0, 1); }, [&] { join_and_read(); },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, small, 1000, 2);
                              arena_.publish_over(claimer, small, 1001, 2);
                            }}});
}

// R8: a claimer that was lapped takes position and sequence from one read of limit.
TEST_F(RingScenario, ALappedClaimerNumbersItsFrameRight) {
  uint64_t got[2] = {};
  expect_sound({.name = "lapped claimer",
                .prepare =
                    [&] {
                      arena_.make();
                      arena_.fill(0, large, 7);
                      shm::advance(arena_.ring, 2 * model::arena_capacity + 2 * large);
                      arena_.fill(0, large, 2);
                      arena_.ring.control->hint.pair.store({model::arena_capacity, 1}, relaxed);
                      arena_.keep();
                    },
                .set_up = [&] { got[0] = got[1] = 0; },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 1, false);
                              got[0] = arena_.publish_over(claimer, small, 1000);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 2, false);
                              got[1] = arena_.publish_over(claimer, large, 2000);
                            },
                            [&] { shm::advance(arena_.ring, arena_.ring.limit_now() + small); }},
                .check =
                    [&] {
                      const uint64_t first = arena_.ring.window_start().second;
                      const auto marks = arena_.read_everything();
                      require(got[0] >= 10 && got[1] >= 10 && got[0] != got[1],
                              "numbers of their own");
                      require(marks[got[0] - first] == 1000 && marks[got[1] - first] == 2000,
                              "each message stands at its number");
                    }});
}

// R4: the place of the second frame carries a perfect imitation before it is claimed.
TEST_F(RingScenario, NoImitationIsAcceptedWhateverTheOrderOfCommits) {
  const uint64_t start = 2 * model::arena_capacity;
  expect_sound({.name = "commit, poll and mimic",
                .prepare =
                    [&] {
                      arena_.make(start);
                      forge(start + small, 2);
                      forge(start + 2 * small, 3);
                      arena_.keep();
                    },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              arena_.publish(claimer, small, 100);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish(claimer, small, 200);
                            },
                            [&] {
                              Reader reader(arena_.ring, {start, 1});
                              uint64_t next = 1;
                              read_and_check(reader, next);
                              read_and_check(reader, next);
                            }},
                .check = [&] { require(arena_.read_everything().size() == 2, "two messages"); }});
}

// R4 at the start: the first place itself carries an imitation; the reader begins verifying.
TEST_F(RingScenario, AReaderThatStartsOnAnImitationWaitsForTheRealFrame) {
  const uint64_t start = 2 * model::arena_capacity;
  expect_sound({.name = "start on an imitation",
                .prepare =
                    [&] {
                      arena_.make(start);
                      forge(start, 1);
                      arena_.keep();
                    },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              arena_.publish(claimer, small, 100);
                            },
                            [&] {
                              Reader reader(arena_.ring, {start, 1});
                              uint64_t next = 1;
                              for (int look = 0; look < 3; ++look) read_and_check(reader, next);
                            }}});
}

// R6 for readers: a lossy reader copies while the ring goes round under it.
TEST_F(RingScenario, ALossyReaderNeverAcceptsAnOverwrittenCopy) {
  expect_sound({.name = "lossy reader",
                .prepare =
                    [&] {
                      arena_.make();
                      arena_.fill(0, large, 7);
                      arena_.keep();
                    },
                .threads = {[&] {
                              Reader reader(arena_.ring, {model::arena_capacity, 1});
                              std::byte copy[large];
                              FrameView view;
                              for (int round = 0; round < 2; ++round) {
                                const Pair before = reader.at();
                                const auto outcome = reader.next_copy(view, copy);
                                require(outcome != ReadOutcome::corrupt, "no garbage is believed");
                                if (outcome != ReadOutcome::frame) continue;
                                uint64_t mark;
                                std::memcpy(&mark, view.body, sizeof mark);
                                require(view.sequence == before.second, "the frame asked for");
                                require(mark == view.sequence * 10, "an intact copy");
                              }
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, large, 80, 2);
                              arena_.publish_over(claimer, large, 90, 2);
                            }}},
               {.payload_words = 1});
}

// R6, R7 for repair: the dead owner's committed frames are being overwritten while repair walks.
TEST_F(RingScenario, RepairNeverTouchesAFrameOfALaterLap) {
  expect_sound({.name = "repair and window",
                .prepare =
                    [&] {
                      arena_.make();
                      arena_.fill(3, large, 7);  // slot 3 is the dead one
                      arena_.keep();
                    },
                .threads = {[&] { shm::repair_owner(arena_.ring, 3); },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, large, 80, 2);
                              arena_.publish_over(claimer, large, 90, 2);
                            }},
                .check =
                    [&] {
                      const auto marks = arena_.read_everything();
                      require(marks.size() >= 2, "the newest frames are there");
                      require(marks[marks.size() - 1] == 90 && marks[marks.size() - 2] == 80,
                              "and no committed frame was turned into a filler");
                    }});
}

// Repair numbers its fillers; a producer dies between any two steps while another goes on.
TEST_F(RingScenario, SequencesStayDenseWhenAProducerDiesAnywhere) {
  Atomic<uint64_t> ended;
  uint64_t survivor = 0;
  const uint64_t start = 2 * model::arena_capacity;
  expect_sound({.name = "sequence after a death",
                .prepare =
                    [&] {
                      arena_.make(start);
                      forge(start + small, 2);
                      arena_.keep();
                    },
                .set_up =
                    [&] {
                      ended.store(0, relaxed);
                      survivor = 0;
                    },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              arena_.publish(claimer, small, 100);
                              ended.store(1, release);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              survivor = arena_.publish(claimer, small, 200);
                            },
                            [&] {
                              while (ended.load(acquire) == 0) spin_pause();
                              shm::repair_owner(arena_.ring, 0);
                            }},
                .check =
                    [&] {
                      const auto marks = arena_.read_everything();
                      require(marks.size() >= survivor,
                              "everything up to the survivor's message is there");
                      require(marks[survivor - 1] == 200, "at its sequence");
                      for (const uint64_t mark : marks) {
                        require(mark == 0 || mark == 100 || mark == 200, "nothing else");
                      }
                    },
                .mortals = {0},
                .on_death = [&](unsigned) { ended.store(1, release); }});
}

// A repairer that dies is followed by the next one: the walk is idempotent.
TEST_F(RingScenario, ASecondRepairerFinishesWhatADeadOneBegan) {
  Atomic<uint64_t> first_ended;
  expect_sound({.name = "repairer dies",
                .prepare =
                    [&] {
                      arena_.make();
                      Claimer dead(arena_.ring, 3, false);
                      Claim open;
                      (void)dead.claim(small, open);
                      arena_.fill(0, small, 1);
                      (void)dead.claim(small, open);
                      arena_.keep();
                    },
                .set_up = [&] { first_ended.store(0, relaxed); },
                .threads = {[&] {
                              shm::repair_owner(arena_.ring, 3);
                              first_ended.store(1, release);
                            },
                            [&] {  // the ring lock keeps the second one out until then
                              while (first_ended.load(acquire) == 0) spin_pause();
                              shm::repair_owner(arena_.ring, 3);
                            },
                            [&] {
                              Reader reader(arena_.ring, {model::arena_capacity, 1});
                              uint64_t next = 1;
                              read_and_check(reader, next);
                            }},
                .check =
                    [&] {
                      const auto marks = arena_.read_everything();
                      require(marks.size() == 3 && marks[1] == 20, "two fillers and a message");
                      require(marks[0] == 0 && marks[2] == 0, "fillers stay fillers");
                    },
                .mortals = {0},
                .on_death = [&](unsigned) { first_ended.store(1, release); }});
}

// A seal is the last claim: nothing lies behind it, and everything before it is read.
TEST_F(RingScenario, NoClaimComesBehindASeal) {
  uint64_t got[2] = {};
  Pair sealed_at;
  expect_sound({.name = "seal and claim",
                .prepare = [&] { arena_.make(), arena_.keep(); },
                .set_up = [&] { got[0] = got[1] = 0; },
                .threads = {[&] {
                              const Claim seal = shm::claim_seal(arena_.ring, shm::seal_removed);
                              require(seal.bytes == small, "a ring can always be sealed");
                              shm::commit_seal(arena_.ring, seal);
                              sealed_at = {seal.position, seal.sequence};
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 0, false);
                              got[0] = arena_.publish(claimer, small, 100);
                              const uint64_t more = arena_.publish(claimer, small, 101);
                              require(got[0] != 0 || more == 0, "sealed once is sealed for ever");
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              got[1] = arena_.publish(claimer, small, 200);
                            }},
                .check =
                    [&] {
                      require(got[0] < sealed_at.second && got[1] < sealed_at.second,
                              "whatever was published lies before the seal");
                      const auto marks = arena_.read_everything();
                      require(marks.size() == sealed_at.second - 1, "all of it is read");
                    }});
}

// A full ring can be sealed: the reserve unit is there for it.
TEST_F(RingScenario, AFullRingCanBeSealedWhileProducersPress) {
  expect_sound({.name = "seal a full ring",
                .prepare =
                    [&] {
                      arena_.make();
                      shm::take_cursor_slot(arena_.ring, 1, shm::CursorKind::lossless);
                      shm::join(arena_.ring, 0);
                      arena_.fill(0, large, 7);
                      arena_.fill(0, small, 6);
                      arena_.keep();
                    },
                .threads = {[&] {
                              const Claim seal = shm::claim_seal(arena_.ring, shm::seal_removed);
                              require(seal.bytes == small, "there is room for the seal");
                              shm::commit_seal(arena_.ring, seal);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              arena_.publish_over(claimer, small, 1000, 2);
                              arena_.publish_over(claimer, small, 1001, 2);
                            }}});
}

// The seal and a late joiner: either it sees the seal, or the gate check sees it.
TEST_F(RingScenario, AGateIsNeverLiftedBehindAJoinersBack) {
  bool joined = false;
  bool lifted = false;
  expect_sound(
      {.name = "seal and join",
       .prepare = [&] { arena_.make(), arena_.keep(); },
       .set_up = [&] { joined = lifted = false; },
       .threads = {[&] {
                     uint64_t open = shm::seal_open;
                     arena_.ring.control->seal.state.compare_exchange(
                         open, shm::seal_to(2), std::memory_order_seq_cst, relaxed);
                     lifted = shm::seal_state(arena_.ring) != shm::seal_open &&
                              shm::gating_count(arena_.ring) == 0;
                   },
                   [&] {
                     const auto slot =
                         shm::take_cursor_slot(arena_.ring, 5, shm::CursorKind::lossless);
                     shm::join(arena_.ring, *slot);
                     joined = shm::seal_state(arena_.ring) == shm::seal_open;
                   }},
       .check = [&] { require(!(joined && lifted), "a joiner saw the seal or was seen"); }});
}

// Parking: two sleepers and a producer; a lost wake-up is a deadlock the explorer reports.
TEST_F(RingScenario, NoSleeperMissesACommit) {
  const auto consume = [&](uint32_t bit) {
    Reader reader(arena_.ring, {model::arena_capacity, 1});
    FrameView view;
    while (reader.next(view) != ReadOutcome::frame) {
      auto& bell = arena_.ring.control->data_bell;
      const uint32_t ticket = shm::prepare_to_park(bell, bit);
      if (!reader.ready()) shm::park(bell, ticket, 1);
    }
    require(RingArena::mark_of(view) == 100, "woken for the message");
  };
  const uint64_t start = model::arena_capacity;
  expect_sound({.name = "park and wake",
                .prepare =
                    [&] {
                      arena_.make(start);
                      forge(start, 1);  // COMMITTED comes after the word: the wake comes after both
                      arena_.keep();
                    },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              arena_.publish(claimer, small, 100);
                              shm::ring_if_parked(arena_.ring.control->data_bell);
                            },
                            [&] { consume(1); }, [&] { consume(2); }}});
}

// A sleeper that was woken is back asleep before the waker is done with its bell.
TEST_F(RingScenario, NoSleeperThatIsBackMissesTheNextCommit) {
  expect_sound({.name = "park again",
                .prepare = [&] { arena_.make(), arena_.keep(); },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, false);
                              for (uint64_t mark = 100; mark <= 101; ++mark) {
                                arena_.publish(claimer, small, mark);
                                shm::ring_if_parked(arena_.ring.control->data_bell);
                              }
                            },
                            [&] {
                              Reader reader(arena_.ring, {model::arena_capacity, 1});
                              auto& bell = arena_.ring.control->data_bell;
                              FrameView view;
                              for (int got = 0; got < 2;) {
                                if (reader.next(view) == ReadOutcome::frame) {
                                  ++got;
                                  continue;
                                }
                                const uint32_t ticket = shm::prepare_to_park(bell, 1);
                                if (!reader.ready()) shm::park(bell, ticket, 1);
                              }
                            }}});
}

// An event loop sleeps by a FIFO: a word here, not 0 when there is a byte in it.
void ring_all(const shm::Ring& ring, Atomic<uint32_t>& fifo) {
  if (!shm::somebody_parked(ring.control->data_bell)) return;
  shm::ring(ring.control->data_bell);
  shm::ring_armed(ring, [&](uint32_t) {
    fifo.fetch_or(1, std::memory_order_acq_rel);
    futex_wake_all(fifo);
  });
}

void read_in_a_loop(const shm::Ring& ring, Atomic<uint32_t>& fifo, int wanted) {
  Reader reader(ring, {model::arena_capacity, 1});
  FrameView view;
  uint32_t mark = 0;
  for (int got = 0; got < wanted;) {
    if (reader.next(view) == ReadOutcome::frame) {
      ++got;
      continue;
    }
    fifo.exchange(0, std::memory_order_acq_rel);
    mark = shm::next_mark(mark);
    if (shm::arm(ring, 0, mark, [&] { return reader.ready(); })) futex_wait(fifo, 0, 1);
  }
}

// Its consumer holds cursor slot 0.
Scenario beside_an_event_loop(RingArena& arena, Atomic<uint32_t>& fifo, std::string name) {
  return {.name = std::move(name),
          .prepare =
              [&] {
                arena.make();
                shm::take_cursor_slot(arena.ring, 1, shm::CursorKind::lossless);
                arena.keep();
                model::name_location(&fifo, "fifo");
              },
          .set_up = [&] { fifo.store(0, relaxed); }};
}

// It is armed anew before the waker of the first message is done with the mark.
TEST_F(RingScenario, NoEventLoopMissesACommit) {
  Atomic<uint32_t> fifo;
  Scenario scenario = beside_an_event_loop(arena_, fifo, "arm and wake");
  scenario.threads = {[&] {
                        Claimer claimer(arena_.ring, 0, false);
                        for (uint64_t mark = 100; mark <= 101; ++mark) {
                          arena_.publish(claimer, small, mark);
                          ring_all(arena_.ring, fifo);
                        }
                      },
                      [&] { read_in_a_loop(arena_.ring, fifo, 2); }};
  expect_sound(scenario);
}

// The waker whom the sleeper's bit calls may see the mark of the event loop, or not.
TEST_F(RingScenario, NoEventLoopBesideASleeperMissesACommit) {
  Atomic<uint32_t> fifo;
  Scenario scenario = beside_an_event_loop(arena_, fifo, "arm beside a sleeper");
  scenario.threads = {[&] {
                        Claimer claimer(arena_.ring, 0, false);
                        arena_.publish(claimer, small, 100);
                        ring_all(arena_.ring, fifo);
                      },
                      [&] { read_in_a_loop(arena_.ring, fifo, 1); },
                      [&] {
                        Reader reader(arena_.ring, {model::arena_capacity, 1});
                        auto& bell = arena_.ring.control->data_bell;
                        while (!reader.ready()) {
                          const uint32_t ticket = shm::prepare_to_park(bell, 2);
                          if (!reader.ready()) shm::park(bell, ticket, 1);
                        }
                      }};
  expect_sound(scenario);
}

// Two wakers, of whom one may come to the mark that was set for the other's message. Claimed are
// both before.
TEST_F(RingScenario, NoEventLoopMissesOneOfTwoProducers) {
  Atomic<uint32_t> fifo;
  Claim claims[2];
  Scenario scenario = beside_an_event_loop(arena_, fifo, "arm for two");
  scenario.prepare = [&, prepare = scenario.prepare] {
    prepare();
    for (uint32_t slot : {0, 1}) Claimer(arena_.ring, slot, false).claim(small, claims[slot]);
    arena_.keep();
  };
  const auto produce = [&](uint32_t slot) {
    Claimer claimer(arena_.ring, slot, false);
    arena_.finish(claimer, claims[slot], 100);
    ring_all(arena_.ring, fifo);
  };
  scenario.threads = {[&] { produce(0); }, [&] { produce(1); },
                      [&] { read_in_a_loop(arena_.ring, fifo, 2); }};
  expect_sound(scenario);
}

// The other way: a producer sleeps at the limit until the cursor moves.
TEST_F(RingScenario, NoProducerMissesRoom) {
  expect_sound({.name = "park for room",
                .prepare =
                    [&] {
                      arena_.make();
                      shm::take_cursor_slot(arena_.ring, 1, shm::CursorKind::lossless);
                      shm::join(arena_.ring, 0);
                      arena_.fill(0, large, 7);
                      arena_.keep();
                    },
                .threads = {[&] {
                              Reader reader(arena_.ring, {model::arena_capacity, 1});
                              FrameView view;
                              (void)reader.next(view);
                              arena_.ring.cursors[0].cursor.store(reader.at(), release);
                              shm::ring_if_parked(arena_.ring.control->space_bell);
                            },
                            [&] {
                              Claimer claimer(arena_.ring, 1, false);
                              auto& bell = arena_.ring.control->space_bell;
                              while (arena_.publish_over(claimer, large, 1000, 2) == 0) {
                                const uint64_t end = claimer.full_at() + large + shm::unit_size;
                                const uint32_t ticket = shm::prepare_to_park(bell, 1);
                                if (shm::advance(arena_.ring, end).outcome ==
                                    shm::AdvanceOutcome::gated) {
                                  shm::park(bell, ticket, 1);
                                }
                              }
                            }}});
}

// Exclusive mode: a store instead of the CAS, everything else the same, imitations included.
TEST_F(RingScenario, AnExclusiveProducerNeedsNoCompareExchange) {
  const uint64_t start = 2 * model::arena_capacity;
  expect_sound({.name = "exclusive",
                .prepare =
                    [&] {
                      arena_.make(start);
                      forge(start + small, 2);
                      arena_.keep();
                    },
                .threads = {[&] {
                              Claimer claimer(arena_.ring, 0, true);
                              arena_.publish(claimer, small, 100);
                              arena_.publish(claimer, small, 101);
                            },
                            [&] {
                              Reader reader(arena_.ring, {start, 1});
                              uint64_t next = 1;
                              read_and_check(reader, next);
                              read_and_check(reader, next);
                            }}});
}

}  // namespace
}  // namespace loopline
