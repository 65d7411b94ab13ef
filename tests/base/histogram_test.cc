// Histogram: its percentiles against a sorted vector, its text against HdrHistogram's, its memory.
#include "shm/base/histogram.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace loopline {
namespace {

constexpr double percents[] = {0, 0.1, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 99.999, 100};

// The value that HdrHistogram promises: at least `percent` of all are not larger.
uint64_t percentile_of_sorted(const std::vector<uint64_t>& sorted, double percent) {
  const double exact = std::nextafter(percent, -HUGE_VAL) / 100;
  const double rank = std::ceil(exact * static_cast<double>(sorted.size()));
  return sorted[rank < 1 ? 0 : static_cast<size_t>(rank) - 1];
}

void expect_percentiles_like_sorted(std::vector<uint64_t> values, double error) {
  auto histogram = std::make_unique<Histogram>();
  for (const uint64_t value : values) histogram->record(value);
  std::sort(values.begin(), values.end());
  for (const double percent : percents) {
    const auto exact = static_cast<double>(percentile_of_sorted(values, percent));
    const auto found = static_cast<double>(histogram->percentile(percent));
    EXPECT_GE(found, exact) << percent << " %";
    EXPECT_LE(found, exact * (1 + error)) << percent << " %";
  }
  EXPECT_EQ(histogram->min(), values.front());
  EXPECT_EQ(histogram->max(), values.back());
  EXPECT_EQ(histogram->count(), values.size());
}

TEST(Histogram, IsEmptyWhenItsMemoryIsZero) {
  auto histogram = std::make_unique<Histogram>();
  EXPECT_EQ(histogram->count(), 0u);
  EXPECT_EQ(histogram->min(), 0u);
  EXPECT_EQ(histogram->max(), 0u);
  EXPECT_EQ(histogram->percentile(50), 0u);
  EXPECT_EQ(histogram->mean(), 0);
  const auto* bytes = reinterpret_cast<const unsigned char*>(histogram.get());
  EXPECT_EQ(std::count(bytes, bytes + sizeof(Histogram), 0),
            static_cast<ptrdiff_t>(sizeof(Histogram)));
}

TEST(Histogram, KeepsSmallValuesExactly) {
  std::vector<uint64_t> values;
  for (uint64_t value = 0; value < 2048; ++value) values.push_back(value);
  expect_percentiles_like_sorted(values, 0);
}

TEST(Histogram, FindsPercentilesOfUniformValuesToThreeDigits) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<uint64_t> uniform(0, 10'000'000);
  std::vector<uint64_t> values(100'000);
  for (auto& value : values) value = uniform(random);
  expect_percentiles_like_sorted(values, 0.001);
}

TEST(Histogram, FindsPercentilesOfLatenciesWithALongTailToThreeDigits) {
  std::mt19937_64 random(2);
  std::lognormal_distribution<double> tail(std::log(200), 2);
  std::vector<uint64_t> values(100'000);
  for (auto& value : values) value = static_cast<uint64_t>(tail(random));
  expect_percentiles_like_sorted(values, 0.001);
}

TEST(Histogram, PutsEveryPowerOfTwoAndItsNeighboursWithinThreeDigits) {
  for (uint64_t power = 1; power < histogram_largest; power *= 2) {
    for (const uint64_t value : {power - 1, power, power + 1}) {
      auto histogram = std::make_unique<Histogram>();
      histogram->record(value);
      histogram->record(histogram_largest);
      EXPECT_GE(histogram->percentile(50), value);
      EXPECT_LE(histogram->percentile(50), value + value / 1000);
    }
  }
}

TEST(Histogram, NeverReportsAPercentileAboveTheMaximum) {
  auto histogram = std::make_unique<Histogram>();
  histogram->record(1'000'000);
  EXPECT_EQ(histogram->percentile(100), 1'000'000u);
  EXPECT_EQ(histogram->percentile(50), 1'000'000u);
}

TEST(Histogram, CountsValuesAboveAnHourAsAnHourAndSaysSo) {
  auto histogram = std::make_unique<Histogram>();
  histogram->record(histogram_largest);
  histogram->record(histogram_largest + 1);
  histogram->record_n(~uint64_t{0}, 3);
  EXPECT_EQ(histogram->count(), 5u);
  EXPECT_EQ(histogram->clamped(), 4u);
  EXPECT_EQ(histogram->max(), histogram_largest);
}

TEST(Histogram, CountsWhatIsNotLargerThanAValue) {
  auto histogram = std::make_unique<Histogram>();
  for (uint64_t value = 1; value <= 1000; ++value) histogram->record(value);
  histogram->record(1'000'000);
  EXPECT_EQ(histogram->count_up_to(0), 0u);
  EXPECT_EQ(histogram->count_up_to(1), 1u);
  EXPECT_EQ(histogram->count_up_to(700), 700u);
  EXPECT_EQ(histogram->count_up_to(500'000), 1000u);
  EXPECT_EQ(histogram->count_up_to(~uint64_t{0}), 1001u);
}

TEST(Histogram, RecordsManyAtOnceAsIfOneByOne) {
  auto at_once = std::make_unique<Histogram>();
  auto one_by_one = std::make_unique<Histogram>();
  at_once->record_n(777, 5);
  at_once->record_n(999, 0);
  for (int time = 0; time < 5; ++time) one_by_one->record(777);
  EXPECT_EQ(std::memcmp(at_once.get(), one_by_one.get(), sizeof(Histogram)), 0);
}

TEST(Histogram, MergesToWhatOneWouldHaveRecorded) {
  auto all = std::make_unique<Histogram>();
  auto even = std::make_unique<Histogram>();
  auto odd = std::make_unique<Histogram>();
  for (uint64_t value = 3; value < 3'000'000; value += 1237) {
    all->record(value);
    (value % 2 == 0 ? even : odd)->record(value);
  }
  even->merge(*odd);
  EXPECT_EQ(std::memcmp(even.get(), all.get(), sizeof(Histogram)), 0);
  even->merge(Histogram());
  EXPECT_EQ(std::memcmp(even.get(), all.get(), sizeof(Histogram)), 0);
}

TEST(Histogram, ForgetsEverythingWhenCleared) {
  auto histogram = std::make_unique<Histogram>();
  histogram->record(5);
  histogram->clear();
  EXPECT_EQ(histogram->count(), 0u);
  histogram->record(9);
  EXPECT_EQ(histogram->min(), 9u);
}

TEST(Histogram, GivesOneDigitLessOfPrecisionInTheSmallForm) {
  auto histogram = std::make_unique<SmallHistogram>();
  for (uint64_t value = 1; value <= 1'000'000; ++value) histogram->record(value);
  const auto median = static_cast<double>(histogram->percentile(50));
  EXPECT_GE(median, 500'000);
  EXPECT_LE(median, 505'000);
}

TEST(Histogram, CarriesResultsOutOfAForkedProcessThroughSharedMemory) {
  void* memory =
      ::mmap(nullptr, sizeof(Histogram), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* histogram = static_cast<Histogram*>(memory);
  const pid_t child = ::fork();
  if (child == 0) {
    for (uint64_t value = 1; value <= 1000; ++value) histogram->record(value);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(histogram->count(), 1000u);
  EXPECT_EQ(histogram->percentile(99.9), 999u);
  ::munmap(memory, sizeof(Histogram));
}

// Written by hdr-histogram-js 3.0.1, outputPercentileDistribution(5, 1), for the values 1 2 2 3
// 1000 with 1 ns .. 1 h and three digits.
constexpr const char* distribution = R"(       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.000000000000          1           1.00
       1.000 0.100000000000          1           1.11
       1.000 0.200000000000          1           1.25
       2.000 0.300000000000          3           1.43
       2.000 0.400000000000          3           1.67
       2.000 0.500000000000          3           2.00
       2.000 0.550000000000          3           2.22
       2.000 0.600000000000          3           2.50
       3.000 0.650000000000          4           2.86
       3.000 0.700000000000          4           3.33
       3.000 0.750000000000          4           4.00
       3.000 0.775000000000          4           4.44
       3.000 0.800000000000          4           5.00
    1000.000 0.825000000000          5           5.71
    1000.000 1.000000000000          5
#[Mean    =      201.600, StdDeviation   =      399.201]
#[Max     =     1000.000, Total count    =            5]
#[Buckets =           32, SubBuckets     =         2048]
)";

TEST(Histogram, PrintsTheDistributionThatHdrHistogramPrints) {
  auto histogram = std::make_unique<Histogram>();
  for (const uint64_t value : {1, 2, 2, 3, 1000}) histogram->record(value);
  EXPECT_EQ(histogram->hgrm(), distribution);
}

TEST(Histogram, PrintsADistributionOfNothing) {
  const std::string text = std::make_unique<Histogram>()->hgrm();
  EXPECT_NE(text.find("Total count    =            0"), std::string::npos);
}

}  // namespace
}  // namespace loopline
