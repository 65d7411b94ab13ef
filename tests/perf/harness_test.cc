// Harness: it sees bad messages, tells distances apart, ends what hangs, and reads its options.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "perf/harness/comparison.h"
#include "perf/harness/link_probe.h"
#include "perf/harness/options.h"
#include "perf/harness/payload.h"
#include "perf/harness/processes.h"
#include "perf/harness/report.h"
#include "perf/harness/runner.h"
#include "perf/harness/targets.h"
#include "perf/harness/text.h"

namespace loopline::perf {
namespace {

constexpr size_t size = 96;
using Message = std::vector<std::byte>;

Message next(Writer& writer) {
  Message message(size);
  writer(message.data());
  return message;
}

// How many of `messages` a fresh reader finds bad.
uint64_t bad_count(const std::vector<Message>& messages) {
  Reader<> reader(size);
  for (const Message& message : messages) reader(message.data(), message.size());
  return reader.bad_count();
}

TEST(Payload, PassesMessagesInOrderAndStopsAtTheLast) {
  Writer writer(size);
  Reader<> reader(size);
  for (int index = 0; index < 5; ++index) reader(next(writer).data(), size);
  EXPECT_FALSE(reader.stopped());
  Message last(size);
  writer.write_stop(last.data());
  reader(last.data(), size);
  EXPECT_TRUE(reader.stopped());
  EXPECT_EQ(reader.count(), 5u);
  EXPECT_EQ(reader.bad_count(), 0u);
}

TEST(Payload, KeepsTwoProducersApart) {
  Writer first(size, 0);
  Writer second(size, 1);
  Reader<2> reader(size);
  for (int index = 0; index < 3; ++index) reader(next(first).data(), size);
  for (int index = 0; index < 2; ++index) reader(next(second).data(), size);
  reader(next(first).data(), size);
  EXPECT_EQ(reader.count(), 6u);
  EXPECT_EQ(reader.bad_count(), 0u);
  Message last(size);
  second.write_stop(last.data());
  reader(last.data(), size);
  EXPECT_FALSE(reader.stopped());
}

TEST(Payload, NoticesALostARepeatedAndAReorderedMessage) {
  Writer writer(size);
  const Message messages[] = {next(writer), next(writer), next(writer)};
  EXPECT_EQ(bad_count({messages[0], messages[1], messages[2]}), 0u);
  EXPECT_EQ(bad_count({messages[0], messages[2]}), 1u);
  EXPECT_EQ(bad_count({messages[0], messages[0]}), 1u);
  EXPECT_GE(bad_count({messages[0], messages[2], messages[1]}), 2u);
}

TEST(Payload, NoticesEveryFlippedBitAndAWrongSize) {
  Writer writer(size);
  const Message good = next(writer);
  for (size_t bit = 0; bit < 8 * size; ++bit) {
    Message torn = good;
    torn[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_EQ(bad_count({torn}), 1u) << "bit " << bit;
  }
  Reader<> reader(size - 32);
  reader(good.data(), size);
  EXPECT_EQ(reader.bad_count(), 1u);
}

TEST(LinkProbe, TellsNearFromFarAndDistrustsWhatIsBetween) {
  EXPECT_EQ(regime_of(130), Regime::near);
  EXPECT_EQ(regime_of(500), Regime::far);
  EXPECT_EQ(regime_of(270), Regime::mixed);
  EXPECT_EQ(regime_of(130, 140), Regime::near);
  EXPECT_EQ(regime_of(400, 480), Regime::far);
  EXPECT_EQ(regime_of(130, 480), Regime::mixed);
  EXPECT_EQ(regime_of(110, 140), Regime::mixed);  // 27 % apart
}

TEST(TscClock, TurnsTicksIntoNanosecondsAndBack) {
  const TscClock clock = TscClock::assume(2.5, 0);
  EXPECT_EQ(clock.ns(250), 100u);
  EXPECT_EQ(clock.ns(9'000'000'000'000), 3'600'000'000'000u);
  EXPECT_EQ(clock.ticks_of(100), 250u);
}

TEST(TscClock, FindsPercentilesBetweenTheStepsOfTheCounter) {
  const TscClock clock = TscClock::assume(2.5, 10);
  auto spans_ns = std::make_unique<Histogram>();
  spans_ns->record_n(130, 60);
  spans_ns->record_n(140, 40);
  EXPECT_NEAR(clock.percentile_ns(*spans_ns, 50), 133.3, 0.1);  // 50 of the 60 in 125 .. 135
  EXPECT_NEAR(clock.percentile_ns(*spans_ns, 80), 140, 0.1);
  EXPECT_EQ(TscClock::assume(2.5, 0).percentile_ns(*spans_ns, 50), 130);
}

TEST(Processes, BringBackWhatEachRoleMeasured) {
  const int cpu = ::sched_getcpu();
  const Role roles[] = {
      {"first",
       {cpu},
       [](Stage& stage, Outcome& outcome) {
         stage.meet();
         outcome.latency_ns.record(7);
         stage.meet();
         return ok();
       }},
      {"second",
       {cpu},
       [](Stage& stage, Outcome& outcome) {
         stage.meet();
         outcome.message_count = 9;
         stage.meet();
         return ok();
       }},
  };
  const auto outcomes = run_roles(roles, 10'000'000'000);
  ASSERT_TRUE(outcomes) << outcomes.fault().message();
  EXPECT_EQ((*outcomes)[0].latency_ns.max(), 7u);
  EXPECT_EQ((*outcomes)[1].message_count, 9u);
}

TEST(Processes, SayWhichRoleFailedAndEndTheOthers) {
  const int cpu = ::sched_getcpu();
  const Role roles[] = {
      {"waiter",
       {cpu},
       [](Stage& stage, Outcome&) {
         stage.meet();
         return ok();
       }},
      {"loser",
       {cpu},
       [](Stage&, Outcome&) -> Status { return Fault(FaultCode::full, "no room"); }},
  };
  const auto outcomes = run_roles(roles, 10'000'000'000);
  ASSERT_FALSE(outcomes);
  EXPECT_EQ(outcomes.fault().message(), "the loser process failed: no room");
}

TEST(Processes, KillARoleThatNeverEnds) {
  const Role roles[] = {{"sleeper", {::sched_getcpu()}, [](Stage&, Outcome&) {
                           for (;;) ::pause();
                           return ok();
                         }}};
  const auto outcomes = run_roles(roles, 1'000'000);
  ASSERT_FALSE(outcomes);
  EXPECT_EQ(outcomes.fault().code(), FaultCode::timed_out);
  EXPECT_NE(outcomes.fault().message().find("sleeper"), std::string::npos);
}

std::string refusal(const std::vector<std::string>& arguments) {
  const auto options = parse_options(arguments);
  return options ? "accepted" : options.fault().message();
}

TEST(Options, ReadWhatWasAskedFor) {
  const auto options = parse_options({"ring", "--repetitions", "9", "--only=rtt,wake", "--quick",
                                      "--ring", "4MiB", "--budget", "90s", "--cpus", "2,5"});
  ASSERT_TRUE(options) << options.fault().message();
  EXPECT_EQ(options->command, Command::ring);
  EXPECT_EQ(options->schedule.repetitions, 9u);
  EXPECT_EQ(options->schedule.ring_bytes, 4u << 20);
  EXPECT_EQ(options->schedule.budget_ns, 90'000'000'000u);
  EXPECT_EQ(options->benches, (std::vector<std::string>{"rtt", "wake"}));
  EXPECT_EQ(*options->cpus, (std::array{2, 5}));
}

TEST(Options, OfDurableHaveTheirOwnDefaults) {
  const auto options = parse_options({"durable", "--folder", "disk"});
  ASSERT_TRUE(options) << options.fault().message();
  EXPECT_EQ(options->command, Command::durable);
  EXPECT_EQ(options->folder, "disk");
  EXPECT_EQ(options->schedule.repetitions, 5u);
  EXPECT_FALSE(options->is_quick);
  const auto quick = parse_options({"durable", "--quick"});
  ASSERT_TRUE(quick);
  EXPECT_TRUE(quick->is_quick);
  EXPECT_LT(quick->schedule.measure_ns, options->schedule.measure_ns);
}

TEST(Options, SayWhatIsWrong) {
  EXPECT_EQ(refusal({}),
            "say what to measure: ring, durable, behind, recovery, broker, crowd, link or list");
  EXPECT_EQ(
      refusal({"disk"}),
      "unknown command disk; there are ring, durable, behind, recovery, broker, crowd, link and "
      "list");
  EXPECT_EQ(refusal({"ring", "--speed", "1"}), "unknown option --speed");
  EXPECT_EQ(refusal({"ring", "--json"}), "--json is unknown, or its value is missing");
  EXPECT_EQ(refusal({"ring", "--cpus", "1,1"}), "--cpus takes two different processors");
  EXPECT_EQ(refusal({"ring", "--repetitions", "0"}), "--repetitions takes a number from 1");
  EXPECT_NE(refusal({"ring", "--ring", "3MiB"}).find("power of two"), std::string::npos);
  EXPECT_NE(refusal({"ring", "--budget", "5"}).find("has no unit"), std::string::npos);
}

TEST(Options, NameTheBenchesThereAre) {
  Options options;
  options.benches = {"rtf"};
  const auto cases = select_cases({{"rtt", "spsc", "1", 32, nullptr}}, options);
  ASSERT_FALSE(cases);
  EXPECT_EQ(cases.fault().message(), "no bench is called \"rtf\"; there are: rtt");
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() : clock_(TscClock::assume(2.5, 0)), results_(clock_) {}

  Series& latency(const char* subject, uint64_t bytes, double p50_ns, double link_ns) {
    cases_.push_back({"rtt", subject, "1", bytes, nullptr});
    series_ = {&cases_.back(), Regime::near, {}, nullptr};
    Repetition repetition;
    repetition.link_ns = link_ns;
    repetition.p50_ns = repetition.p99_ns = repetition.p999_ns = p50_ns;
    series_.repetitions.push_back(repetition);
    return series_;
  }

  TscClock clock_;
  Results results_;
  Cases cases_;
  Series series_{};
};

TEST_F(ReportTest, JudgesLooplineByItsTargets) {
  EXPECT_EQ(judge(latency("loopline", 256, 240, 130)).verdict, "pass");
  EXPECT_EQ(judge(latency("loopline", 256, 260, 130)).verdict, "miss p50");
  EXPECT_EQ(judge(latency("loopline", 32, 300, 130)).verdict, "miss p50 p99");
  EXPECT_EQ(judge(latency("loopline", 256, 240, 130)).target, "p50 <= 1.9 L");
}

TEST_F(ReportTest, PromisesNothingForPeers) {
  EXPECT_EQ(judge(latency("spsc", 256, 9999, 130)).target, "");
}

TEST_F(ReportTest, ShowsMedianSpreadAndWhatWasDiscarded) {
  cases_.push_back({"one-way", "spsc", "1", 1024, nullptr});
  for (const double rate : {20e6, 22e6, 27e6}) {
    Measurement measurement;
    measurement.rate_per_s = rate;
    results_.add(cases_.back(), Regime::far, 450, std::move(measurement));
  }
  Tally tally;
  tally.kept_count = 3;
  tally.mixed_count = 4;
  const std::string report = format_report(results_, cases_, tally);
  EXPECT_NE(report.find("22M/s (20M/s .. 27M/s)"), std::string::npos) << report;
  EXPECT_NE(report.find("near: never showed up"), std::string::npos) << report;
  EXPECT_NE(report.find("4 because the link changed"), std::string::npos) << report;
}

TEST(Comparison, SaysHowManyTimesFasterLooplineIs) {
  EXPECT_EQ(format_ratio(6.28), "6.28x faster");
  EXPECT_EQ(format_ratio(131.4), "131x faster");
  EXPECT_EQ(format_ratio(0.5), "2x slower");
  EXPECT_EQ(format_ratio(1.001), "as fast");
  EXPECT_EQ(format_ratio(0.999), "as fast");
  EXPECT_EQ(format_ratio(0), "");
}

// Series of one run each.
class ComparisonTest : public testing::Test {
 protected:
  const Series& add(const char* bench, const char* subject, Regime regime,
                    const Repetition& repetition) {
    cases_.push_back(std::make_unique<Case>(Case{bench, subject, "1", 32, nullptr}));
    series_.push_back(
        std::make_unique<Series>(Series{cases_.back().get(), regime, {repetition}, nullptr}));
    return *series_.back();
  }
  std::vector<const Series*> all() const {
    std::vector<const Series*> all;
    for (const auto& series : series_) all.push_back(series.get());
    return all;
  }
  std::string compare(const Series& peer) const { return compare_with_loopline(peer, all()); }

 private:
  std::vector<std::unique_ptr<Case>> cases_;
  std::vector<std::unique_ptr<Series>> series_;
};

TEST_F(ComparisonTest, TakesTheShorterLatencyAndTheHigherRateAsTheFaster) {
  add("rtt", "loopline", Regime::near, {.p50_ns = 300});
  EXPECT_EQ(compare(add("rtt", "pipe", Regime::near, {.p50_ns = 1500})), "5x faster");
  add("one-way", "loopline", Regime::near, {.rate_per_s = 20e6});
  EXPECT_EQ(compare(add("one-way", "pipe", Regime::near, {.rate_per_s = 40e6})), "2x slower");
}

TEST_F(ComparisonTest, ComparesOnlyWithinABenchAndARegime) {
  const Series& ours = add("rtt", "loopline", Regime::near, {.p50_ns = 300});
  EXPECT_EQ(compare(ours), "");
  EXPECT_EQ(compare(add("rtt", "pipe", Regime::far, {.p50_ns = 1500})), "");
  EXPECT_EQ(compare(add("wake", "pipe", Regime::near, {.p50_ns = 1500})), "");
}

TEST_F(ComparisonTest, PutsEverybodySideBySide) {
  add("rtt", "loopline", Regime::near, {.p50_ns = 300});
  add("rtt", "pipe", Regime::near, {.p50_ns = 1500});
  add("one-way", "loopline", Regime::near, {.rate_per_s = 20e6});
  add("one-way", "ring", Regime::near, {.rate_per_s = 40e6});
  add("attach", "loopline", Regime::near, {.p50_ns = 300});
  EXPECT_EQ(format_comparison(all(), Regime::near),
            "bench    size  loopline  pipe      ring\n"
            "rtt       32B  300ns     1.5us 5x\n"
            "one-way   32B  20M/s               40M/s 0.5x\n");
  EXPECT_EQ(format_comparison(all(), Regime::far), "");
}

TEST(Runner, CountsWhatASubjectCannotDoApartFromFailures) {
  const auto cpus = first_two_cpus();
  if (!cpus) GTEST_SKIP() << cpus.fault().message();
  const auto refusing = [](FaultCode code) {
    return [code](const Plan&) -> Result<Measurement> { return Fault(code, "no"); };
  };
  const Cases cases{{"rtt", "a", "1", 32, refusing(FaultCode::unsupported), false},
                    {"rtt", "b", "1", 32, refusing(FaultCode::io_error), false}};
  Schedule schedule;
  schedule.cpus = *cpus;
  const TscClock clock = TscClock::assume(2.5, 0);
  Runner runner(clock, cases, schedule);
  const auto tally = runner.run([](const Case&, Regime, const Repetition&) {}, {});
  ASSERT_TRUE(tally) << tally.fault().message();
  EXPECT_EQ(tally->impossible, std::vector<std::string>{"rtt a 32 B: no"});
  EXPECT_EQ(tally->failures, std::vector<std::string>{"rtt b 32 B: no"});
}

TEST(Text, RoundsToThreeDigits) {
  EXPECT_EQ(three_digits(1.304), "1.3");
  EXPECT_EQ(three_digits(47.23), "47.2");
  EXPECT_EQ(three_digits(391.7), "392");
  EXPECT_EQ(format_rate(55e6, "/s"), "55M/s");
  EXPECT_EQ(format_rate(25.04e9, "B/s"), "25GB/s");
}

}  // namespace
}  // namespace loopline::perf
