// JSON of logs on disk.
#include "json.h"
#include "json_parts.h"

namespace loopline::cli {
namespace {

Json gap_of(const io::LogGap& gap) {
  return {{"first_sequence", gap.from.sequence},
          {"count", gap.to.sequence - gap.from.sequence},
          {"position", gap.from.position},
          {"end_position", gap.to.position},
          {"why", gap.why}};
}

}  // namespace

std::string json_of(const io::FlushStatus& status, const std::string& storage) {
  Json gaps = Json::array();
  for (const io::LogGap& gap : status.gaps) gaps.push_back(gap_of(gap));
  Json json = {{"station", status.name.text()},
               {"partition", status.partition},
               {"storage", storage},
               {"first_sequence", status.begin.sequence},
               {"durable_sequence", status.durable.sequence - 1},
               {"durable_position", status.durable.position},
               {"segments", status.segments},
               {"disk_bytes", status.disk_bytes},
               {"written_bytes", status.bytes_written},
               {"message_bytes", status.frames_written},
               {"gaps", gaps}};
  json["failed"] = status.failed ? Json(status.failed->message()) : Json();
  json["disk_full"] = status.starved ? Json(status.starved->message()) : Json();
  return dump(json);
}

}  // namespace loopline::cli
