// JSON parts: text as JSON wants it, and who holds a place of a ring.
#include "json_parts.h"

#include <fmt/format.h>

#include "output.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

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

}  // namespace

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void put_text(Json& object, const std::string& name, std::string_view text) {
  if (is_utf8(text)) {
    object[name] = text;
  } else {
    object[name + "_base64"] = base64(text);
  }
}

std::string hex(uint64_t bits) { return fmt::format("{:016x}", bits); }

Json time_of(uint64_t utc_ns) { return utc_ns == 0 ? Json() : Json(utc_text(utc_ns)); }

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
  json["evicted"] = cursor.is_evicted;
  json["waiting"] = cursor.is_waiting;
  json.update(pair_of(cursor.at));
  json["lag_messages"] = cursor.lag_messages;
  json["lag_bytes"] = cursor.lag_bytes;
  json["messages"] = cursor.messages;
  json["bytes"] = cursor.bytes;
  json["lost"] = cursor.lost;
  return json;
}

Json log_of(const shm::FlushFacts& log) {
  Json json = {{"durable", pair_of(log.durable)}, {"state", text_of(log.state)}};
  json["error"] = log.error;
  json["flusher"] = log.flusher ? occupant_of(*log.flusher) : Json();
  json["complete"] = log.is_done;
  json["lag_messages"] = log.lag_messages;
  json["lag_bytes"] = log.lag_bytes;
  json["commits"] = log.commits;
  json["bytes"] = log.bytes;
  return json;
}

void put_rate(Json& object, const std::optional<Rate>& rate) {
  object["messages_per_s"] = rate ? Json(rate->messages) : Json();
  object["bytes_per_s"] = rate ? Json(rate->bytes) : Json();
}

}  // namespace loopline::cli
