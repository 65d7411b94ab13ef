// LogReader beside one who moves the files: what it did not see all at once it does not call lost.
#include "io/log/log_reader.h"

#include <gmock/gmock.h>

#include <set>

#include "log_fixture.h"
#include "tests/support/must.h"

namespace loopline::io {
namespace {

using test::must;

// A disk on which files are listed late, and are gone when they are opened.
class MovingDisk final : public Disk {
 public:
  explicit MovingDisk(sim::Image image) : disk_(std::move(image)) {}

  std::string moved;       // this file
  std::set<int> unlisted;  // is left out of these lists, the first is 0
  std::set<int> unopened;  // and not found by these openings of it
  int lists = 0, opened = 0;

  // Before the list or opening that comes so many later.
  void rename_at(int later, const std::string& from, const std::string& to) {
    renamings_.push_back({operations_ + later, from, to});
  }

  Result<std::unique_ptr<DiskFile>> open(const std::string& path, DiskAccess access) override {
    rename_what_is_due();
    const bool is_it = !moved.empty() && path.ends_with("/" + moved);
    if (is_it && unopened.contains(opened++)) return Fault(FaultCode::not_found, "moved");
    return disk_.open(path, access);
  }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    rename_what_is_due();
    LL_TRY(names, disk_.list(folder));
    if (unlisted.contains(lists++)) std::erase(names, moved);
    return names;
  }
  Status make_folder(const std::string& path) override { return disk_.make_folder(path); }
  Status rename(const std::string& from, const std::string& to) override {
    return disk_.rename(from, to);
  }
  Status remove(const std::string& path) override { return disk_.remove(path); }
  Status remove_folder(const std::string& path) override { return disk_.remove_folder(path); }
  Status sync_folder(const std::string& path) override { return disk_.sync_folder(path); }
  Result<uint64_t> free_bytes(const std::string& folder) override {
    return disk_.free_bytes(folder);
  }
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override { return disk_.lock(path); }

 private:
  void rename_what_is_due() {
    for (const Renaming& renaming : renamings_) {
      if (renaming.before == operations_) must(disk_.rename(renaming.from, renaming.to));
    }
    ++operations_;
  }

  struct Renaming {
    int before = 0;
    std::string from, to;
  };
  sim::SimDisk disk_;
  std::vector<Renaming> renamings_;
  int operations_ = 0;
};

class LogReaderTest : public LogFixture {
 protected:
  LogReaderTest() {
    for (int segment = 0; segment < 3; ++segment) {
      for (int batch = 0; batch < 4; ++batch) maker_.batch(3, 200);
      maker_.seal();
    }
    maker_.close();
    put();
  }
  std::string file_of(size_t segment) const {
    const std::string path = maker_.path(segment);
    return path.substr(path.rfind('/') + 1);
  }
  // Reads to the end, again and again while it is told to; what it saw, for people.
  std::string read(MovingDisk& disk, std::optional<LogId> id = {}) const {
    auto reader = must(LogReader::open(disk, maker_.options().folder, id));
    int laters = 0;
    for (size_t batches = 0;;) {
      const auto step = must(reader.next(maker_.end()));
      switch (step.kind) {
        case LogReader::Step::Kind::end:
          return std::to_string(batches) + " batches";
        case LogReader::Step::Kind::gap:
          return "a gap behind " + std::to_string(batches) + " batches: " + step.gap.why;
        case LogReader::Step::Kind::later:
          if (++laters == 100) return "never";
          break;
        case LogReader::Step::Kind::batch:
          ++batches;
      }
    }
  }
};

TEST_F(LogReaderTest, AFileThatIsRenamedWhileItIsListedIsNotMissing) {
  for (size_t segment = 0; segment < 3; ++segment) {
    for (int first = 0; first < 8; ++first) {
      for (int count = 1; count < 40; count += 2) {
        MovingDisk disk(image_);
        disk.moved = file_of(segment);
        // Not twice in one look: a file is renamed once, and then lies still.
        for (int list = 0; list < count; ++list) disk.unlisted.insert(2 * (first + list));
        EXPECT_EQ(read(disk), "12 batches") << segment << " " << first << " " << count;
      }
    }
  }
}

TEST_F(LogReaderTest, AFileThatIsRenamedBeforeItIsOpenedIsNotMissing) {
  image_.rename(maker_.path(2), maker_.options().folder + "/3.segment");
  for (int first = 0; first < 8; ++first) {
    for (int count = 1; count < 40; ++count) {
      MovingDisk disk(image_);
      disk.moved = "3.segment";
      for (int opening = 0; opening < count; ++opening) disk.unopened.insert(first + opening);
      EXPECT_EQ(read(disk), "12 batches") << first << " " << count;
    }
  }
}

// One who has read all there was looks for the next segment when there is more, and finds it begun;
// it is given its name before it is opened.
TEST_F(LogReaderTest, AFileThatIsRenamedBetweenLookAndReadIsNotMissing) {
  const std::string begun = maker_.options().folder + "/3.segment";
  const std::string ready = maker_.options().folder + "/ready.making";
  image_.rename(maker_.path(2), ready);
  for (int named = 0; named < 20; ++named) {
    MovingDisk disk(image_);
    auto reader = must(LogReader::open(disk, maker_.options().folder));
    const LogPlace end_before = maker_.batches()[7].end;
    while (must(reader.next(end_before)).kind == LogReader::Step::Kind::batch) {
    }
    ASSERT_EQ(reader.at(), end_before);
    disk.rename_at(0, ready, begun);
    disk.rename_at(named, begun, maker_.path(2));
    int laters = 0;
    auto step = must(reader.next(maker_.end()));
    while (step.kind == LogReader::Step::Kind::later && ++laters < 10) {
      step = must(reader.next(maker_.end()));
    }
    EXPECT_EQ(step.kind, LogReader::Step::Kind::batch) << named << ": " << step.gap.why;
  }
}

// The next segment is a file that was dropped by another log; until its header is written it looks
// like a segment of this number, and its places may be anywhere.
TEST_F(LogReaderTest, ASpareThatIsNotBegunIsNoSegment) {
  for (const bool has_manifest : {true, false}) {
    for (const uint32_t batches_before : {0, 3, 9, 30}) {
      sim::LogMaker::Options other;
      other.id = log_of_partition(maker_.options().id, 1);
      other.number = 4;
      if (batches_before != 0) other.start = maker_.batches()[0].end;
      sim::LogMaker stale(other);
      for (uint32_t batch = 0; batch < 4; ++batch) stale.batch(batches_before + 1, 200);
      put();
      std::optional<LogId> id;  // as who reads beside a ring knows it
      if (!has_manifest) id = maker_.options().id;
      if (!has_manifest) image_.remove(maker_.manifest_path());
      image_.put(maker_.options().folder + "/4.segment", stale.bytes(0));
      MovingDisk disk(image_);
      EXPECT_EQ(read(disk, id), "12 batches") << has_manifest << " " << batches_before;
    }
  }
}

// A killed writer's last batches stand behind the end at which the segment was sealed by the next
// one, whose own segment the disk lost: they were never acknowledged, and what was is missing.
TEST_F(LogReaderTest, WhatStandsBehindTheEndOfASealedSegmentIsNotOfTheLog) {
  sim::LogMaker sealed, whole;
  for (int batch = 0; batch < 6; ++batch) {
    if (batch < 4) sealed.batch(3, 200);
    whole.batch(3, 200);
  }
  sealed.seal();
  whole.manifest(whole.end());
  const uint64_t footer = footer_offset(whole.options().segment_bytes);
  std::copy(sealed.bytes(0).begin() + static_cast<ptrdiff_t>(footer), sealed.bytes(0).end(),
            whole.bytes(0).begin() + static_cast<ptrdiff_t>(footer));
  maker_ = whole;
  put();
  for (const auto& [flipped, batches] : {std::pair{5, 4}, {3, 3}, {5, 3}, {4, 3}}) {
    flip_frames(static_cast<size_t>(flipped));
    MovingDisk disk(image_);
    EXPECT_THAT(read(disk), testing::StartsWith("a gap behind " + std::to_string(batches)));
    sim::SimDisk facts_disk(image_);
    const LogFacts facts = must(examine(facts_disk, whole.options().folder, {.everything = true}));
    ASSERT_EQ(facts.gaps.size(), 1u);
    EXPECT_EQ(facts.gaps[0].from, whole.batches()[static_cast<size_t>(batches)].start);
    EXPECT_EQ(facts.gaps[0].to, whole.end());
  }
}

// The same where the disk lost the footer: the manifest says who began where.
TEST_F(LogReaderTest, WhatAKilledWriterLeftWhereALaterOneBeganIsNotOfTheLog) {
  sim::LogMaker::Options options;
  options.in_flight = 6;  // none of them was acknowledged
  sim::LogMaker maker(options);
  for (int batch = 0; batch < 6; ++batch) maker.batch(3, 200);
  const LogPlace end = maker.end();
  maker.recover_at(4).manifest(maker.end());
  maker_ = maker;
  put();
  MovingDisk disk(image_);
  auto reader = must(LogReader::open(disk, maker.options().folder));
  for (int batch = 0; batch < 4; ++batch) {
    EXPECT_EQ(must(reader.next(end)).kind, LogReader::Step::Kind::batch);
  }
  const auto gap = must(reader.next(end));
  EXPECT_EQ(gap.kind, LogReader::Step::Kind::gap);
  EXPECT_EQ(gap.gap.to, end);
  EXPECT_EQ(LogFixture::read().facts.end, maker.end());
  EXPECT_EQ(open().end, maker.end());
}

TEST_F(LogReaderTest, AFileThatIsGoneIsAGap) {
  image_.remove(maker_.path(1));
  MovingDisk disk(image_);
  EXPECT_EQ(read(disk), "a gap behind 4 batches: a segment is missing");
}

}  // namespace
}  // namespace loopline::io
