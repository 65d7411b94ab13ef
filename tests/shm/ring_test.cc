// Ring: the bytes of its frames and words, compared with a written example, and where places lie.
#include "shm/ring.h"

#include <gtest/gtest.h>

#include <array>

#include "ring_fixture.h"
#include "shm/extension.h"

namespace loopline::shm {
namespace {

using Unit = std::array<uint8_t, unit_size>;

Unit unit_at(const Ring& ring, uint64_t position) {
  Unit unit;
  std::memcpy(unit.data(), ring.at(position), unit.size());
  return unit;
}

// The worked example of shm/README.md: the first frame of a ring of 64 KiB, which begins at 65536.
TEST(Ring, LaysOutAFrameAsWrittenDown) {
  BareRing ring(tiny_ring(64 << 10));
  Claimer claimer = ring.claimer(3);
  const Claim claim = ring.open(claimer, "hello");
  claimer.commit(claim, pack_meta(5, FrameType::message, 0), 0x1122334455667788);

  const Unit expected = {
      0x40, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,  // word: (65536 / 64 + 1) << 6, no flags
      0x05, 0x00, 0x00, 0x00,                          // body: 5 bytes
      0x01, 0x00, 0x00, 0x00,                          // type message, no flags
      0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // sequence 1
      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // timestamp
      'h',  'e',  'l',  'l',  'o'};
  EXPECT_EQ(unit_at(ring.ring(), 65536), expected);
  // lap 2 (above bit 20), one unit, no mimic, owner 3, claimed
  EXPECT_EQ(ring.side_at(65536), 2u << 20 | 0u << 13 | 0u << 12 | 3u << 2 | 1u);
}

TEST(Ring, LaysOutAFillerAsWrittenDown) {
  BareRing ring(tiny_ring(64 << 10));
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "one");
  const Claim claim = ring.open(claimer, std::string(40, '.'));  // two units
  claimer.abort(claim);

  Unit expected = {
      0x82, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,   // word: (65600 / 64 + 1) << 6, filler
      0x60, 0x00, 0x00, 0x00,                           // body: 96 bytes, all of both units
      0x02, 0x00, 0x00, 0x00,                           // type aborted, no flags
      0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,   // sequence 2
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};  // no timestamp
  std::fill(expected.begin() + 32, expected.end(), '.');
  EXPECT_EQ(unit_at(ring.ring(), 65600), expected);
  EXPECT_EQ(ring.side_at(65600), 2u << 20 | 1u << 13 | 1u);
}

TEST(Ring, LaysOutAMessageWithItsExtensionAsWrittenDown) {
  TestStation station(tiny_ring(64 << 10));
  Producer producer = station.producer();
  const Header header{"h", "v1"};
  ExtensionFields fields;
  fields.key = "AAPL";
  fields.headers = {&header, 1};
  const uint32_t size = must(extension_size(fields));
  ASSERT_EQ(size, 32u);
  OpenFrame frame;
  must(producer.claim(size + 2, 0, frame));
  write_extension(fields, size, frame.body);
  std::memcpy(frame.body + size, "hi", 2);
  must(producer.commit(frame, flag_extension));

  const std::array<uint8_t, 66> expected = {
      0x40, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,                 // word
      0x22, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00,                 // body 34, message, extension
      0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,                 // sequence
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,                 // timestamp off
      0x20, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00, 0x00,                 // 32 bytes: key and headers
      0x04, 0x00, 'A',  'A',  'P',  'L',                              // key
      0x01, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 'h', 'v', '1',  // one header
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,                       // to 32
      'h',  'i'};
  EXPECT_EQ(std::memcmp(station.ring().at(65536), expected.data(), expected.size()), 0);
}

TEST(Ring, CountsLapsFromThePositionSoThatZeroedMemoryIsNeverOne) {
  BareRing ring;
  EXPECT_EQ(ring->lap(0), 1u);
  EXPECT_EQ(ring->lap(4095), 1u);
  EXPECT_EQ(ring->lap(4096), 2u);
  EXPECT_EQ(ring->side_lap(0), 0u);
  EXPECT_FALSE(carries_tag(0, 0));
  EXPECT_FALSE(carries_tag(0, 4096));
}

TEST(Ring, TellsEveryWordOfAPositionFromThatOfAnotherLap) {
  for (uint64_t lap = 1; lap < 100; ++lap) {
    const uint64_t position = lap * 4096 + 128;
    EXPECT_TRUE(carries_tag(word_tag(position), position));
    EXPECT_TRUE(carries_tag(word_tag(position) | word_flags, position));
    EXPECT_FALSE(carries_tag(word_tag(position), position + 4096));
    EXPECT_FALSE(carries_tag(word_tag(position), position + 64));
  }
}

TEST(Ring, KeepsEveryFieldOfASideWordApart) {
  for (const uint64_t capacity : {ring_capacity_min, uint64_t{8} << 20, ring_capacity_max}) {
    Ring ring;
    ring.capacity = capacity;
    ring.capacity_log2 = static_cast<uint32_t>(log2_exact(capacity));
    const uint64_t farthest = position_max - capacity / 8;
    const uint64_t side = ring.make_side(farthest, capacity / 8, seal_owner, true);
    EXPECT_EQ(ring.side_lap(side), ring.lap(farthest));
    EXPECT_EQ(ring.side_bytes(side), capacity / 8);
    EXPECT_EQ(Ring::side_owner(side), seal_owner);
    EXPECT_EQ(side & side_mimic, side_mimic);
    EXPECT_EQ(side & side_state_mask, side_claimed);
  }
}

TEST(Ring, SeesAMimicAsCommittedOnlyWhenItsSideWordSaysSo) {
  const uint64_t word = word_tag(4096);
  EXPECT_TRUE(Ring::is_committed(side_claimed, word, 4096));
  EXPECT_FALSE(Ring::is_committed(side_claimed, 0, 4096));
  EXPECT_FALSE(Ring::is_committed(side_mimic | side_claimed, word, 4096));
  EXPECT_TRUE(Ring::is_committed(side_mimic | side_committed, word, 4096));
}

TEST(Ring, ShowsTheBeginningAgainBehindItsEnd) {
  BareRing ring;
  std::memcpy(ring->at(0), "begin", 5);
  EXPECT_EQ(std::memcmp(ring->data + ring->capacity, "begin", 5), 0);
  std::memcpy(ring->data + 2 * ring->capacity - 3, "end", 3);
  EXPECT_EQ(std::memcmp(ring->data + ring->capacity - 3, "end", 3), 0);
}

TEST(Ring, BeginsAtItsFirstLapWithSequenceOne) {
  BareRing ring;
  EXPECT_EQ(ring->window_start(), (Pair{4096, 1}));
  EXPECT_EQ(ring->limit_now(), 8192u);
  EXPECT_TRUE(ring->still_inside(4096));
  EXPECT_FALSE(ring->still_inside(4032));
  EXPECT_TRUE(ring.read_all().empty());
}

TEST(LimitWord, KeepsPositionSequenceAndEpochApart) {
  const LimitWord limit{position_max, (1ull << 54) - 1, LimitWord::epoch_max};
  const LimitWord same = LimitWord::unpack(limit.pack());
  EXPECT_EQ(same.position, limit.position);
  EXPECT_EQ(same.sequence, limit.sequence);
  EXPECT_EQ(same.epoch, limit.epoch);
  EXPECT_EQ(limit_position(limit.pack().first), limit.position);
}

TEST(LimitWord, ChangesItsPairWithEachEpoch) {
  Pair before{};
  for (uint32_t epoch = 0; epoch < 3000; ++epoch) {
    const Pair pair = LimitWord{8192, 1, epoch}.pack();
    EXPECT_NE(pair, before);
    EXPECT_EQ(LimitWord::unpack(pair).position, 8192u);
    EXPECT_EQ(LimitWord::unpack(pair).epoch, epoch);
    before = pair;
  }
}

TEST(Seat, KeepsEntryAndGenerationApart) {
  const SeatId seat = make_seat(2047, (1ull << 33) - 1);
  EXPECT_EQ(seat_entry(seat), 2047u);
  EXPECT_EQ(seat_generation(seat), (1ull << 33) - 1);
  EXPECT_EQ(seat_generation(seat | repairing_bit), (1ull << 33) - 1);
  EXPECT_EQ(seat & repairing_bit, 0u);
}

}  // namespace
}  // namespace loopline::shm
