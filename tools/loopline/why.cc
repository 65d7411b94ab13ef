// why: what is slow on a station, and who causes it, found in two looks at its rings.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "commands.h"
#include "finding.h"
#include "json.h"
#include "person.h"
#include "shm/base/units.h"
#include "signals.h"
#include "viewer.h"
#include "why_findings.h"

namespace loopline::cli {
namespace {

constexpr uint64_t between_looks_ns = 200'000'000;

// The ring a successor took over from, as long as its gate says that somebody still reads it.
std::optional<shm::RingSnapshot> predecessor_of(const Viewer& viewer,
                                                const shm::RingSnapshot& now) {
  if (now.gate.first == shm::no_cursor.first || now.header.generation < 2) return {};
  auto before = viewer.generation(now, now.header.generation - 1);
  if (!before) return {};
  return std::move(*before);
}

// All partitions, twice.
Result<std::vector<TwoLooks>> look_twice(const Viewer& viewer, const std::string& station) {
  LL_TRY(before, viewer.partitions(station));
  pause_for(between_looks_ns);
  LL_TRY(now, viewer.partitions(station));
  std::vector<TwoLooks> all;
  for (auto& ring : now) {
    TwoLooks looks;
    const auto same = std::find_if(before.begin(), before.end(), [&](const auto& other) {
      return other.header.partition == ring.header.partition;
    });
    looks.before = same == before.end() ? ring : std::move(*same);  // made between the looks
    looks.predecessor = predecessor_of(viewer, ring);
    looks.now = std::move(ring);
    all.push_back(std::move(looks));
  }
  return all;
}

// Of several partitions only those have a word to say where something is.
std::vector<Finding> findings_of(const std::vector<TwoLooks>& all) {
  if (all.size() == 1) return why_findings(all.front());
  std::vector<Finding> findings, nothing;
  for (const TwoLooks& looks : all) {
    for (Finding& finding : why_findings(looks)) {
      const bool is_nothing = finding.code == "nothing";
      if (!is_nothing) {
        finding.partition = looks.now.header.partition;
        finding.text = fmt::format("partition {}: {}", *finding.partition, finding.text);
      }
      (is_nothing ? nothing : findings).push_back(std::move(finding));
    }
  }
  if (findings.empty()) findings.push_back(std::move(nothing.front()));
  return findings;
}

// What all partitions are together: rates add up, and the fullest one counts.
WhySummary summary_of(const std::vector<TwoLooks>& all) {
  const shm::RingSnapshot& first = all.front().now;
  WhySummary summary{name_of(first), state_of(first), 0, 0};
  for (const TwoLooks& looks : all) {
    summary.messages_per_s += looks.messages_per_s();
    summary.fill = std::max(summary.fill, fill_of(looks.now));
    if (std::string_view(state_of(looks.now)) != "open") summary.state = state_of(looks.now);
  }
  return summary;
}

std::string headline(const std::vector<TwoLooks>& all, const WhySummary& summary) {
  const shm::RingHeader& header = all.front().now.header;
  std::vector<shm::RingSnapshot> rings;
  for (const TwoLooks& looks : all) rings.push_back(looks.now);
  const StationSums sums = sums_of(rings);
  const std::string size = format_size(header.capacity);
  return fmt::format(
      "{}, {}, {} full; {} in, {}, {}",
      all.size() == 1 ? "ring of " + size : fmt::format("{} rings of {}", all.size(), size),
      summary.state, percent_text(summary.fill), rate_text(summary.messages_per_s),
      counted(sums.producers, "producer"), counted(sums.consumers, "consumer"));
}

}  // namespace

Status why(Output& out, const std::string& station) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(all, look_twice(viewer, station));
  const std::vector<Finding> findings = findings_of(all);
  const WhySummary summary = summary_of(all);
  if (out.is_json()) {
    out.line(json_of_why(summary, findings));
    return ok();
  }
  out.line(out.paint(Color::bold, summary.station) + "  " + headline(all, summary));
  print(out, findings);
  return ok();
}

}  // namespace loopline::cli
