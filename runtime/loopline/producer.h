// Producer: a handle to publish into a station, in place or by copy.
//
//   if (auto slot = producer->claim(sizeof(Quote), {.key = "AAPL"})) {
//     new (slot->bytes().data()) Quote{...};           // bytes are 16-byte aligned
//     slot->commit();                                  // no copy, no system call
//   }
//   producer->publish(bytes);                          // the same with one copy
//
// One thread uses a producer at a time; it may be moved to another. In a forked child every call
// answers `forked`. Messages become visible in the order of their claims; until a slot is
// committed, everything behind it waits, so fill it at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "loopline/message.h"
#include "shm/base/result.h"
#include "shm/base/visibility.h"

namespace loopline {

namespace shm {
class Producer;
}

// An identity that is given, not drawn, is one producer's at a time: whoever opens it again
// takes it over and gets the next epoch, and who had it before is fenced. A partition remembers
// the number of the last message of each identity: what has one that is not above it is there
// already.
struct ProducerOptions {
  bool identified = false;  // every message carries {id, epoch, sequence} of its producer
  uint64_t id = 0;          // with identified: whose; 0 draws one, which nobody else ever has
  // The number of its first message; 0: one more than the last that the station has of it.
  uint64_t first_sequence = 0;
};
// The identity of a producer that is known by a name.
LL_EXPORT uint64_t producer_id_of(std::string_view name);

inline constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();

// How far a message has got. visible: it is committed to the ring, survives its producer, and is
// seen as soon as what was claimed before it is committed; durable: synced on this host; committed:
// durable on a majority of the station's replicas, which without others is this host alone. Levels
// are in order: compare them with <.
enum class Ack { visible, durable, committed };

struct PublishOptions {
  std::string_view key =
      {};  // messages of one key go to one partition; without one, to each in turn
  // A message with an id that was published within the station's dedup-window is not appended
  // again: publish succeeds, and was_duplicate() says so.
  std::string_view id = {};
  std::span<const Header> headers = {};
  // How long to wait for room; unset: for ever, or not at all where the station says `reject`.
  std::optional<std::chrono::nanoseconds> timeout = {};
  // The level that publish waits for; unset: the station's: `visible` in memory, `durable` of a
  // file station (which needs somebody who flushes it). A slot never waits: its commit is visible.
  std::optional<Ack> ack = {};
};

// One object for all calls without options: nothing is made at each of them.
inline constexpr PublishOptions no_options{};

// A message that was published without waiting for its level. Cheap to copy; not to be asked for
// its level when its producer is gone.
class LL_EXPORT Ticket {
 public:
  Ticket(uint64_t sequence, uint32_t partition, uint64_t end_position = 0,
         shm::Producer* producer = nullptr, bool is_duplicate = false)
      : sequence_(sequence),
        end_position_(end_position),
        producer_(producer),
        partition_(partition),
        is_duplicate_(is_duplicate) {}
  uint64_t sequence() const { return sequence_; }
  uint32_t partition() const { return partition_; }
  // In the log, behind the message.
  uint64_t end_position() const { return end_position_; }
  // The message was there already; the sequence is that one's, 0 when it is not known any more.
  bool is_duplicate() const { return is_duplicate_; }
  // The highest level it has reached by now: `committed` once it is durable, without replicas.
  Ack level() const;

 private:
  friend class Producer;
  uint64_t sequence_;
  uint64_t end_position_;    // in the ring
  shm::Producer* producer_;  // null: of a station in memory
  uint32_t partition_;
  bool is_duplicate_;
};

class LL_EXPORT Slot {
 public:
  Slot() {}  // holds nothing
  Slot(Slot&& other) noexcept { *this = std::move(other); }
  Slot& operator=(Slot&& other) noexcept {
    if (this == &other) return *this;
    if (producer_ != nullptr) (void)abort();
    producer_ = std::exchange(other.producer_, nullptr);
    if (producer_ == nullptr) return *this;
    payload_ = other.payload_;
    frame_ = other.frame_;
    flags_ = other.flags_;
    partition_ = other.partition_;
    return *this;
  }
  // A slot that was not committed is aborted: its sequence stays without a message.
  ~Slot() {
    if (producer_ != nullptr) (void)abort();
  }

  // Where the payload goes; exactly the size that was claimed.
  std::span<std::byte> bytes() const { return payload_; }
  // The message's sequence, in its partition.
  uint64_t sequence() const;
  uint32_t partition() const { return partition_; }
  // Of a message with an id, or of a producer with an identity, it says here whether it was there
  // already: then it is aborted, and the producer's was_duplicate() says so. Faults:
  // invalid_argument (twice), fenced (the thread that claimed it ended; another took the identity
  // over), timed_out (another publishes such messages and has stopped), full (too many ids).
  Status commit();
  Status abort();

 private:
  friend class Producer;
  struct alignas(8) Frame {  // an open frame of the ring, see shm/producer.h
    std::byte bytes[56];
  };
  Status end(bool commits);
  // Null: committed, aborted or moved from. Odd: a ProducerState, of a message that is looked up.
  shm::Producer* producer_ = nullptr;
  std::span<std::byte> payload_;
  Frame frame_;  // nothing while there is no producer
  uint16_t flags_ = 0;
  uint16_t partition_ = 0;
};

class LL_EXPORT Producer {
 public:
  Producer(Producer&& other) noexcept;
  Producer& operator=(Producer&& other) noexcept;
  // Slots must be gone before their producer.
  ~Producer();

  // Faults: too_large, full (reject), timed_out, fenced, forked, closed (station removed),
  // corrupted, unsupported (a level that the station does not have).
  Result<Slot> claim(size_t payload_bytes, const PublishOptions& options = no_options);
  // The sequence it got in its partition; of a message that was there already that one's, or 0 when
  // it is not known any more. Faults: as claim; fenced too when another took the identity over.
  Result<uint64_t> publish(std::span<const std::byte> payload,
                           const PublishOptions& options = no_options);
  Result<uint64_t> publish(std::string_view payload, const PublishOptions& options = no_options) {
    return publish(std::as_bytes(std::span(payload.data(), payload.size())), options);
  }

  // The same without waiting for the level, so that thousands may be in flight; it waits for room
  // as publish does.
  Result<Ticket> publish_async(std::span<const std::byte> payload,
                               const PublishOptions& options = no_options);
  Result<Ticket> publish_async(std::string_view payload,
                               const PublishOptions& options = no_options) {
    return publish_async(std::as_bytes(std::span(payload.data(), payload.size())), options);
  }
  // Until the message has reached `level`. Faults: timed_out, unsupported (as claim).
  Status wait(const Ticket& ticket, Ack level, std::chrono::nanoseconds timeout = forever);

  // Drawn at random unless given.
  uint64_t id() const;
  // Of an identity that was given: the number of the last message that the station had of it when
  // it was opened; 0: none.
  uint64_t last_sequence() const;
  // The number that its next message gets.
  uint64_t next_sequence() const;
  // How often the identity was opened; 0 of one that was drawn.
  uint32_t epoch() const;
  // Whether the last message with an id, or of an identity that was given, was there already.
  bool was_duplicate() const;

 private:
  friend class Station;
  friend class Slot;
  Status open(Slot& slot, size_t payload_bytes, const PublishOptions& options);
  explicit Producer(std::unique_ptr<struct ProducerState> state);
  std::unique_ptr<struct ProducerState> state_;
};

}  // namespace loopline
