// Window: who holds the producers back, for how long, and what moves when nobody does.
#include "shm/window.h"

#include <gtest/gtest.h>

#include "ring_fixture.h"

namespace loopline::shm {
namespace {

constexpr SeatId somebody = make_seat(1, 1);

// A cursor that gates, moved by hand.
class GatingCursor {
 public:
  explicit GatingCursor(const BareRing& ring)
      : ring_(ring), slot_(*take_cursor_slot(ring.ring(), somebody, CursorKind::lossless)) {
    at_ = *join(ring.ring(), slot_);
  }
  Pair at() const { return at_; }
  uint32_t slot() const { return slot_; }
  void move_to(Pair at) const { ring_->cursors[slot_].cursor.store(at, std::memory_order_release); }
  void go() const { leave(ring_.ring(), slot_, somebody); }

 private:
  const BareRing& ring_;
  uint32_t slot_;
  Pair at_;
};

uint64_t limit_of(const BareRing& ring) { return ring->limit_now(); }
uint64_t needed(const BareRing& ring) { return limit_of(ring) + unit_size; }
Pair frontier(const BareRing& ring) {
  return ring.control().hint.pair.load(std::memory_order_acquire);
}

// 63 frames of one unit: all but the reserve of a fresh window.
void fill_window(const BareRing& ring, Claimer& claimer) {
  for (int count = 0; count < 63; ++count) ring.put(claimer, "x");
}

TEST(Window, NeedsNoMoveForWhatFits) {
  BareRing ring;
  EXPECT_EQ(advance(ring.ring(), limit_of(ring)).outcome, AdvanceOutcome::moved);
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity);
}

TEST(Window, IsHeldByTheSlowestCursorAndSaysWhich) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const GatingCursor fast(ring), slow(ring);
  fill_window(ring, claimer);
  fast.move_to(frontier(ring));
  const Advance held = advance(ring.ring(), needed(ring));
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(held.blocker, slow.slot());
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity);
}

TEST(Window, FollowsTheSlowestCursor) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const GatingCursor fast(ring), slow(ring);
  fill_window(ring, claimer);
  fast.move_to(frontier(ring));
  slow.move_to({tiny_capacity + 10 * unit_size, 11});
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
  EXPECT_EQ(ring->window_start(), (Pair{tiny_capacity + 10 * unit_size, 11}));
}

TEST(Window, MovesAsFarAsItCanEvenWhenThatIsNotEnough) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const GatingCursor cursor(ring);
  fill_window(ring, claimer);
  cursor.move_to({tiny_capacity + unit_size, 2});
  const Advance held = advance(ring.ring(), limit_of(ring) + 4 * unit_size);
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity + unit_size);
}

TEST(Window, OpensWhenTheHolderLeaves) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const GatingCursor cursor(ring);
  fill_window(ring, claimer);
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::gated);
  cursor.go();
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
}

TEST(Window, WithoutReadersGoesOverTheOldestAndALittleMore) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity + unit_size + tiny_capacity / 16);
  EXPECT_EQ(ring->window_start(), (Pair{tiny_capacity + 5 * unit_size, 6}));
}

TEST(Window, WithoutReadersStillStopsAtAnOpenFrameAndSaysWhose) {
  BareRing ring;
  Claimer claimer = ring.claimer(0), slow = ring.claimer(3);
  ring.put(claimer, "x");
  const Claim held = ring.open(slow, "x");
  for (int count = 0; count < 61; ++count) ring.put(claimer, "x");
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
  const Advance stop = advance(ring.ring(), needed(ring));
  EXPECT_EQ(stop.outcome, AdvanceOutcome::open);
  EXPECT_EQ(stop.blocker, 3u);
  EXPECT_EQ(ring->window_start(), (Pair{held.position, held.sequence}));
  ring.commit(slow, held, "x");
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
}

TEST(Window, StopsAtAMimicThatIsNotSaidToBeCommitted) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  auto& side = ring->side(tiny_capacity);
  side.store(side.load(std::memory_order_acquire) | side_mimic, std::memory_order_release);
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::open);
}

TEST(Window, CannotBeMovedByOneWhoDidNotSeeTheJoiner) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  // The stalled advancer has loaded limit and found no cursor; then somebody joins.
  Pair loaded = ring.control().limit.pair.load(std::memory_order_acquire);
  const GatingCursor joiner(ring);
  const LimitWord next{limit_of(ring) + tiny_capacity, 64, 0};
  EXPECT_FALSE(ring.control().limit.pair.compare_exchange(
      loaded, next.pack(), std::memory_order_acq_rel, std::memory_order_relaxed));
  EXPECT_EQ(joiner.at(), ring.start());
}

TEST(Window, IsHeldByOneWhoIsJustJoining) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  const uint32_t slot = *take_cursor_slot(ring.ring(), somebody, CursorKind::lossless);
  ring->cursors[slot].cursor.store({0, 0}, std::memory_order_release);
  const Advance held = advance(ring.ring(), needed(ring));
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(held.blocker, slot);
}

TEST(Window, JoinsAtItsOldestPlaceWhichStaysThen) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 200; ++count) ring.put(claimer, std::to_string(count));
  const GatingCursor joiner(ring);
  EXPECT_EQ(joiner.at(), ring->window_start());
  const auto there = ring.read_all();
  for (Claim claim; claimer.claim(unit_size, claim) == ClaimOutcome::claimed;) {
    ring.commit(claimer, claim, "");
  }
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::gated);
  const auto still = BareRing::read_all(Reader(ring.ring(), joiner.at()));
  EXPECT_TRUE(std::equal(there.begin(), there.end(), still.begin()));
}

TEST(Window, CountsJoinsUntilItsEpochIsUsedUpAndAgainAfterAnAdvance) {
  BareRing ring;
  const uint32_t slot = *take_cursor_slot(ring.ring(), somebody, CursorKind::lossless);
  LimitWord limit = LimitWord::unpack(ring.control().limit.pair.load(std::memory_order_acquire));
  limit.epoch = LimitWord::epoch_max - 1;
  ring.control().limit.pair.store(limit.pack(), std::memory_order_release);
  EXPECT_TRUE(join(ring.ring(), slot));
  EXPECT_FALSE(join(ring.ring(), slot));
  EXPECT_EQ(gating_count(ring.ring()), 0u) << "a refused joiner holds nobody back";
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
  EXPECT_TRUE(join(ring.ring(), slot));
}

TEST(Window, GivesEachSlotToOneHolderOnly) {
  BareRing ring;
  std::vector<uint32_t> slots;
  while (const auto slot = take_cursor_slot(ring.ring(), somebody, CursorKind::lossy)) {
    slots.push_back(*slot);
  }
  EXPECT_EQ(slots, (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_TRUE(leave(ring.ring(), 2, somebody));
  EXPECT_EQ(take_cursor_slot(ring.ring(), somebody, CursorKind::lossy), 2u);
}

TEST(Window, DoesNotLetGoOfASlotThatIsNoLongerOurs) {
  BareRing ring;
  const GatingCursor cursor(ring);
  EXPECT_FALSE(leave(ring.ring(), cursor.slot(), make_seat(1, 2)));
  EXPECT_EQ(gating_count(ring.ring()), 1u);
  EXPECT_TRUE(leave(ring.ring(), cursor.slot(), somebody));
  EXPECT_FALSE(leave(ring.ring(), cursor.slot(), somebody));
  EXPECT_EQ(gating_count(ring.ring()), 0u);
}

TEST(Window, IsHeldByItsGateLikeByACursor) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.control().gate.pair.store(ring.start(), std::memory_order_release);
  fill_window(ring, claimer);
  EXPECT_EQ(gating_count(ring.ring()), 1u);
  const Advance held = advance(ring.ring(), needed(ring));
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(held.blocker, blocker_is_gate);
}

// ---- a ring that waits for its log -----------------------------------------

void set_durable(const BareRing& ring, Pair at) {
  ring.control().durable.pair.store(at, std::memory_order_release);
}

TEST(Window, IsHeldByItsLogFromBirthWithNobodyThere) {
  BareRing ring(file_ring());
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  EXPECT_TRUE(log_gates(ring.ring()));
  EXPECT_EQ(gating_count(ring.ring()), 1u);
  EXPECT_FALSE(slowest_reader(ring.ring()));
  const Advance held = advance(ring.ring(), needed(ring));
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(held.blocker, blocker_is_log);
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity);
}

TEST(Window, PassesWhatIsOnDiskOnlyAsFarAsSomebodyNeedsRoom) {
  BareRing ring(file_ring());
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  set_durable(ring, frontier(ring));
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
  const uint64_t needed_units = 1 + tiny_capacity / 16 / unit_size;
  EXPECT_EQ(ring->window_start(),
            (Pair{tiny_capacity + needed_units * unit_size, 1 + needed_units}));
}

TEST(Window, NeverPassesWhatIsNotOnDisk) {
  BareRing ring(file_ring());
  Claimer claimer = ring.claimer(0);
  fill_window(ring, claimer);
  const Pair durable{tiny_capacity + 3 * unit_size, 4};
  set_durable(ring, durable);
  EXPECT_EQ(advance(ring.ring(), needed(ring) + 6 * unit_size).outcome, AdvanceOutcome::moved);
  EXPECT_EQ(ring->window_start(), durable);
  const Advance held = advance(ring.ring(), needed(ring));
  EXPECT_EQ(held.outcome, AdvanceOutcome::gated);
  EXPECT_EQ(held.blocker, blocker_is_log);
}

TEST(Window, IsHeldByWhoeverIsFurthestBehindBesideItsLog) {
  BareRing ring(file_ring());
  Claimer claimer = ring.claimer(0);
  const GatingCursor reader(ring);
  fill_window(ring, claimer);
  set_durable(ring, frontier(ring));
  EXPECT_EQ(advance(ring.ring(), needed(ring)).blocker, reader.slot());
  reader.move_to(frontier(ring));
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::moved);
}

TEST(Window, CallsALogBeyondItselfCorrupt) {
  for (const uint64_t position : {3 * tiny_capacity, ~uint64_t{63}, tiny_capacity + 7}) {
    BareRing ring(file_ring());
    Claimer claimer = ring.claimer(0);
    fill_window(ring, claimer);
    set_durable(ring, {position, 9});
    EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::corrupt) << position;
  }
}

TEST(Window, CallsALogInsideAFrameCorrupt) {
  BareRing ring(file_ring());
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 7; ++count) ring.put(claimer, std::string(480, 'x'));
  set_durable(ring, {tiny_capacity + unit_size, 2});
  EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::corrupt);
  EXPECT_EQ(limit_of(ring), 2 * tiny_capacity);
}

TEST(Window, EndsWhereThePositionsEnd) {
  BareRing ring;
  EXPECT_EQ(advance(ring.ring(), position_max + unit_size).outcome, AdvanceOutcome::used_up);
}

TEST(Window, CallsACursorBeyondItselfCorrupt) {
  for (const uint64_t position : {3 * tiny_capacity, ~uint64_t{63}, tiny_capacity + 7}) {
    BareRing ring;
    const GatingCursor cursor(ring);
    cursor.move_to({position, 9});
    const Advance held = advance(ring.ring(), needed(ring));
    EXPECT_EQ(held.outcome, AdvanceOutcome::corrupt) << position;
    EXPECT_EQ(held.blocker, cursor.slot());
  }
}

TEST(Window, CallsALimitThatCannotBeCorrupt) {
  BareRing ring;
  ring.control().limit.pair.store({0, 0}, std::memory_order_release);
  EXPECT_EQ(advance(ring.ring(), 8192).outcome, AdvanceOutcome::corrupt);
}

TEST(Window, CallsAnOpenFrameOfAnOwnerWithoutASlotCorrupt) {
  for (const uint32_t owner : {4u, 1000u}) {
    BareRing ring;
    Claimer claimer = ring.claimer(0), nobody_of_ours = ring.claimer(owner);
    ring.open(nobody_of_ours, "x");
    for (int count = 0; count < 62; ++count) ring.put(claimer, "x");
    EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::corrupt) << owner;
  }
}

TEST(Window, CallsSideWordsThatMakeNoChainCorrupt) {
  for (const uint64_t side : {uint64_t{0}, ~uint64_t{0}}) {  // an older lap, a newer lap
    BareRing ring;
    Claimer claimer = ring.claimer(0);
    fill_window(ring, claimer);
    ring->side(tiny_capacity).store(side, std::memory_order_release);
    EXPECT_EQ(advance(ring.ring(), needed(ring)).outcome, AdvanceOutcome::corrupt) << side;
  }
}

}  // namespace
}  // namespace loopline::shm
