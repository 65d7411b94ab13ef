// Claimer: takes places densely, walks on, restarts when lapped, and marks what looks committed.
#include "shm/claim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "ring_fixture.h"

namespace loopline::shm {
namespace {

// Advances the window as far as an unread ring may, by publishing until `position` is the frontier.
void write_up_to(const BareRing& ring, Claimer& claimer, uint64_t position) {
  while (ring.put(claimer, "").position + unit_size < position) {
  }
}

TEST(Claim, GivesDensePlacesAndSequences) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  uint64_t position = tiny_capacity;
  for (uint64_t sequence = 1; sequence <= 200; ++sequence) {
    const std::string text(sequence % 90, 'a');
    const Claim claim = ring.put(claimer, text);
    EXPECT_EQ(claim.position, position);
    EXPECT_EQ(claim.sequence, sequence);
    EXPECT_EQ(claim.bytes, frame_size(text.size()));
    position += claim.bytes;
  }
}

TEST(Claim, TakesFramesOfEverySizeUpToTheLimit) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const size_t largest = tiny_capacity / 8 - frame_header_size;
  Reader reader(ring.ring(), ring.start());
  for (size_t size = 0; size <= largest; ++size) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    ring.put(claimer, text);
    ASSERT_EQ(BareRing::read_all(reader), texts(text)) << size;
    FrameView view;
    ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  }
}

TEST(Claim, WalksOverFramesThatTheHintDoesNotShow) {
  BareRing ring;
  Claimer first = ring.claimer(0);
  for (int count = 0; count < 10; ++count) ring.put(first, "x");
  ring.control().hint.pair.store(ring.start(), std::memory_order_release);
  Claimer second = ring.claimer(1);
  const Claim claim = ring.put(second, "y");
  EXPECT_EQ(claim.position, tiny_capacity + 10 * unit_size);
  EXPECT_EQ(claim.sequence, 11u);
}

TEST(Claim, WalksOverAnOpenFrameAndLeavesItAlone) {
  BareRing ring;
  Claimer slow = ring.claimer(0);
  Claimer fast = ring.claimer(1);
  const Claim held = ring.open(slow, "slow");
  ring.put(fast, "fast");
  EXPECT_TRUE(ring.read_all().empty());
  ring.commit(slow, held, "slow");
  EXPECT_EQ(ring.read_all(), texts("slow", "fast"));
}

TEST(Claim, StartsOverAtTheWindowWhenItWasLapped) {
  BareRing ring;
  Claimer sleeper = ring.claimer(0);
  Claimer busy = ring.claimer(1);
  ring.put(sleeper, "early");
  write_up_to(ring, busy, 5 * tiny_capacity);
  const Pair frontier = ring.control().hint.pair.load(std::memory_order_acquire);
  ring.control().hint.pair.store(ring.start(), std::memory_order_release);
  const Claim claim = ring.open(sleeper, "late");
  EXPECT_EQ(claim.position, frontier.first);
  EXPECT_EQ(claim.sequence, frontier.second);
}

TEST(Claim, CannotTakeAPlaceThatWasTakenSinceItLooked) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  auto& side = ring->side(tiny_capacity);
  uint64_t stale = side.load(std::memory_order_acquire);
  ring.put(claimer, "x");
  write_up_to(ring, claimer, 3 * tiny_capacity);  // for any number of laps
  EXPECT_FALSE(side.compare_exchange(stale, ring->make_side(tiny_capacity, 64, 1, false),
                                     std::memory_order_acq_rel, std::memory_order_relaxed));
}

TEST(Claim, LeavesOneUnitForTheSeal) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const uint64_t limit = ring->limit_now();
  uint64_t end = 0;
  for (Claim claim; claimer.claim(unit_size, claim) == ClaimOutcome::claimed;) {
    end = claim.position + claim.bytes;
  }
  EXPECT_EQ(end, limit - unit_size);
  Claimer sealer = ring.claimer(seal_owner);
  EXPECT_EQ(ring.try_claim(sealer, unit_size), ClaimOutcome::claimed);
}

TEST(Claim, IsRefusedWhenTheFrameDoesNotFitIntoTheWindow) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 62; ++count) ring.put(claimer, "x");
  EXPECT_EQ(ring.try_claim(claimer, 2 * unit_size), ClaimOutcome::full);
  EXPECT_EQ(claimer.full_at(), tiny_capacity + 62 * unit_size);
  EXPECT_EQ(ring.try_claim(claimer, unit_size), ClaimOutcome::claimed);
  EXPECT_EQ(ring.try_claim(claimer, unit_size), ClaimOutcome::full);
}

TEST(Claim, AbortedLeavesAFillerWithItsSequence) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "one");
  claimer.abort(ring.open(claimer, "never mind"));
  ring.put(claimer, "three");
  Reader reader(ring.ring(), ring.start());
  FrameView view;
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(view.sequence, 1u);
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(view.sequence, 3u);
  EXPECT_EQ(text_of(view), "three");
}

TEST(Claim, ExclusivelyLeavesTheSameWordsAsWithACas) {
  BareRing shared;
  BareRing exclusive;
  Claimer one = shared.claimer(0);
  Claimer other = exclusive.claimer(0, true);
  for (int count = 0; count < 300; ++count) {
    const std::string text(static_cast<size_t>(count % 70), 'x');
    const Claim left = shared.put(one, text);
    const Claim right = exclusive.put(other, text);
    ASSERT_EQ(left.position, right.position);
    ASSERT_EQ(left.sequence, right.sequence);
    ASSERT_EQ(shared.side_at(left.position), exclusive.side_at(right.position));
  }
  EXPECT_EQ(std::memcmp(shared->data, exclusive->data, tiny_capacity), 0);
}

TEST(Claim, StopsAtTheSealAndSaysWhereItStands) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "last");
  Claimer sealer = ring.claimer(seal_owner);
  const Claim seal = ring.open(sealer, "");
  Claim claim;
  EXPECT_EQ(claimer.claim(unit_size, claim), ClaimOutcome::sealed);
  EXPECT_EQ(claim.position, seal.position);
  EXPECT_EQ(claim.sequence, 2u);
}

// A payload of the lap before that looks like the commit of this lap, at the place of the next
// frame.
struct ForgedRing {
  // 8 units, forged for the next lap, then more laps' worth of quiet frames up to that place.
  explicit ForgedRing(uint64_t flags = 0) : claimer(ring.claimer(0)) {
    const Claim first = ring.open(claimer, "");
    claimer.abort(first);
    forged = ring.put(claimer, forged_body(ring.ring(), first.position + unit_size, 480, flags));
    write_up_to(ring, claimer, forged.position + tiny_capacity);
  }
  BareRing ring;
  Claimer claimer;
  Claim forged;
};

TEST(Claim, RecordsThatThePlaceLookedCommittedBefore) {
  ForgedRing forged;
  // The frame's own header is overwritten by one of this lap; the forged words begin a unit later.
  const Claim plain = forged.ring.put(forged.claimer, "");
  EXPECT_FALSE(plain.mimic);
  const Claim claim = forged.ring.open(forged.claimer, "x");
  EXPECT_TRUE(claim.mimic);
  EXPECT_NE(forged.ring.side_at(claim.position) & side_mimic, 0u);
  EXPECT_EQ(forged.ring.side_at(claim.position) & side_state_mask, side_claimed);
  forged.ring.commit(forged.claimer, claim, "x");
  EXPECT_EQ(forged.ring.side_at(claim.position) & side_state_mask, side_committed);
  EXPECT_EQ(forged.ring.flags_at(claim.position) & word_mimic, word_mimic);
}

TEST(Claim, TellsReadersToVerifyWhenTheNextPlaceLooksCommitted) {
  ForgedRing forged;
  const Claim before = forged.ring.put(forged.claimer, "");
  EXPECT_EQ(forged.ring.flags_at(before.position) & word_next_verify, word_next_verify);
  const Claim last = forged.ring.put(forged.claimer, std::string(6 * 64 + 32, 'x'));
  EXPECT_TRUE(last.mimic);
  EXPECT_EQ(forged.ring.flags_at(last.position) & word_next_verify, 0u);
}

TEST(Claim, IsNotDeceivedByTheWordOfAnotherLapOrPlace) {
  ForgedRing forged(word_filler | word_mimic);  // flags are no part of the tag
  forged.ring.put(forged.claimer, "");
  EXPECT_TRUE(forged.ring.open(forged.claimer, "x").mimic);
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, forged_body(ring.ring(), tiny_capacity + tiny_capacity, 480));
  write_up_to(ring, claimer, 2 * tiny_capacity);
  ring.put(claimer, "");
  EXPECT_FALSE(ring.open(claimer, "x").mimic);
}

TEST(Claim, CallsGarbageInTheSideWordsConfusedInsteadOfTurningForEver) {
  BareRing ring;
  for (uint64_t unit = 0; unit < tiny_capacity / unit_size; ++unit) {
    ring->side_words[unit].store(~0ull, std::memory_order_relaxed);  // newer than anything
  }
  Claimer claimer = ring.claimer(0);
  EXPECT_EQ(ring.try_claim(claimer, unit_size), ClaimOutcome::confused);
}

TEST(Claim, CallsAHintBeyondAllPositionsConfused) {
  for (const uint64_t position :
       {~uint64_t{0}, ~uint64_t{63}, ~uint64_t{4095}, position_max + 2 * tiny_capacity}) {
    BareRing ring;
    ring.control().hint.pair.store({position, 7}, std::memory_order_relaxed);
    Claimer claimer = ring.claimer(0);
    EXPECT_EQ(ring.try_claim(claimer, unit_size), ClaimOutcome::confused) << position;
  }
}

// Dense and disjoint whatever the interleaving: each thread notes its claims, the ring is compared.
TEST(Claim, GivesManyThreadsOneChain) {
  constexpr uint64_t each = 2000;
  constexpr uint32_t threads_count = 4;
  BareRing ring(tiny_ring(2 << 20));
  std::vector<std::vector<Claim>> claims(threads_count);
  std::vector<std::thread> threads;
  for (uint32_t index = 0; index < threads_count; ++index) {
    threads.emplace_back([&, index] {
      Claimer claimer = ring.claimer(index);
      for (uint64_t count = 0; count < each; ++count) {
        const std::string text((count * 7 + index) % 100, static_cast<char>('a' + index));
        claims[index].push_back(ring.put(claimer, text));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Claim> all;
  for (const auto& some : claims) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end(),
            [](const Claim& left, const Claim& right) { return left.position < right.position; });
  Pair at{2 << 20, 1};
  for (const Claim& claim : all) {
    ASSERT_EQ(claim.position, at.first);
    ASSERT_EQ(claim.sequence, at.second);
    at = {at.first + claim.bytes, at.second + 1};
  }
  EXPECT_EQ(ring.read_all().size(), each * threads_count);
}

}  // namespace
}  // namespace loopline::shm
