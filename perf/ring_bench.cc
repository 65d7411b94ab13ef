// What a message costs in one thread, through the public library: nobody competes, nothing is
// asleep, every line is in this processor's cache.
#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "perf/peers/loopline_peer.h"

namespace loopline::perf {
namespace {

// A station in the temporary instance, gone with it.
class OneThread {
 public:
  explicit OneThread(benchmark::State& state)
      : payload_(static_cast<size_t>(state.range(0))),
        peer_(LooplinePeer<false>::make({payload_.size(), 256u << 10, 1})) {
    if (!peer_) state.SkipWithError(peer_.fault().message().c_str());
  }
  bool good() const { return static_cast<bool>(peer_); }
  LooplinePeer<false>& peer() { return **peer_; }
  void fill(std::byte* to) const { std::memcpy(to, payload_.data(), payload_.size()); }
  size_t size() const { return payload_.size(); }

 private:
  std::vector<std::byte> payload_;
  Result<std::unique_ptr<LooplinePeer<false>>> peer_;
};

// Claim, copy the payload in, commit. Nobody reads: the window moves over what is committed.
void publish(benchmark::State& state) {
  OneThread one(state);
  if (!one.good()) return;
  auto sender = one.peer().sender();
  for (auto _ : state) sender->send(one.size(), [&](std::byte* to) { one.fill(to); });
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(publish)->Arg(32)->Arg(256)->Arg(1024);

// The same, and read again in runs of 64.
void publish_and_poll(benchmark::State& state) {
  constexpr size_t run = 64;
  OneThread one(state);
  if (!one.good()) return;
  auto sender = one.peer().sender();
  auto receiver = one.peer().receiver();
  size_t sum = 0;
  for (auto _ : state) {
    for (size_t index = 0; index < run; ++index) {
      sender->send(one.size(), [&](std::byte* to) { one.fill(to); });
    }
    receiver->poll([&](const std::byte*, size_t size) { sum += size; }, run);
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(run));
}
BENCHMARK(publish_and_poll)->Arg(32)->Arg(256)->Arg(1024);

void poll_empty(benchmark::State& state) {
  OneThread one(state);
  if (!one.good()) return;
  auto receiver = one.peer().receiver();
  for (auto _ : state) {
    benchmark::DoNotOptimize(receiver->poll([](const std::byte*, size_t) {}, 64));
  }
}
BENCHMARK(poll_empty)->Arg(32);

}  // namespace
}  // namespace loopline::perf

BENCHMARK_MAIN();
