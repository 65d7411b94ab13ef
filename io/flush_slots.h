// FlushSlots: the buffers of the writes in flight, a few, so that they stay in the cache.
#pragma once

#include <optional>
#include <vector>

#include "log/disk.h"

namespace loopline::io {

class FlushLog;

// Frames of one batch, unless a single message is larger: beyond it nothing is gained (LOG.md: a
// commit costs the same up to 64 KiB, and bandwidth is reached well before).
inline constexpr uint64_t batch_bytes_max = 1u << 20;

class FlushSlots {
 public:
  FlushSlots(uint32_t count, uint64_t bytes) : memory_(count * bytes), slots_(count) {
    for (uint32_t index = 0; index < count; ++index) {
      slots_[index].buffer = memory_.span().subspan(index * bytes, bytes);
    }
    for (uint32_t index = count; index-- > 0;) free_.push_back(index);
  }

  struct Slot {
    std::span<std::byte> buffer;
    AlignedBytes large;  // for a message that is larger than a batch should be
    FlushLog* owner = nullptr;
    bool is_footer = false;
  };

  // The one used last, which is the warmest; none: all are in flight.
  std::optional<uint32_t> take(FlushLog* owner, bool is_footer) {
    if (free_.empty()) return {};
    const uint32_t index = free_.back();
    free_.pop_back();
    slots_[index].owner = owner;
    slots_[index].is_footer = is_footer;
    return index;
  }
  void give_back(uint32_t index) {
    slots_[index].owner = nullptr;
    slots_[index].large = AlignedBytes();
    free_.push_back(index);
  }
  bool has_free() const { return !free_.empty(); }
  Slot& operator[](uint32_t index) { return slots_[index]; }
  // At least so many bytes of the slot.
  std::span<std::byte> bytes(uint32_t index, uint64_t size) {
    Slot& slot = slots_[index];
    if (size <= slot.buffer.size()) return slot.buffer;
    slot.large = AlignedBytes(size);
    return slot.large.span();
  }

 private:
  AlignedBytes memory_;  // in one piece: of huge pages
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace loopline::io
