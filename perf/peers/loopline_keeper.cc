// Loopline as a keeper: a file station, its flusher in this process, tickets until all is durable.
#include <sched.h>

#include <deque>

#include "durable_peers.h"
#include "file_station.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr uint32_t yield_every = 16;
constexpr auto patience = std::chrono::nanoseconds(keeper_patience_ns);

class LooplineKeeper final : public Keeper {
 public:
  LooplineKeeper(std::unique_ptr<FileStation> station, bool is_spinning)
      : station_(std::move(station)), is_spinning_(is_spinning) {}

  Status submit(std::span<const std::byte> message) override {
    LL_TRY(ticket, station_->producer().publish_async(message));
    in_flight_.push_back(ticket);
    return ok();
  }

  Result<uint64_t> wait(uint64_t known) override {
    while (acknowledged_ <= known && !in_flight_.empty()) {
      LL_TRY_STATUS(wait_for(in_flight_.front()));
      do {
        in_flight_.pop_front();
        ++acknowledged_;
      } while (!in_flight_.empty() && in_flight_.front().level() >= Ack::durable);
    }
    return acknowledged_;
  }

  std::string version() override { return "this tree"; }
  Result<std::string> settings() override {
    return "flusher in the producer's process, " + station_->storage_name() +
           (is_spinning_ ? ", spinning" : ", parked");
  }

 private:
  Status wait_for(const Ticket& ticket) {
    if (!is_spinning_) return station_->producer().wait(ticket, Ack::durable, patience);
    const uint64_t end_ns = monotonic_ns() + keeper_patience_ns;
    // As the SDK's own waits do: the disk's completions may need this processor (p99 4 ms without).
    for (uint32_t rounds = 1; ticket.level() < Ack::durable; ++rounds) {
      if (rounds % yield_every == 0) ::sched_yield();
      if (monotonic_ns() > end_ns) return Fault(FaultCode::timed_out, "the disk does not answer");
    }
    return ok();
  }

  std::unique_ptr<FileStation> station_;
  bool is_spinning_;
  std::deque<Ticket> in_flight_;
  uint64_t acknowledged_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_loopline(const std::string& folder, bool is_spinning) {
  const auto wait = is_spinning ? shm::WaitKind::spin : shm::WaitKind::park;
  LL_TRY(station, FileStation::start(folder, {}, wait));
  return std::unique_ptr<Keeper>(std::make_unique<LooplineKeeper>(std::move(station), is_spinning));
}

}  // namespace loopline::perf
