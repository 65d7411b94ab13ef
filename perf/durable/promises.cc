// Promises: the table of the log's design (targets), and ratios within rounds.
#include "promises.h"

#include <algorithm>
#include <cstdio>

#include "perf/harness/text.h"

namespace loopline::perf {
namespace {

constexpr std::string_view ours = "loopline";

enum class Bound { at_most, at_least };

struct Promise {
  const char* bench;
  uint32_t in_flight;
  std::string_view subject;  // that it is called, or begins with
  const char* figure_name;
  double Round::*figure;
  Bound bound;
  double limit;
  const char* yardstick;
};

constexpr Promise promises[] = {
    {"publish", 1, "loopline spinning", "p50", &Round::p50_ns, Bound::at_most, 1.05, "raw write"},
    {"publish", 1, "loopline spinning", "p99", &Round::p99_ns, Bound::at_most, 1.25, "raw write"},
    {"publish", 64, ours, "rate", &Round::rate_per_s, Bound::at_least, 2.5, "redis always"},
    {"publish", 64, ours, "p50", &Round::p50_ns, Bound::at_most, 0.5, "redis always"},
    {"publish", 1024, ours, "rate", &Round::rate_per_s, Bound::at_least, 15, "redis always"},
    {"publish", 1024, ours, "p50", &Round::p50_ns, Bound::at_most, 0.5, "redis always"},
    {"write", 0, ours, "rate", &Round::bytes_per_s, Bound::at_least, 0.85, "fio"},
    {"read", 0, ours, "rate", &Round::bytes_per_s, Bound::at_least, 0.7, "raw read"},
};
// Of a processor, for each GB a second that is written, hashing included.
constexpr double cores_per_gb_max = 0.25;
// Records, padding, footers, manifests and whatever else goes to the disk beside the frames.
constexpr double written_per_byte_max = 1.05;

const RowRounds* find(const AllRounds& all, const Row& beside, std::string_view subject) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const RowRounds& one) {
    return one.row->bench == beside.bench && one.row->in_flight == beside.in_flight &&
           one.row->subject.starts_with(subject) && !one.rounds.empty();
  });
  return found == all.end() ? nullptr : &*found;
}

double median_ratio(const RowRounds& of, const RowRounds& to, double Round::*figure) {
  std::vector<double> ratios;
  for (size_t round = 0; round < std::min(of.rounds.size(), to.rounds.size()); ++round) {
    ratios.push_back(of.rounds[round].*figure / to.rounds[round].*figure);
  }
  return middle_of(std::move(ratios)).median;
}

void add(Judgement& judgement, const std::string& name, const std::string& figure, bool holds) {
  judgement.figures += (judgement.figures.empty() ? "" : ", ") + name + " " + figure;
  if (judgement.verdict.empty()) judgement.verdict = "pass";
  if (holds) return;
  if (judgement.verdict == "pass") judgement.verdict = "miss";
  judgement.verdict += " " + name;
}

void judge_cores(Judgement& judgement, const RowRounds& of) {
  std::vector<double> costs;
  for (const Round& round : of.rounds) costs.push_back(round.cores / (round.bytes_per_s / 1e9));
  const double cost = middle_of(std::move(costs)).median;
  add(judgement, "cores",
      three_digits(cost) + " <= " + three_digits(cores_per_gb_max) + " for each GB/s",
      cost <= cores_per_gb_max);
}

void judge_written(Judgement& judgement, const RowRounds& of) {
  const double written = middle_of(of, &Round::written_per_byte).median;
  char text[32];
  std::snprintf(text, sizeof text, "%.3f <= %.2f", written, written_per_byte_max);
  add(judgement, "written for each byte", text, written <= written_per_byte_max);
}

}  // namespace

Judgement judge(const RowRounds& of, const AllRounds& all) {
  Judgement judgement;
  const Row& row = *of.row;
  if (!row.subject.starts_with(ours) || of.rounds.empty()) return judgement;
  for (const Promise& promise : promises) {
    if (row.bench != promise.bench || row.in_flight != promise.in_flight) continue;
    if (!row.subject.starts_with(promise.subject)) continue;
    const RowRounds* yardstick = find(all, row, promise.yardstick);
    if (yardstick == nullptr) continue;
    const double ratio = median_ratio(of, *yardstick, promise.figure);
    const bool is_lower = promise.bound == Bound::at_most;
    add(judgement, promise.figure_name,
        three_digits(ratio) + (is_lower ? "x <= " : "x >= ") + three_digits(promise.limit) + "x " +
            promise.yardstick,
        is_lower ? ratio <= promise.limit : ratio >= promise.limit);
  }
  // Who spins takes all of a processor, whatever it does with it.
  if (row.bench == "write" && row.subject != "loopline spinning") judge_cores(judgement, of);
  if (row.bench == "write" && of.rounds.front().written_per_byte != 0) judge_written(judgement, of);
  return judgement;
}

std::string compare_with_loopline(const RowRounds& of, const AllRounds& all) {
  if (of.row->subject.starts_with(ours) || of.rounds.empty()) return "";
  const RowRounds* own = find(all, *of.row, "loopline spinning");
  if (own == nullptr) own = find(all, *of.row, ours);
  if (own == nullptr) return "";
  const auto figure = of.row->bench == "publish" ? &Round::rate_per_s : &Round::bytes_per_s;
  return three_digits(median_ratio(*own, of, figure)) + "x";
}

}  // namespace loopline::perf
