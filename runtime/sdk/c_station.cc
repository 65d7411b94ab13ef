// C stations: opening, removing and asking; and how a fault becomes an ll_error.
#include <optional>

#include "c_support.h"

namespace loopline::c {

ll_status report(ll_status status, const char* message, ll_error* error) {
  if (error == nullptr) return status;
  error->status = status;
  const size_t size = std::min(std::strlen(message), sizeof error->message - 1);
  std::memcpy(error->message, message, size);
  error->message[size] = '\0';
  return status;
}

ll_status report(const Fault& fault, ll_error* error) {
  return report(status_of(fault.code()), fault.message().c_str(), error);
}

namespace {

// The C constants are the C++ ones, counted from 1: 0 asks for nothing.
template <class Choice>
Status choose(uint32_t asked, Choice last, const char* name, std::optional<Choice>& choice) {
  if (asked == LL_UNSET) return ok();
  if (asked - 1 > static_cast<uint32_t>(last)) return unknown_option(name, asked);
  choice = static_cast<Choice>(asked - 1);
  return ok();
}
static_assert(LL_WHEN_FULL_DROP_OLDEST - 1 == static_cast<int>(WhenFull::drop_oldest));
static_assert(LL_STORAGE_FILE - 1 == static_cast<int>(Storage::file));
static_assert(LL_TIMESTAMP_PRECISE - 1 == static_cast<int>(Timestamp::precise));
static_assert(LL_TIMESTAMP_OFF - 1 == static_cast<int>(Timestamp::off));

// No padding, which a program need not have set to 0.
static_assert(sizeof(ll_station_options) == 112);

// A time, `off` being 0 in C++ and UINT64_MAX in C, where 0 asks for nothing.
Status take_time(uint64_t asked_ns, const char* name,
                 std::optional<std::chrono::nanoseconds>& time) {
  if (asked_ns == 0) return ok();
  if (asked_ns != LL_OFF && asked_ns > INT64_MAX) return unknown_option(name, asked_ns);
  time = std::chrono::nanoseconds(asked_ns == LL_OFF ? 0 : static_cast<int64_t>(asked_ns));
  return ok();
}
static_assert(LL_NEVER == LL_OFF && LL_GROUP_COMMIT == LL_OFF);

void take_bound(uint64_t asked, std::optional<uint64_t>& bound) {
  if (asked != 0) bound = asked == LL_OFF ? 0 : asked;
}

Status take_log_options(const ll_station_options& asked, StationOptions& options) {
  LL_TRY_STATUS(choose(asked.storage, Storage::file, "storage", options.storage));
  if (asked.segment != 0) options.segment = asked.segment;
  take_bound(asked.retention_messages, options.retention_messages);
  take_bound(asked.retention_bytes, options.retention_bytes);
  LL_TRY_STATUS(take_time(asked.retention_age_ns, "retention_age_ns", options.retention_age));
  return take_time(asked.flush_ns, "flush_ns", options.flush);
}

}  // namespace

Result<StationOptions> station_options(const ll_station_options* given) {
  ll_station_options asked = LL_STATION_OPTIONS;
  LL_TRY_STATUS(take(given, asked));
  StationOptions options;
  if (asked.ring != 0) options.ring = asked.ring;
  if (asked.max_message != 0) options.max_message = asked.max_message;
  if (asked.mode != 0) options.mode = asked.mode;
  if (asked.partitions != 0) options.partitions = asked.partitions;
  LL_TRY_STATUS(take_time(asked.evict_after_ns, "evict_after_ns", options.evict_after));
  LL_TRY_STATUS(take_time(asked.dedup_window_ns, "dedup_window_ns", options.dedup_window));
  if (asked.dedup_entries != 0) options.dedup_entries = asked.dedup_entries;
  if (asked.reserved != 0) return unknown_option("reserved", asked.reserved);
  if (asked.exclusive > LL_YES) return unknown_option("exclusive", asked.exclusive);
  if (asked.exclusive != LL_UNSET) options.exclusive = asked.exclusive == LL_YES;
  LL_TRY_STATUS(choose(asked.when_full, WhenFull::drop_oldest, "when_full", options.when_full));
  LL_TRY_STATUS(choose(asked.timestamp, Timestamp::off, "timestamp", options.timestamp));
  LL_TRY_STATUS(take_log_options(asked, options));
  return options;
}

namespace {

// `open` returns a Result<Station> for a name, options and a folder.
template <class Open>
ll_status open_station(const char* name, const char* dir, const ll_station_options* given,
                       ll_station** station, ll_error* error, Open&& open) {
  return run(error, [&]() -> Status {
    LL_TRY_STATUS(need(name, "name is the station's"));
    LL_TRY_STATUS(need(station, "station is where the handle is put"));
    LL_TRY(options, station_options(given));
    LL_TRY(opened, open(std::string_view(name), options, folder(dir)));
    *station = new ll_station{std::move(opened)};
    return ok();
  });
}

}  // namespace
}  // namespace loopline::c

using loopline::Station;
using loopline::StationOptions;
namespace c = loopline::c;

const char* ll_status_name(ll_status status) {
  if (status == LL_OK) return "ok";
  return loopline::name_of(static_cast<loopline::FaultCode>(static_cast<int>(status) - 1));
}

ll_status ll_station_open_or_create(const char* name, const char* dir,
                                    const ll_station_options* options, ll_station** station,
                                    ll_error* error) {
  return c::open_station(name, dir, options, station, error, Station::open_or_create);
}

ll_status ll_station_open(const char* name, const char* dir, ll_station** station,
                          ll_error* error) {
  const auto open = [](std::string_view which, const StationOptions&, std::string_view where) {
    return Station::open(which, where);
  };
  return c::open_station(name, dir, nullptr, station, error, open);
}

ll_status ll_station_create(const char* name, const char* dir, const ll_station_options* options,
                            ll_station** station, ll_error* error) {
  return c::open_station(name, dir, options, station, error, Station::create);
}

ll_status ll_station_remove(const char* name, const char* dir, ll_error* error) {
  return c::run(error, [&]() -> loopline::Status {
    LL_TRY_STATUS(c::need(name, "name is the station's"));
    return Station::remove(name, c::folder(dir));
  });
}

ll_status ll_station_edit(const char* name, const char* dir, const ll_station_options* options,
                          ll_error* error) {
  return c::run(error, [&]() -> loopline::Status {
    LL_TRY_STATUS(c::need(name, "name is the station's"));
    LL_TRY(asked, c::station_options(options));
    LL_TRY(change, Station::edit(name, asked, c::folder(dir)));
    static_cast<void>(change);
    return loopline::ok();
  });
}

ll_status ll_station_purge(const char* name, const char* dir, ll_error* error) {
  return c::run(error, [&]() -> loopline::Status {
    LL_TRY_STATUS(c::need(name, "name is the station's"));
    LL_TRY(change, Station::purge(name, c::folder(dir)));
    static_cast<void>(change);
    return loopline::ok();
  });
}

void ll_station_close(ll_station* station) { delete station; }

const char* ll_station_name(const ll_station* station) {
  return station == nullptr ? "" : station->station.name().c_str();
}

uint64_t ll_station_ring(const ll_station* station) {
  return station == nullptr ? 0 : station->station.ring_bytes();
}

uint64_t ll_station_max_message(const ll_station* station) {
  return station == nullptr ? 0 : station->station.max_message();
}
