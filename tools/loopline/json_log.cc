// JSON of logs on disk.
#include "json.h"
#include "json_parts.h"
#include "next_drop.h"
#include "shm/base/clock.h"

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

namespace {

Json next_drop_of(const LogOnDisk& log, const io::Retention& retention) {
  const NextDrop next = next_drop(log, retention, utc_ns());
  const auto or_null = [](const std::optional<uint64_t>& value) {
    return value ? Json(*value) : Json();
  };
  return {{"first_sequence", next.first_sequence}, {"last_sequence", next.last_sequence},
          {"newest_ns", next.newest_ns},           {"due", next.is_due},
          {"in_ns", or_null(next.in_ns)},          {"after_messages", or_null(next.after_messages)},
          {"after_bytes", or_null(next.after_bytes)}, {"text", next.text}};
}

Json partition_of(const LogOnDisk& log, const std::optional<io::StationConf>& conf) {
  const bool has_ring = log.ring && log.ring->log;
  Json json = {{"partition", log.partition},
               {"folder", log.folder},
               {"first_sequence", log.is_there ? log.first_sequence() : 1},
               {"durable_sequence", log.end_sequence() - 1},
               {"segments", log.facts.segments.size()},
               {"disk_bytes", log.disk_bytes},
               {"oldest", time_of(log.oldest_ns)},
               {"oldest_ns", log.oldest_ns},
               {"newest", time_of(log.newest_ns)},
               {"newest_ns", log.newest_ns},
               {"gaps", Json::array()},
               {"damage", log.damage}};
  for (const io::LogGap& gap : log.facts.gaps) json["gaps"].push_back(gap_of(gap));
  json["ring"] = has_ring ? log_of(*log.ring->log) : Json();
  json["next_drop"] = conf ? next_drop_of(log, conf->retention) : Json();
  return json;
}

Json missing_of(const MissingRange& missing) {
  Json json = gap_of(missing.gap);
  json["file"] = missing.file.empty() ? Json() : Json(missing.file);
  return json;
}

Json verdict_of(const LogVerdict& log) {
  Json json = {{"partition", log.partition},
               {"well", log.is_well()},
               {"folder", log.folder},
               {"first_sequence", log.first},
               {"durable_sequence", log.last},
               {"messages", log.readable},
               {"missing_messages", log.missing_count()},
               {"batches", log.batches},
               {"segments", log.segments},
               {"disk_bytes", log.disk_bytes},
               {"gaps", Json::array()},
               {"notes", log.notes},
               {"strangers", log.strangers}};
  for (const MissingRange& missing : log.missing) json["gaps"].push_back(missing_of(missing));
  json["trouble"] = log.trouble.empty() ? Json() : Json(log.trouble);
  json["flusher"] = log.flusher ? occupant_of(*log.flusher) : Json();
  json["next_opening"] = log.next_opening;
  return json;
}

}  // namespace

Json log_of(const StationOnDisk& disk) {
  Json json = {{"folder", disk.folder}, {"damage", disk.damage}};
  json["segment"] = disk.conf ? Json(disk.conf->segment_bytes) : Json();
  json["retention_age_ns"] = disk.conf ? Json(disk.conf->retention.age_ns) : Json();
  json["retention_messages"] = disk.conf ? Json(disk.conf->retention.messages) : Json();
  json["retention_bytes"] = disk.conf ? Json(disk.conf->retention.bytes) : Json();
  json["flush_interval_ns"] = disk.conf ? Json(disk.conf->flush_interval_ns) : Json();
  json["partitions"] = Json::array();
  for (const LogOnDisk& log : disk.logs) json["partitions"].push_back(partition_of(log, disk.conf));
  return json;
}

std::string json_of(const StationVerdict& verdict) {
  Json json = {{"station", verdict.station},
               {"well", verdict.is_well()},
               {"folder", verdict.folder},
               {"damage", verdict.conf_damage},
               {"partitions", Json::array()}};
  for (const LogVerdict& log : verdict.logs) json["partitions"].push_back(verdict_of(log));
  return dump(json);
}

}  // namespace loopline::cli
