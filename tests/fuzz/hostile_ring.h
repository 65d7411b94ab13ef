// HostileRing: a small ring without a file, in one of several moods, and the forger's tools for it.
//
// The ring is made once; before each input its bytes are put back as they were in the chosen mood.
// Beside raw bytes the forger writes what almost makes sense: side words of the right lap, commit
// words that match their place, cursors inside the window. Blind changes alone would hardly ever
// get past the first comparison.
#pragma once

#include <linux/futex.h>
#include <sys/mman.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "input.h"
#include "shm/attached.h"
#include "shm/base/check.h"
#include "shm/claim.h"
#include "shm/extension.h"
#include "shm/ring_header.h"
#include "shm/seal.h"
#include "shm/window.h"

namespace loopline::fuzz {

// Sets up what no input has touched yet: a fault there is the machine's, and ends the program.
template <class T>
T must(Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.fault().message().c_str());
  LL_CHECK(static_cast<bool>(result));
  return std::move(*result);
}

inline shm::Ring ring_over(const shm::Mapping& mapping) {
  const shm::RingHeader& header = mapping.header();
  return shm::Ring::over(&mapping.control(), mapping.producers(), mapping.cursors(), mapping.side(),
                         mapping.data(), header.capacity, header.producer_slots,
                         header.cursor_slots);
}

// The seat of a thread that has ended.
inline shm::SeatId dead_seat(shm::Roster& roster) {
  shm::SeatId seat = shm::nobody;
  std::thread([&] { seat = must(roster.my_seat()); }).join();
  return seat;
}

enum class Mood : uint8_t {
  written,    // some messages, one with an extension, an aborted one
  lapped,     // many laps in, nobody gates
  half_made,  // an open frame of a dead producer between others
  gated,      // full, behind the cursor of a dead consumer
  forged,     // payloads full of commit words: frames that mimic
  sealed,     // for good, all steps done
  unborn,     // a successor whose start is not known
};
constexpr uint32_t mood_count = 7;

class HostileRing {
 public:
  HostileRing(std::shared_ptr<shm::Roster> roster, bool exclusive,
              shm::Storage storage = shm::Storage::memory)
      : roster_(std::move(roster)), dead_(dead_seat(*roster_)) {
    shm::RingOptions options;
    options.station = "hostile";
    options.capacity = 4096;
    options.timestamp = shm::TimestampKind::off;
    options.when_full = shm::WhenFull::reject;
    options.exclusive = exclusive;
    options.producer_slots = options.cursor_slots = 4;
    options.storage = storage;
    if (storage == shm::Storage::file) options.log_uuid = {1, 2};
    attached_ = shm::Attached::make(must(shm::Mapping::create_anonymous(options, roster_->uuid())),
                                    roster_, std::nullopt);
    size_ = attached_->header().file_bytes;
    void* const bytes =
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, attached_->mapping().fd(), 0);
    LL_CHECK(bytes != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(bytes);
    const std::vector<std::byte> fresh = image();
    for (uint32_t mood = 0; mood < mood_count; ++mood) {
      std::memcpy(bytes_, fresh.data(), size_);
      put_into(static_cast<Mood>(mood));
      if (is_logged()) leave_log();
      images_.push_back(image());
    }
  }
  HostileRing(const HostileRing&) = delete;
  HostileRing& operator=(const HostileRing&) = delete;
  ~HostileRing() { ::munmap(bytes_, size_); }

  void restore(uint32_t mood) {
    std::memcpy(bytes_, images_[mood % mood_count].data(), size_);
    oldest_ = ring().window_start();
    if (!shm::is_born(ring())) oldest_ = {ring().capacity, 1};
  }

  const std::shared_ptr<shm::Attached>& attached() const { return attached_; }
  const std::shared_ptr<shm::Roster>& roster() const { return roster_; }
  const shm::Ring& ring() const { return attached_->ring(); }
  uint64_t size() const { return size_; }
  // The file as it is now.
  std::vector<std::byte> image() const { return {bytes_, bytes_ + size_}; }

  // Any bytes at any place of [from, to).
  void scribble(Input& input, uint64_t from, uint64_t to) const {
    const uint64_t at = from + input.take<uint16_t>() % (to - from);
    const auto bytes = input.bytes(input.byte());
    std::memcpy(bytes_ + at, bytes.data(), std::min<uint64_t>(bytes.size(), to - at));
  }
  void scribble_data(Input& input) const {
    scribble(input, attached_->header().data_offset, size_);
  }
  void scribble_side(Input& input) const {
    const uint64_t from = attached_->header().side_offset;
    scribble(input, from, from + ring().capacity / shm::unit_size * sizeof(uint64_t));
  }
  void scribble_control(Input& input) const {
    scribble(input, shm::page_size,
             shm::page_size + sizeof(shm::ControlBlock) + 8 * sizeof(shm::ProducerSlot));
  }

  // A claim word for a place near the window: any length, owner and state.
  void forge_side(Input& input) const {
    const uint64_t position = take_position(input);
    const uint64_t units = 1 + input.below(8);
    const uint32_t owner = input.take<uint16_t>() & 1023;
    const uint64_t state = input.byte();
    uint64_t side = ring().make_side(position, units * shm::unit_size, owner, (state & 4) != 0);
    side = (side & ~uint64_t{shm::side_state_mask}) | (state & shm::side_state_mask);
    ring().side(position).store(side, std::memory_order_relaxed);
  }

  // A frame's header that carries the commit word of its place.
  void forge_frame(Input& input) const {
    const uint64_t position = take_position(input);
    const uint64_t flags = input.byte() & shm::word_flags;
    const auto type = static_cast<shm::FrameType>(input.byte() % 6);
    const uint16_t frame_flags = input.byte();
    const uint32_t body = input.byte() % 4 == 3 ? input.take<uint32_t>() : input.take<uint16_t>();
    shm::FrameHeader& frame = ring().frame(position);
    const uint64_t sequence = frame.sequence.load(std::memory_order_relaxed);
    frame.sequence.store(sequence + small(input), std::memory_order_relaxed);
    frame.meta.store(shm::pack_meta(body, type, frame_flags), std::memory_order_relaxed);
    frame.word.store(shm::word_tag(position) | flags, std::memory_order_relaxed);
  }

  // One of the pairs of the control lines.
  void forge_pair(Input& input) const {
    const uint32_t which = input.below(6 + 2 * ring().cursor_slots);
    AtomicPair& place = pair_place(which);
    const uint8_t kind = input.byte() % 8;
    Pair pair{take_position(input), oldest_.second + small(input)};
    if (kind == 1) pair = shm::no_cursor;
    if (kind == 2) pair = {0, 0};
    if (kind == 3) pair = {input.take<uint64_t>(), input.take<uint64_t>()};
    if (which == 1 && kind != 3) {
      const uint32_t epoch = kind == 4 ? shm::LimitWord::epoch_max : 0;
      pair = shm::LimitWord{pair.first + ring().capacity, pair.second, epoch}.pack();
    }
    place.store(pair, std::memory_order_relaxed);
  }

  // Who holds a slot, and of what kind a cursor is.
  void forge_slot(Input& input) const {
    const uint32_t slot = input.below(ring().producer_slots + ring().cursor_slots);
    const uint32_t cursor = slot - ring().producer_slots;
    shm::SeatId seat = take_seat(input);
    if (slot < ring().producer_slots) {
      ring().producers[slot].owner.store(seat, std::memory_order_relaxed);
      return;
    }
    ring().cursors[cursor].owner.store(seat, std::memory_order_relaxed);
    ring().cursors[cursor].kind.store(input.byte() % 4, std::memory_order_relaxed);
    ring().control->cursor_count.store(input.byte(), std::memory_order_relaxed);
  }

  // How the ring ends.
  void forge_seal(Input& input) const {
    const uint8_t kind = input.byte() % 4;
    uint64_t state = shm::seal_open;
    if (kind == 1) state = shm::seal_removed;
    if (kind == 2) state = shm::seal_to(attached_->header().generation + input.below(3));
    if (kind == 3) state = input.take<uint64_t>();
    ring().control->seal.state.store(state, std::memory_order_relaxed);
  }

  // How the log is doing, and who writes it.
  void forge_log(Input& input) const {
    const uint8_t kind = input.byte();
    shm::LogLine& log = ring().control->log;
    log.flusher.store(take_seat(input), std::memory_order_relaxed);
    const uint64_t state = kind < 128 ? kind % 6 : input.take<uint64_t>();
    log.state.store(state, std::memory_order_relaxed);
    log.error.store(input.take<uint32_t>(), std::memory_order_relaxed);
  }

  // A field of the immutable header, perhaps with a hash that fits.
  void forge_header(Input& input) const {
    shm::RingHeader header;
    const uint32_t at = input.below(sizeof header / 4) * 4;
    const uint8_t kind = input.byte();
    uint32_t value = input.take<uint32_t>();
    std::memcpy(&header, bytes_, sizeof header);
    if ((kind & 2) != 0) {
      uint32_t old;
      std::memcpy(&old, reinterpret_cast<std::byte*>(&header) + at, sizeof old);
      value = old + static_cast<uint32_t>(small(input));
    }
    std::memcpy(reinterpret_cast<std::byte*>(&header) + at, &value, sizeof value);
    if ((kind & 1) == 0) header.header_hash = shm::hash_of(header);
    std::memcpy(bytes_, &header, sizeof header);
  }

  // A ring lock that looks held costs whoever needs it up to a second, and nothing else: what it
  // says about its holder is made to be that there is none, or a dead one.
  void calm_lock() const {
    __atomic_fetch_and(&ring().control->lock.mutex.__data.__lock, FUTEX_OWNER_DIED,
                       __ATOMIC_RELAXED);
  }

 private:
  static uint64_t small(Input& input) {
    return static_cast<uint64_t>(static_cast<int64_t>(input.take<int8_t>()));
  }

  // Near the window; sometimes between two units, sometimes anywhere.
  uint64_t take_position(Input& input) const {
    const uint8_t lap = input.byte();
    const uint64_t unit = input.byte();
    uint64_t position = oldest_.first + unit * shm::unit_size;
    if (lap == 0) return position;
    if (lap == 1) return position + 1 + input.byte();
    if (lap == 2) return input.take<uint64_t>();
    if (lap == 3) return shm::position_max - position;
    if (lap < 128) return position + (lap - 3) * ring().capacity;
    return position - (lap - 127) * ring().capacity;
  }

  shm::SeatId take_seat(Input& input) const {
    const uint8_t kind = input.byte() % 8;
    shm::SeatId seat = dead_;
    if ((kind & 3) == 1) seat = roster_->my_seat() ? must(roster_->my_seat()) : dead_;
    if ((kind & 3) == 2) seat = shm::nobody;
    if ((kind & 3) == 3) seat = input.take<uint64_t>();
    return kind < 4 ? seat : seat | shm::repairing_bit;
  }

  AtomicPair& pair_place(uint32_t which) const {
    shm::ControlBlock& control = *ring().control;
    if (which == 0) return control.hint.pair;
    if (which == 1) return control.limit.pair;
    if (which == 2) return control.start.pair;
    if (which == 3) return control.gate.pair;
    if (which == 4) return control.seal.at;
    if (which == 5 + 2 * ring().cursor_slots) return control.durable.pair;
    shm::CursorSlot& cursor = ring().cursors[(which - 5) / 2];
    return which % 2 == 1 ? cursor.cursor : cursor.shown;
  }

  bool is_logged() const { return attached_->header().storage == shm::Storage::file; }
  void bring_to_disk() const {
    const Pair frontier = ring().control->hint.pair.load(std::memory_order_relaxed);
    ring().control->durable.pair.store(frontier, std::memory_order_relaxed);
  }
  // Its flusher died at work.
  void leave_log() const {
    shm::LogLine& log = ring().control->log;
    log.flusher.store(dead_, std::memory_order_relaxed);
    log.state.store(static_cast<uint64_t>(shm::LogState::flushing), std::memory_order_relaxed);
  }

  // The verbs of the moods, done without handles, so that nobody of ours is left in the slots.
  shm::Claim open(shm::Claimer& claimer, uint64_t body) const {
    shm::Claim claim;
    const uint64_t bytes = shm::frame_size(body);
    if (claimer.claim(bytes, claim) == shm::ClaimOutcome::full) {
      if (is_logged()) bring_to_disk();
      shm::advance(ring(), claimer.full_at() + bytes + shm::unit_size);
      if (claimer.claim(bytes, claim) != shm::ClaimOutcome::claimed) claim.bytes = 0;
    }
    return claim;
  }
  bool put(shm::Claimer& claimer, uint32_t body, uint16_t flags = 0) const {
    const shm::Claim claim = open(claimer, body);
    if (claim.bytes == 0) return false;
    std::memset(ring().at(claim.position) + shm::frame_header_size, 'x', body);
    if (flags == shm::flag_extension) {
      shm::ExtensionFields fields;
      fields.key = "key";
      shm::write_extension(fields, 16, ring().at(claim.position) + shm::frame_header_size);
    }
    claimer.commit(claim, shm::pack_meta(body, shm::FrameType::message, flags), 0);
    return true;
  }
  // A payload that carries at each unit the commit word this place has one lap later.
  void put_forged(shm::Claimer& claimer, uint32_t body) const {
    const shm::Claim claim = open(claimer, body);
    for (uint64_t unit = claim.position + shm::unit_size; unit < claim.position + claim.bytes;
         unit += shm::unit_size) {
      ring().word(unit).store(shm::word_tag(unit + ring().capacity), std::memory_order_relaxed);
    }
    claimer.commit(claim, shm::pack_meta(body, shm::FrameType::message, 0), 0);
  }

  void put_into(Mood mood) const {
    shm::Claimer first(ring(), 0, false), second(ring(), 2, false);
    switch (mood) {
      case Mood::written:
        for (uint32_t body = 0; body < 300; body += 60) put(first, body);
        put(first, 100, shm::flag_extension);
        first.abort(open(first, 10));
        put(second, 480);
        return;
      case Mood::lapped:
        for (uint32_t count = 0; count < 300; ++count) put(first, count * 37 % 480);
        return;
      case Mood::half_made:
        put(first, 10);
        ring().producers[2].owner.store(dead_, std::memory_order_relaxed);
        open(second, 200);
        put(first, 30);
        return;
      case Mood::gated: {
        put(first, 10);
        const auto slot = shm::take_cursor_slot(ring(), dead_, shm::CursorKind::lossless);
        shm::join(ring(), *slot);
        while (put(first, 32)) continue;
        return;
      }
      case Mood::forged:
        for (uint32_t count = 0; count < 40; ++count) put_forged(first, count % 2 == 0 ? 480 : 400);
        return;
      case Mood::sealed:
        put(first, 10);
        shm::commit_seal(ring(), shm::claim_seal(ring(), shm::seal_removed));
        return;
      case Mood::unborn:
        for (shm::PairLine* line :
             {&ring().control->hint, &ring().control->limit, &ring().control->start}) {
          line->pair.store({0, 0}, std::memory_order_relaxed);
        }
        if (is_logged()) ring().control->durable.pair.store({0, 0}, std::memory_order_relaxed);
        return;
    }
  }

  std::shared_ptr<shm::Roster> roster_;
  shm::SeatId dead_;
  std::shared_ptr<shm::Attached> attached_;
  uint64_t size_ = 0;
  std::byte* bytes_ = nullptr;
  std::vector<std::vector<std::byte>> images_;
  Pair oldest_;
};

}  // namespace loopline::fuzz
