// Demo report: every figure with what it must equal above it.
#include "demo_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "shm/base/units.h"

namespace loopline::cli {
namespace {

std::string time_text(uint64_t ns) { return format_duration_rounded(static_cast<double>(ns)); }

Cell compared(const std::string& text, bool is_equal) {
  return {(is_equal ? "= " : "!= ") + text, is_equal ? Color::green : Color::red};
}

std::string expected_title(const ConsumerVerdict& verdict) {
  if (verdict.kind.is_lossy) return "journals, less its gaps";
  if (verdict.kind.is_late) {
    return "journals, from " + format_count(verdict.first_sequence) + " on";
  }
  return "journals";
}

void add_rows(Table& table, const ConsumerVerdict& verdict) {
  const auto& expected = verdict.expected;
  const auto& got = verdict.got;
  std::vector<Cell> above = {expected_title(verdict), format_count(verdict.messages_expected())};
  std::vector<Cell> below = {
      Cell(fmt::format("{}, {}", verdict.kind.name, verdict.kind.is_lossy ? "lossy" : "lossless"),
           Color::bold),
      compared(format_count(verdict.messages_got()), verdict.counts_equal)};
  for (size_t producer = 0; producer < got.size(); ++producer) {
    above.emplace_back(format_count(expected[producer].messages));
    below.push_back(compared(format_count(got[producer].messages),
                             got[producer].messages == expected[producer].messages));
  }
  above.emplace_back("");
  below.emplace_back(verdict.order_kept ? "kept" : "BROKEN",
                     verdict.order_kept ? Color::green : Color::red);
  above.emplace_back(fmt::format("{:016x}", verdict.hash_expected()));
  below.push_back(compared(fmt::format("{:016x}", verdict.hash_got()), verdict.hashes_equal));
  table.add(std::move(above));
  table.add(std::move(below));
}

void print_accounts(Output& out, const DemoResult& result) {
  for (const auto& verdict : result.consumers) {
    if (!verdict.kind.is_lossy) continue;
    const uint64_t due = result.journals.last_sequence + 1 - verdict.first_sequence;
    const std::string sum =
        fmt::format("{} got + {} missed in {} + {} without a message",
                    format_count(verdict.messages_got()), format_count(verdict.missed),
                    counted(verdict.gap_count, "gap"), format_count(verdict.without_message));
    out.line(
        fmt::format("{}: {} {}", verdict.kind.name, sum,
                    out.paint(verdict.all_accounted ? Color::green : Color::red,
                              fmt::format("{} {} sequences",
                                          verdict.all_accounted ? "=" : "!=", format_count(due)))));
  }
  const bool is_dense = result.journals.is_dense;
  out.line(fmt::format(
      "sequences 1 to {}: {}", format_count(result.journals.last_sequence),
      is_dense
          ? out.paint(Color::green, fmt::format("each exactly once, but for the killed claim, {}",
                                                format_count(result.killed_sequence)))
          : out.paint(Color::red, fmt::format("{} are in no journal or in two",
                                              counted(result.journals.holes.size(), "sequence")))));
}

void print_figures(Output& out, const DemoResult& result) {
  const auto fact = [&](const char* name, const std::string& text) {
    out.line(fmt::format("{}{}", out.paint(Color::dim, fmt::format("{:<9}", name)), text));
  };
  fact("rate",
       fmt::format("{} messages/s, {}/s, each read by up to three consumers",
                   format_count(static_cast<uint64_t>(static_cast<double>(result.messages) /
                                                      result.seconds)),
                   format_size_rounded(static_cast<double>(result.bytes) / result.seconds)));
  fact("latency",
       fmt::format("p50 {}, p90 {}, p99 {}, p99.9 {}, max {}: claim to handler, at \"first\"",
                   time_text(result.p50_ns), time_text(result.p90_ns), time_text(result.p99_ns),
                   time_text(result.p999_ns), time_text(result.max_ns)));
  fact("", fmt::format("(five processes on {}; two alone, a core each: loopline bench rtt)",
                       counted(result.processors, "processor")));
  fact("death", fmt::format("\"first\" went on {} after the SIGKILL, \"late\" {}",
                            time_text(result.first_resumed_ns), time_text(result.late_resumed_ns)));
  fact("left", result.is_removed ? out.paint(Color::green, "nothing in shared memory")
                                 : out.paint(Color::red, "something in shared memory"));
}

}  // namespace

bool DemoResult::is_equal() const {
  return journals.is_dense && consumers.size() == demo_consumer_count &&
         std::all_of(consumers.begin(), consumers.end(),
                     [](const ConsumerVerdict& verdict) { return verdict.is_equal(); });
}

std::string demo_moments_title() {
  return fmt::format("{:>4} {:>13} {:>11} {:>9} {:>10} {:>10} {:>10} {:>11}", "", "published",
                     "messages/s", "bytes/s", "first/s", "late/s", "slow/s", "slow missed");
}

std::string demo_moment_text(const DemoMoment& moment) {
  const auto rate = [](double value) { return format_count(static_cast<uint64_t>(value + 0.5)); };
  return fmt::format("{:>3}s {:>13} {:>11} {:>9} {:>10} {:>10} {:>10} {:>11}", moment.second,
                     format_count(moment.published), rate(moment.published_rate),
                     format_size_rounded(moment.bytes_rate), rate(moment.handed_rate[0]),
                     moment.has_late ? rate(moment.handed_rate[1]) : "-",
                     rate(moment.handed_rate[2]), format_count(moment.missed));
}

void print_demo_result(Output& out, const DemoResult& result) {
  out.line("");
  out.line("What each consumer got, below what the producers' journals say:");
  out.line("");
  Table table(
      {{""}, {"MESSAGES", true}, {"OF A", true}, {"OF B", true}, {"ORDER"}, {"XXH3", true}});
  for (const auto& verdict : result.consumers) add_rows(table, verdict);
  table.print(out);
  out.line("");
  print_accounts(out, result);
  out.line("");
  print_figures(out, result);
  out.line("");
  out.line(result.is_equal() && result.is_removed
               ? out.paint(Color::bold, "All equal: nothing lost, repeated, reordered or torn.")
               : out.paint(Color::red, "NOT equal: see above."));
}

}  // namespace loopline::cli
