// JSON of what an export or an import did.
#include "json_parts.h"
#include "transfer/report.h"

namespace loopline::cli {
namespace {

Json partitions_of(const TransferReport& report) {
  Json json = Json::array();
  for (size_t index = 0; index < report.partitions.size(); ++index) {
    const PartitionTransferred& partition = report.partitions[index];
    json.push_back({{"partition", index},
                    {"first_sequence", partition.first},
                    {"last_sequence", partition.last},
                    {"messages", partition.messages}});
  }
  return json;
}

Json gaps_of(const TransferReport& report) {
  Json json = Json::array();
  for (const TransferGap& gap : report.gaps) {
    json.push_back(
        {{"partition", gap.partition}, {"first_sequence", gap.first}, {"last_sequence", gap.last}});
  }
  return json;
}

Json damages_of(const TransferReport& report) {
  Json json = Json::array();
  for (const TransferDamage& damage : report.damages) {
    const bool has_range = damage.first != 0;
    json.push_back({{"why", damage.why},
                    {"offset", damage.offset},
                    {"partition", has_range ? Json(damage.partition) : Json()},
                    {"first_sequence", has_range ? Json(damage.first) : Json()},
                    {"last_sequence", has_range ? Json(damage.last) : Json()}});
  }
  return json;
}

}  // namespace

std::string json_of_export(const TransferReport& report) {
  return dump({{"station", report.station},
               {"file", report.file},
               {"storage", report.is_file ? "file" : "memory"},
               {"messages", report.messages},
               {"payload_bytes", report.payload_bytes},
               {"stream_bytes", report.stream_bytes},
               {"xxh3", hex(report.digest)},
               {"seconds", report.seconds},
               {"partitions", partitions_of(report)},
               {"missing_messages", report.missing},
               {"gaps", gaps_of(report)}});
}

std::string json_of_import(const TransferReport& report) {
  return dump({{"station", report.is_made ? Json(report.station) : Json()},
               {"exported_station", report.source},
               {"file", report.file},
               {"storage", report.is_made ? Json(report.is_file ? "file" : "memory") : Json()},
               {"renumbered", report.is_renumbered},
               {"messages", report.messages},
               {"payload_bytes", report.payload_bytes},
               {"stream_bytes", report.stream_bytes},
               {"xxh3", hex(report.digest)},
               {"seconds", report.seconds},
               {"partitions", partitions_of(report)},
               {"missing_messages", report.missing},
               {"gaps", gaps_of(report)},
               {"damage_count", report.damage_count},
               {"damages", damages_of(report)}});
}

}  // namespace loopline::cli
