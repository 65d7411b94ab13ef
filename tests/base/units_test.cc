// Units: what people write is read exactly, printed in one form, and refused with the right hint.
#include "shm/base/units.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace loopline {
namespace {

constexpr uint64_t largest_number = std::numeric_limits<uint64_t>::max();

uint64_t size_of(const char* text) {
  const auto size = parse_size(text);
  EXPECT_TRUE(size) << text << ": " << (size ? "" : size.fault().message());
  return size ? *size : largest_number;
}

uint64_t duration_of(const char* text) {
  const auto duration = parse_duration(text);
  EXPECT_TRUE(duration) << text << ": " << (duration ? "" : duration.fault().message());
  return duration ? *duration : largest_number;
}

std::string size_error(const std::string& text) {
  const auto size = parse_size(text);
  if (size) return "accepted as " + format_size(*size);
  EXPECT_EQ(size.fault().code(), FaultCode::invalid_argument);
  return size.fault().message();
}

std::string duration_error(const std::string& text) {
  const auto duration = parse_duration(text);
  if (duration) return "accepted as " + format_duration(*duration);
  EXPECT_EQ(duration.fault().code(), FaultCode::invalid_argument);
  return duration.fault().message();
}

TEST(Units, ReadsSizesWithAndWithoutUnit) {
  EXPECT_EQ(size_of("0"), 0u);
  EXPECT_EQ(size_of("4096"), 4096u);
  EXPECT_EQ(size_of("4096B"), 4096u);
  EXPECT_EQ(size_of("64KiB"), 64_KiB);
  EXPECT_EQ(size_of("8MiB"), 8_MiB);
  EXPECT_EQ(size_of("1GiB"), 1_GiB);
  EXPECT_EQ(size_of("2TiB"), 2048_GiB);
  EXPECT_EQ(size_of("18446744073709551615"), largest_number);
}

TEST(Units, RefusesDecimalUnitsWithAHintInsteadOfGuessing) {
  EXPECT_EQ(size_error("64KB"),
            "\"64KB\" is not a size: units are B, KiB, MiB, GiB, TiB (powers of 1024); "
            "write 64KiB");
  for (const char* unit : {"K", "k", "kB", "kb", "Ki", "kib", "KIB"}) {
    EXPECT_NE(size_error(std::string("64") + unit).find("; write 64KiB"), std::string::npos)
        << unit;
  }
  EXPECT_NE(size_error("8MB").find("; write 8MiB"), std::string::npos);
  EXPECT_NE(size_error("3gb").find("; write 3GiB"), std::string::npos);
}

TEST(Units, SaysWhatASizeIsWhenItReadsSomethingElse) {
  const std::string accepted =
      " is not a size: give a whole number and one of B, KiB, MiB, GiB, TiB, such as 64KiB";
  for (const char* text :
       {"", "KiB", "-1", "+1", "1.5MiB", "64 KiB", " 64KiB", "64KiB ", "0x10", "1e6", "many"}) {
    EXPECT_EQ(size_error(text), "\"" + std::string(text) + "\"" + accepted);
  }
}

TEST(Units, RefusesSizesThatDoNotFitSixtyFourBits) {
  EXPECT_EQ(size_error("18446744073709551616"),
            "\"18446744073709551616\" is too large: a size is at most 18446744073709551615B");
  EXPECT_NE(size_error("16777216TiB").find("is too large"), std::string::npos);
  EXPECT_EQ(size_of("16777215TiB"), 16777215u * 1024_GiB);
  EXPECT_NE(size_error(std::string(400, '9')).find("is too large"), std::string::npos);
}

TEST(Units, PrintsASizeInItsShortestExactForm) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(1_MiB + 1_KiB), "1025KiB");
  EXPECT_EQ(format_size(64_GiB), "64GiB");
  EXPECT_EQ(format_size(largest_number), "18446744073709551615B");
}

TEST(Units, ReadsBackEverySizeItPrints) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t size : {uint64_t{1} << shift, (uint64_t{1} << shift) - 1}) {
      EXPECT_EQ(size_of(format_size(size).c_str()), size);
    }
  }
}

TEST(Units, RoundsSizesToThreeDigitsForPeople) {
  EXPECT_EQ(format_size_rounded(0), "0B");
  EXPECT_EQ(format_size_rounded(1536), "1.5KiB");
  EXPECT_EQ(format_size_rounded(1023), "1023B");
  EXPECT_EQ(format_size_rounded(1024), "1KiB");
  EXPECT_EQ(format_size_rounded(1023.7 * 1024), "1MiB");
  EXPECT_EQ(format_size_rounded(123456789), "118MiB");
  EXPECT_EQ(format_size_rounded(-1536), "-1.5KiB");
}

TEST(Units, ReadsDurationsInEveryUnit) {
  EXPECT_EQ(duration_of("0"), 0u);
  EXPECT_EQ(duration_of("7ns"), 7u);
  EXPECT_EQ(duration_of("250us"), 250'000u);
  EXPECT_EQ(duration_of("5ms"), 5'000'000u);
  EXPECT_EQ(duration_of("5s"), 5'000'000'000u);
  EXPECT_EQ(duration_of("2m"), 120'000'000'000u);
  EXPECT_EQ(duration_of("24h"), duration_of("1d"));
  EXPECT_EQ(duration_of("7d"), 604'800'000'000'000u);
}

TEST(Units, RefusesADurationWithoutUnit) {
  EXPECT_EQ(duration_error("5"),
            "\"5\" has no unit: write one of ns, us, ms, s, m, h, d behind it, such as 5ms");
}

TEST(Units, HintsAtTheDurationUnitThatWasMeant) {
  EXPECT_EQ(duration_error("5sec"),
            "\"5sec\" is not a time: units are ns, us, ms, s, m, h, d; write 5s");
  EXPECT_NE(duration_error("10min").find("; write 10m"), std::string::npos);
  EXPECT_NE(duration_error("3\u00b5s").find("; write 3us"), std::string::npos);
}

TEST(Units, SaysWhatADurationIsWhenItReadsSomethingElse) {
  const std::string accepted =
      " is not a time: give a whole number and one of ns, us, ms, s, m, h, d, such as 250us";
  for (const char* text : {"", "s", "-5s", "1.5s", "5 s", "soon", "5s1ms"}) {
    EXPECT_EQ(duration_error(text), "\"" + std::string(text) + "\"" + accepted);
  }
}

TEST(Units, RefusesDurationsThatDoNotFitSixtyFourBits) {
  EXPECT_EQ(duration_error("213504d"), "\"213504d\" is too long: a time is at most 213503d");
  EXPECT_EQ(format_duration(duration_of("213503d")), "213503d");
}

TEST(Units, PrintsADurationInItsShortestExactForm) {
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(90'000'000'000), "90s");
  EXPECT_EQ(format_duration(120'000'000'000), "2m");
  EXPECT_EQ(format_duration(250'000), "250us");
  EXPECT_EQ(format_duration(1'234), "1234ns");
  EXPECT_EQ(format_duration(604'800'000'000'000), "7d");
}

TEST(Units, RoundsDurationsToThreeDigitsForPeople) {
  EXPECT_EQ(format_duration_rounded(0), "0ns");
  EXPECT_EQ(format_duration_rounded(1234), "1.23us");
  EXPECT_EQ(format_duration_rounded(999.4), "999ns");
  EXPECT_EQ(format_duration_rounded(999.7), "1us");
  EXPECT_EQ(format_duration_rounded(12'345'678), "12.3ms");
  EXPECT_EQ(format_duration_rounded(90e9), "1.5m");
  EXPECT_EQ(format_duration_rounded(std::nan("")), "?");
}

TEST(Units, GroupsTheDigitsOfACountByThousands) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'000), "1,000");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_count(largest_number), "18,446,744,073,709,551,615");
}

}  // namespace
}  // namespace loopline
