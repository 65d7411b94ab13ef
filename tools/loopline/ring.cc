// ring show: a ring drawn at 80 columns, with who produces, who consumes, and what is open.
#include <fmt/format.h>

#include "commands.h"
#include "json.h"
#include "log_text.h"
#include "person.h"
#include "ring_drawing.h"
#include "shm/base/units.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

std::string bytes_text(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }

void print_producers(Output& out, const shm::RingSnapshot& snapshot) {
  out.line("");
  if (snapshot.producers.empty()) {
    out.line("No producers.");
    return;
  }
  Table table({{"PRODUCER", true},
               {"PROCESS"},
               {"STATE"},
               {"MESSAGES", true},
               {"BYTES", true},
               {"BLOCKED", true},
               {"OPEN", true}});
  for (const auto& producer : snapshot.producers) {
    table.add({std::to_string(producer.slot), person_text(producer.occupant),
               state_cell(producer.occupant), format_count(producer.messages),
               bytes_text(producer.bytes),
               format_duration_rounded(static_cast<double>(producer.blocked_ns)),
               format_count(producer.open_claims)});
  }
  table.print(out);
}

void print_consumers(Output& out, const shm::RingSnapshot& snapshot) {
  out.line("");
  if (snapshot.cursors.empty()) {
    out.line("No consumers.");
    return;
  }
  Table table({{"CONSUMER", true},
               {"PROCESS"},
               {"STATE"},
               {"KIND"},
               {"NEXT", true},
               {"LAG", true},
               {"BYTES", true},
               {"LOST", true}});
  for (const auto& cursor : snapshot.cursors) {
    Cell life = state_cell(cursor.occupant);
    if (life.text == "alive" && cursor.is_waiting) life.text = "waiting";
    if (cursor.is_joining) life.text = "joining";
    if (cursor.is_evicted) life = {"evicted", Color::yellow};
    table.add({std::to_string(cursor.slot), person_text(cursor.occupant), life,
               text_of(cursor.kind), format_count(cursor.at.second),
               format_count(cursor.lag_messages), bytes_text(cursor.lag_bytes),
               cursor.lost == 0 ? Cell("0") : Cell(format_count(cursor.lost), Color::yellow)});
  }
  table.print(out);
}

void print_claims(Output& out, const shm::RingSnapshot& snapshot) {
  constexpr size_t shown_max = 16;
  if (snapshot.open_claims.empty()) return;
  out.line("");
  Table table({{"OPEN CLAIM", true},
               {"POSITION", true},
               {"SIZE", true},
               {"PRODUCER"},
               {"OWNER"},
               {"PROCESS"}});
  for (size_t index = 0; index < std::min(snapshot.open_claims.size(), shown_max); ++index) {
    const auto& claim = snapshot.open_claims[index];
    const bool is_seal = claim.slot == shm::seal_owner;
    table.add({std::to_string(claim.sequence), std::to_string(claim.position),
               bytes_text(claim.bytes), is_seal ? "the seal" : std::to_string(claim.slot),
               is_seal ? Cell("-") : state_cell(claim.owner), person_text(claim.owner)});
  }
  table.print(out);
  if (snapshot.open_claim_count > shown_max) {
    out.line(fmt::format("and {} more", format_count(snapshot.open_claim_count - shown_max)));
  }
}

void print_log(Output& out, const shm::RingSnapshot& snapshot) {
  if (!snapshot.log) return;
  const shm::FlushFacts& log = *snapshot.log;
  const std::string upto = log.durable.second <= snapshot.start.second
                               ? std::string("nothing of it is on disk")
                               : fmt::format("on disk up to sequence {} (position {})",
                                             log.durable.second - 1, log.durable.first);
  out.line(upto + (log.lag_messages == 0
                       ? std::string("; nothing is behind")
                       : fmt::format("; {} behind ({})", counted(log.lag_messages, "message"),
                                     bytes_text(log.lag_bytes))));
  out.line(out.paint(flush_color(snapshot), flush_text(snapshot)));
}

void print_marks(Output& out, const shm::RingSnapshot& snapshot) {
  const uint64_t held = snapshot.frontier.second - snapshot.oldest.second;
  const uint64_t last = snapshot.frontier.second == 0 ? 0 : snapshot.frontier.second - 1;
  out.line(
      fmt::format("sequences {} to {} are in the ring ({}); {} claimed and not committed",
                  snapshot.oldest.second, last, counted(held, "message"),
                  snapshot.is_walked ? format_count(snapshot.open_claim_count) : "perhaps some"));
  if (snapshot.repairs + snapshot.reaped != 0) {
    out.line(fmt::format("cleaned up after {} and {} that died; {} completed for them",
                         counted(snapshot.repairs, "producer"),
                         counted(snapshot.reaped, "consumer"),
                         counted(snapshot.fillers, "message")));
  }
  if (snapshot.evicted != 0) {
    out.line(fmt::format("detached {} that held a full ring (evict-after)",
                         counted(snapshot.evicted, "consumer")));
  }
  if (snapshot.seal_state != shm::seal_open) {
    out.line(fmt::format(
        "sealed at sequence {}; {}", snapshot.seal_at.second,
        snapshot.seal_state == shm::seal_removed
            ? std::string("the station is removed")
            : fmt::format("generation {} goes on", shm::seal_generation(snapshot.seal_state))));
  }
  if (snapshot.gate.first != shm::no_cursor.first) {
    out.line(fmt::format("its beginning is held while generation {} is still read{}",
                         snapshot.header.generation - 1, snapshot.log ? " or not on disk" : ""));
  }
}

}  // namespace

Status ring_show(Output& out, const RingShowArguments& arguments) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(snapshot, viewer.station(arguments.station, {}, arguments.partition));
  if (out.is_json()) {
    out.line(json_of(snapshot));
    return ok();
  }
  const bool is_open = std::string_view(state_of(snapshot)) == "open";
  const shm::RingHeader& header = snapshot.header;
  const std::string which =
      header.partitions == 1
          ? ""
          : fmt::format("partition {} of {}, ", header.partition, header.partitions);
  out.line(fmt::format("{}  {}ring of {}, generation {}, {}",
                       out.paint(Color::bold, name_of(snapshot)), which,
                       format_size(snapshot.header.capacity), snapshot.header.generation,
                       out.paint(is_open ? Color::green : Color::red, state_of(snapshot))));
  if (!snapshot.damage.empty()) {
    out.line(out.paint(Color::red, "damaged: " + snapshot.damage));
  }
  if (snapshot.start.first != 0) {
    out.line("");
    for (const std::string& line : draw_ring(snapshot, out)) out.line(line);
    out.line("");
    print_marks(out, snapshot);
    print_log(out, snapshot);
  }
  print_claims(out, snapshot);
  print_producers(out, snapshot);
  print_consumers(out, snapshot);
  if (out.is_wide()) out.line("\nfile  " + snapshot.path);
  return ok();
}

}  // namespace loopline::cli
