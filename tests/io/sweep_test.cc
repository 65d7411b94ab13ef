// Every bit of every byte of a log flipped, one at a time: what can be read is what was written,
// and what cannot be read is said to be missing, exactly.
//
// In each run all bits of headers, records, frame headers, footers and manifests (with a sanitizer
// one of each byte), and some of the rest; LL_SWEEP=everything leaves none out (1.6 million flips).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>

#include "tests/sim/log_maker.h"
#include "tests/sim/log_reading.h"
#include "tests/sim/sim_disk.h"

namespace loopline::io {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;  // ten times slower
#else
constexpr bool is_sanitized = false;
#endif
constexpr uint64_t stride_bits = is_sanitized ? 997 : 61;  // primes: they meet all bits of a byte

class BitFlips : public testing::Test {
 protected:
  BitFlips() {
    for (int segment = 0; segment < 3; ++segment) {
      if (segment != 0) maker_.seal();
      maker_.batch(5, 100).batch(1, 9000).batch(20, 500).batch(2, 10).batch(3, 4000);
    }
    maker_.close();
    whole_ = maker_.image();
  }

  // The batch whose record or frames hold the byte; none: nothing depends on it alone.
  const sim::LogMaker::Batch* batch_of(size_t segment, uint64_t byte) const {
    for (const auto& batch : maker_.batches()) {
      const uint64_t end = batch.offset + sizeof(BatchRecord) + batch.bytes;
      if (batch.segment == segment && byte >= batch.offset && byte < end) return &batch;
    }
    return nullptr;
  }
  bool is_chosen(size_t segment, uint64_t bit) const {
    if (bit % stride_bits == 0) return true;
    const uint64_t byte = bit / 8;
    return (!is_sanitized || bit % 8 == byte % 8) && is_structure(segment, byte);
  }
  bool is_structure(size_t segment, uint64_t byte) const {
    if (segment == maker_.segment_count()) return byte % block_size < sizeof(Manifest) + 8;
    if (byte < batches_offset) return byte % block_size < sizeof(SegmentHeader) + 8;
    const uint64_t footer = footer_offset(maker_.options().segment_bytes);
    if (byte >= footer) return byte < footer + sizeof(SegmentFooter) + 3 * sizeof(IndexEntry);
    const auto* batch = batch_of(segment, byte);
    return batch != nullptr && byte < batch->offset + sizeof(BatchRecord) + 64;
  }

  std::string flip_and_read(const std::string& path, uint64_t bit,
                            const sim::LogMaker::Batch* hit) const {
    sim::Image image = whole_;
    image.flip(path, bit);
    sim::SimDisk disk(std::move(image));
    const auto log = sim::read_log(disk, maker_.options().folder);
    const std::string wrong = sim::compare(log, maker_.messages(), maker_.end());
    if (!wrong.empty()) return wrong;
    const auto& gaps = log.facts.gaps;
    if (gaps.size() != (hit == nullptr ? 0 : 1)) return "too many gaps, or too few";
    if (hit == nullptr) {
      return log.messages.size() == maker_.messages().size() ? "" : "messages are missing";
    }
    const bool is_exact = gaps[0].from == hit->start && gaps[0].to == hit->end;
    return is_exact ? "" : "the gap is not the batch that was hit";
  }

  void sweep(const std::string& path, size_t segment, bool all) {
    const bool is_segment = segment < maker_.segment_count();
    const uint64_t bits = whole_.size(path) * 8;
    for (uint64_t bit = next_bit_.fetch_add(chunk_); bit < bits;
         bit = next_bit_.fetch_add(chunk_)) {
      for (uint64_t at = bit; at < std::min(bits, bit + chunk_); ++at) {
        if (!all && !is_chosen(segment, at)) continue;
        ++flips_;
        const auto* hit = is_segment ? batch_of(segment, at / 8) : nullptr;
        const std::string wrong = flip_and_read(path, at, hit);
        if (wrong.empty()) continue;
        const std::lock_guard guard(mutex_);
        if (++wrongs_ > 5) return;
        ADD_FAILURE() << path << ", bit " << at << ": " << wrong;
      }
    }
  }

  void sweep_file(const std::string& path, size_t segment, bool all) {
    next_bit_ = 0;
    std::vector<std::thread> threads;
    for (unsigned index = 0; index < std::max(1u, std::thread::hardware_concurrency()); ++index) {
      threads.emplace_back([&] { sweep(path, segment, all); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  static constexpr uint64_t chunk_ = 4096;
  sim::LogMaker maker_;
  sim::Image whole_;
  std::atomic<uint64_t> next_bit_{0};
  std::atomic<uint64_t> flips_{0};
  std::mutex mutex_;
  int wrongs_ = 0;
};

TEST_F(BitFlips, AreGapsOfExactlyTheBatchTheyHit) {
  const char* const wanted = std::getenv("LL_SWEEP");
  const bool all = wanted != nullptr && std::string_view(wanted) == "everything";
  for (size_t segment = 0; segment < maker_.segment_count(); ++segment) {
    sweep_file(maker_.path(segment), segment, all);
  }
  sweep_file(maker_.manifest_path(), maker_.segment_count(), all);
  std::printf("%llu flips\n", static_cast<unsigned long long>(flips_.load()));
}

}  // namespace
}  // namespace loopline::io
