// JSON of factories: what is not said is null.
#include "json_factory.h"

#include "json_parts.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

template <class Value>
Json known(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json defaults_of(const shm::FactorySettings& settings) {
  Json json = {{"storage", settings.storage ? Json(shm::word_of(*settings.storage)) : Json()},
               {"ring", known(settings.ring)},
               {"partitions", known(settings.partitions)},
               {"max_message", known(settings.max_message)},
               {"exclusive", known(settings.exclusive)}};
  json["when_full"] = settings.when_full ? Json(text_of(*settings.when_full)) : Json();
  json["evict_after_ns"] = known(settings.evict_after_ns);
  json["timestamp"] = settings.timestamp ? Json(text_of(*settings.timestamp)) : Json();
  json["dedup_window_ns"] = known(settings.dedup_window_ns);
  json["dedup_entries"] = known(settings.dedup_entries);
  json["mode"] = settings.mode ? Json(shm::mode_text(*settings.mode)) : Json();
  json["owner"] = known(settings.owner);
  return json;
}

Json factory_of(const FactoryFacts& factory) {
  Json json = {{"factory", factory.name}, {"added", factory.is_added}};
  json["defaults"] = defaults_of(factory.settings);
  json["quota_memory"] = known(factory.settings.quota_memory);
  json["quota_stations"] = known(factory.settings.quota_stations);
  json["stations"] = factory.use.stations;
  json["memory"] = factory.use.bytes;
  json["damage"] = factory.damage;
  return json;
}

Json change_of(const std::string& station, const char* verb, const shm::StationChange& change) {
  return {{"station", station},
          {verb, change.is_changed},
          {"rings_left", change.rings},
          {"messages_left", change.messages},
          {"bytes_left", change.bytes},
          {"readers", change.readers},
          {"memory_not_returned", change.unreturned_bytes}};
}

}  // namespace

std::string json_of(const FactoryFacts& factory) { return dump(factory_of(factory)); }

std::string json_of(const std::vector<FactoryFacts>& factories) {
  Json json = {{"factories", Json::array()}};
  for (const FactoryFacts& one : factories) json["factories"].push_back(factory_of(one));
  return dump(json);
}

std::string json_of_factory_removed(const std::string& factory) {
  return dump({{"factory", factory}, {"removed", true}});
}

std::string json_of_edited(const std::string& station, const shm::StationChange& change) {
  return dump(change_of(station, "changed", change));
}

std::string json_of_purged(const std::string& station, const shm::StationChange& change) {
  return dump(change_of(station, "purged", change));
}

}  // namespace loopline::cli
