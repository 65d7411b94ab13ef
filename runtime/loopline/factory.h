// Factory: a namespace of stations that carries defaults, permissions and quotas.
//
//   loopline::Factory::create("billing", {.stations = {.ring = 1_MiB}, .quota_memory = 64_MiB});
//   auto station = loopline::Station::open_or_create("billing/orders");      // a ring of 1MiB
//
// A factory need not be created: without it, its stations have the built-in defaults and no quota.
// What a station's maker names goes before what the factory says. Stations that are there do not
// change with their factory. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loopline/station.h"
#include "shm/base/result.h"
#include "shm/base/visibility.h"

namespace loopline {

struct FactoryOptions {
  // For those that name nothing else; of a log only its storage.
  StationOptions stations = {};
  std::optional<uint64_t> quota_memory = {};    // bytes of shared memory of all its rings
  std::optional<uint32_t> quota_stations = {};  // how many it may have
};

// What its stations take now.
struct FactoryUse {
  uint64_t stations = 0;
  uint64_t memory = 0;  // bytes
};

class LL_EXPORT Factory {
 public:
  // `dir` as with stations. Faults: already_exists, invalid_argument, no_permission.
  static Result<Factory> create(std::string_view name, const FactoryOptions& options = {},
                                std::string_view dir = {});
  // Faults: not_found (it was never created), corrupted (its file: names the line).
  static Result<Factory> open(std::string_view name, std::string_view dir = {});
  // The names of those that were created.
  static Result<std::vector<std::string>> list(std::string_view dir = {});
  // Takes back what it says. With stations in it: refused (already_exists), or with
  // `with_stations` they are removed first. Faults: not_found, and those of Station::remove.
  static Status remove(std::string_view name, bool with_stations = false,
                       std::string_view dir = {});

  const std::string& name() const { return name_; }
  Result<FactoryOptions> options() const;
  // Says `options` from now on, and nothing else. A quota below what is used keeps new ones out.
  Status edit(const FactoryOptions& options);
  Result<FactoryUse> use() const;

 private:
  Factory(std::string name, std::string dir) : name_(std::move(name)), dir_(std::move(dir)) {}
  std::string name_;
  std::string dir_;
};

}  // namespace loopline
