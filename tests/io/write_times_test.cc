// WriteTimes: how long the newest writes took, and the oldest under way.
#include "io/write_times.h"

#include <gtest/gtest.h>

namespace loopline::io {
namespace {

constexpr uint64_t us = 1000;

TEST(WriteTimes, KnowNothingBeforeTheFirst) {
  WriteTimes times;
  EXPECT_EQ(times.picture(5).count, 0u);
  times.end(7, 5);  // of an unknown one
  EXPECT_EQ(times.picture(5).count, 0u);
}

TEST(WriteTimes, CountFromBeginToEndInAnyOrder) {
  WriteTimes times;
  times.begin(1, 100 * us);
  times.begin(2, 150 * us);
  EXPECT_EQ(times.picture(160 * us).oldest_ns, 60 * us);
  times.end(1, 400 * us);
  EXPECT_EQ(times.picture(160 * us).oldest_ns, 10 * us);
  times.end(2, 250 * us);
  const auto picture = times.picture(1000 * us);
  EXPECT_EQ(picture.count, 2u);
  EXPECT_EQ(picture.p50_ns, 100 * us);
  EXPECT_EQ(picture.oldest_ns, 0u);
}

TEST(WriteTimes, RememberTheNewest) {
  WriteTimes times;
  const auto write = [&](uint64_t took_ns) {
    times.begin(3, 0);
    times.end(3, took_ns);
  };
  for (int count = 0; count < 1000; ++count) write(9000 * us);
  EXPECT_EQ(times.picture(0).p50_ns, 9000 * us);
  for (uint64_t count = 1; count <= 256; ++count) write(count * us);
  const auto picture = times.picture(0);
  EXPECT_EQ(picture.count, 256u);
  EXPECT_EQ(picture.p50_ns, 128 * us);
  EXPECT_EQ(picture.p99_ns, 253 * us);
}

TEST(WriteTimes, OfHoursAreCapped) {
  WriteTimes times;
  times.begin(3, 0);
  times.end(3, 20'000'000'000'000);
  EXPECT_EQ(times.picture(0).p50_ns, 4'294'967'295 * us);
}

}  // namespace
}  // namespace loopline::io
