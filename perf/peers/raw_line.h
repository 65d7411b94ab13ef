// RawLine: one cache line with a number and a payload, the least that can carry a message.
//
// It holds one message and waits for nobody: only round trips make sense on it. It is the limit
// that rings are compared with, and with its doorbell the limit for waking a sleeper by futex.
//
// Happens-before edges
//   [message]  sender stores word -> receiver loads it     the payload may be read
//   [parked]   receiver stores parked, fence, looks again; sender stores word, fence, loads parked:
//              one of them sees the other (seq_cst fences), so no wake-up is lost
#pragma once

#include <memory>
#include <string>

#include "perf/harness/shared_block.h"
#include "perf/harness/subject.h"
#include "shm/base/futex.h"

namespace loopline::perf {

class RawLine {
  static constexpr size_t payload_max = 32;

  struct Lines {
    alignas(128) Atomic<uint64_t> word;
    std::byte payload[payload_max];
    alignas(128) Atomic<uint32_t> doorbell;
    Atomic<uint32_t> parked;
  };

 public:
  static constexpr const char* name = "raw-line";
  static constexpr bool sleeps = true;
  static std::string version() { return "harness"; }

  static Result<std::unique_ptr<RawLine>> make(const Shape& shape) {
    if (shape.message_bytes > payload_max || shape.producer_count != 1) {
      return Fault(FaultCode::too_large, "raw-line carries 32 bytes from one producer");
    }
    LL_TRY(block, SharedBlock::make(sizeof(Lines)));
    return std::unique_ptr<RawLine>(new RawLine(std::move(block), shape.receiver_sleeps));
  }

  class Sender {
   public:
    Sender(Lines& lines, bool has_sleeper) : lines_(lines), has_sleeper_(has_sleeper) {}

    template <class Fill>
    void send(size_t /*size*/, Fill&& fill) {
      fill(lines_.payload);
      lines_.word.store(++number_, std::memory_order_release);  // release [message]
      if (!has_sleeper_) return;
      fence(std::memory_order_seq_cst);                                // seq_cst [parked]
      if (lines_.parked.load(std::memory_order_relaxed) != 0) wake();  // relaxed: fenced [parked]
    }

   private:
    void wake() {
      lines_.parked.store(0, std::memory_order_relaxed);        // relaxed: doorbell tells
      lines_.doorbell.fetch_add(1, std::memory_order_release);  // release [message]
      futex_wake_all(lines_.doorbell);
    }

    Lines& lines_;
    bool has_sleeper_;
    uint64_t number_ = 0;
  };

  class Receiver {
   public:
    explicit Receiver(Lines& lines) : lines_(lines) {}

    template <class Handle>
    size_t poll(Handle&& handle, size_t /*max*/) {
      const uint64_t number = lines_.word.load(std::memory_order_acquire);  // acquire [message]
      if (number == seen_) return 0;
      seen_ = number;
      handle(lines_.payload, payload_max);
      return 1;
    }

    void sleep(uint64_t timeout_ns) {
      const uint32_t rung = lines_.doorbell.load(std::memory_order_acquire);  // acquire [message]
      lines_.parked.store(1, std::memory_order_relaxed);  // relaxed: the fence orders it [parked]
      fence(std::memory_order_seq_cst);                   // seq_cst [parked]
      if (lines_.word.load(std::memory_order_relaxed) != seen_) return;  // relaxed: poll acquires
      futex_wait(lines_.doorbell, rung, timeout_ns);
    }

   private:
    Lines& lines_;
    uint64_t seen_ = 0;
  };

  Result<Sender> sender() { return Sender(block_.as<Lines>(), has_sleeper_); }
  Result<Receiver> receiver() { return Receiver(block_.as<Lines>()); }

 private:
  RawLine(SharedBlock block, bool has_sleeper)
      : block_(std::move(block)), has_sleeper_(has_sleeper) {}

  SharedBlock block_;
  bool has_sleeper_;
};

}  // namespace loopline::perf
