// ring watch: how fast a ring is filled and read, who lags, one line or one screen an interval.
#include "ring_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "json.h"
#include "person.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "signals.h"
#include "viewer.h"
#include "why_findings.h"

namespace loopline::cli {
namespace {

std::string rate_cell(const std::optional<Rate>& rate) {
  return rate ? rate_text(rate->messages) : "-";
}
std::string bytes_cell(const std::optional<Rate>& rate) {
  return rate ? format_size_rounded(rate->bytes) + "/s" : "-";
}

RingFigures figures_of(shm::RingSnapshot snapshot, Rates& rates) {
  RingFigures figures;
  for (const auto& producer : snapshot.producers) {
    figures.producers.push_back(rates.of(snapshot, producer));
    if (const auto& rate = figures.producers.back()) {
      figures.in.messages += rate->messages;
      figures.in.bytes += rate->bytes;
    }
  }
  for (const auto& cursor : snapshot.cursors) {
    figures.consumers.push_back(rates.of(snapshot, cursor));
    figures.lag_max = std::max(figures.lag_max, cursor.lag_messages);
  }
  rates.turn();
  figures.fill = fill_of(snapshot);
  figures.snapshot = std::move(snapshot);
  return figures;
}

// "14:03:07  in 1,204/s 1.2MiB/s  fill 45%  p0 1,204/s  c0 903/s lag 4,031"
void print_line(Output& out, const RingFigures& figures) {
  const shm::RingSnapshot& ring = figures.snapshot;
  std::string line = fmt::format("{}  in {} {}/s  fill {}", utc_text(ring.taken_ns).substr(11, 8),
                                 rate_text(figures.in.messages),
                                 format_size_rounded(figures.in.bytes), percent_text(figures.fill));
  for (size_t index = 0; index < ring.producers.size(); ++index) {
    line +=
        fmt::format("  p{} {}{}", ring.producers[index].slot, rate_cell(figures.producers[index]),
                    ring.producers[index].occupant.life == shm::Life::dead ? " dead" : "");
  }
  for (size_t index = 0; index < ring.cursors.size(); ++index) {
    const auto& cursor = ring.cursors[index];
    line += fmt::format("  c{} {} lag {}{}", cursor.slot, rate_cell(figures.consumers[index]),
                        format_count(cursor.lag_messages),
                        cursor.occupant.life == shm::Life::dead ? " dead" : "");
  }
  if (!ring.damage.empty()) line += "  damaged: " + ring.damage;
  out.line(line);
}

void print_screen(Output& out, const RingFigures& figures) {
  const shm::RingSnapshot& ring = figures.snapshot;
  out.clear_screen();
  out.line(fmt::format("{}  {}  in {}, {}/s  fill {}", out.paint(Color::bold, name_of(ring)),
                       utc_text(ring.taken_ns).substr(0, 19), rate_text(figures.in.messages),
                       format_size_rounded(figures.in.bytes), percent_text(figures.fill)));
  if (!ring.damage.empty()) out.line(out.paint(Color::red, "damaged: " + ring.damage));
  out.line("");
  Table table({{"ROLE"},
               {"SLOT", true},
               {"PROCESS"},
               {"STATE"},
               {"RATE", true},
               {"BYTES", true},
               {"LAG", true},
               {"LOST", true}});
  for (size_t index = 0; index < ring.producers.size(); ++index) {
    const auto& producer = ring.producers[index];
    table.add({"producer", std::to_string(producer.slot), person_text(producer.occupant),
               state_cell(producer.occupant), rate_cell(figures.producers[index]),
               bytes_cell(figures.producers[index]), "-", "-"});
  }
  for (size_t index = 0; index < ring.cursors.size(); ++index) {
    const auto& cursor = ring.cursors[index];
    table.add({std::string(text_of(cursor.kind)) + " consumer", std::to_string(cursor.slot),
               person_text(cursor.occupant), state_cell(cursor.occupant),
               rate_cell(figures.consumers[index]), bytes_cell(figures.consumers[index]),
               format_count(cursor.lag_messages), format_count(cursor.lost)});
  }
  if (table.is_empty()) {
    out.line("nobody is attached");
  } else {
    table.print(out);
  }
  out.line("");
  out.line(out.paint(Color::dim, "Ctrl-C ends"));
}

void print(Output& out, const RingFigures& figures) {
  if (out.is_json()) {
    out.line(json_of(figures));
  } else if (out.is_terminal()) {
    print_screen(out, figures);
  } else {
    print_line(out, figures);
  }
  out.flush();
}

}  // namespace

Status ring_watch(Output& out, const RingWatchArguments& arguments) {
  LL_TRY(period_ns, parse_duration(arguments.every));
  if (period_ns == 0) return Fault(FaultCode::invalid_argument, "--every takes a time above 0");
  LL_TRY(viewer, Viewer::open(out.dir()));
  Rates rates;
  LL_TRY(first, viewer.station(arguments.station, {}, arguments.partition));
  figures_of(std::move(first), rates);
  for (uint64_t count = 0; arguments.count == 0 || count < arguments.count; ++count) {
    pause_for(period_ns);
    if (stop_requested() || out.is_closed()) break;
    LL_TRY(snapshot, viewer.station(arguments.station, {}, arguments.partition));
    print(out, figures_of(std::move(snapshot), rates));
  }
  return ok();
}

}  // namespace loopline::cli
