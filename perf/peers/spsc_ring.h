// SpscRing: a plain ring for one producer and one consumer, as textbooks have it; near the limit.
//
//   head ┐ written by the producer, tail ┐ written by the consumer: bytes since the beginning
//   data [length, 8 bytes | payload | up to the next 64 bytes][length ...][skip to the end]
//
// Both sides keep a copy of the other's index and look again only when it says full or empty. No
// log, no second producer, no late reader, nothing survives a death: what Loopline adds to it is
// what Loopline may cost.
//
// Happens-before edges
//   [publish]  producer stores head -> consumer loads it     the frames before it may be read
//   [free]     consumer stores tail -> producer loads it     the bytes before it may be written
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "perf/harness/shared_block.h"
#include "perf/harness/subject.h"
#include "shm/base/bits.h"

namespace loopline::perf {

class SpscRing {
  static constexpr uint64_t prefix_size = 8;
  static constexpr uint64_t frame_unit = 64;
  // In place of a length: nothing more until the end of the ring.
  static constexpr uint64_t skip_mark = ~uint64_t{0};

  struct Control {
    alignas(128) Atomic<uint64_t> head;
    alignas(128) Atomic<uint64_t> tail;
  };
  struct View {
    Control& control;
    std::byte* data;
    uint64_t capacity;
  };

 public:
  static constexpr const char* name = "spsc";
  static constexpr bool sleeps = false;
  static std::string version() { return "harness"; }

  static Result<std::unique_ptr<SpscRing>> make(const Shape& shape) {
    if (!is_power_of_two(shape.ring_bytes) || shape.producer_count != 1 ||
        round_up(prefix_size + shape.message_bytes, frame_unit) > shape.ring_bytes / 2) {
      return Fault(FaultCode::invalid_argument,
                   "spsc takes one producer, a power of two, and messages of up to half of it");
    }
    LL_TRY(block, SharedBlock::make(sizeof(Control) + shape.ring_bytes));
    return std::unique_ptr<SpscRing>(new SpscRing(std::move(block), shape.ring_bytes));
  }

  class Sender {
   public:
    explicit Sender(View ring) : ring_(ring) {}

    template <class Fill>
    void send(size_t size, Fill&& fill) {
      const uint64_t need = round_up(prefix_size + size, frame_unit);
      const uint64_t offset = head_ & (ring_.capacity - 1);
      const uint64_t rest = ring_.capacity - offset;
      if (need > rest) [[unlikely]] {
        wait_for_room(rest + need);
        std::memcpy(ring_.data + offset, &skip_mark, prefix_size);
        head_ += rest;
      } else {
        wait_for_room(need);
      }
      std::byte* frame = ring_.data + (head_ & (ring_.capacity - 1));
      const uint64_t length = size;
      std::memcpy(frame, &length, prefix_size);
      fill(frame + prefix_size);
      head_ += need;
      ring_.control.head.store(head_, std::memory_order_release);  // release [publish]
    }

   private:
    void wait_for_room(uint64_t bytes) {
      Backoff backoff;
      while (head_ + bytes - tail_ > ring_.capacity) {
        tail_ = ring_.control.tail.load(std::memory_order_acquire);  // acquire [free]
        if (head_ + bytes - tail_ > ring_.capacity) backoff.wait();
      }
    }

    View ring_;
    uint64_t head_ = 0;
    uint64_t tail_ = 0;  // as last seen
  };

  class Receiver {
   public:
    explicit Receiver(View ring) : ring_(ring) {}

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      if (tail_ == head_) {
        head_ = ring_.control.head.load(std::memory_order_acquire);  // acquire [publish]
        if (tail_ == head_) return 0;
      }
      size_t count = 0;
      while (tail_ != head_ && count < max) {
        const uint64_t offset = tail_ & (ring_.capacity - 1);
        const std::byte* frame = ring_.data + offset;
        uint64_t length;
        std::memcpy(&length, frame, prefix_size);
        if (length == skip_mark) {
          tail_ += ring_.capacity - offset;
          continue;
        }
        handle(frame + prefix_size, length);
        tail_ += round_up(prefix_size + length, frame_unit);
        ++count;
      }
      ring_.control.tail.store(tail_, std::memory_order_release);  // release [free]
      return count;
    }

   private:
    View ring_;
    uint64_t tail_ = 0;
    uint64_t head_ = 0;  // as last seen
  };

  Result<Sender> sender() { return Sender(view()); }
  Result<Receiver> receiver() { return Receiver(view()); }

 private:
  SpscRing(SharedBlock block, uint64_t capacity) : block_(std::move(block)), capacity_(capacity) {}

  View view() {
    block_.prefault();
    return {block_.as<Control>(), block_.data() + sizeof(Control), capacity_};
  }

  SharedBlock block_;
  uint64_t capacity_;
};

}  // namespace loopline::perf
