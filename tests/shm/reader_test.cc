// Reader: accepts what was committed in this lap and nothing else, and tells when it fell behind.
#include "shm/reader.h"

#include <gtest/gtest.h>

#include <array>

#include "ring_fixture.h"

namespace loopline::shm {
namespace {

Reader reader_of(const BareRing& ring) { return {ring.ring(), ring->window_start()}; }

// Fills up to a lap later, so that the places that were free then are about to be claimed again.
void write_a_lap(const BareRing& ring, Claimer& claimer) {
  for (uint64_t unit = 0; unit < tiny_capacity / unit_size; ++unit) ring.put(claimer, "");
}

struct Copying {
  explicit Copying(const Reader& from) : reader(from) {}
  ReadOutcome next() { return reader.next_copy(view, buffer.data()); }
  std::string text() const { return text_of(view); }
  Reader reader;
  FrameView view;
  std::array<std::byte, tiny_capacity / 8> buffer;
};

TEST(Reader, FindsNothingInAFreshRing) {
  BareRing ring;
  Reader reader = reader_of(ring);
  FrameView view;
  EXPECT_FALSE(reader.ready());
  EXPECT_EQ(reader.next(view), ReadOutcome::none);
  EXPECT_EQ(reader.at(), ring.start());
}

TEST(Reader, HandsOutEverythingAboutAFrame) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const Claim claim = ring.open(claimer, "hello");
  claimer.commit(claim, pack_meta(5, FrameType::message, flag_extension), 1234);
  Reader reader = reader_of(ring);
  FrameView view;
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(view.position, tiny_capacity);
  EXPECT_EQ(view.sequence, 1u);
  EXPECT_EQ(view.timestamp, 1234u);
  EXPECT_EQ(view.type, FrameType::message);
  EXPECT_EQ(view.flags, flag_extension);
  EXPECT_EQ(text_of(view), "hello");
  EXPECT_EQ(reader.at(), (Pair{tiny_capacity + unit_size, 2}));
}

TEST(Reader, DoesNotSeeWhatIsOnlyClaimed) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const Claim claim = ring.open(claimer, "hello");
  EXPECT_FALSE(reader_of(ring).ready());
  ring.commit(claimer, claim, "hello");
  EXPECT_TRUE(reader_of(ring).ready());
}

TEST(Reader, FollowsFramesOverTheEndOfTheMemory) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  Reader reader = reader_of(ring);
  for (int count = 0; count < 500; ++count) {
    const std::string text(static_cast<size_t>(100 + count % 300),
                           static_cast<char>('a' + count % 26));
    ring.put(claimer, text);
    FrameView view;
    ASSERT_EQ(reader.next(view), ReadOutcome::frame);
    ASSERT_EQ(text_of(view), text);
  }
}

TEST(Reader, PassesOverManyFillersAtOnce) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 62; ++count) claimer.abort(ring.open(claimer, "no"));
  ring.put(claimer, "yes");
  Reader reader = reader_of(ring);
  FrameView view;
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(text_of(view), "yes");
  EXPECT_EQ(view.sequence, 63u);
}

TEST(Reader, StopsAtTheSealAndStaysThere) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "last");
  Claimer sealer = ring.claimer(seal_owner);
  const Claim seal = ring.open(sealer, "");
  Reader reader = reader_of(ring);
  FrameView view;
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(reader.next(view), ReadOutcome::none);
  sealer.commit(seal, pack_meta(32, FrameType::seal, 0), 0);
  EXPECT_EQ(reader.next(view), ReadOutcome::sealed);
  EXPECT_EQ(reader.next(view), ReadOutcome::sealed);
  EXPECT_EQ(reader.at().first, seal.position);
}

// The adversary's frame, with the commit words of the next lap in its payload, then a lap of
// others.
struct Forged {
  Forged() : claimer(ring.claimer(0)), rival(ring.claimer(1)) {
    claimer.abort(ring.open(claimer, ""));
    ring.put(claimer, forged_body(ring.ring(), tiny_capacity + unit_size, 480));
    for (int unit = 0; unit < 55; ++unit) ring.put(claimer, "");
    ring.put(claimer, "");  // over the first filler: the place behind it was the forger's header
    ring.put(claimer, "");  // over that header: behind it stands the first forged word
    forged_place = ring.control().hint.pair.load(std::memory_order_acquire).first;
    reader = Reader(ring.ring(), {forged_place - unit_size, 59});
    FrameView view;
    ready_before = reader.next(view) == ReadOutcome::frame;
  }
  BareRing ring;
  Claimer claimer, rival;
  uint64_t forged_place = 0;
  Reader reader;
  bool ready_before = false;
};

TEST(Reader, IsNotDeceivedByAForgedWordBehindTheFrontier) {
  Forged forged;
  ASSERT_TRUE(forged.ready_before);
  ASSERT_TRUE(carries_tag(forged.ring->word(forged.forged_place).load(std::memory_order_acquire),
                          forged.forged_place));
  EXPECT_FALSE(forged.reader.ready());
}

TEST(Reader, IsNotDeceivedByAForgedWordUnderAClaim) {
  Forged forged;
  const Claim claim = forged.ring.open(forged.rival, std::string(40, 'x'));
  ASSERT_TRUE(claim.mimic);
  EXPECT_FALSE(forged.reader.ready());
  forged.ring.commit(forged.rival, claim, std::string(40, 'x'));
  FrameView view;
  ASSERT_EQ(forged.reader.next(view), ReadOutcome::frame);
  EXPECT_EQ(text_of(view), std::string(40, 'x'));
}

TEST(Reader, WaitsForCommittedBehindTheWordOfAMimic) {
  Forged forged;
  const Claim claim = forged.ring.open(forged.rival, "x");
  ASSERT_TRUE(claim.mimic);
  forged.ring.commit(forged.rival, claim, "x");
  auto& side = forged.ring->side(claim.position);
  const uint64_t committed = side.load(std::memory_order_acquire);
  // As if the owner had died between the word and COMMITTED.
  side.store((committed & ~uint64_t{side_state_mask}) | side_claimed, std::memory_order_release);
  EXPECT_FALSE(forged.reader.ready());
  side.store(committed, std::memory_order_release);
  EXPECT_TRUE(forged.reader.ready());
}

TEST(Reader, ReadsForgedPayloadsUnharmedLapAfterLap) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  Reader reader = reader_of(ring);
  uint64_t mimics = 0, verifies = 0;
  for (int count = 0; count < 2000; ++count) {
    const Pair frontier = ring.control().hint.pair.load(std::memory_order_acquire);
    const size_t size = static_cast<size_t>(count * 37 % 450);
    const std::string text = forged_body(ring.ring(), frontier.first, size, word_next_verify);
    const Claim claim = ring.put(claimer, text);
    ASSERT_EQ(claim.position, frontier.first);
    if (claim.mimic) ++mimics;
    if ((ring.flags_at(claim.position) & word_next_verify) != 0) ++verifies;
    FrameView view;
    ASSERT_EQ(reader.next(view), ReadOutcome::frame);
    ASSERT_EQ(text_of(view), text);
    ASSERT_EQ(reader.next(view), ReadOutcome::none);
  }
  EXPECT_GT(mimics, 1000u);
  EXPECT_GT(verifies, 1000u);
}

TEST(Reader, CallsForeignBytesCorrupt) {
  const auto outcome_of = [](uint64_t meta, uint64_t sequence) {
    BareRing ring;
    Claimer claimer = ring.claimer(0);
    const Claim claim = ring.open(claimer, "hello");
    FrameHeader& frame = ring->frame(claim.position);
    frame.meta.store(meta, std::memory_order_relaxed);
    frame.sequence.store(sequence, std::memory_order_relaxed);
    frame.word.store(word_tag(claim.position), std::memory_order_release);
    Reader reader = reader_of(ring);
    FrameView view;
    return reader.next(view);
  };
  EXPECT_EQ(outcome_of(pack_meta(5, FrameType::message, 0), 1), ReadOutcome::frame);
  EXPECT_EQ(outcome_of(pack_meta(5, FrameType::message, 0), 2), ReadOutcome::corrupt);
  EXPECT_EQ(outcome_of(pack_meta(513, FrameType::message, 0), 1), ReadOutcome::corrupt);
  EXPECT_EQ(outcome_of(pack_meta(~0u, FrameType::message, 0), 1), ReadOutcome::corrupt);
  EXPECT_EQ(outcome_of(pack_meta(5, FrameType::dead, 0), 1), ReadOutcome::corrupt);
  EXPECT_EQ(outcome_of(pack_meta(5, static_cast<FrameType>(77), 0), 1), ReadOutcome::corrupt);
}

TEST(Reader, FromTheMiddleVerifiesItsFirstFrame) {
  Forged forged;
  // Started right at the forged place, with nobody before it to say NEXT_VERIFY.
  const Reader late(forged.ring.ring(), {forged.forged_place, 60});
  EXPECT_FALSE(late.ready());
}

TEST(Reader, CopiesMessages) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "one");
  claimer.abort(ring.open(claimer, "never"));
  ring.put(claimer, "three");
  Copying copying(reader_of(ring));
  ASSERT_EQ(copying.next(), ReadOutcome::frame);
  EXPECT_EQ(copying.text(), "one");
  EXPECT_EQ(copying.view.body, copying.buffer.data());
  ASSERT_EQ(copying.next(), ReadOutcome::frame);
  EXPECT_EQ(copying.text(), "three");
  EXPECT_EQ(copying.next(), ReadOutcome::none);
}

TEST(Reader, TellsHowMuchItMissedWhenTheWindowPassed) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  Copying copying(reader_of(ring));
  for (int lap = 0; lap < 3; ++lap) write_a_lap(ring, claimer);
  ASSERT_EQ(copying.next(), ReadOutcome::lapped);
  const Pair oldest = ring->window_start();
  EXPECT_EQ(copying.reader.at(), oldest);
  EXPECT_EQ(copying.reader.take_lost(), oldest.second - 1);
  EXPECT_EQ(copying.reader.take_lost(), 0u);
  ASSERT_EQ(copying.next(), ReadOutcome::frame);
  EXPECT_EQ(copying.view.sequence, oldest.second);
}

TEST(Reader, CountsEverySequenceAsReadOrMissedHoweverOftenItIsLapped) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  Copying copying(reader_of(ring));
  uint64_t read = 0, lost = 0, written = 0;
  for (int round = 0; round < 50; ++round) {
    for (int count = 0; count < round * 7; ++count, ++written) ring.put(claimer, "x");
    for (int count = 0; count < 20; ++count) {
      const ReadOutcome outcome = copying.next();
      if (outcome == ReadOutcome::none) break;
      if (outcome == ReadOutcome::frame) ++read;
      lost += copying.reader.take_lost();
    }
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(read + lost, copying.reader.at().second - 1);
  EXPECT_LE(copying.reader.at().second - 1, written);
}

TEST(Reader, DoesNotTakeTheBytesOfALaterLapForItsOwn) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "early");
  Copying copying(reader_of(ring));
  write_a_lap(ring, claimer);
  write_a_lap(ring, claimer);
  EXPECT_EQ(copying.next(), ReadOutcome::lapped);
}

}  // namespace
}  // namespace loopline::shm
