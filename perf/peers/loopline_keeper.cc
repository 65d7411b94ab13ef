// Loopline as a keeper: a file station, its flusher in this process, tickets until all is durable.
#include <loopline/loopline.h>

#include <deque>

#include "durable_peers.h"
#include "io/flush_sources.h"
#include "io/flusher.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr auto patience = std::chrono::nanoseconds(keeper_patience_ns);
constexpr const char* station_name = "kept";

class LooplineKeeper final : public Keeper {
 public:
  LooplineKeeper(std::string dir, shm::WaitKind wait) : dir_(std::move(dir)), wait_(wait) {}
  ~LooplineKeeper() override {
    producer_.reset();
    flusher_.reset();
    (void)Station::remove(station_name, dir_);
    const auto paths = shm::find_instance(dir_);
    if (paths) shm::remove_instance_shm(*paths);
  }

  // With the first segment in place, as it is while a broker runs.
  Status begin() {
    StationOptions options;
    options.storage = Storage::file;
    LL_TRY(station, Station::create(station_name, options, dir_));
    LL_TRY(paths, shm::find_instance(dir_));
    LL_TRY(directory, shm::Directory::open(paths));
    const std::string data = io::data_folder_of(paths);
    io::keep_on_disk(directory, data);
    LL_TRY(flusher, io::Flusher::start({.wait = wait_}));
    flusher_ = std::move(flusher);
    LL_TRY(sources, io::sources_of(directory, data, {"main", station_name}));
    for (const auto& source : sources) LL_TRY_STATUS(flusher_->add(source));
    LL_TRY(producer, station.producer());
    producer_ = std::make_unique<Producer>(std::move(producer));
    LL_TRY(first, producer_->publish_async(std::string_view("first")));
    return producer_->wait(first, Ack::durable, patience);
  }

  Status submit(std::span<const std::byte> message) override {
    LL_TRY(ticket, producer_->publish_async(message));
    in_flight_.push_back(ticket);
    return ok();
  }

  Result<uint64_t> wait(uint64_t known) override {
    while (acknowledged_ <= known && !in_flight_.empty()) {
      LL_TRY_STATUS(wait_for(in_flight_.front()));
      do {
        in_flight_.pop_front();
        ++acknowledged_;
      } while (!in_flight_.empty() && in_flight_.front().level() == Ack::durable);
    }
    return acknowledged_;
  }

  std::string version() override { return "this tree"; }
  Result<std::string> settings() override {
    return std::string("flusher in the producer's process, ") + flusher_->storage_name() +
           (wait_ == shm::WaitKind::spin ? ", spinning" : ", parked");
  }

 private:
  Status wait_for(const Ticket& ticket) {
    if (wait_ != shm::WaitKind::spin) return producer_->wait(ticket, Ack::durable, patience);
    const uint64_t end_ns = monotonic_ns() + keeper_patience_ns;
    while (ticket.level() != Ack::durable) {
      if (monotonic_ns() > end_ns) return Fault(FaultCode::timed_out, "the disk does not answer");
    }
    return ok();
  }

  std::string dir_;
  shm::WaitKind wait_;
  std::unique_ptr<io::Flusher> flusher_;
  std::unique_ptr<Producer> producer_;
  std::deque<Ticket> in_flight_;
  uint64_t acknowledged_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_loopline(const std::string& folder, bool is_spinning) {
  auto keeper = std::make_unique<LooplineKeeper>(
      folder + "/instance", is_spinning ? shm::WaitKind::spin : shm::WaitKind::park);
  LL_TRY_STATUS(keeper->begin());
  return std::unique_ptr<Keeper>(std::move(keeper));
}

}  // namespace loopline::perf
