// LogFixture: a log made by hand, what is done to it, and what it is found to hold.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/sim/log_maker.h"
#include "tests/sim/log_reading.h"
#include "tests/sim/sim_disk.h"

namespace loopline::io {

class LogFixture : public testing::Test {
 protected:
  // Puts what the maker has on the disk: to be called once it is complete.
  void put() { image_ = maker_.image(); }
  void flip(size_t segment, uint64_t byte) { image_.flip(maker_.path(segment), byte * 8); }
  // A byte of the frames of a batch, or of its record.
  void flip_frames(size_t batch) { flip_in_batch(batch, sizeof(BatchRecord) + 40); }
  void flip_record(size_t batch) { flip_in_batch(batch, 100); }
  void flip_in_batch(size_t batch, uint64_t byte) {
    const auto& where = maker_.batches()[batch];
    flip(where.segment, where.offset + byte);
  }
  // Zeros from a batch on to the end of its segment.
  void cut_from(size_t batch) {
    const auto& where = maker_.batches()[batch];
    const uint64_t end = footer_offset(maker_.options().segment_bytes);
    const std::vector<std::byte> zeros(end - where.offset);
    image_.overwrite(maker_.path(where.segment), where.offset, zeros);
  }
  void lose_footer(size_t segment) {
    const uint64_t at = footer_offset(maker_.options().segment_bytes);
    image_.overwrite(maker_.path(segment), at, std::vector<std::byte>(block_size));
  }

  // Reads all there is; it must be what the maker wrote, where no gap says otherwise.
  sim::LogReading read() {
    sim::SimDisk disk(image_);
    auto log = sim::read_log(disk, maker_.options().folder);
    EXPECT_EQ(sim::compare(log, maker_.messages(), {}), "");
    EXPECT_TRUE(disk.events().empty()) << "examine() changed something";
    return log;
  }
  // What opening finds must be what a look at everything finds.
  LogFacts open() {
    sim::SimDisk disk(image_);
    auto facts = examine(disk, maker_.options().folder, {});
    EXPECT_TRUE(facts) << facts.fault().message();
    return facts ? std::move(*facts) : LogFacts{};
  }
  void expect_whole() {
    const auto log = read();
    EXPECT_EQ(log.facts.end, maker_.end());
    EXPECT_TRUE(log.facts.gaps.empty());
    EXPECT_EQ(log.messages.size(), maker_.messages().size());
    EXPECT_EQ(open().end, maker_.end());
  }
  void expect_end_at(size_t batch) {
    const auto log = read();
    EXPECT_EQ(log.facts.end, maker_.batches()[batch].start);
    EXPECT_TRUE(log.facts.gaps.empty());
    EXPECT_FALSE(log.facts.is_closed);
    EXPECT_EQ(open().end, log.facts.end);
  }
  // The gap covers the batches from `first` to `last`, and nothing else is missing.
  void expect_gap(size_t first, size_t last) {
    const auto log = read();
    EXPECT_EQ(log.facts.end, maker_.end());
    ASSERT_EQ(log.facts.gaps.size(), 1u);
    EXPECT_EQ(log.facts.gaps[0].from, maker_.batches()[first].start);
    EXPECT_EQ(log.facts.gaps[0].to, maker_.batches()[last].end);
    EXPECT_NE(log.facts.gaps[0].why, "");
    EXPECT_EQ(open().end, maker_.end());
  }

  sim::LogMaker maker_;
  sim::Image image_;
};

}  // namespace loopline::io
