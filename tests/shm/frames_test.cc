// Frames: tells every frame of the window in order from the file alone, whatever the bytes are.
#include "shm/frames.h"

#include <gtest/gtest.h>

#include <random>

#include "named_station.h"
#include "ring_fixture.h"

namespace loopline::shm {
namespace {

struct Walk {
  std::vector<FrameFacts> frames;
  FramesEnd end;
  std::vector<std::string> heads() const {
    std::vector<std::string> all;
    for (const FrameFacts& frame : frames) {
      all.emplace_back(reinterpret_cast<const char*>(frame.head.data()), frame.head.size());
    }
    return all;
  }
};

Walk walk(const Mapping& mapping, const FramesOptions& options = {},
          const Roster* roster = nullptr) {
  Walk walk;
  walk.end = must(
      read_frames(File(::dup(mapping.fd())), "test", roster, options, [&](const FrameFacts& frame) {
        walk.frames.push_back(frame);
        return true;
      }));
  return walk;
}

TEST(Frames, AreToldInOrderToTheFrontier) {
  BareRing ring;
  Claimer claimer = ring.claimer(2);
  const Claim one = ring.put(claimer, "one");
  ring.put(claimer, "two");
  const Walk told = walk(ring.mapping());
  EXPECT_EQ(told.heads(), texts("one", "two"));
  EXPECT_EQ(told.frames[0].at, (Pair{one.position, 1}));
  EXPECT_EQ(told.frames[0].slot, 2u);
  EXPECT_EQ(told.frames[0].payload_bytes, 3u);
  EXPECT_EQ(told.end.why, FramesEnd::Why::frontier);
  EXPECT_EQ(told.end.at.second, 3u);
}

TEST(Frames, AreToldWholeWhereTheRingBeginsAnew) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  std::vector<std::string> put;
  for (int count = 0; count < 40; ++count) {
    put.push_back(std::string(150, static_cast<char>('a' + count % 26)) + std::to_string(count));
    ring.put(claimer, put.back());
  }
  FramesOptions options;
  options.head_bytes_max = 1000;
  const Walk told = walk(ring.mapping(), options);
  ASSERT_GT(told.frames.size(), 4u);
  const auto kept = static_cast<ptrdiff_t>(told.frames.size());
  EXPECT_EQ(told.heads(), std::vector<std::string>(put.end() - kept, put.end()));
}

TEST(Frames, BeginWithTheSequenceThatWasAskedForAndEndWhenToldEnough) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (const char* text : {"one", "two", "three", "four"}) ring.put(claimer, text);
  FramesOptions options;
  options.first_sequence = 2;
  std::vector<uint64_t> told;
  const FramesEnd end = must(read_frames(File(::dup(ring.mapping().fd())), "test", nullptr, options,
                                         [&](const FrameFacts& frame) {
                                           told.push_back(frame.at.second);
                                           return told.size() < 2;
                                         }));
  EXPECT_EQ(told, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(end.why, FramesEnd::Why::enough);
}

TEST(Frames, BeginAtAPlaceThatIsKnownAndBelieveItNoFurther) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  std::vector<Claim> claims;
  for (const char* text : {"one", "two", "three"}) claims.push_back(ring.put(claimer, text));
  FramesOptions options;
  options.from = Pair{claims[1].position, 2};
  EXPECT_EQ(walk(ring.mapping(), options).heads(), texts("two", "three"));
  options.from = Pair{claims[1].position + 1, 2};  // no place at all
  EXPECT_EQ(walk(ring.mapping(), options).heads(), texts("one", "two", "three"));
  options.from = Pair{1ull << 40, 2};  // outside
  EXPECT_EQ(walk(ring.mapping(), options).heads(), texts("one", "two", "three"));
  options.from = Pair{0, 0};
  EXPECT_EQ(walk(ring.mapping(), options).heads(), texts("one", "two", "three"));
}

TEST(Frames, EndWithTheWindowTheyBeganWith) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 10; ++count) ring.put(claimer, "before");
  uint64_t told = 0;
  const FramesEnd end = must(read_frames(File(::dup(ring.mapping().fd())), "test", nullptr, {},
                                         [&](const FrameFacts& frame) {
                                           EXPECT_EQ(frame.at.second, ++told);
                                           ring.put(claimer, "meanwhile");
                                           return true;
                                         }));
  EXPECT_EQ(end.why, FramesEnd::Why::frontier);
  EXPECT_EQ(told, tiny_capacity / unit_size);
}

TEST(Frames, TellHowManyWereOverwrittenMeanwhile) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 10; ++count) ring.put(claimer, "before");
  std::vector<FrameFacts> told;
  must(read_frames(File(::dup(ring.mapping().fd())), "test", nullptr, {},
                   [&](const FrameFacts& frame) {
                     for (int count = 0; told.empty() && count < 100; ++count) {
                       ring.put(claimer, "meanwhile");
                     }
                     told.push_back(frame);
                     return told.size() < 2;
                   }));
  ASSERT_EQ(told.size(), 2u);
  EXPECT_GT(told[1].missed, 0u);
  EXPECT_EQ(told[1].at.second, told[0].at.second + 1 + told[1].missed);
}

TEST(Frames, NameTheOwnerOfAnOpenOne) {
  const TestStation station;
  Producer producer = station.producer();
  write(producer, "one");
  const OpenFrame held = open(producer, "two");
  const Walk told = walk(station.attached()->mapping(), {}, &station.roster());
  ASSERT_EQ(told.frames.size(), 2u);
  EXPECT_FALSE(told.frames[0].is_open);
  EXPECT_TRUE(told.frames[1].is_open);
  EXPECT_EQ(told.frames[1].bytes, held.claim.bytes);
  EXPECT_EQ(told.frames[1].owner.life, Life::alive);
  EXPECT_EQ(told.frames[1].owner.pid, static_cast<uint32_t>(::getpid()));
}

TEST(Frames, EndWhereAClaimWordMakesNoSense) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "one");
  const uint64_t next = ring.start().first + unit_size;
  ring->side(next).store(ring->make_side(next, tiny_capacity, 0, false), std::memory_order_release);
  const Walk told = walk(ring.mapping());
  EXPECT_EQ(told.heads(), texts("one"));
  EXPECT_EQ(told.end.why, FramesEnd::Why::damaged);
  EXPECT_NE(told.end.text.find(std::to_string(next)), std::string::npos);
}

TEST(Frames, SayWhatIsOddInAHeaderAndGoOn) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  const Claim one = ring.put(claimer, "one");
  const Claim two = ring.put(claimer, "two");
  ring.put(claimer, "three");
  ring->frame(one.position)
      .meta.store(pack_meta(5000, FrameType::message, 0), std::memory_order_relaxed);
  ring->frame(two.position).sequence.store(77, std::memory_order_relaxed);
  const Walk told = walk(ring.mapping());
  ASSERT_EQ(told.frames.size(), 3u);
  EXPECT_NE(told.frames[0].oddity.find("5000"), std::string::npos);
  EXPECT_NE(told.frames[1].oddity.find("77"), std::string::npos);
  EXPECT_EQ(told.frames[2].oddity, "");
}

TEST(Frames, AreAFaultWhenTheFileIsCutShort) {
  const NamedStation station;
  const std::string path = station.directory().ring_path(station.name(), 0, 1);
  const auto each = [](const FrameFacts&) { return true; };
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(page_size)), 0);
  EXPECT_EQ(code_of(read_frames(path, nullptr, {}, each)), FaultCode::corrupted);
  EXPECT_EQ(code_of(read_frames(path + "x", nullptr, {}, each)), FaultCode::not_found);
}

TEST(Frames, SurviveAnyBytesBehindTheHeader) {
  std::mt19937_64 random(20240502);
  BareRing ring(tiny_ring(ring_capacity_min));
  auto* data = reinterpret_cast<uint64_t*>(ring->data);
  for (int round = 0; round < 200; ++round) {
    const uint64_t lap = 2 + random() % 3;
    ring.control().limit.pair.store(LimitWord{lap * ring->capacity, random(), 0}.pack(),
                                    std::memory_order_relaxed);
    for (uint64_t unit = 0; unit < ring->capacity / unit_size; ++unit) {
      const uint64_t position = (lap - 1) * ring->capacity + unit * unit_size;
      const uint64_t bytes = (1 + random() % 8) * unit_size;
      const bool is_sense = random() % 64 != 0;
      ring->side_words[unit].store(
          is_sense ? ring->make_side(position, bytes, random() & 1023, random() % 8 == 0)
                   : random(),
          std::memory_order_relaxed);
      for (int word = 0; word < 8; ++word) data[unit * 8 + word] = random() >> (random() % 64);
      if (random() % 4 != 0) data[unit * 8] = word_tag(position);
    }
    const Walk told = walk(ring.mapping());
    for (const FrameFacts& frame : told.frames) EXPECT_LE(frame.head.size(), 64u);
  }
}

}  // namespace
}  // namespace loopline::shm
