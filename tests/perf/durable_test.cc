// Durable: rounds run all rows alike, promises are judged as written, and the folder goes again.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "perf/durable/disk.h"
#include "perf/durable/promises.h"
#include "perf/durable/rounds.h"
#include "perf/durable/table.h"
#include "perf/durable/temp_disk_folder.h"
#include "tests/support/must.h"
#include "tests/support/wait_until.h"

namespace loopline::perf {
namespace {

using test::must;
using testing::HasSubstr;

TEST(TempDiskFolder, GoesWithTheProcessThatIsKilled) {
  const TempDiskFolder outer = must(TempDiskFolder::make(testing::TempDir()));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const TempDiskFolder inner = must(TempDiskFolder::make(outer.path()));
    std::ofstream(inner.path() + "/file") << "kept";
    if (::write(ends[1], "+", 1) == 1) ::raise(SIGKILL);
    ::_exit(1);
  }
  char byte;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(test::wait_until([&] { return std::filesystem::is_empty(outer.path()); }));
  ::close(ends[0]);
  ::close(ends[1]);
}

// Rows that note what they find, in rounds of next to no time.
class RoundsTest : public testing::Test {
 protected:
  void add(const char* subject, std::function<Result<Figures>(const Site&)> run) {
    rows_.push_back({"publish", subject, Kept::synced, 1, 256, std::move(run)});
  }
  AllRounds run(uint32_t round_count, uint64_t budget_ns = 60'000'000'000) {
    RoundPlan plan;
    plan.folder = folder_.path();
    plan.big_file_bytes = 1 << 20;
    plan.round_count = round_count;
    plan.budget_ns = budget_ns;
    return must(run_rounds(rows_, plan,
                           [this](const Row& row, const Round&) { order_ += row.subject + " "; }));
  }

  TempDiskFolder folder_ = must(TempDiskFolder::make(testing::TempDir()));
  Rows rows_;
  std::string order_;
};

Result<Figures> litter(const Site& site) {
  if (!std::filesystem::is_empty(site.folder)) {
    return Fault(FaultCode::already_exists, "somebody was here");
  }
  std::ofstream(site.folder + "/litter") << "left behind";
  return Figures{};
}

TEST_F(RoundsTest, GoRoundAllRowsEachInAnEmptyFolder) {
  add("a", litter);
  add("b", litter);
  const AllRounds all = run(3);
  EXPECT_EQ(order_, "a b a b a b ");
  EXPECT_EQ(all[1].rounds.size(), 3u);
  EXPECT_EQ(all[1].failure, "");
}

TEST_F(RoundsTest, LeaveARowThatFailsOutFromThenOn) {
  add("a", litter);
  add("gone", [](const Site&) -> Result<Figures> { return Fault(FaultCode::io_error, "broken"); });
  add("no", [](const Site&) -> Result<Figures> { return Fault(FaultCode::unsupported, "none"); });
  const AllRounds all = run(2);
  EXPECT_EQ(order_, "a a ");
  EXPECT_EQ(all[1].failure, "broken");
  EXPECT_TRUE(all[1].is_possible);
  EXPECT_FALSE(all[2].is_possible);
}

TEST_F(RoundsTest, BeginNoneThatTheBudgetHasNoRoomFor) {
  add("a", litter);
  run(1000, 1);
  EXPECT_EQ(order_, "a ");
}

// Rows with figures of one's choice.
class PromisesTest : public testing::Test {
 protected:
  // One round for each of `values`.
  void add(const char* bench, uint32_t in_flight, const char* subject, double Round::*figure,
           const std::vector<double>& values) {
    rows_.push_back(std::make_unique<Row>(Row{bench, subject, Kept::synced, in_flight, 256, {}}));
    all_.push_back({rows_.back().get(), {}, "1", "", "", true});
    for (const double value : values) {
      Round round;
      round.p50_ns = round.p99_ns = round.rate_per_s = round.bytes_per_s = 1;
      round.*figure = value;
      all_.back().rounds.push_back(round);
    }
  }
  Judgement judged(size_t index) const { return judge(all_[index], all_); }

  std::vector<std::unique_ptr<Row>> rows_;
  AllRounds all_;
};

TEST_F(PromisesTest, HoldWhenTheMedianOfTheRatiosDoes) {
  add("publish", 1, "raw write", &Round::p50_ns, {100, 300, 200});
  add("publish", 1, "loopline spinning", &Round::p50_ns, {104, 312, 900});
  EXPECT_EQ(judged(1).figures, "p50 1.04x <= 1.05x raw write, p99 1x <= 1.25x raw write");
  EXPECT_EQ(judged(1).verdict, "pass");
}

TEST_F(PromisesTest, AreMissedByName) {
  add("publish", 64, "redis always", &Round::rate_per_s, {100});
  add("publish", 64, "loopline parked", &Round::rate_per_s, {249});
  EXPECT_EQ(judged(1).figures, "rate 2.49x >= 2.5x redis always, p50 1x <= 0.5x redis always");
  EXPECT_EQ(judged(1).verdict, "miss rate p50");
}

TEST_F(PromisesTest, OfAParkedFlusherWithOneInFlightThereAreNone) {
  add("publish", 1, "raw write", &Round::p50_ns, {100});
  add("publish", 1, "loopline parked", &Round::p50_ns, {900});
  EXPECT_EQ(judged(1).figures, "");
  EXPECT_EQ(judged(0).figures, "") << "a yardstick promises nothing";
}

TEST_F(PromisesTest, OfBandwidthNameTheProcessorsToo) {
  add("write", 0, "fio", &Round::bytes_per_s, {2e9});
  add("write", 0, "loopline", &Round::bytes_per_s, {1.8e9});
  all_[1].rounds[0].cores = 0.36;
  EXPECT_EQ(judged(1).figures, "rate 0.9x >= 0.85x fio, cores 0.2 <= 0.25 for each GB/s");
  EXPECT_EQ(judged(1).verdict, "pass");
  all_[1].rounds[0].cores = 0.9;
  EXPECT_EQ(judged(1).verdict, "miss cores");
}

TEST_F(PromisesTest, PeersAreComparedWithUs) {
  add("publish", 64, "sqlite", &Round::rate_per_s, {100, 200});
  EXPECT_EQ(compare_with_loopline(all_[0], all_), "");
  add("publish", 64, "loopline spinning", &Round::rate_per_s, {320, 640});
  EXPECT_EQ(compare_with_loopline(all_[0], all_), "3.2x");
  EXPECT_EQ(compare_with_loopline(all_[1], all_), "");
}

TEST_F(PromisesTest, AreShownBesideTheFigures) {
  add("publish", 1, "raw write", &Round::p50_ns, {200'000});
  EXPECT_THAT(format_durable_report(all_), testing::Not(HasSubstr("promised")));
  add("publish", 1, "loopline spinning", &Round::p50_ns, {202'000});
  EXPECT_THAT(format_durable_report(all_), HasSubstr("p50 1.01x <= 1.05x raw write"));
  all_[0].failure = "the disk is gone";
  EXPECT_THAT(format_durable_report(all_),
              HasSubstr("failed: raw write, 1 in flight: the disk is gone"));
}

}  // namespace
}  // namespace loopline::perf
