// LogWriter: what its opening asks for, and when.
#include "io/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/log/manifest.h"
#include "io/log/purge_mark.h"
#include "tests/sim/log_maker.h"
#include "tests/sim/random.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_storage.h"

namespace loopline::io {
namespace {

class LogWriterTest : public testing::Test {
 protected:
  LogWriterTest() {
    options_.folder = "/data/orders/0";
    options_.name = *shm::parse_station_name("orders");
    options_.id = LogId{{1, 2}};
    options_.segment_bytes = segment_bytes_min;
  }
  Result<std::unique_ptr<LogWriter>> open(const RingLook& look) {
    return LogWriter::open(disk_, chores_, options_, look, 1);
  }

  sim::SimDisk disk_;
  sim::SimChores chores_;
  LogOptions options_;
};

// A writer before us, which nobody knows of yet, may move the ring's `durable` until we are the
// only one: what was read earlier would put the log back behind what was acknowledged.
TEST_F(LogWriterTest, LooksAtTheRingWhenNobodyElseCanMoveIt) {
  bool was_locked = false;
  const auto opened = open([&]() -> Result<RingAtOpen> {
    const auto other = open([]() -> Result<RingAtOpen> { return RingAtOpen{7, {64, 1}}; });
    was_locked = !other && other.fault().code() == FaultCode::already_exists;
    return RingAtOpen{7, {64, 1}};
  });
  ASSERT_TRUE(opened) << opened.fault().message();
  EXPECT_TRUE(was_locked);
  EXPECT_EQ((*opened)->durable(), (LogPlace{64, 1}));
}

TEST_F(LogWriterTest, WritesNothingWhenTheRingCannotBeRead) {
  const auto opened =
      open([]() -> Result<RingAtOpen> { return Fault(FaultCode::not_found, "no ring"); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.fault().message(), "no ring");
  EXPECT_EQ(*disk_.list(options_.folder), std::vector<std::string>{"lock"});
}

// A killed writer had begun a segment, and no batch came to it.
TEST_F(LogWriterTest, RemovesASegmentThatHoldsNothing) {
  sim::LogMaker::Options made;
  made.folder = options_.folder;
  made.id = options_.id;
  sim::LogMaker maker(made);
  const LogPlace end = maker.batch(3, 200).seal().end();
  maker.hole(1, 100);
  ASSERT_EQ(maker.segment_count(), 2u);
  sim::SimDisk disk(maker.image());
  const auto opened = LogWriter::open(
      disk, chores_, options_,
      [&]() -> Result<RingAtOpen> {
        return RingAtOpen{7, end};
      },
      1);
  ASSERT_TRUE(opened) << opened.fault().message();
  EXPECT_EQ((*opened)->durable(), end);
  while (chores_.run_one()) chores_.collect();
  EXPECT_THAT(*disk.list(options_.folder),
              testing::ElementsAre("1@64@1.segment", "lock", "manifest"));
}

// Retention dropped all, and power went before the next segment had its name: a number that counts
// as dropped would take with it whatever is acknowledged in it.
TEST_F(LogWriterTest, NeverGivesANumberThatCountsAsDropped) {
  ASSERT_TRUE(disk_.make_folder(options_.folder));
  Manifest manifest{};
  manifest.log = options_.id;
  manifest.epoch = 3;
  manifest.segment_bytes = options_.segment_bytes;
  manifest.first_number = 8;
  manifest.first = manifest.durable = {6400, 101};
  ASSERT_TRUE(store_manifest(disk_, options_.folder, manifest));
  const auto opened = open([]() -> Result<RingAtOpen> { return RingAtOpen{7, {6400, 101}}; });
  ASSERT_TRUE(opened) << opened.fault().message();
  EXPECT_EQ((*opened)->room(shm::unit_size, 1), 0u) << "it is made when it is asked for";
  while (chores_.run_one()) chores_.collect();
  EXPECT_THAT(*disk_.list(options_.folder), testing::Contains("8.segment"));
}

// All was purged, in a segment too whose first write the disk lost: its file goes, and its number
// is not given again.
TEST_F(LogWriterTest, NeverGivesANumberAgainThatWasPurged) {
  ASSERT_TRUE(disk_.make_folder(options_.folder));
  Manifest manifest{};
  manifest.log = options_.id;
  manifest.epoch = 3;
  manifest.segment_bytes = options_.segment_bytes;
  manifest.first_number = 3;
  manifest.first = manifest.durable = {6400, 101};
  ASSERT_TRUE(store_manifest(disk_, options_.folder, manifest));
  const auto lost = disk_.open(options_.folder + "/3.segment", DiskAccess::create);
  ASSERT_TRUE(lost && (*lost)->allocate(options_.segment_bytes));
  const LogPlace place{12800, 201};
  PurgeMark mark{};
  mark.log = options_.id;
  mark.place = place;
  ASSERT_TRUE(store_purge_mark(disk_, options_.folder, mark));
  const auto look = [&]() -> Result<RingAtOpen> { return RingAtOpen{7, place}; };
  const auto last_one = open(look);
  ASSERT_TRUE(last_one) << last_one.fault().message();
  while (chores_.run_one()) chores_.collect();
  EXPECT_THAT(*disk_.list(options_.folder), testing::Not(testing::Contains("3.segment")));
  disk_.forget_locks();  // killed
  const auto opened = open(look);
  ASSERT_TRUE(opened) << opened.fault().message();
  EXPECT_EQ((*opened)->room(shm::unit_size, 1), 0u);
  while (chores_.run_one()) chores_.collect();
  EXPECT_THAT(*disk_.list(options_.folder), testing::Contains("4.segment"));
}

}  // namespace
}  // namespace loopline::io
