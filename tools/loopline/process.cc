// process ls: who is attached to the stations of the instance, in which role and how fast.
#include "process.h"

#include <fmt/format.h>

#include "commands.h"
#include "json.h"
#include "person.h"
#include "shm/base/units.h"
#include "signals.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr uint64_t sample_ns = 100'000'000;

Result<std::vector<shm::RingSnapshot>> look(const Viewer& viewer, const std::string& station) {
  shm::InspectOptions options;
  options.walk = false;
  if (station.empty()) {
    LL_TRY(survey, viewer.survey());
    return std::move(survey.rings);
  }
  return viewer.partitions(station, options);
}

std::vector<Attachment> attachments_of(const std::vector<shm::RingSnapshot>& rings, Rates& rates) {
  std::vector<Attachment> all;
  for (const auto& ring : rings) {
    for (const auto& producer : ring.producers) {
      all.push_back({name_of(ring), "producer", "", producer.slot, producer.occupant,
                     producer.messages, producer.bytes, 0, rates.of(ring, producer)});
    }
    for (const auto& cursor : ring.cursors) {
      all.push_back({name_of(ring), "consumer", text_of(cursor.kind), cursor.slot, cursor.occupant,
                     cursor.messages, cursor.bytes, cursor.lag_messages, rates.of(ring, cursor)});
    }
  }
  rates.turn();
  return all;
}

std::string role_text(const Attachment& one) {
  return one.kind.empty() ? one.role : one.kind + " " + one.role;
}

void print_table(Output& out, const std::vector<Attachment>& all) {
  std::vector<Table::Column> columns = {{"PID", true},      {"USER"},      {"PROGRAM"},
                                        {"STATE"},          {"STATION"},   {"ROLE"},
                                        {"MESSAGES", true}, {"RATE", true}};
  if (out.is_wide()) {
    for (const char* title : {"BYTES", "BYTES/S", "LAG", "THREAD", "SLOT"}) {
      columns.push_back({title, true});
    }
  }
  Table table(columns);
  for (const Attachment& one : all) {
    const shm::Occupant& who = one.who;
    const bool is_named = who.pid != 0;
    std::vector<Cell> row = {is_named ? std::to_string(who.pid) : "-",
                             is_named ? user_text(who.uid) : "-",
                             is_named ? printable(who.command) : "-",
                             state_cell(who),
                             {one.station, Color::bold},
                             role_text(one),
                             format_count(one.messages),
                             one.rate ? rate_text(one.rate->messages) : "-"};
    if (out.is_wide()) {
      row.emplace_back(format_size_rounded(static_cast<double>(one.bytes)));
      row.emplace_back(one.rate ? format_size_rounded(one.rate->bytes) + "/s" : "-");
      row.emplace_back(one.role == "consumer" ? format_count(one.lag_messages) : "-");
      row.emplace_back(std::to_string(who.tid));
      row.emplace_back(std::to_string(one.slot));
    }
    table.add(std::move(row));
  }
  table.print(out);
}

}  // namespace

Status process_ls(Output& out, ProcessArguments& arguments) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  if (!arguments.rates.has_looked()) {  // with --watch, the look before is the sample
    LL_TRY(first, look(viewer, arguments.station));
    attachments_of(first, arguments.rates);
    pause_for(sample_ns);
  }
  LL_TRY(rings, look(viewer, arguments.station));
  const auto all = attachments_of(rings, arguments.rates);
  if (out.is_json()) {
    out.line(json_of(all));
  } else if (all.empty()) {
    out.note("nobody is attached" +
             (arguments.station.empty() ? " in " + viewer.paths().folder
                                        : " to station \"" + arguments.station + "\"") +
             "; see: loopline station ls");
  } else {
    print_table(out, all);
  }
  return ok();
}

}  // namespace loopline::cli
