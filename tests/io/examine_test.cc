// What a log is found to hold: whole, torn, damaged, mixed up and lied about.
#include "io/log/examine.h"

#include <cstring>

#include "log_fixture.h"
#include "tests/support/must.h"

namespace loopline::io {
namespace {

// Three segments of four batches each; the first two are sealed.
class Examine : public LogFixture {
 protected:
  Examine() { fill(maker_); }
  static void fill(sim::LogMaker& maker) {
    for (int segment = 0; segment < 3; ++segment) {
      if (segment != 0) maker.seal();
      maker.batch(3, 100).batch(1, 5000).batch(7, 900).batch(2, 10);
    }
  }
};

TEST_F(Examine, FindsAWholeLog) {
  maker_.close();
  put();
  expect_whole();
  const LogFacts log = open();
  EXPECT_TRUE(log.is_closed);
  EXPECT_EQ(log.segments.size(), 3u);
  EXPECT_EQ(log.begin, (LogPlace{64, 1}));
  EXPECT_EQ(log.chain, maker_.batches().back().hash);
}

TEST_F(Examine, FindsTheEndOfALogThatWasNotClosed) {
  put();
  expect_whole();
  EXPECT_FALSE(open().is_closed);
}

TEST_F(Examine, OpeningLooksAtWhatIsBehindTheLastFooterOnly) {
  put();
  flip_frames(1);
  EXPECT_TRUE(open().gaps.empty());
  expect_gap(1, 1);
}

TEST_F(Examine, AnEmptyLogEndsWhereItsManifestSays) {
  maker_ = sim::LogMaker();
  put();
  const LogFacts log = open();
  EXPECT_EQ(log.end, (LogPlace{64, 1}));
  EXPECT_TRUE(log.segments.empty());
}

TEST_F(Examine, AFolderThatIsNotThereIsNotFound) {
  sim::SimDisk disk;
  EXPECT_EQ(test::code_of(examine(disk, "/nowhere", {})), FaultCode::not_found);
}

TEST_F(Examine, ATornTailIsCut) {
  put();
  flip_frames(11);
  expect_end_at(11);
}

TEST_F(Examine, ARecordThatDidNotArriveIsCut) {
  put();
  flip_record(11);
  expect_end_at(11);
}

TEST_F(Examine, AHoleOfThePipelineIsCutWithWhatFollows) {
  sim::LogMaker::Options options;
  options.in_flight = 3;
  maker_ = sim::LogMaker(options);
  maker_.batch(3, 100).batch(2, 50).hole(1, 3000).batch(2, 700);
  put();
  expect_end_at(2);
  EXPECT_TRUE(open().is_cut);
}

TEST_F(Examine, AHoleOfThePipelineAtASegmentsEndDropsTheNextSegment) {
  sim::LogMaker::Options options;
  options.in_flight = 3;
  maker_ = sim::LogMaker(options);
  maker_.batch(3, 100).batch(2, 50).hole(2, 15000).batch(2, 15000);
  ASSERT_EQ(maker_.segment_count(), 2u);
  put();
  lose_footer(0);
  expect_end_at(2);
  EXPECT_EQ(open().dropped.size(), 1u);
}

TEST_F(Examine, ABeginningThatWasNeverSafeIsCutWithWhatFollows) {
  sim::LogMaker::Options options;
  options.in_flight = 3;
  maker_ = sim::LogMaker(options);
  maker_.batch(2, 15000).batch(2, 15000);
  ASSERT_EQ(maker_.segment_count(), 2u);
  put();
  image_.remove(maker_.path(0));
  expect_end_at(0);
  image_.flip(maker_.manifest_path(), 50 * 8);  // one of its blocks
  expect_end_at(0);
}

TEST_F(Examine, DamageThatALaterRecordProvesIsAGap) {
  put();
  flip_frames(9);
  expect_gap(9, 9);
}

TEST_F(Examine, ADamagedRecordInTheMiddleIsAGapOfItsBatch) {
  put();
  flip_record(9);
  expect_gap(9, 9);
}

TEST_F(Examine, SeveralDamagedBatchesInARowAreOneGap) {
  put();
  flip_frames(8);
  flip_record(9);
  expect_gap(8, 9);
}

TEST_F(Examine, DamageThatTheNextSegmentProvesIsAGap) {
  put();
  lose_footer(0);
  flip_frames(3);
  expect_gap(3, 3);
}

TEST_F(Examine, DamageThatTheFooterProvesIsAGap) {
  maker_.seal();
  put();
  flip_frames(11);
  expect_gap(11, 11);
}

TEST_F(Examine, DamageThatTheManifestProvesIsAGap) {
  maker_.close();
  put();
  flip_frames(11);
  expect_gap(11, 11);
}

TEST_F(Examine, WhatTheManifestProvesIsMissingFromTheEnd) {
  maker_.manifest(maker_.batches()[10].end);
  put();
  cut_from(9);
  const auto log = read();
  EXPECT_EQ(log.facts.end, maker_.batches()[10].end);
  ASSERT_EQ(log.facts.gaps.size(), 1u);
  EXPECT_EQ(log.facts.gaps[0].from, maker_.batches()[9].start);
}

TEST_F(Examine, DamageBehindWhatIsProvenLeavesNoGap) {
  maker_.manifest(maker_.batches()[9].end);
  put();
  cut_from(10);
  expect_end_at(10);
}

TEST_F(Examine, OneHeaderDamagedCostsNothing) {
  put();
  flip(1, 20);
  expect_whole();
  EXPECT_EQ(read().facts.notes.size(), 1u);
}

TEST_F(Examine, TheOtherHeaderDamagedCostsNothing) {
  put();
  flip(1, block_size + 20);
  expect_whole();
}

TEST_F(Examine, BothHeadersDamagedLoseTheSegment) {
  put();
  flip(1, 20);
  flip(1, block_size + 20);
  expect_gap(4, 7);
}

TEST_F(Examine, AMissingSegmentIsAGap) {
  put();
  image_.remove(maker_.path(1));
  expect_gap(4, 7);
}

TEST_F(Examine, AMissingFirstSegmentIsAGap) {
  put();
  image_.remove(maker_.path(0));
  expect_gap(0, 3);
}

TEST_F(Examine, AMissingLastSegmentIsAGapOfALogThatWasClosed) {
  maker_.close();
  put();
  image_.remove(maker_.path(2));
  const auto log = read();
  EXPECT_EQ(log.facts.end, maker_.end());
  ASSERT_EQ(log.facts.gaps.size(), 1u);
  EXPECT_EQ(log.facts.gaps[0].from, maker_.batches()[8].start);
  EXPECT_FALSE(log.facts.is_closed);
}

TEST_F(Examine, ADroppedSegmentThatIsStillThereDoesNotCount) {
  put();
  sim::LogMaker later;
  fill(later);
  image_ = later.image();
  // As retention leaves it: the manifest is ahead of the files.
  auto blocks = image_.bytes(maker_.manifest_path());
  for (uint64_t block = 0; block < 2; ++block) {
    Manifest manifest{};
    std::memcpy(&manifest, blocks.data() + block * block_size, sizeof manifest);
    manifest.first_number = 2;
    manifest.first = manifest.durable = maker_.start_of(1);
    seal_bytes(manifest);
    std::memcpy(blocks.data() + block * block_size, &manifest, sizeof manifest);
  }
  image_.put(maker_.manifest_path(), blocks);
  const auto log = read();
  EXPECT_EQ(log.facts.begin, maker_.start_of(1));
  EXPECT_EQ(log.facts.dropped.size(), 1u);
  EXPECT_TRUE(log.facts.gaps.empty());
  EXPECT_EQ(log.messages.size(), 26u);
}

TEST_F(Examine, ACopyOfASegmentUnderAnotherNumberIsNoneOfOurs) {
  put();
  auto bytes = image_.bytes(maker_.path(1));
  image_.put(maker_.options().folder + "/7@64@1.segment", bytes);
  expect_whole();
  EXPECT_EQ(read().facts.strangers.size(), 1u);
}

TEST_F(Examine, ACopyOfASegmentUnderItsOwnNumberIsNoneOfOurs) {
  put();
  auto bytes = image_.bytes(maker_.path(1));
  image_.put(maker_.options().folder + "/2@64@1.segment", bytes);
  expect_whole();
}

TEST_F(Examine, SegmentsThatWereSwappedAreGaps) {
  put();
  const auto first = image_.bytes(maker_.path(0)), second = image_.bytes(maker_.path(1));
  image_.put(maker_.path(0), second);
  image_.put(maker_.path(1), first);
  expect_gap(0, 7);
}

TEST_F(Examine, ASegmentOfAnotherLogIsAGap) {
  put();
  sim::LogMaker::Options options;
  options.id = {{1, 2}};
  options.flavour = 9;
  sim::LogMaker other(options);
  fill(other);
  image_.put(maker_.path(1), other.image().bytes(other.path(1)));
  expect_gap(4, 7);
}

TEST_F(Examine, ALastSegmentOfAnotherLogDoesNotCount) {
  put();
  sim::LogMaker::Options options;
  options.id = {{1, 2}};
  options.flavour = 9;
  sim::LogMaker other(options);
  fill(other);
  image_.put(maker_.path(2), other.image().bytes(other.path(2)));
  expect_end_at(8);
}

TEST_F(Examine, ASegmentOfAnotherVersionIsSaidToBe) {
  maker_.change_header(1, [](SegmentHeader& header) { header.version = 99; });
  put();
  sim::SimDisk disk(image_);
  const auto facts = examine(disk, maker_.options().folder, {.everything = true, .progress = {}});
  EXPECT_EQ(test::code_of(facts), FaultCode::version_mismatch);
}

TEST_F(Examine, ASegmentThatWasRolledBackIsAGapAtItsEnd) {
  put();
  sim::LogMaker younger;
  younger.batch(3, 100).batch(1, 5000).batch(7, 900).batch(2, 10).seal();
  younger.batch(3, 100).batch(1, 5000);
  image_.put(maker_.path(1), younger.image().bytes(younger.path(1)));
  expect_gap(6, 7);
}

TEST_F(Examine, ASegmentCutShortIsAGapAtItsEnd) {
  put();
  image_.cut(maker_.path(1), maker_.batches()[6].offset + 1000);
  expect_gap(6, 7);
}

TEST_F(Examine, AnEmptyFileIsAGap) {
  put();
  image_.cut(maker_.path(1), 0);
  expect_gap(4, 7);
}

// F2: the power was cut, batch 6 was lost and 7 dropped, and the log went on in another segment.
TEST_F(Examine, ALaterSegmentOverridesWhatStandsBehindItsBeginning) {
  maker_.recover_at(6);
  maker_.batch(4, 300).batch(1, 20);
  put();
  expect_whole();
  const LogFacts log = open();
  EXPECT_EQ(log.dropped.size(), 1u);
  EXPECT_EQ(log.epoch, 2u);
}

TEST_F(Examine, StaleBatchesInARecycledSegmentDoNotCount) {
  sim::LogMaker old;
  fill(old);
  put();
  // Segment 1 of long ago, used again for the third one: its old batches stand behind the new.
  auto bytes = old.image().bytes(old.path(0));
  const auto now = image_.bytes(maker_.path(2));
  const uint64_t fresh = maker_.batches()[9].offset;
  std::memcpy(bytes.data(), now.data(), fresh);
  image_.put(maker_.path(2), bytes);
  expect_end_at(9);
}

TEST_F(Examine, ARecordFromElsewhereInTheSegmentDoesNotCount) {
  put();
  const auto& from = maker_.batches()[8];
  const auto& to = maker_.batches()[11];
  auto bytes = image_.bytes(maker_.path(2));
  std::memcpy(bytes.data() + to.offset, bytes.data() + from.offset, block_size);
  image_.put(maker_.path(2), bytes);
  expect_end_at(11);
}

TEST_F(Examine, OneManifestBlockDamagedCostsNothing) {
  maker_.close();
  for (const uint64_t block : {0, 1}) {
    put();
    image_.flip(maker_.manifest_path(), (block * block_size + 50) * 8);
    expect_whole();
    EXPECT_TRUE(open().is_closed);
    EXPECT_EQ(open().notes.size(), 1u);
  }
}

TEST_F(Examine, AMissingManifestCostsNothingButWords) {
  put();
  image_.remove(maker_.manifest_path());
  expect_whole();
  EXPECT_EQ(open().notes.size(), 1u);
}

TEST_F(Examine, BothManifestBlocksDamagedCostNothingButWords) {
  put();
  image_.flip(maker_.manifest_path(), 50 * 8);
  image_.flip(maker_.manifest_path(), (block_size + 50) * 8);
  expect_whole();
  EXPECT_GE(open().notes.size(), 1u);
}

TEST_F(Examine, AFileReadyForTheNextSegmentIsUnbegun) {
  put();
  image_.put(maker_.options().folder + "/4.segment",
             std::vector<std::byte>(maker_.options().segment_bytes));
  expect_whole();
  EXPECT_EQ(open().unbegun, std::vector<std::string>{"4.segment"});
  EXPECT_EQ(open().number, 4u);
}

TEST_F(Examine, ASegmentWithoutItsPlaceInItsNameCounts) {
  put();
  image_.rename(maker_.path(2), maker_.options().folder + "/3.segment");
  expect_whole();
}

// The disk lost the first write of the last segment: both headers and the first batch. What came
// behind it was issued when messages of it were durable, and says so.
TEST_F(Examine, ASegmentThatLostItsHeadersIsMissedAllTheSame) {
  maker_.manifest(maker_.start_of(2));
  const auto& batches = maker_.batches();
  const auto second = std::find_if(batches.begin(), batches.end(),
                                   [&](const auto& batch) { return batch.segment == 2; }) +
                      1;
  const std::string named = maker_.path(2);
  const std::string bare = maker_.options().folder + "/3.segment";
  for (const bool has_place : {true, false}) {
    put();
    image_.overwrite(named, 0, std::vector<std::byte>(second->offset));
    lose_footer(2);
    if (!has_place) image_.rename(named, bare);
    const LogFacts facts = open();
    ASSERT_EQ(facts.gaps.size(), 1u);
    EXPECT_EQ(facts.gaps[0].from, maker_.start_of(2));
    EXPECT_EQ(facts.gaps[0].to, batches.back().start);
    EXPECT_EQ(facts.end, batches.back().start);
  }
}

TEST_F(Examine, OtherFilesAreStrangers) {
  put();
  image_.put(maker_.options().folder + "/notes.txt", {});
  expect_whole();
  EXPECT_EQ(open().strangers, std::vector<std::string>{"notes.txt"});
}

TEST_F(Examine, TheTimeMarkNeverFallsWhenTheClockDoes) {
  maker_.change_record(10, [](BatchRecord& record) {
    record.timestamp_min = record.timestamp_max = 1'000;  // a clock that went back
  });
  put();
  flip_frames(11);
  const auto log = read();
  EXPECT_GE(log.facts.time_mark, log.facts.segments[2].time_mark_before);
  EXPECT_EQ(log.facts.segments[2].timestamp_min, 1'000u);
}

TEST_F(Examine, LengthsThatMakeNoSenseAreDamage) {
  const auto batch_count = maker_.batches().size();
  ASSERT_EQ(batch_count, 12u);
  constexpr void (*changes[])(BatchRecord&) = {
      [](BatchRecord& record) { record.bytes = ~0ull & ~63ull; },
      [](BatchRecord& record) { record.bytes = 0; },
      [](BatchRecord& record) { record.count = 0xffffffff; },
      [](BatchRecord& record) { record.count = 0; },
      [](BatchRecord& record) { record.bytes += 63; },
      [](BatchRecord& record) { record.start.position = ~0ull & ~63ull; },
      [](BatchRecord& record) { record.start.sequence = 0; },
      [](BatchRecord& record) { record.durable.position = record.start.position + 64; },
      [](BatchRecord& record) { record.epoch = 0; },
      [](BatchRecord& record) { record.offset += 1; },
  };
  for (const auto change : changes) {
    sim::LogMaker maker;
    fill(maker);
    maker_ = maker;
    maker_.change_record(9, change);
    put();
    expect_gap(9, 9);
  }
}

}  // namespace
}  // namespace loopline::io
