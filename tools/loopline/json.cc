// JSON: nlohmann's library in one unit, fields in the order people read them.
#include "json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "output.h"
#include "person.h"
#include "ring_dump.h"

namespace loopline::cli {
namespace {

using Json = nlohmann::ordered_json;

// Whole, shortest-form UTF-8 without surrogates, as JSON wants it.
bool is_utf8(std::string_view text) {
  for (size_t index = 0; index < text.size();) {
    const auto first = static_cast<unsigned char>(text[index]);
    const size_t more = first < 0x80                    ? 0
                        : first >= 0xc2 && first < 0xe0 ? 1
                        : (first & 0xf0) == 0xe0        ? 2
                        : first >= 0xf0 && first < 0xf5 ? 3
                                                        : 4;
    if (more == 4 || index + more >= text.size()) return false;
    uint32_t point = more == 0 ? first : first & (0x3fu >> more);
    for (size_t offset = 1; offset <= more; ++offset) {
      const auto next = static_cast<unsigned char>(text[index + offset]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fu);
    }
    constexpr uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
      return false;
    index += more + 1;
  }
  return true;
}

std::string base64(std::string_view bytes) {
  constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t index = 0; index < bytes.size(); index += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - index);
    uint32_t group = 0;
    for (size_t offset = 0; offset < 3; ++offset) {
      group =
          group << 8 | (offset < count ? static_cast<unsigned char>(bytes[index + offset]) : 0u);
    }
    for (size_t letter = 0; letter < 4; ++letter) {
      text += letter <= count ? letters[group >> (18 - 6 * letter) & 63] : '=';
    }
  }
  return text;
}

void put_text(Json& object, const std::string& name, std::string_view text) {
  if (is_utf8(text)) {
    object[name] = text;
  } else {
    object[name + "_base64"] = base64(text);
  }
}

// What comes out of shared memory as text is foreign, too.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// All 64 bits of a name or a hash: as a number, JavaScript would round it.
std::string hex(uint64_t bits) { return fmt::format("{:016x}", bits); }

Json pair_of(Pair pair) { return {{"position", pair.first}, {"sequence", pair.second}}; }

Json occupant_of(const shm::Occupant& who) {
  return {{"state", text_of(who.life)},
          {"pid", who.pid},
          {"tid", who.tid},
          {"uid", who.uid},
          {"command", who.command},
          {"roster_entry", shm::seat_entry(who.seat)},
          {"roster_generation", shm::seat_generation(who.seat)},
          {"being_repaired", who.is_repaired_now}};
}

Json producer_of(const shm::ProducerFacts& producer) {
  Json json = {{"slot", producer.slot}};
  json.update(occupant_of(producer.occupant));
  json["identity"] = hex(producer.identity);
  json["messages"] = producer.messages;
  json["bytes"] = producer.bytes;
  json["blocked_ns"] = producer.blocked_ns;
  json["open_claims"] = producer.open_claims;
  return json;
}

Json cursor_of(const shm::CursorFacts& cursor) {
  Json json = {{"slot", cursor.slot}, {"kind", text_of(cursor.kind)}};
  json.update(occupant_of(cursor.occupant));
  json["joining"] = cursor.is_joining;
  json["waiting"] = cursor.is_waiting;
  json.update(pair_of(cursor.at));
  json["lag_messages"] = cursor.lag_messages;
  json["lag_bytes"] = cursor.lag_bytes;
  json["messages"] = cursor.messages;
  json["bytes"] = cursor.bytes;
  json["lost"] = cursor.lost;
  return json;
}

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
  return {{"storage", "memory"},
          {"ring", header.capacity},
          {"partitions", header.partitions},
          {"max_message", header.message_max},
          {"exclusive", header.exclusive != 0},
          {"when_full", text_of(header.when_full)},
          {"timestamp", text_of(header.timestamp)}};
}

Json station_of(const shm::RingSnapshot& snapshot) {
  const shm::RingHeader& header = snapshot.header;
  Json json = {{"station", name_of(snapshot)}, {"state", state_of(snapshot)}};
  json["parameters"] = parameters_of(header);
  json["partition"] = header.partition;
  json["generation"] = header.generation;
  json["created"] = utc_text(header.created_ns);
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

Json tallies_of(const std::array<Tally, demo_producer_count>& tallies) {
  Json json = Json::array();
  for (const Tally& tally : tallies) {
    json.push_back(
        {{"messages", tally.messages}, {"bytes", tally.bytes}, {"xxh3", hex(tally.chain)}});
  }
  return json;
}

Json verdict_of(const ConsumerVerdict& verdict) {
  return {{"name", verdict.kind.name},
          {"kind", verdict.kind.is_lossy ? "lossy" : "lossless"},
          {"first_sequence", verdict.first_sequence},
          {"messages", verdict.messages_got()},
          {"journal_messages", verdict.messages_expected()},
          {"missed", verdict.missed},
          {"gaps", verdict.gap_count},
          {"without_message", verdict.without_message},
          {"got", tallies_of(verdict.got)},
          {"journals", tallies_of(verdict.expected)},
          {"counts_equal", verdict.counts_equal},
          {"hashes_equal", verdict.hashes_equal},
          {"order_kept", verdict.order_kept},
          {"all_accounted", verdict.all_accounted},
          {"equal", verdict.is_equal()}};
}

void put_rate(Json& object, const std::optional<Rate>& rate) {
  object["messages_per_s"] = rate ? Json(rate->messages) : Json();
  object["bytes_per_s"] = rate ? Json(rate->bytes) : Json();
}

Json findings_of(const std::vector<Finding>& findings) {
  Json json = Json::array();
  for (const Finding& finding : findings) {
    Json one = {{"code", finding.code},
                {"level", text_of(finding.level)},
                {"text", finding.text},
                {"remedy", finding.remedy}};
    if (!finding.done.empty()) one["done"] = finding.done;
    if (finding.partition) one["partition"] = *finding.partition;
    if (finding.who) {
      one["who"] = occupant_of(*finding.who);
      one["who"]["state"] = state_text(*finding.who);
    }
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace

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
  json["timestamp"] = utc_text(frame.timestamp_ns);
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
               {"time", utc_text(ring.taken_ns)},
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

std::string json_of_why(const WhySummary& summary, const std::vector<Finding>& findings) {
  Json json = {{"station", summary.station},
               {"state", summary.state},
               {"messages_per_s", summary.messages_per_s},
               {"fill", summary.fill},
               {"worst", text_of(worst_of(findings))}};
  json["findings"] = findings_of(findings);
  return dump(json);
}

std::string json_of_doctor(const std::vector<Finding>& findings) {
  Json json = {{"worst", text_of(worst_of(findings))}};
  json["checks"] = findings_of(findings);
  return dump(json);
}

std::string json_of(const Fault& fault) {
  return dump({{"error", {{"code", name_of(fault.code())}, {"message", fault.message()}}}});
}

std::string json_of_station(StationRings rings) { return dump(station_of(rings)); }

std::string json_of(const Viewer::Survey& survey) {
  Json json = {{"stations", Json::array()}, {"strangers", survey.strangers}};
  for (const StationRings rings : by_station(survey.rings)) {
    json["stations"].push_back(station_of(rings));
  }
  return dump(json);
}

std::string json_of_removed(const std::string& station) {
  return dump({{"station", station}, {"removed", true}});
}

std::string json_of(const shm::RingSnapshot& snapshot) {
  Json json = station_of(snapshot);
  json["taken"] = utc_text(snapshot.taken_ns);
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
  json["completed_claims"] = snapshot.fillers;
  return dump(json);
}

std::string json_of(const ProduceSummary& summary) {
  return dump(
      {{"station", summary.station},
       {"messages", summary.messages},
       {"bytes", summary.bytes},
       {"seconds", summary.seconds},
       {"rate_per_s",
        summary.seconds > 0 ? static_cast<double>(summary.messages) / summary.seconds : 0.0},
       {"first_sequence", summary.first_sequence},
       {"last_sequence", summary.last_sequence}});
}

std::string json_of(const Message& message) {
  Json json = {{"sequence", message.sequence()}, {"partition", message.partition()}};
  if (message.timestamp_ns() != 0) {
    json["timestamp"] = utc_text(message.timestamp_ns());
    json["timestamp_ns"] = message.timestamp_ns();
  }
  if (!message.key().empty()) put_text(json, "key", message.key());
  if (!message.id().empty()) put_text(json, "id", message.id());
  if (message.header_count() != 0) json["headers"] = Json::array();
  for (uint32_t index = 0; index < message.header_count(); ++index) {
    const Header header = message.header(index);
    Json one = Json::object();
    put_text(one, "name", header.name);
    put_text(one, "value", header.value);
    json["headers"].push_back(std::move(one));
  }
  if (const auto producer = message.producer()) {
    json["producer"] = {
        {"id", hex(producer->id)}, {"epoch", producer->epoch}, {"sequence", producer->sequence}};
  }
  put_text(json, "payload", message.text());
  return dump(json);
}

std::string json_of(const Gap& gap) {
  return dump(
      {{"gap",
        {{"first_sequence", gap.first}, {"count", gap.count}, {"partition", gap.partition}}}});
}

std::string json_of(const BenchResult& result) {
  return dump({{"bench", result.bench},
               {"subject", "loopline"},
               {"version", version},
               {"size_bytes", result.size_bytes},
               {"wait", result.wait},
               {"cpus", result.cpus},
               {"seconds", result.seconds},
               {"messages", result.messages},
               {"rate_per_s", result.rate_per_s},
               {"bytes_per_s", result.bytes_per_s},
               {"p50_ns", result.p50_ns},
               {"p99_ns", result.p99_ns},
               {"p999_ns", result.p999_ns},
               {"max_ns", result.max_ns}});
}

std::string json_of(const DemoResult& result) {
  Json json = {{"source", result.source},
               {"records", result.record_count},
               {"ring_bytes", result.ring_bytes},
               {"processors", result.processors},
               {"seconds", result.seconds},
               {"messages", result.messages},
               {"bytes", result.bytes},
               {"rate_per_s", static_cast<double>(result.messages) / result.seconds},
               {"bytes_per_s", static_cast<double>(result.bytes) / result.seconds},
               {"p50_ns", result.p50_ns},
               {"p90_ns", result.p90_ns},
               {"p99_ns", result.p99_ns},
               {"p999_ns", result.p999_ns},
               {"max_ns", result.max_ns},
               {"killed_sequence", result.killed_sequence},
               {"first_resumed_ns", result.first_resumed_ns},
               {"late_resumed_ns", result.late_resumed_ns},
               {"last_sequence", result.journals.last_sequence},
               {"dense", result.journals.is_dense},
               {"journals", tallies_of(result.journals.written)}};
  json["consumers"] = Json::array();
  for (const auto& verdict : result.consumers) json["consumers"].push_back(verdict_of(verdict));
  json["removed"] = result.is_removed;
  json["equal"] = result.is_equal();
  return dump(json);
}

}  // namespace loopline::cli
