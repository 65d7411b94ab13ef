// Demo verdict: what the consumers got, held against what the journals say they must have got.
#pragma once

#include <array>
#include <vector>

#include "demo_board.h"

namespace loopline::cli {

struct DemoConsumerKind {
  const char* name;
  bool is_lossy;
  bool
      is_late;  // starts with the oldest message that is there when it joins, others with the first
};
constexpr DemoConsumerKind demo_consumers[demo_consumer_count] = {
    {"first", false, false}, {"late", false, true}, {"slow", true, false}};

// One consumer, both sides.
struct ConsumerVerdict {
  DemoConsumerKind kind{};
  uint64_t first_sequence = 0;
  std::array<Tally, demo_producer_count> expected{};  // from the journals
  std::array<Tally, demo_producer_count> got{};
  uint64_t missed = 0;  // sequences it reported as gaps
  uint64_t gap_count = 0;
  uint64_t without_message = 0;  // sequences of interrupted messages that it passed
  uint64_t strangers = 0;
  bool counts_equal = false;
  bool hashes_equal = false;
  bool order_kept = false;
  bool all_accounted = false;  // got + missed + without_message = every sequence from its first on
  bool is_equal() const { return counts_equal && hashes_equal && order_kept && all_accounted; }

  uint64_t messages_got() const;
  uint64_t messages_expected() const;
  // One number for everything, in order, of all producers.
  uint64_t hash_got() const;
  uint64_t hash_expected() const;
};

struct JournalVerdict {
  std::array<Tally, demo_producer_count> written{};
  uint64_t last_sequence = 0;
  std::vector<uint64_t> holes;  // sequences that no journal has
  bool is_dense = false;        // every sequence once, but for the killed claim
};

// The largest sequence in the journals.
uint64_t last_sequence_of(const DemoMemory& memory);
JournalVerdict judge_journals(const DemoMemory& memory);
ConsumerVerdict judge_consumer(const DemoMemory& memory, uint32_t index,
                               const JournalVerdict& journals);

}  // namespace loopline::cli
