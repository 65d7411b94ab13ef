// Beside: the cases of the ring bench with a broker around them, and bursts.
#include "beside.h"

#include <loopline/loopline.h>

#include <cstring>
#include <optional>

#include "perf/harness/processes.h"
#include "perf/peers/loopline_peer.h"
#include "perf/peers/peers.h"
#include "shm/base/units.h"
#include "tool.h"

namespace loopline::perf {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t burst_ring_bytes = 64_MiB;
constexpr uint64_t burst_bytes = 48_MiB;  // the ring takes it without waiting for anybody
constexpr uint64_t burst_message_bytes = 256;
constexpr uint64_t frame_bytes = 320;
constexpr uint64_t burst_count = burst_bytes / frame_bytes;
constexpr uint64_t warm_count = burst_count / 16;
constexpr uint64_t bursts_each = 3;  // of a run
constexpr uint64_t burst_timeout_ns = 60'000'000'000;
constexpr auto patience = 30s;
constexpr const char* idle_stations[] = {"idle-1", "idle-2", "idle-3", "idle-4"};

// On the disk, and none of the bench's business: what a broker has to keep meanwhile.
Status make_idle_stations(const std::string& dir) {
  for (const char* name : idle_stations) {
    LL_TRY_STATUS(Station::open_or_create(name, {.ring = 1_MiB, .storage = Storage::file}, dir));
  }
  return ok();
}

// ---- the cases of the ring bench, beside a broker ------------------------------

void add_beside(Cases& cases, const Case& bare) {
  cases.push_back(bare);
  Case beside = bare;
  beside.subject = "beside-broker";
  beside.run = [run = bare.run](const Plan& plan) -> Result<Measurement> {
    LL_TRY(broker, BrokerProcess::start(bench_instance()));
    auto measured = run(plan);
    LL_TRY_STATUS(broker.stop());
    return measured;
  };
  cases.push_back(std::move(beside));
}

// ---- bursts --------------------------------------------------------------------

struct Burst {
  const char* subject;
  Storage storage;
  bool has_broker;
};
constexpr Burst bursts[] = {
    {"loopline", Storage::memory, false},
    {"beside-broker", Storage::memory, true},
    {"file", Storage::file, false},
    {"file+broker", Storage::file, true},
};

// Fills most of a ring that is there for this alone; the log of a file station is open before.
Status burst_once(const Burst& burst, const std::string& dir, const Plan& plan, Outcome& outcome) {
  const StationOptions shape{.ring = burst_ring_bytes, .storage = burst.storage};
  LL_TRY(station, Station::create("burst", shape, dir));
  LL_TRY(producer, station.producer());
  const bool is_flushed = burst.storage == Storage::file && burst.has_broker;
  if (is_flushed) {
    LL_TRY_STATUS(producer.publish("first", {.timeout = patience, .ack = Ack::durable}));
  }
  std::byte message[burst_message_bytes];
  std::memset(message, 0x5a, sizeof message);
  const PublishOptions visible{.ack = Ack::visible};
  uint64_t begin = 0;
  for (uint64_t count = 0; count < burst_count; ++count) {
    if (count == warm_count) begin = TscClock::ticks();
    const uint64_t before = TscClock::ticks();
    LL_TRY_STATUS(producer.publish(message, visible));
    if (count >= warm_count) outcome.latency_ns.record(plan.clock.ns(TscClock::ticks() - before));
  }
  outcome.wall_ns += plan.clock.ns(TscClock::ticks() - begin);
  outcome.message_count += burst_count - warm_count;
  return ok();
}

Status burst_again(const Burst& burst, const std::string& dir, const Plan& plan, Stage& stage,
                   Outcome& outcome) {
  stage.meet();
  for (uint64_t count = 0; count < bursts_each; ++count) {
    LL_TRY_STATUS(burst_once(burst, dir, plan, outcome));
    LL_TRY_STATUS(Station::remove("burst", dir));
  }
  return ok();
}

Result<Measurement> measure_burst(const Burst& burst, const std::string& dir, const Plan& plan) {
  std::optional<BrokerProcess> broker;
  if (burst.has_broker) {
    LL_TRY(started, BrokerProcess::start(dir));
    broker.emplace(std::move(started));
  }
  const Role role{"producer", {plan.cpus[0]}, [&](Stage& stage, Outcome& outcome) {
                    return burst_again(burst, dir, plan, stage, outcome);
                  }};
  LL_TRY(outcomes, run_roles({&role, 1}, burst_timeout_ns));
  const Outcome& outcome = outcomes[0];
  Measurement measurement;
  measurement.latency_ns = std::make_unique<Histogram>(outcome.latency_ns);
  measurement.message_count = outcome.message_count;
  measurement.rate_per_s = static_cast<double>(outcome.message_count) * 1e9 /
                           static_cast<double>(outcome.wall_ns);
  return measurement;
}

void add_burst(Cases& cases, const Burst& burst, const std::string& dir) {
  Case one;
  one.bench = "burst";
  one.subject = burst.subject;
  one.version = LooplinePeer<false>::version();
  one.size_bytes = burst_message_bytes;
  one.run = [&burst, dir](const Plan& plan) { return measure_burst(burst, dir, plan); };
  cases.push_back(std::move(one));
}

}  // namespace

Result<Cases> cases_beside_a_broker(const std::string& folder) {
  LL_TRY_STATUS(make_idle_stations(bench_instance()));
  LL_TRY_STATUS(make_idle_stations(folder));
  Cases cases;
  for (const Case& one : all_cases()) {
    const bool is_asked = (one.bench == "rtt" && one.size_bytes == 32) ||
                          (one.bench == "one-way" && one.size_bytes == 256);
    if (is_asked && one.subject == "loopline") add_beside(cases, one);
  }
  for (const Burst& burst : bursts) add_burst(cases, burst, folder);
  return cases;
}

}  // namespace loopline::perf
