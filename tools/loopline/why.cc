// why: what is slow on a station, and who causes it, found in two looks at its ring.
#include <fmt/format.h>

#include <optional>

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

std::string headline(const TwoLooks& looks) {
  const shm::RingSnapshot& now = looks.now;
  return fmt::format("ring of {}, {}, {} full; {} in, {}, {}", format_size(now.header.capacity),
                     state_of(now), percent_text(fill_of(now)), rate_text(looks.messages_per_s()),
                     counted(now.producers.size(), "producer"),
                     counted(now.cursors.size(), "consumer"));
}

}  // namespace

Status why(Output& out, const std::string& station) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  TwoLooks looks;
  LL_TRY(before, viewer.station(station));
  looks.before = std::move(before);
  pause_for(between_looks_ns);
  LL_TRY(now, viewer.station(station));
  looks.now = std::move(now);
  looks.predecessor = predecessor_of(viewer, looks.now);
  const std::vector<Finding> findings = why_findings(looks);
  if (out.is_json()) {
    out.line(json_of_why(looks.now, looks.messages_per_s(), fill_of(looks.now), findings));
    return ok();
  }
  out.line(out.paint(Color::bold, name_of(looks.now)) + "  " + headline(looks));
  print(out, findings);
  return ok();
}

}  // namespace loopline::cli
