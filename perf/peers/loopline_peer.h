// LooplinePeer: Loopline as its users have it, through the public library.
//
// A station per direction in a temporary instance that goes with the process. Timestamps are off
// (the peers keep none); everything else is the default. The sender claims in place, the receiver
// reads runs of views. Where it sleeps it does so at once, as every peer does (`wait` = park); the
// default, which spins a little before, is a bench of its own.
#pragma once

#include <memory>
#include <string>

#include "loopline/loopline.h"
#include "perf/harness/subject.h"

namespace loopline::perf {

// The temporary instance's folder, made at first use; empty: it could not be made.
const std::string& bench_instance();

template <bool exclusive, Wait wait = Wait::park>
class LooplinePeer {
 public:
  static constexpr const char* name = "loopline";
  static constexpr bool sleeps = true;
  static std::string version();

  static Result<std::unique_ptr<LooplinePeer>> make(const Shape& shape) {
    static int made_count = 0;
    const std::string station = "bench-" + std::to_string(made_count++);
    StationOptions options;
    options.ring = shape.ring_bytes;
    options.exclusive = exclusive;
    options.timestamp = Timestamp::off;
    LL_TRY(made, Station::create(station, options, bench_instance()));
    return std::unique_ptr<LooplinePeer>(new LooplinePeer(std::move(made), station, shape));
  }
  ~LooplinePeer() { (void)Station::remove(station_name_, bench_instance()); }

  class Sender {
   public:
    explicit Sender(Producer producer) : producer_(std::move(producer)) {}
    template <class Fill>
    void send(size_t size, Fill&& fill) {
      auto slot = producer_.claim(size);
      if (!slot) return;  // the receiver counts what is missing
      fill(slot->bytes().data());
      (void)slot->commit();
    }

   private:
    Producer producer_;
  };

  class Receiver {
   public:
    explicit Receiver(Consumer consumer) : consumer_(std::move(consumer)) {}
    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      const auto count = consumer_.poll(
          [&](const Message& message) {
            handle(message.payload().data(), message.payload().size());
          },
          max);
      return count ? *count : 0;
    }
    void sleep(uint64_t timeout_ns) { (void)consumer_.wait(std::chrono::nanoseconds(timeout_ns)); }

   private:
    Consumer consumer_;
  };

  Result<Sender> sender() {
    LL_TRY(producer, station_.producer());
    return Sender(std::move(producer));
  }
  Result<Receiver> receiver() {
    ConsumerOptions options;
    options.from = From::earliest;
    options.wait = wait;
    LL_TRY(consumer, station_.consumer(options));
    return Receiver(std::move(consumer));
  }

 private:
  LooplinePeer(Station station, std::string station_name, const Shape&)
      : station_(std::move(station)), station_name_(std::move(station_name)) {}

  Station station_;
  std::string station_name_;
};

}  // namespace loopline::perf
