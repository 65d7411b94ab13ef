// PurgeMark: believed when it is whole, ours and news, and safe before it is.
#include "io/log/purge_mark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/log/examine.h"
#include "io/log/log_reader.h"
#include "io/log/paths.h"
#include "tests/sim/log_maker.h"
#include "tests/sim/sim_disk.h"
#include "tests/support/must.h"

namespace loopline::io {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PurgeMarkTest : public testing::Test {
 protected:
  PurgeMarkTest() {
    middle_ = maker_.batch(3, 200).seal().end();
    end_ = maker_.batch(2, 100).end();
    disk_.emplace(maker_.image());
  }
  PurgeMark mark_at(LogPlace place) const {
    PurgeMark mark{};
    mark.log = maker_.options().id;
    mark.place = place;
    return mark;
  }
  const std::string& folder() const { return maker_.options().folder; }
  void purge(LogPlace place) { must_be_done(store_purge_mark(*disk_, folder(), mark_at(place))); }
  LogFacts facts(LogPlace durable = {}) {
    return test::must(examine(*disk_, folder(), {.everything = true, .durable = durable}));
  }
  static void must_be_done(const Status& done) {
    ASSERT_TRUE(done) << done.fault().message();
  }
  size_t folder_syncs() const {
    size_t count = 0;
    for (const auto& event : disk_->events()) {
      count += event.kind == sim::EventKind::sync_folder ? 1 : 0;
    }
    return count;
  }

  sim::LogMaker maker_;
  LogPlace middle_, end_;
  std::optional<sim::SimDisk> disk_;
};

TEST_F(PurgeMarkTest, DropsWhatStandsBeforeIt) {
  purge(middle_);
  const LogFacts found = facts();
  EXPECT_EQ(found.begin, middle_);
  EXPECT_EQ(found.end, end_);
  EXPECT_EQ(found.purged_number, 2u);
  EXPECT_THAT(found.segments, SizeIs(1));
  EXPECT_THAT(found.dropped, SizeIs(1));
  EXPECT_THAT(found.strangers, IsEmpty());
  EXPECT_EQ(test::must(LogReader::open(*disk_, folder())).begin(), middle_);
}

TEST_F(PurgeMarkTest, BehindTheEndTheLogGoesOnAtThePlace) {
  const LogPlace place{end_.position + 640, end_.sequence + 10};
  purge(place);
  const LogFacts found = facts();
  EXPECT_EQ(found.begin, place);
  EXPECT_EQ(found.end, place);
  EXPECT_THAT(found.segments, IsEmpty());
  EXPECT_THAT(found.gaps, IsEmpty());
  // While the ring before it is on its way to disk, it is to come.
  EXPECT_EQ(facts(end_).end, end_);
  EXPECT_FALSE(facts(end_).purged);
}

TEST_F(PurgeMarkTest, IsMadeSafeByWhoeverActsOnIt) {
  purge(middle_);
  const size_t before = folder_syncs();
  EXPECT_FALSE(test::must(load_purge_mark(*disk_, folder(), middle_)).mark);
  EXPECT_EQ(folder_syncs(), before) << "it says nothing new";
  EXPECT_TRUE(test::must(load_purge_mark(*disk_, folder(), {64, 1})).mark);
  EXPECT_EQ(folder_syncs(), before + 1);
}

TEST_F(PurgeMarkTest, ADamagedOneIsTold) {
  purge(middle_);
  sim::SimDisk disk(disk_->image());
  auto file = test::must(disk.open(purge_path(folder()), DiskAccess::write));
  AlignedBytes block(block_size);
  ASSERT_TRUE(file->write(0, block.span()));
  const LogFacts found = test::must(examine(disk, folder(), {.everything = true}));
  EXPECT_EQ(found.begin, (LogPlace{64, 1}));
  EXPECT_THAT(found.notes, testing::Contains(HasSubstr("the mark of a purge cannot be used")));
}

TEST_F(PurgeMarkTest, AnotherLogsIsPassedOver) {
  PurgeMark mark = mark_at(middle_);
  mark.log = {{1, 2}};
  must_be_done(store_purge_mark(*disk_, folder(), mark));
  const LogFacts found = facts();
  EXPECT_EQ(found.begin, (LogPlace{64, 1}));
  EXPECT_THAT(found.notes, testing::Contains(HasSubstr("another log's")));
}

TEST_F(PurgeMarkTest, AHalfMadeOneIsReplaced) {
  auto file = test::must(disk_->open(purge_path(folder()) + ".making", DiskAccess::create));
  EXPECT_EQ(facts().begin, (LogPlace{64, 1}));
  EXPECT_THAT(facts().strangers, IsEmpty());
  purge(middle_);
  EXPECT_EQ(facts().begin, middle_);
}

}  // namespace
}  // namespace loopline::io
