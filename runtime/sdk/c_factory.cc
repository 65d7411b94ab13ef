// C factories: what a namespace of stations gets and may take.
#include "c_support.h"
#include "loopline/factory.h"

namespace loopline::c {
namespace {

// No padding, which a program need not have set to 0.
static_assert(sizeof(ll_factory_options) == 32);

Result<FactoryOptions> factory_options(const ll_factory_options* given) {
  ll_factory_options asked = LL_FACTORY_OPTIONS;
  LL_TRY_STATUS(take(given, asked));
  FactoryOptions options;
  LL_TRY(stations, station_options(asked.stations));
  options.stations = stations;
  if (asked.quota_memory != 0) options.quota_memory = asked.quota_memory;
  if (asked.quota_stations > UINT32_MAX) {
    return unknown_option("quota_stations", asked.quota_stations);
  }
  if (asked.quota_stations != 0) {
    options.quota_stations = static_cast<uint32_t>(asked.quota_stations);
  }
  return options;
}

}  // namespace
}  // namespace loopline::c

namespace c = loopline::c;
using loopline::Factory;
using loopline::Status;

ll_status ll_factory_create(const char* name, const char* dir, const ll_factory_options* options,
                            ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(name, "name is the factory's"));
    LL_TRY(asked, c::factory_options(options));
    LL_TRY(made, Factory::create(name, asked, c::folder(dir)));
    (void)made;
    return loopline::ok();
  });
}

ll_status ll_factory_edit(const char* name, const char* dir, const ll_factory_options* options,
                          ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(name, "name is the factory's"));
    LL_TRY(asked, c::factory_options(options));
    LL_TRY(factory, Factory::open(name, c::folder(dir)));
    return factory.edit(asked);
  });
}

ll_status ll_factory_remove(const char* name, const char* dir, uint32_t with_stations,
                            ll_error* error) {
  return c::run(error, [&]() -> Status {
    LL_TRY_STATUS(c::need(name, "name is the factory's"));
    if (with_stations > 1) return c::unknown_option("with_stations", with_stations);
    return Factory::remove(name, with_stations == 1, c::folder(dir));
  });
}
