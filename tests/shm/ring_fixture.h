// RingFixture: a small ring without a file, and the verbs with which the tests write and read it.
//
//   BareRing ring;                                    TestStation station;
//   Claimer claimer = ring.claimer(0);                Producer producer = station.producer();
//   ring.put(claimer, "one");                         station.write(producer, "one");
//   EXPECT_EQ(ring.read_all(), texts("one"));         EXPECT_EQ(station.read(consumer),
//   texts("one"));
//
// BareRing has the words of a ring and nobody who owns them: for claim, reader, window, repair.
// TestStation has handles with seats in a roster of its own: for producer, consumer, seal.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/attached.h"
#include "shm/claim.h"
#include "shm/consumer.h"
#include "shm/producer.h"
#include "shm/reader.h"
#include "shm/seal.h"
#include "shm/window.h"
#include "tests/support/must.h"

namespace loopline::shm {

using test::code_of;
using test::contains;
using test::must;

template <class... Text>
std::vector<std::string> texts(Text... text) {
  return {std::string(text)...};
}

constexpr uint64_t tiny_capacity = 4096;  // 64 units; a frame has at most 8

inline RingOptions tiny_ring(uint64_t capacity = tiny_capacity) {
  RingOptions options;
  options.station = "test";
  options.capacity = capacity;
  options.timestamp = TimestampKind::off;
  options.producer_slots = 4;
  options.cursor_slots = 4;
  return options;
}

// One whose log the test keeps itself.
inline RingOptions file_ring(uint64_t capacity = tiny_capacity) {
  RingOptions options = tiny_ring(capacity);
  options.storage = Storage::file;
  options.log_uuid = {1, 2};
  return options;
}

inline Ring ring_over(const Mapping& mapping) {
  const RingHeader& header = mapping.header();
  return Ring::over(&mapping.control(), mapping.producers(), mapping.cursors(), mapping.side(),
                    mapping.data(), header.capacity, header.producer_slots, header.cursor_slots);
}

inline std::string text_of(const FrameView& view) {
  return {reinterpret_cast<const char*>(view.body), view.body_size};
}

class BareRing {
 public:
  explicit BareRing(const RingOptions& options = tiny_ring())
      : mapping_(must(Mapping::create_anonymous(options, no_roster))), ring_(ring_over(mapping_)) {}

  Mapping& mapping() { return mapping_; }
  const Ring& ring() const { return ring_; }
  const Ring* operator->() const { return &ring_; }
  ControlBlock& control() const { return *ring_.control; }

  Claimer claimer(uint32_t owner, bool exclusive = false) const {
    return {ring_, owner, exclusive};
  }
  Pair start() const { return {ring_.capacity, 1}; }

  // Claims room for `text`, moving the window where it may; the frame stays open, its body filled.
  Claim open(Claimer& claimer, std::string_view text) const {
    Claim claim;
    const uint64_t bytes = frame_size(text.size());
    ClaimOutcome outcome = claimer.claim(bytes, claim);
    if (outcome == ClaimOutcome::full) {
      advance(ring_, claimer.full_at() + bytes + unit_size);
      outcome = claimer.claim(bytes, claim);
    }
    if (outcome != ClaimOutcome::claimed) throw std::runtime_error("the claim was refused");
    std::memcpy(ring_.at(claim.position) + frame_header_size, text.data(), text.size());
    return claim;
  }
  void commit(Claimer& claimer, const Claim& claim, std::string_view text) const {
    claimer.commit(claim, pack_meta(static_cast<uint32_t>(text.size()), FrameType::message, 0), 0);
  }
  Claim put(Claimer& claimer, std::string_view text) const {
    const Claim claim = open(claimer, text);
    commit(claimer, claim, text);
    return claim;
  }
  ClaimOutcome try_claim(Claimer& claimer, uint64_t bytes) const {
    Claim claim;
    return claimer.claim(bytes, claim);
  }

  // Every message from the oldest place of the window on.
  std::vector<std::string> read_all() const {
    return read_all(Reader(ring_, ring_.window_start()));
  }
  static std::vector<std::string> read_all(Reader reader) {
    std::vector<std::string> read;
    FrameView view;
    while (reader.next(view) == ReadOutcome::frame) read.push_back(text_of(view));
    return read;
  }
  // The flags of the frame at `position`.
  uint64_t flags_at(uint64_t position) const {
    return ring_.word(position).load(std::memory_order_acquire) & word_flags;
  }
  uint64_t side_at(uint64_t position) const {
    return ring_.side(position).load(std::memory_order_acquire);
  }

 private:
  static constexpr uint64_t no_roster[2] = {0, 0};
  Mapping mapping_;
  Ring ring_;
};

// A body of `size` bytes in which every place where a frame could begin, counted from `position`,
// carries the commit word that this place will have one lap later, with these flags.
inline std::string forged_body(const Ring& ring, uint64_t position, size_t size,
                               uint64_t flags = 0) {
  std::string body(size, '\0');
  const uint64_t first = position + frame_header_size;
  for (uint64_t place = round_up(first, unit_size); place + 8 <= first + size; place += unit_size) {
    const uint64_t word = word_tag(place + ring.capacity) | flags;
    std::memcpy(body.data() + (place - first), &word, sizeof word);
  }
  return body;
}

class TestStation {
 public:
  explicit TestStation(const RingOptions& options = tiny_ring())
      : roster_(must(Roster::create_anonymous())),
        attached_(Attached::make(must(Mapping::create_anonymous(options, roster_->uuid())), roster_,
                                 std::nullopt)) {}

  const std::shared_ptr<Attached>& attached() const { return attached_; }
  const Ring& ring() const { return attached_->ring(); }
  ControlBlock& control() const { return *ring().control; }
  Roster& roster() const { return *roster_; }

  Producer producer() const { return must(Producer::open(attached_)); }
  Consumer lossless(From from = From::earliest) const {
    return must(Consumer::open(attached_, {.from = from}));
  }
  Consumer lossy(From from = From::earliest) const {
    return must(Consumer::open(attached_, {.lossy = true, .from = from}));
  }
  // This ring as one who maps its data read-only has it.
  std::shared_ptr<Attached> attached_as(Access access) const {
    return Attached::make(must(Mapping::attach_fd(attached_->mapping().fd(), "test", access)),
                          roster_, std::nullopt);
  }

 private:
  std::shared_ptr<Roster> roster_;
  std::shared_ptr<Attached> attached_;
};

inline OpenFrame open(Producer& producer, std::string_view text, uint64_t deadline_ns = 0) {
  OpenFrame frame;
  must(producer.claim(text.size(), deadline_ns, frame));
  std::memcpy(frame.body, text.data(), text.size());
  return frame;
}

// Its sequence. Throws when the ring is full.
inline uint64_t write(Producer& producer, std::string_view text) {
  OpenFrame frame = open(producer, text);
  must(producer.commit(frame, 0));
  return frame.claim.sequence;
}

// What a claim of `size` bytes meets when it may not wait.
inline FaultCode refusal(Producer& producer, uint64_t size) {
  OpenFrame frame;
  return code_of(producer.claim(size, 0, frame));
}

// The messages that are there now, their space given back.
inline std::vector<std::string> read(Consumer& consumer) {
  std::vector<std::string> messages;
  FrameView views[64];
  for (;;) {
    const size_t count = must(consumer.read(views));
    for (size_t index = 0; index < count; ++index) messages.push_back(text_of(views[index]));
    if (count == 0) return messages;
    must(consumer.release());
  }
}

// Fills the ring to its brim with messages of 32 bytes: their number.
inline uint64_t fill(Producer& producer) {
  const std::string text(32, 'x');
  for (uint64_t count = 0;; ++count) {
    OpenFrame frame;
    if (!producer.claim(text.size(), 0, frame)) return count;
    std::memcpy(frame.body, text.data(), text.size());
    must(producer.commit(frame, 0));
  }
}

}  // namespace loopline::shm
