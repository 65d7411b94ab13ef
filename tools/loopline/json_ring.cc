// JSON of stations and rings: parameters, figures, everything of a ring, its frames, who attaches.
#include <fmt/format.h>

#include <algorithm>

#include "json.h"
#include "json_parts.h"
#include "person.h"
#include "ring_dump.h"

namespace loopline::cli {
namespace {

Json claim_of(const shm::OpenClaim& claim) {
  Json json = {{"position", claim.position},
               {"sequence", claim.sequence},
               {"bytes", claim.bytes},
               {"slot", claim.slot},
               {"seal", claim.slot == shm::seal_owner}};
  json["owner"] = occupant_of(claim.owner);
  return json;
}

Json parameters_of(const shm::RingHeader& header) {
  return {{"storage", shm::word_of(header.storage)},   {"ring", header.capacity},
          {"partitions", header.partitions},           {"max_message", header.message_max},
          {"exclusive", header.exclusive != 0},        {"when_full", text_of(header.when_full)},
          {"evict_after_ns", header.evict_after_ns},   {"timestamp", text_of(header.timestamp)},
          {"dedup_window_ns", header.dedup_window_ns}, {"dedup_entries", header.dedup_entries}};
}

Json station_of(const shm::RingSnapshot& snapshot) {
  const shm::RingHeader& header = snapshot.header;
  Json json = {{"station", name_of(snapshot)}, {"state", state_of(snapshot)}};
  json["parameters"] = parameters_of(header);
  json["partition"] = header.partition;
  json["generation"] = header.generation;
  json["created"] = time_of(header.created_ns);
  json["created_ns"] = header.created_ns;
  json["path"] = snapshot.path;
  json["last_sequence"] = snapshot.frontier.second == 0 ? 0 : snapshot.frontier.second - 1;
  json["oldest_sequence"] = snapshot.oldest.second;
  json["held_messages"] = snapshot.frontier.second - snapshot.oldest.second;
  json["held_bytes"] = snapshot.frontier.first - snapshot.oldest.first;
  json["producers"] = snapshot.producers.size();
  json["consumers"] = snapshot.cursors.size();
  json["damage"] = snapshot.damage;
  return json;
}

// Of one ring its figures are the station's; of several their sums, and each behind them.
Json station_of(StationRings rings) {
  const StationSums sums = sums_of(rings);
  Json json = station_of(rings.front());
  json["messages"] = sums.messages;
  if (rings.front().header.partitions == 1) return json;
  for (const char* name : {"partition", "generation", "path", "last_sequence", "oldest_sequence"}) {
    json.erase(name);
  }
  json["held_messages"] = sums.kept;
  json["held_bytes"] = sums.kept_bytes;
  json["producers"] = sums.producers;
  json["consumers"] = sums.consumers;
  json["rings"] = Json::array();
  for (const auto& ring : rings) json["rings"].push_back(station_of(ring));
  return json;
}

// Of one that has no rings: what its conf says, and what is on disk of it.
Json station_of(const StationOnDisk& disk) {
  const shm::FactorySettings made = disk.conf ? disk.conf->ring : shm::FactorySettings();
  const uint64_t ring = disk.conf ? made.ring.value_or(shm::RingOptions().capacity) : 0;
  const uint64_t most = ring == 0 ? 0 : shm::body_max_of(ring);
  Json json = {{"station", disk.name.text()},
               {"state", disk.damage.empty() ? "on-disk" : "damaged"}};
  json["parameters"] = {
      {"storage", "file"},
      {"ring", ring},
      {"partitions", disk.partitions},
      {"max_message", made.max_message.value_or(most)},
      {"exclusive", made.exclusive.value_or(false)},
      {"when_full", text_of(made.when_full.value_or(shm::WhenFull::block))},
      {"evict_after_ns", made.evict_after_ns.value_or(0)},
      {"timestamp", text_of(made.timestamp.value_or(shm::TimestampKind::precise))},
      {"dedup_window_ns", made.dedup_window_ns.value_or(shm::RingOptions().dedup_window_ns)},
      {"dedup_entries", made.dedup_entries.value_or(shm::RingOptions().dedup_entries)}};
  json["created"] = Json();
  json["created_ns"] = 0;
  for (const char* none : {"held_messages", "held_bytes", "producers", "consumers"}) json[none] = 0;
  json["damage"] = disk.damage;
  json["messages"] = disk.messages();
  return json;
}

Json known_of(const std::vector<Viewer::PartitionProducer>& all) {
  Json json = Json::array();
  for (const Viewer::PartitionProducer& one : all) {
    json.push_back({{"partition", one.partition},
                    {"id", hex(one.known.id)},
                    {"epoch", one.known.epoch},
                    {"sequence", one.known.last},
                    {"message", one.known.place.sequence},
                    {"time", time_of(one.known.time_ns)},
                    {"time_ns", one.known.time_ns},
                    {"pid", one.known.pid}});
  }
  return json;
}

}  // namespace

std::string json_of_station(StationRings rings) { return dump(station_of(rings)); }

std::string json_of_station(StationRings rings, const StationOnDisk& disk,
                            const KnownProducers& known) {
  Json json = station_of(rings);
  const bool is_file = rings.front().header.storage == shm::Storage::file;
  json["log"] = is_file ? log_of(disk) : Json();
  json["known_producers"] = known ? known_of(*known) : Json();
  return dump(json);
}

std::string json_of(const StationOnDisk& disk) {
  Json json = station_of(disk);
  json["log"] = log_of(disk);
  json["known_producers"] = Json();
  return dump(json);
}

std::string json_of(const Viewer::Survey& survey, const std::vector<StationOnDisk>& disks) {
  std::vector<Json> stations;
  for (const StationRings rings : by_station(survey.rings)) stations.push_back(station_of(rings));
  for (const StationOnDisk& disk : disks) stations.push_back(station_of(disk));
  std::sort(stations.begin(), stations.end(),
            [](const Json& left, const Json& right) { return left["station"] < right["station"]; });
  return dump({{"stations", stations}, {"strangers", survey.strangers}});
}

std::string json_of_removed(const std::string& station) {
  return dump({{"station", station}, {"removed", true}});
}

std::string json_of(const shm::RingSnapshot& snapshot) {
  Json json = station_of(snapshot);
  json["taken"] = time_of(snapshot.taken_ns);
  json["taken_ns"] = snapshot.taken_ns;
  json["walked"] = snapshot.is_walked;
  json["start"] = pair_of(snapshot.start);
  json["oldest"] = pair_of(snapshot.oldest);
  json["visible"] = pair_of(snapshot.visible);
  json["frontier"] = pair_of(snapshot.frontier);
  json["hint"] = pair_of(snapshot.hint);
  json["limit"] = snapshot.limit;
  json["producers"] = Json::array();
  for (const auto& producer : snapshot.producers)
    json["producers"].push_back(producer_of(producer));
  json["cursors"] = Json::array();
  for (const auto& cursor : snapshot.cursors) json["cursors"].push_back(cursor_of(cursor));
  json["open_claim_count"] = snapshot.open_claim_count;
  json["open_claims"] = Json::array();
  for (const auto& claim : snapshot.open_claims) json["open_claims"].push_back(claim_of(claim));
  const bool is_gated = snapshot.gate.first != shm::no_cursor.first;
  json["gate"] = is_gated ? pair_of(snapshot.gate) : Json();
  json["log"] = snapshot.log ? log_of(*snapshot.log) : Json();
  json["seal"] = Json();
  if (snapshot.seal_state != shm::seal_open) {
    json["seal"] = pair_of(snapshot.seal_at);
    json["seal"]["successor_generation"] =
        snapshot.seal_state == shm::seal_removed ? 0 : shm::seal_generation(snapshot.seal_state);
  }
  json["producers_wait"] = snapshot.producers_wait;
  json["lock_holder_tid"] = snapshot.lock.tid;
  json["repairs"] = snapshot.repairs;
  json["reaped_cursors"] = snapshot.reaped;
  json["evicted_cursors"] = snapshot.evicted;
  json["completed_claims"] = snapshot.fillers;
  return dump(json);
}

std::string json_of(const shm::FrameFacts& frame) {
  Json json = pair_of(frame.at);
  json["frame_bytes"] = frame.bytes;
  json["type"] = type_text(frame);
  json["producer_slot"] = frame.slot;
  if (frame.missed != 0) json["overwritten_before"] = frame.missed;
  if (frame.is_open) {
    json["owner"] = occupant_of(frame.owner);
    return dump(json);
  }
  json["flags"] = frame.flags;
  json["next_verify"] = (frame.word_flags & shm::word_next_verify) != 0;
  json["filler"] = (frame.word_flags & shm::word_filler) != 0;
  json["mimic"] = (frame.word_flags & shm::word_mimic) != 0;
  json["timestamp"] = time_of(frame.timestamp_ns);
  json["timestamp_ns"] = frame.timestamp_ns;
  json["extension_bytes"] = frame.extension_bytes;
  json["payload_bytes"] = frame.payload_bytes;
  std::string head;
  for (const std::byte byte : frame.head) {
    head += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  json["head_hex"] = head;
  if (!frame.oddity.empty()) json["oddity"] = frame.oddity;
  return dump(json);
}

std::string json_of(const RingFigures& figures) {
  const shm::RingSnapshot& ring = figures.snapshot;
  Json json = {{"station", name_of(ring)},
               {"state", state_of(ring)},
               {"time", time_of(ring.taken_ns)},
               {"time_ns", ring.taken_ns},
               {"last_sequence", ring.frontier.second == 0 ? 0 : ring.frontier.second - 1},
               {"messages_per_s", figures.in.messages},
               {"bytes_per_s", figures.in.bytes},
               {"fill", figures.fill},
               {"lag_messages_max", figures.lag_max}};
  json["producers"] = Json::array();
  for (size_t index = 0; index < ring.producers.size(); ++index) {
    Json one = producer_of(ring.producers[index]);
    put_rate(one, figures.producers[index]);
    json["producers"].push_back(std::move(one));
  }
  json["consumers"] = Json::array();
  for (size_t index = 0; index < ring.cursors.size(); ++index) {
    Json one = cursor_of(ring.cursors[index]);
    put_rate(one, figures.consumers[index]);
    json["consumers"].push_back(std::move(one));
  }
  json["damage"] = ring.damage;
  return dump(json);
}

std::string json_of(const std::vector<Attachment>& attached) {
  Json json = {{"processes", Json::array()}};
  for (const Attachment& one : attached) {
    Json row = {{"station", one.station}, {"role", one.role}};
    row["kind"] = one.kind.empty() ? Json() : Json(one.kind);
    row["slot"] = one.slot;
    row.update(occupant_of(one.who));
    row["state"] = state_text(one.who);
    row["user"] = user_text(one.who.uid);
    row["messages"] = one.messages;
    row["bytes"] = one.bytes;
    row["lag_messages"] = one.lag_messages;
    put_rate(row, one.rate);
    json["processes"].push_back(std::move(row));
  }
  return dump(json);
}

}  // namespace loopline::cli
