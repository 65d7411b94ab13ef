// Tests of the rule that includes point one way.

#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

std::string check_include(const std::string& path, const std::string& include) {
  return describe(check_layers({path, "#include " + include + "\n"}));
}

TEST(Layers, PointDown) {
  EXPECT_EQ(check_include("shm/base/hash.cc", "<xxhash.h>"), "");
  EXPECT_EQ(check_include("shm/base/hash.cc", "\"hash.h\""), "");
  EXPECT_EQ(check_include("shm/ring.cc", "\"base/check.h\""), "");
  EXPECT_EQ(check_include("shm/ring.cc", "\"shm/base/check.h\""), "");
  EXPECT_EQ(check_include("shm/mapping.cc", "<boost/interprocess/mapped_region.hpp>"), "");
  EXPECT_EQ(check_include("io/log/reader.h", "\"shm/base/result.h\""), "");
  EXPECT_EQ(check_include("io/writer.cc", "<liburing.h>"), "");
  EXPECT_EQ(check_include("net/link.cc", "\"io/log/reader.h\""), "");
  EXPECT_EQ(check_include("runtime/broker/broker.cc", "\"net/link.h\""), "");
  EXPECT_EQ(check_include("tools/loopline/ring.cc", "\"shm/ring.h\""), "");
  EXPECT_EQ(check_include("tools/loopline/ring.cc", "<loopline/station.h>"), "");
}

TEST(Layers, NeverPointUp) {
  EXPECT_EQ(check_include("shm/base/hash.cc", "\"shm/ring.h\""),
            "shm/base/hash.cc:1: includes shm/ring.h, which lies above shm/base\n");
  EXPECT_NE(check_include("shm/ring.cc", "\"io/log/reader.h\""), "");
  EXPECT_NE(check_include("shm/ring.cc", "<loopline/station.h>"), "");
  EXPECT_NE(check_include("io/log/reader.cc", "\"io/writer.h\""), "");
  EXPECT_NE(check_include("io/writer.cc", "\"net/link.h\""), "");
  EXPECT_NE(check_include("net/link.cc", "\"runtime/sdk/station.h\""), "");
  EXPECT_NE(check_include("runtime/broker/broker.cc", "\"tools/loopline/ring.h\""), "");
  EXPECT_NE(check_include("tools/loopline/ring.cc", "\"tests/support/world.h\""), "");
}

TEST(Layers, KeepTheSdkSmall) {
  EXPECT_EQ(check_include("runtime/sdk/station.cc", "\"shm/ring.h\""), "");
  EXPECT_EQ(check_include("runtime/sdk/station.cc", "\"io/log/reader.h\""), "");
  EXPECT_EQ(check_include("runtime/sdk/station.cc", "<loopline/station.h>"), "");
  EXPECT_NE(check_include("runtime/sdk/station.cc", "\"io/writer.h\""), "");
  EXPECT_NE(check_include("runtime/sdk/station.cc", "\"runtime/broker/broker.h\""), "");
  EXPECT_EQ(check_include("runtime/sdk/station.cc", "<fmt/format.h>"),
            "runtime/sdk/station.cc:1: includes <fmt/format.h>, which runtime/sdk does without\n");
}

TEST(Layers, LetPublicHeadersSeeTheVocabularyOnly) {
  EXPECT_EQ(check_include("runtime/loopline/station.h", "<string_view>"), "");
  EXPECT_EQ(check_include("runtime/loopline/loopline.h", "\"station.h\""), "");
  EXPECT_EQ(check_include("runtime/loopline/loopline.h", "<loopline/station.h>"), "");
  EXPECT_EQ(check_include("runtime/loopline/station.h", "\"loopline/message.h\""), "");
  EXPECT_EQ(check_include("runtime/loopline/station.h", "\"shm/base/result.h\""), "");
  EXPECT_NE(check_include("runtime/loopline/station.h", "\"shm/ring.h\""), "");
  EXPECT_NE(check_include("runtime/loopline/station.h", "<boost/interprocess/mapped_region.hpp>"),
            "");
}

TEST(Layers, KeepForeignCodeWhereItBelongs) {
  EXPECT_EQ(check_include("shm/base/clock.cc", "<linux/futex.h>"), "");
  EXPECT_NE(check_include("shm/base/check.cc", "<boost/interprocess/mapped_region.hpp>"), "");
  EXPECT_NE(check_include("shm/ring.cc", "<liburing.h>"), "");
  EXPECT_NE(check_include("shm/ring.cc", "<gtest/gtest.h>"), "");
}

TEST(Layers, AreWrittenFromTheTop) {
  EXPECT_EQ(check_include("shm/base/hash.cc", "\"../ring.h\""),
            "shm/base/hash.cc:1: includes ../ring.h: write it from the top of the project\n");
}

TEST(Layers, LeaveTestsAndMeasurementsFree) {
  EXPECT_EQ(check_include("tests/shm/ring_test.cc", "\"runtime/broker/broker.h\""), "");
  EXPECT_EQ(check_include("perf/ring_bench.cc", "<benchmark/benchmark.h>"), "");
}

TEST(Layers, AllowAHeaderNamedByAMacro) {
  EXPECT_EQ(check_include("shm/base/atomic.h", "LL_ATOMIC_ALIAS"), "");
}

}  // namespace
}  // namespace loopline::tidy
