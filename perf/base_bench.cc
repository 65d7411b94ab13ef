// What the vocabulary costs in one thread: recording a latency, reading clocks, 16-byte atomics.
#include <benchmark/benchmark.h>

#include <memory>

#include "perf/harness/tsc_clock.h"
#include "shm/base/atomic.h"
#include "shm/base/clock.h"
#include "shm/base/histogram.h"

namespace loopline::perf {
namespace {

void record_in_histogram(benchmark::State& state) {
  auto histogram = std::make_unique<Histogram>();
  uint64_t value = 130;
  for (auto _ : state) {
    histogram->record(value);
    value = (value * 5 + 7) & 0xffff;
  }
  benchmark::DoNotOptimize(histogram->count());
}
BENCHMARK(record_in_histogram);

void read_tsc_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(TscClock::ticks());
}
BENCHMARK(read_tsc_clock);

void read_monotonic_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(monotonic_ns());
}
BENCHMARK(read_monotonic_clock);

void read_utc_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(utc_ns());
}
BENCHMARK(read_utc_clock);

void read_coarse_utc_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(utc_coarse_ns());
}
BENCHMARK(read_coarse_utc_clock);

// Alone on its line: what the operation costs when nobody competes.
void load_pair(benchmark::State& state) {
  AtomicPair pair{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(pair.load(std::memory_order_acquire));  // acquire: as in use
  }
}
BENCHMARK(load_pair);

void store_pair(benchmark::State& state) {
  AtomicPair pair{};
  uint64_t value = 0;
  for (auto _ : state) {
    pair.store({value, ~value}, std::memory_order_release);  // release: as in use
    ++value;
  }
}
BENCHMARK(store_pair);

void compare_exchange_pair(benchmark::State& state) {
  AtomicPair pair{};
  Pair seen{};
  for (auto _ : state) {
    const Pair next{seen.first + 1, ~seen.first};
    pair.compare_exchange(seen, next, std::memory_order_acq_rel,  // acq_rel: as in use
                          std::memory_order_acquire);             // acquire: as in use
    seen = next;
  }
}
BENCHMARK(compare_exchange_pair);

}  // namespace
}  // namespace loopline::perf

BENCHMARK_MAIN();
