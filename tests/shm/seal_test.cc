// Seal: how a ring ends, how its handles find the next one, and that nothing is lost on the way.
#include "shm/seal.h"

#include <gtest/gtest.h>

#include <thread>

#include "child.h"
#include "named_station.h"
#include "ring_fixture.h"
#include "shm/recorder.h"

namespace loopline::shm {
namespace {


// ---- the steps on one ring -------------------------------------------------

TEST(Seal, FindsRoomInARingThatIsFull) {
  TestStation station;
  Consumer reader = station.lossless();
  Producer producer = station.producer();
  fill(producer);
  const Claim seal = claim_seal(station.ring(), seal_removed);
  EXPECT_EQ(seal.bytes, unit_size);
  EXPECT_EQ(seal.position + unit_size, station.ring().limit_now());
}

TEST(Seal, TakesThePlaceOfTheFirstWhenItIsClaimedAgain) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "last");
  const Claim first = claim_seal(ring.ring(), seal_to(2));
  const Claim again = claim_seal(ring.ring(), seal_removed);
  EXPECT_EQ(again.position, first.position);
  EXPECT_EQ(again.sequence, 2u);
  EXPECT_EQ(again.bytes, unit_size);
  EXPECT_EQ(seal_state(ring.ring()), seal_to(2)) << "the first choice stands";
  EXPECT_EQ(ring.control().seal.at.load(std::memory_order_acquire), (Pair{first.position, 2}));
}

TEST(Seal, IsCommittedOnceHoweverOftenItIsFinished) {
  BareRing ring;
  const Claim seal = claim_seal(ring.ring(), seal_removed);
  commit_seal(ring.ring(), seal);
  const uint64_t word = ring->word(seal.position).load(std::memory_order_acquire);
  commit_seal(ring.ring(), claim_seal(ring.ring(), seal_removed));
  EXPECT_EQ(ring->word(seal.position).load(std::memory_order_acquire), word);
  FrameView view;
  EXPECT_EQ(Reader(ring.ring(), ring.start()).next(view), ReadOutcome::sealed);
}

TEST(Seal, StandsWhereAPayloadForgedAFrame) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  Claim seal;
  for (bool mimic = false; !mimic;) {
    const Pair at = ring.control().hint.pair.load(std::memory_order_acquire);
    mimic = carries_tag(ring->word(at.first).load(std::memory_order_acquire), at.first);
    if (mimic) break;
    ring.put(claimer, "");
    ring.put(claimer, forged_body(ring.ring(), at.first + unit_size, 300));
  }
  seal = claim_seal(ring.ring(), seal_removed);
  EXPECT_TRUE(seal.mimic);
  const Reader reader(ring.ring(), {seal.position, seal.sequence});
  EXPECT_FALSE(reader.ready());
  commit_seal(ring.ring(), claim_seal(ring.ring(), seal_removed));
  EXPECT_TRUE(reader.ready());
}

TEST(Seal, LetsASuccessorBeBornWhereItEnds) {
  RingOptions options = tiny_ring();
  options.born = false;
  BareRing successor(options);
  EXPECT_FALSE(is_born(successor.ring()));
  give_birth(successor.ring(), {20 * tiny_capacity + 64, 1000});
  EXPECT_TRUE(is_born(successor.ring()));
  give_birth(successor.ring(), {1, 1});
  EXPECT_EQ(successor->window_start(), (Pair{20 * tiny_capacity + 64, 1000}));
  EXPECT_EQ(gating_count(successor.ring()), 1u) << "the gate holds its beginning";
  Claimer claimer = successor.claimer(0);
  const Claim first = successor.put(claimer, "first");
  EXPECT_EQ(first.position, 20 * tiny_capacity + 64);
  EXPECT_EQ(first.sequence, 1000u);
  EXPECT_EQ(successor.read_all(), texts("first"));
}

TEST(Seal, LetsTheSuccessorsLogGateFromItsBirth) {
  for (const Storage storage : {Storage::memory, Storage::file}) {
    RingOptions options = storage == Storage::file ? file_ring() : tiny_ring();
    options.born = false;
    BareRing successor(options);
    const auto& durable = successor.control().durable.pair;
    const Pair start{20 * tiny_capacity + 64, 1000};
    give_birth(successor.ring(), start);
    const bool is_file = storage == Storage::file;
    EXPECT_EQ(durable.load(std::memory_order_acquire), is_file ? start : no_cursor);
    EXPECT_EQ(gating_count(successor.ring()), is_file ? 2u : 1u);
  }
}

TEST(Seal, IsNotPutOnGarbage) {
  BareRing ring;
  for (uint64_t unit = 0; unit < tiny_capacity / unit_size; ++unit) {
    ring->side_words[unit].store(~uint64_t{0}, std::memory_order_relaxed);
  }
  EXPECT_EQ(claim_seal(ring.ring(), seal_removed).bytes, 0u);
}

// ---- for good --------------------------------------------------------------

TEST(SealForGood, LetsReadersReachTheEndAndTellsThemThen) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "last words");
  must(station.attached()->seal_for_good());
  FrameView views[4];
  EXPECT_EQ(must(consumer.read(views)), 1u);
  EXPECT_EQ(text_of(views[0]), "last words");
  EXPECT_EQ(code_of(consumer.read(views)), FaultCode::closed);
  EXPECT_EQ(code_of(consumer.read(views)), FaultCode::closed) << "and again when asked again";
}

TEST(SealForGood, TellsProducersAtTheirNextClaim) {
  TestStation station;
  Producer producer = station.producer();
  write(producer, "one");
  must(station.attached()->seal_for_good());
  EXPECT_EQ(refusal(producer, 1), FaultCode::closed);
  EXPECT_EQ(refusal(producer, 1), FaultCode::closed);
  EXPECT_EQ(code_of(Producer::open(station.attached())), FaultCode::closed);
  EXPECT_EQ(code_of(Consumer::open(station.attached(), {})), FaultCode::closed);
}

TEST(SealForGood, LetsAnOpenMessageBeFinished) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame frame = open(producer, "in the making");
  must(station.attached()->seal_for_good());
  FrameView views[4];
  EXPECT_EQ(must(consumer.read(views)), 0u);
  must(producer.commit(frame, 0));
  EXPECT_EQ(must(consumer.read(views)), 1u);
  EXPECT_EQ(code_of(consumer.read(views)), FaultCode::closed);
}

TEST(SealForGood, WakesTheSleepers) {
  TestStation station;
  Consumer consumer = must(Consumer::open(station.attached(), {.wait = WaitKind::park}));
  std::thread sealer([&] {
    while (station.control().data_bell.parked.load(std::memory_order_acquire) == 0) {
      std::this_thread::yield();
    }
    EXPECT_TRUE(station.attached()->seal_for_good());
  });
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  FrameView views[4];
  EXPECT_EQ(code_of(consumer.read(views)), FaultCode::closed);
  sealer.join();
}

TEST(SealForGood, MayBeDoneTwice) {
  TestStation station;
  must(station.attached()->seal_for_good());
  EXPECT_TRUE(station.attached()->seal_for_good());
  EXPECT_FALSE(station.attached()->is_open());
}

TEST(SealForGood, IsRefusedWhileAnExclusiveProducerLives) {
  RingOptions options = tiny_ring();
  options.exclusive = true;
  TestStation station(options);
  {
    std::unique_ptr<Producer> producer;
    std::thread owner;
    Child child = Child::run([&](Child::Parent& parent) {
      const Producer theirs = station.producer();
      parent.say();
      parent.wait_to_be_killed();
    });
    ASSERT_TRUE(child.listen());
    const Status refused = station.attached()->seal_for_good();
    ASSERT_EQ(code_of(refused), FaultCode::unsupported);
    EXPECT_NE(refused.fault().message().find(std::to_string(child.pid())), std::string::npos)
        << "it names the producer";
    EXPECT_TRUE(station.attached()->is_open());
  }
  EXPECT_TRUE(station.attached()->seal_for_good()) << "it was killed";
}

// ---- with a successor ------------------------------------------------------

TEST(SealWithSuccessor, TakesProducersAlongWithTheNextSequences) {
  const NamedStation station;
  Producer producer = station.producer();
  EXPECT_EQ(write(producer, "one"), 1u);
  station.seal();
  EXPECT_EQ(write(producer, "two"), 3u) << "the seal frame has number 2";
  EXPECT_EQ(producer.attached()->header().generation, 2u);
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{1, 2}));
}

TEST(SealWithSuccessor, TakesReadersAlongWithoutAGap) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "one");
  station.seal();
  write(producer, "two");
  EXPECT_EQ(read(consumer), texts("one", "two"));
  EXPECT_EQ(consumer.take_gap().count, 0u);
  EXPECT_EQ(consumer.attached()->header().generation, 2u);
  EXPECT_EQ(gating_count(station.attach_generation(2)->ring()), 1u);
}

TEST(SealWithSuccessor, KeepsEverythingForASlowReader) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer slow = station.lossless();
  const uint64_t before = fill(producer);
  station.seal();
  const uint64_t behind = fill(producer);
  EXPECT_GT(behind, 1000u);
  EXPECT_EQ(refusal(producer, 32), FaultCode::full) << "the gate holds for the reader to come";
  EXPECT_EQ(read(slow).size(), before + behind);
  write(producer, "goes on");
  EXPECT_EQ(read(slow), texts("goes on"));
}

TEST(SealWithSuccessor, RemovesTheOldFileWhenItsLastReaderWentOn) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer first = station.lossless(), second = station.lossless();
  write(producer, "one");
  station.seal();
  read(first);
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{1, 2}));
  read(second);
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{2}));
  EXPECT_EQ(gating_count(station.attach()->ring()), 2u) << "two readers and no gate";
}

TEST(SealWithSuccessor, DoesNotWaitForReadersThatAreGone) {
  const NamedStation station;
  Producer producer = station.producer();
  auto slow = std::make_unique<Consumer>(station.lossless());
  station.seal();
  fill(producer);
  EXPECT_EQ(refusal(producer, 32), FaultCode::full);
  slow.reset();
  write(producer, "goes on");
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{2}));
}

TEST(SealWithSuccessor, DoesNotWaitForReadersThatWereKilled) {
  const NamedStation station;
  Child child = Child::run([&](Child::Parent& parent) {
    const Consumer slow = station.lossless();
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  Producer producer = station.producer();
  station.seal();
  fill(producer);
  EXPECT_EQ(refusal(producer, 32), FaultCode::full);
  child.kill();
  write(producer, "goes on");
}

TEST(SealWithSuccessor, LetsLateJoinersBeginBehindTheSeal) {
  const NamedStation station;
  const auto old = station.attach(Access::consume);
  Producer producer = station.producer();
  write(producer, "old");
  station.seal();
  write(producer, "new");
  Consumer late = must(Consumer::open(old, {.from = From::earliest}));
  EXPECT_EQ(late.attached()->header().generation, 2u);
  EXPECT_EQ(read(late), texts("new"));
  EXPECT_EQ(gating_count(old->ring()), 0u);
}

TEST(SealWithSuccessor, IsFollowedOverManyGenerationsAtOnce) {
  const NamedStation station;
  Producer idle = station.producer(), busy = station.producer();
  Consumer sleeper = station.lossless();
  std::vector<std::string> written;
  for (int generation = 1; generation <= 6; ++generation) {
    written.push_back(std::to_string(generation));
    write(busy, written.back());
    station.seal();
  }
  written.push_back("end");
  EXPECT_EQ(write(idle, "end"), 13u);
  EXPECT_EQ(idle.attached()->header().generation, 7u);
  EXPECT_EQ(read(sleeper), written);
  EXPECT_EQ(station.generations().back(), 7u);
}

TEST(SealWithSuccessor, MayHaveAnotherSize) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "small");
  RingOptions larger = station.options();
  larger.capacity = 4 * ring_capacity_min;
  station.seal(larger);
  const std::string text(30'000, 'x');
  write(producer, text);  // too large for the ring it is in
  EXPECT_EQ(refusal(producer, 4 * text.size()), FaultCode::too_large);
  EXPECT_EQ(read(consumer), texts("small", text));
}

TEST(SealWithSuccessor, TellsALossyReaderWhatItMissedInBoth) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer lossy = station.lossy();
  write(producer, "one");
  EXPECT_EQ(read(lossy), texts("one"));
  uint64_t last = 0;
  for (int count = 0; count < 3000; ++count) last = write(producer, "x");
  station.seal();
  for (int count = 0; count < 3000; ++count) last = write(producer, "x");
  uint64_t got = 1, lost = 0;
  FrameView views[64];
  uint64_t expected = 2;
  while (const size_t count = must(lossy.read(views))) {
    const Gap gap = lossy.take_gap();
    if (gap.count != 0) {
      expected += gap.first == expected + 1 ? 1 : 0;  // the seal's own number has no message
      EXPECT_EQ(gap.first, expected);
    }
    lost += gap.count;
    expected += gap.count;
    for (size_t index = 0; index < count; ++index) {
      expected = std::max(expected, views[index].sequence);
      EXPECT_EQ(views[index].sequence, expected);
      ++expected;
    }
    got += count;
  }
  EXPECT_EQ(expected, last + 1);
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(got + lost + 1, last) << "all but the seal";
}

TEST(SealWithSuccessor, IsMadeByOneOfManyWhoTryAtOnce) {
  const NamedStation station;
  Producer producer = station.producer();
  write(producer, "one");
  std::vector<std::thread> sealers;
  const auto first = station.attach_generation(1);
  for (int count = 0; count < 4; ++count) {
    sealers.emplace_back([&] { EXPECT_TRUE(first->seal_with_successor(station.options())); });
  }
  for (std::thread& sealer : sealers) sealer.join();
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(write(producer, "two"), 3u);
}

TEST(SealWithSuccessor, LosesNothingUnderLoad) {
  const NamedStation station;
  constexpr uint64_t each = 3000;
  Consumer consumer = station.lossless();
  std::vector<std::thread> producers;
  for (char letter : {'a', 'b'}) {
    producers.emplace_back([&, letter] {
      Producer producer = station.producer();
      for (uint64_t count = 0; count < each; ++count) {
        const std::string text = letter + std::to_string(count);
        OpenFrame frame = open(producer, text, wait_for_ever);
        must(producer.commit(frame, 0));
      }
    });
  }
  std::thread reader([&] {
    uint64_t next[2] = {0, 0};
    while (next[0] + next[1] < 2 * each) {
      ASSERT_TRUE(must(consumer.wait(wait_for_ever)));
      for (const std::string& text : read(consumer)) {
        uint64_t& expected = next[text[0] - 'a'];
        ASSERT_EQ(text.substr(1), std::to_string(expected));
        ++expected;
      }
    }
  });
  for (int count = 0; count < 10; ++count) station.seal();
  for (std::thread& producer : producers) producer.join();
  reader.join();
}

// ---- half-made -------------------------------------------------------------

TEST(SealHalfMade, AnUnbornSuccessorIsUsedByTheNextSealer) {
  const NamedStation station;
  RingOptions next = station.options();
  next.generation = 2;
  next.born = false;
  must(station.directory().create(next));  // step 1, then death
  EXPECT_EQ(station.attach()->header().generation, 1u) << "it is not there yet for anyone";
  Producer producer = station.producer();
  EXPECT_EQ(write(producer, "one"), 1u);
  station.seal();
  EXPECT_EQ(write(producer, "two"), 3u);
  EXPECT_EQ(producer.attached()->header().generation, 2u);
}

// A station whose sealer died after so many of its steps.
struct Interrupted {
  explicit Interrupted(int steps) : producer(station.producer()), consumer(station.lossless()) {
    write(producer, "one");
    RingOptions next = station.options();
    next.generation = 2;
    next.born = false;
    must(station.directory().create(next));
    const auto old = station.attach_generation(1);
    if (steps == 2) old->ring().control->seal.state.store(seal_to(2), std::memory_order_seq_cst);
    if (steps < 3) return;
    const Claim seal = claim_seal(old->ring(), seal_to(2));
    if (steps < 4) return;
    give_birth(station.attach_generation(2)->ring(),
               {seal.position + unit_size, seal.sequence + 1});
  }
  const NamedStation station;
  Producer producer;
  Consumer consumer;
};

TEST(SealHalfMade, IsFinishedByAProducerThatMeetsIt) {
  for (const int steps : {3, 4}) {
    Interrupted interrupted(steps);
    EXPECT_EQ(write(interrupted.producer, "two"), 3u) << steps;
    EXPECT_EQ(read(interrupted.consumer), texts("one", "two")) << steps;
  }
}

TEST(SealHalfMade, IsFinishedByAReaderThatWaitsBehindIt) {
  for (const int steps : {3, 4}) {
    Interrupted interrupted(steps);
    EXPECT_EQ(read(interrupted.consumer), texts("one"));
    EXPECT_TRUE(must(interrupted.consumer.wait(wait_for_ever))) << steps;
    EXPECT_TRUE(read(interrupted.consumer).empty());
    EXPECT_EQ(interrupted.consumer.attached()->header().generation, 2u) << steps;
  }
}

TEST(SealHalfMade, IsFinishedByWhoeverJoins) {
  for (const int steps : {2, 3, 4}) {
    Interrupted interrupted(steps);
    const auto old = interrupted.station.attach_generation(1);
    Consumer late = must(Consumer::open(old, {.from = From::earliest}));
    EXPECT_EQ(late.attached()->header().generation, 2u) << steps;
    EXPECT_EQ(must(Producer::open(old)).attached()->header().generation, 2u) << steps;
  }
}

// ---- frames that are open at the seal ---------------------------------------

// Their ring is the one that was left; committed into the new one they would write over its bytes.
TEST(SealWithOpenFrames, LetsEachBeCommittedWhereItStands) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame one = open(producer, "one"), two = open(producer, "two");
  station.seal();
  OpenFrame three = open(producer, "three");  // follows
  station.seal();
  OpenFrame four = open(producer, "four");
  EXPECT_EQ(producer.ring_of(one)->header().generation, 1u);
  EXPECT_EQ(producer.ring_of(three)->header().generation, 2u);
  must(producer.commit(four, 0));
  must(producer.commit(two, 0));
  must(producer.commit(three, 0));
  EXPECT_EQ(read(consumer), texts()) << "the oldest is still open";
  must(producer.commit(one, 0));
  EXPECT_EQ(code_of(producer.commit(one, 0)), FaultCode::invalid_argument);
  EXPECT_EQ(read(consumer), texts("one", "two", "three", "four"));
}

TEST(SealWithOpenFrames, KeepsTheSlotThereUntilTheLastIsEnded) {
  const NamedStation station;
  const auto old = station.attach();
  Producer producer = station.producer();
  OpenFrame one = open(producer, "one"), two = open(producer, "two");
  station.seal();
  write(producer, "three");
  const auto& owner = old->ring().producers[producer.slot()].owner;
  must(producer.commit(one, 0));
  EXPECT_NE(owner.load(std::memory_order_acquire), nobody);
  Producer moved = std::move(producer);
  must(moved.abort(two));
  EXPECT_EQ(owner.load(std::memory_order_acquire), nobody);
  EXPECT_EQ(write(moved, "four"), 5u);  // a seal takes a number
}

TEST(SealWithOpenFrames, AreCommittedOnceEachWhenTheyAreRecorded) {
  const NamedStation station;
  Producer producer = station.producer();
  Recorder recorder = must(Recorder::open(producer.attached(), 0));
  ExtensionFields fields;
  fields.id = "again";
  const auto claim = [&] {
    const auto size = must(extension_size(fields));
    OpenFrame frame;
    must(producer.claim(size, 0, frame));
    write_extension(fields, size, frame.body);
    return frame;
  };
  OpenFrame one = claim();
  station.seal();
  OpenFrame two = claim();
  EXPECT_FALSE(must(recorder.commit(producer, one, fields)).is_duplicate);
  const Recorded second = must(recorder.commit(producer, two, fields));
  EXPECT_TRUE(second.is_duplicate);
  EXPECT_EQ(second.place.sequence, 1u);
  EXPECT_FALSE(one.is_open() || two.is_open());
}

// ---- foreign bytes ---------------------------------------------------------

TEST(SealGarbage, ASealThatNamesItsOwnRingOrAnOlderOneIsRefused) {
  for (const uint64_t state : {seal_to(1), seal_to(0), seal_to(3), uint64_t{3}, ~uint64_t{0}}) {
    const NamedStation station;
    const auto attached = station.attach();
    Producer producer = must(Producer::open(attached));
    attached->ring().control->seal.state.store(state, std::memory_order_seq_cst);
    EXPECT_EQ(code_of(Producer::open(attached)), FaultCode::corrupted) << state;
    EXPECT_EQ(code_of(Consumer::open(attached, {})), FaultCode::corrupted) << state;
  }
}

TEST(SealGarbage, AForgedSealFrameDoesNotEndARingThatNobodySealed) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame frame = open(producer, "x");
  Claimer::complete_frame(producer.attached()->ring(), frame.claim,
                          pack_meta(32, FrameType::seal, 0), 0, 0);
  FrameView views[4];
  EXPECT_EQ(code_of(consumer.read(views)), FaultCode::corrupted);
  EXPECT_EQ(write(producer, "goes on"), 2u);
}

}  // namespace
}  // namespace loopline::shm
