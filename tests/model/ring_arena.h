// RingArena: a ring small enough to explore, in plain memory that the explorer resets.
//
// 4 KiB of data mirrored by address (the explorer folds the second copy onto the first), frames of
// 64 or 512 bytes, eight large frames a lap. The payload of interest is one word, the frame's mark.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "explorer.h"
#include "shm/claim.h"
#include "shm/reader.h"
#include "shm/window.h"

namespace loopline::model {

constexpr uint64_t arena_capacity = 4096;
constexpr uint64_t large_frame = 512;
constexpr uint64_t small_frame = 64;

class RingArena {
 public:
  RingArena() : bytes_(static_cast<std::byte*>(std::aligned_alloc(8192, arena_bytes))) {}
  ~RingArena() { std::free(bytes_); }
  RingArena(const RingArena&) = delete;
  RingArena& operator=(const RingArena&) = delete;

  // In prepare: an empty ring whose log starts at `start`. Then fill it, then call keep().
  void make(uint64_t start = arena_capacity) {
    std::memset(bytes_, 0, arena_bytes);
    auto* control = reinterpret_cast<shm::ControlBlock*>(bytes_ + 8192);
    auto* producers = reinterpret_cast<shm::ProducerSlot*>(bytes_ + 12288);
    auto* cursors = reinterpret_cast<shm::CursorSlot*>(bytes_ + 14336);
    auto* side = reinterpret_cast<Atomic<uint64_t>*>(bytes_ + 16384);
    ring = shm::Ring::over(control, producers, cursors, side, bytes_, arena_capacity, 4, 4);
    for (uint32_t slot = 0; slot < 4; ++slot) cursors[slot].cursor.store(shm::no_cursor, plain);
    control->gate.pair.store(shm::no_cursor, plain);
    control->durable.pair.store(shm::no_cursor, plain);
    control->start.pair.store({start, 1}, plain);
    control->hint.pair.store({start, 1}, plain);
    control->limit.pair.store(shm::LimitWord{start + arena_capacity, 1, 0}.pack(), plain);
  }

  void keep() {
    add_mirror(bytes_, arena_capacity);
    keep_memory(bytes_, arena_bytes);
    name_location(&ring.control->hint, "hint");
    name_location(&ring.control->limit, "limit");
    name_location(&ring.control->gate, "gate");
    name_location(&ring.control->durable, "durable");
    name_location(&ring.control->data_bell.doorbell, "data doorbell");
    name_location(&ring.control->space_bell.doorbell, "space doorbell");
    name_location(&ring.control->durable_bell.doorbell, "durable doorbell");
    name_location(&ring.control->seal.state, "seal state");
    for (uint32_t slot = 0; slot < 4; ++slot) {
      name_location(&ring.cursors[slot], "cursor " + std::to_string(slot));
      name_location(&ring.producers[slot], "producer " + std::to_string(slot));
    }
    for (uint64_t offset = 0; offset < arena_capacity; offset += shm::unit_size) {
      name_location(bytes_ + offset, "word+" + std::to_string(offset));
      name_location(&ring.side(offset), "side+" + std::to_string(offset));
    }
  }

  // Claim, mark, commit; the sequence, or 0: the ring was full or sealed.
  uint64_t publish(shm::Claimer& claimer, uint64_t bytes, uint64_t mark) {
    shm::Claim claim;
    if (claimer.claim(bytes, claim) != shm::ClaimOutcome::claimed) return 0;
    finish(claimer, claim, mark);
    return claim.sequence;
  }
  // The same, moving the window when the ring is full: at most `tries` times.
  uint64_t publish_over(shm::Claimer& claimer, uint64_t bytes, uint64_t mark, int tries = 3) {
    shm::Claim claim;
    for (int attempt = 0; attempt < tries; ++attempt) {
      const auto outcome = claimer.claim(bytes, claim);
      if (outcome == shm::ClaimOutcome::claimed) {
        finish(claimer, claim, mark);
        return claim.sequence;
      }
      if (outcome != shm::ClaimOutcome::full) return 0;
      shm::advance(ring, claimer.full_at() + bytes + shm::unit_size);
    }
    return 0;
  }
  void finish(shm::Claimer& claimer, const shm::Claim& claim, uint64_t mark) {
    copy_to_shared(ring.at(claim.position) + shm::frame_header_size, &mark, sizeof mark);
    const auto body = static_cast<uint32_t>(claim.bytes - shm::frame_header_size);
    claimer.commit(claim, shm::pack_meta(body, shm::FrameType::message, 0), 0);
  }
  // In prepare: `count` frames of `bytes`, marked with their sequence times ten.
  void fill(uint32_t slot, uint64_t bytes, int count) {
    shm::Claimer claimer(ring, slot, false);
    for (int index = 0; index < count; ++index) {
      const Pair at = ring.control->hint.pair.load(plain);
      publish(claimer, bytes, at.second * 10);
    }
  }
  // What the payload of a view says.
  static uint64_t mark_of(const shm::FrameView& view) {
    uint64_t mark = 0;
    copy_from_shared(&mark, view.body, sizeof mark);
    return mark;
  }
  // After all threads ended: every frame from the window's start, which must be sound; the marks by
  // sequence, 0 for fillers.
  std::vector<uint64_t> read_everything() {
    std::vector<uint64_t> marks;
    const Pair start = ring.window_start();
    shm::Reader reader(ring, start);
    uint64_t expected = start.second;
    for (;;) {
      shm::FrameView view;
      const auto outcome = reader.next(view);
      require(outcome != shm::ReadOutcome::corrupt, "the chain is sound");
      if (outcome != shm::ReadOutcome::frame) {
        for (; expected < reader.at().second; ++expected) marks.push_back(0);
        return marks;
      }
      for (; expected < view.sequence; ++expected) marks.push_back(0);
      marks.push_back(mark_of(view));
      ++expected;
    }
  }

  shm::Ring ring;

 private:
  static constexpr auto plain = std::memory_order_relaxed;  // relaxed: before the threads start
  static constexpr size_t arena_bytes = 24576;
  std::byte* bytes_;
};

}  // namespace loopline::model
