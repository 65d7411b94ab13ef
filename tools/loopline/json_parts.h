// JSON parts: what several objects have in common; only the json_ units include it, for nlohmann's
// library takes 5 s to compile.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "rates.h"
#include "shm/inspect.h"
#include "station_disk.h"

namespace loopline::cli {

using Json = nlohmann::ordered_json;  // fields in the order people read them

// What comes out of shared memory as text is foreign, too: what is not UTF-8 is replaced.
std::string dump(const Json& json);
// Under its name, or what is not UTF-8 as base64 under its name with `_base64` behind it.
void put_text(Json& object, const std::string& name, std::string_view text);
// All 64 bits of a name or a hash: as a number, JavaScript would round it.
std::string hex(uint64_t bits);

// UTC as text; null for 0, a time that is not known.
Json time_of(uint64_t utc_ns);
Json pair_of(Pair pair);
Json occupant_of(const shm::Occupant& who);
Json producer_of(const shm::ProducerFacts& producer);
Json cursor_of(const shm::CursorFacts& cursor);
Json log_of(const shm::FlushFacts& log);
Json log_of(const StationOnDisk& disk);
void put_rate(Json& object, const std::optional<Rate>& rate);

}  // namespace loopline::cli
