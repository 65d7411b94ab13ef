// DemoBoard: the memory that the demo's director shares with the processes it starts, and their
// journals.
//
// It is anonymous and inherited by fork, so it has no name to leave behind, and it outlives every
// child: what a producer wrote into its journal before a SIGKILL is there.
//
// Happens-before edges
//   [journal]  a producer stores count after the entry -> the director loads it
//   [inside]   the producer stores open_sequence inside its claim -> the director kills it there
//   [told]     a consumer stores is_done after its tallies -> the director reads them
//   [order]    the director stores an order (die, stop, end_sequence) -> the children load it
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "shm/base/atomic.h"
#include "shm/base/hash.h"
#include "shm/base/histogram.h"
#include "shm/base/result.h"

namespace loopline::cli {

constexpr uint32_t demo_producer_count = 2;
constexpr uint32_t demo_consumer_count = 3;
constexpr size_t demo_gaps_max = 1 << 16;

// What a producer committed, or a consumer got: one message.
struct JournalEntry {
  uint64_t sequence = 0;
  uint64_t hash = 0;  // XXH3 of the payload
  uint64_t size = 0;
};

// Many entries as one number: XXH3 over each entry, seeded with the number before it.
inline uint64_t chained(uint64_t chain, const JournalEntry& entry) {
  return hash64(&entry, sizeof entry, chain);
}

// What one process sums up of one producer's messages.
struct Tally {
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t chain = 0;
  uint64_t last_own = 0;      // the producer's own number of the last one
  uint64_t order_errors = 0;  // own numbers that did not go up by one (lossy: that went down)

  void add(const JournalEntry& entry) {
    ++messages;
    bytes += entry.size;
    chain = chained(chain, entry);
  }
};

struct DemoFault {
  char text[400];  // why the process gave up; empty when it did not
};

struct alignas(128) ProducerBoard {
  Atomic<uint64_t> count;  // journal entries, each of them committed
  Atomic<uint64_t> bytes;
  Atomic<uint32_t> die;            // 1: stop inside the next claim and wait for the end
  Atomic<uint64_t> open_sequence;  // of the claim in which it waits; 0: in none
  DemoFault fault;
};

struct DemoGap {
  uint64_t first;
  uint64_t count;
};

struct alignas(128) ConsumerBoard {
  Atomic<uint32_t> is_ready;
  Atomic<uint32_t> is_done;
  Atomic<uint64_t> messages;
  Atomic<uint64_t> missed;
  Atomic<uint64_t> first_sequence;  // of the first message it was handed
  Atomic<uint64_t> resumed_ns;      // monotonic: the first message behind the killed claim
  Tally tallies[demo_producer_count];
  uint64_t strangers;  // messages of nobody we know
  uint64_t gap_count;
  DemoGap gaps[demo_gaps_max];
  Histogram latency_ns;
  DemoFault fault;
};

struct DemoBoard {
  Atomic<uint32_t> stop;           // producers end
  Atomic<uint64_t> end_sequence;   // consumers end behind it; 0: not known yet
  Atomic<uint64_t> hole_sequence;  // the killed claim; 0: none yet
  ProducerBoard producers[demo_producer_count];
  ConsumerBoard consumers[demo_consumer_count];
};

// The board and the journals behind it, mapped for this process and its children.
class DemoMemory {
 public:
  static Result<DemoMemory> make(uint64_t journal_entries_max);
  DemoMemory(DemoMemory&& other) noexcept;
  DemoMemory& operator=(DemoMemory&&) = delete;
  ~DemoMemory();

  DemoBoard& board() const { return *static_cast<DemoBoard*>(address_); }
  // The whole journal of a producer, written and not.
  std::span<JournalEntry> journal(uint32_t producer) const;
  // What is written of it.
  std::span<const JournalEntry> written(uint32_t producer) const;

 private:
  DemoMemory() = default;
  void* address_ = nullptr;
  size_t size_ = 0;
  uint64_t entries_max_ = 0;
};

}  // namespace loopline::cli
