// Demo verdict: the journals are walked in the order of their sequences, once for each consumer.
#include "demo_verdict.h"

#include <algorithm>
#include <functional>

namespace loopline::cli {
namespace {

uint64_t messages_of(const std::array<Tally, demo_producer_count>& tallies) {
  uint64_t sum = 0;
  for (const Tally& tally : tallies) sum += tally.messages;
  return sum;
}

uint64_t hash_of(const std::array<Tally, demo_producer_count>& tallies) {
  std::array<uint64_t, demo_producer_count> chains{};
  for (size_t index = 0; index < chains.size(); ++index) chains[index] = tallies[index].chain;
  return hash64(chains.data(), sizeof chains);
}

// The gaps a consumer reported, asked in ascending order.
class Gaps {
 public:
  explicit Gaps(const ConsumerBoard& board)
      : board_(board), count_(std::min<uint64_t>(board.gap_count, demo_gaps_max)) {}
  bool covers(uint64_t sequence) {
    while (at_ < count_ && sequence - board_.gaps[at_].first >= board_.gaps[at_].count &&
           sequence >= board_.gaps[at_].first) {
      ++at_;
    }
    return at_ < count_ && sequence >= board_.gaps[at_].first;
  }

 private:
  const ConsumerBoard& board_;
  uint64_t count_;
  uint64_t at_ = 0;
};

// Calls `entry(producer, entry)` or `hole(sequence)` for each sequence, ascending; false when a
// journal is out of order or a sequence stands in two.
bool walk(const DemoMemory& memory, uint64_t last,
          const std::function<void(uint32_t, const JournalEntry&)>& entry,
          const std::function<void(uint64_t)>& hole) {
  std::array<std::span<const JournalEntry>, demo_producer_count> rest;
  for (uint32_t index = 0; index < rest.size(); ++index) rest[index] = memory.written(index);
  for (uint64_t sequence = 1; sequence <= last; ++sequence) {
    uint32_t found = 0;
    for (uint32_t index = 0; index < rest.size(); ++index) {
      if (rest[index].empty() || rest[index].front().sequence != sequence) continue;
      if (++found == 1) entry(index, rest[index].front());
      rest[index] = rest[index].subspan(1);
    }
    if (found == 0) hole(sequence);
    if (found > 1) return false;
  }
  return std::all_of(rest.begin(), rest.end(), [](const auto& one) { return one.empty(); });
}

}  // namespace

uint64_t ConsumerVerdict::messages_got() const { return messages_of(got); }
uint64_t ConsumerVerdict::messages_expected() const { return messages_of(expected); }
uint64_t ConsumerVerdict::hash_got() const { return hash_of(got); }
uint64_t ConsumerVerdict::hash_expected() const { return hash_of(expected); }

uint64_t last_sequence_of(const DemoMemory& memory) {
  uint64_t last = 0;
  for (uint32_t index = 0; index < demo_producer_count; ++index) {
    const auto journal = memory.written(index);
    if (!journal.empty()) last = std::max(last, journal.back().sequence);
  }
  return last;
}

JournalVerdict judge_journals(const DemoMemory& memory) {
  JournalVerdict verdict;
  verdict.last_sequence = last_sequence_of(memory);
  const bool in_order = walk(
      memory, verdict.last_sequence,
      [&](uint32_t index, const JournalEntry& entry) { verdict.written[index].add(entry); },
      [&](uint64_t sequence) { verdict.holes.push_back(sequence); });
  const uint64_t killed =
      memory.board().hole_sequence.load(std::memory_order_relaxed);  // relaxed: our own store
  verdict.is_dense = in_order && verdict.holes == std::vector<uint64_t>{killed};
  return verdict;
}

ConsumerVerdict judge_consumer(const DemoMemory& memory, uint32_t index,
                               const JournalVerdict& journals) {
  const ConsumerBoard& board = memory.board().consumers[index];
  ConsumerVerdict verdict;
  verdict.kind = demo_consumers[index];
  verdict.first_sequence = 1;
  if (verdict.kind.is_late) {
    verdict.first_sequence =
        board.first_sequence.load(std::memory_order_relaxed);  // relaxed: after [told]
  }
  verdict.gap_count = board.gap_count;
  verdict.strangers = board.strangers;
  std::copy(std::begin(board.tallies), std::end(board.tallies), verdict.got.begin());
  Gaps gaps(board);
  const auto is_due = [&](uint64_t sequence) {
    if (sequence < verdict.first_sequence) return false;
    const bool was_missed = gaps.covers(sequence);
    verdict.missed += was_missed ? 1 : 0;
    return !was_missed;
  };
  walk(
      memory, journals.last_sequence,
      [&](uint32_t producer, const JournalEntry& entry) {
        if (is_due(entry.sequence)) verdict.expected[producer].add(entry);
      },
      [&](uint64_t sequence) { verdict.without_message += is_due(sequence) ? 1 : 0; });
  verdict.counts_equal = verdict.strangers == 0;
  verdict.hashes_equal = true;
  verdict.order_kept = true;
  for (uint32_t producer = 0; producer < demo_producer_count; ++producer) {
    const Tally& got = verdict.got[producer];
    const Tally& expected = verdict.expected[producer];
    if (got.messages != expected.messages || got.bytes != expected.bytes) {
      verdict.counts_equal = false;
    }
    if (got.chain != expected.chain) verdict.hashes_equal = false;
    if (got.order_errors != 0) verdict.order_kept = false;
  }
  const uint64_t due = journals.last_sequence + 1 - verdict.first_sequence;
  verdict.all_accounted =
      verdict.first_sequence != 0 && verdict.gap_count <= demo_gaps_max &&
      verdict.missed == board.missed.load(std::memory_order_relaxed) &&  // relaxed: after [told]
      verdict.messages_got() + verdict.missed + verdict.without_message == due;
  return verdict;
}

}  // namespace loopline::cli
