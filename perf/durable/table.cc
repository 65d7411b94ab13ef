// Table: columns, and the sentences under them.
#include "table.h"

#include <algorithm>

#include "perf/harness/text.h"
#include "promises.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

using Cells = std::vector<std::string>;

std::string with_spread(const MinMedianMax& of, const std::function<std::string(double)>& format) {
  return format(of.median) + " (" + format(of.min) + " .. " + format(of.max) + ")";
}

Cells cells_of(const RowRounds& of, const AllRounds& all) {
  const Row& row = *of.row;
  const bool is_publish = row.bench == "publish";
  const auto time = [&](double Round::*figure) {
    return is_publish ? format_duration_rounded(middle_of(of, figure).median) : "";
  };
  const auto rate = [&](double value) { return format_rate(value, is_publish ? "/s" : "B/s"); };
  const auto figure = is_publish ? &Round::rate_per_s : &Round::bytes_per_s;
  const Judgement judgement = judge(of, all);
  return {row.bench,
          row.in_flight == 0 ? "" : std::to_string(row.in_flight),
          row.subject,
          name_of(row.kept),
          std::to_string(of.rounds.size()),
          is_publish ? with_spread(middle_of(of, &Round::p50_ns), format_duration_rounded) : "",
          time(&Round::p99_ns),
          time(&Round::p999_ns),
          is_publish ? format_duration_rounded(middle_of(of, &Round::max_ns).max) : "",
          with_spread(middle_of(of, figure), rate),
          three_digits(middle_of(of, &Round::cores).median),
          compare_with_loopline(of, all),
          judgement.figures,
          judgement.verdict};
}

// Each subject once: what it is, and how it was set up under each load.
std::string describe_subjects(const AllRounds& all) {
  std::string text;
  std::vector<std::string> described;
  for (const RowRounds& one : all) {
    if (one.rounds.empty()) continue;
    const std::string& subject = one.row->subject;
    const bool is_known =
        std::find(described.begin(), described.end(), subject + one.settings) != described.end();
    if (is_known) continue;
    described.push_back(subject + one.settings);
    text += "  " + subject + " " + one.version + ": " + one.settings;
    if (one.row->in_flight > 1) text += " (" + std::to_string(one.row->in_flight) + " in flight)";
    text += "\n";
  }
  return text;
}

std::string describe_troubles(const AllRounds& all) {
  std::string text;
  for (const RowRounds& one : all) {
    if (one.failure.empty()) continue;
    text +=
        std::string(one.is_possible ? "failed: " : "not possible here: ") + one.row->subject +
        (one.row->in_flight == 0 ? "" : ", " + std::to_string(one.row->in_flight) + " in flight") +
        ": " + one.failure + "\n";
  }
  return text;
}

constexpr const char* explanation = R"(
publish: from handing a message over until it is known to be acknowledged, N of them in flight.
Figures are medians of the rounds (least .. greatest), max is the greatest of all. Cores: processors
in use, the server's and the bench's own.
kept: what an acknowledgement is worth when the power goes. synced: the message is there. but 1 s:
those of the last second may be gone. not synced: it is in the kernel's memory only, for minutes.
)";

}  // namespace

std::string format_durable_report(const AllRounds& all) {
  std::vector<const RowRounds*> sorted;
  for (const RowRounds& one : all) {
    if (!one.rounds.empty()) sorted.push_back(&one);
  }
  std::vector<Cells> rows{{"bench", "N", "subject", "kept", "rounds", "p50", "p99", "p99.9", "max",
                           "rate", "cores", "loopline", "promised", "verdict"}};
  for (const RowRounds* one : sorted) rows.push_back(cells_of(*one, all));
  // What nobody promised, and nobody is compared with, needs no columns.
  while (std::all_of(rows.begin() + 1, rows.end(),
                     [](const Cells& of) { return of.back().empty(); })) {
    for (Cells& cells : rows) cells.pop_back();
  }
  const std::string bytes = format_size(durable_message_bytes);
  return format_table(rows, {1, 4, 6, 7, 8, 10, 11}) + explanation + "Messages have " + bytes +
         ".\n\n" + describe_subjects(all) + describe_troubles(all);
}

JsonObject json_of(const Row& row, const Round& round) {
  JsonObject object;
  object.text("bench", row.bench).text("subject", row.subject).text("kept", name_of(row.kept));
  object.count("in_flight", row.in_flight).count("size_bytes", row.size_bytes);
  if (row.bench == "publish") {
    object.count("message_count", round.message_count)
        .rounded("p50_ns", round.p50_ns)
        .rounded("p99_ns", round.p99_ns)
        .rounded("p999_ns", round.p999_ns)
        .rounded("max_ns", round.max_ns)
        .rounded("rate_per_s", round.rate_per_s);
  }
  object.rounded("bytes_per_s", round.bytes_per_s).number("cores", round.cores);
  if (round.written_per_byte != 0) object.number("written_per_byte", round.written_per_byte);
  return object;
}

}  // namespace loopline::perf
