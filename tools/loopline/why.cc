// why: what is slow on a station, and who causes it, found in two looks at its rings.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "commands.h"
#include "finding.h"
#include "json.h"
#include "shm/base/units.h"
#include "two_looks.h"
#include "viewer.h"
#include "why_findings.h"

namespace loopline::cli {
namespace {

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
  const BrokerWord broker = ask_broker(all, viewer.paths().folder);
  const std::vector<Finding> findings = why_findings(all, broker);
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
