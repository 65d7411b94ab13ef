// Payload: what every message of every subject carries, written in place and checked byte by byte.
//
//   [number of the message, 8 bytes][pattern ........][number again, 8 bytes]
//
// For fairness all subjects pay the same: a sender copies `size` bytes from a warm buffer of its
// own to the place the subject gives it; a receiver reads every byte once where the subject shows
// it, folds them into a checksum (32 bytes at a time), and compares checksum and number.
// A message that is lost, repeated, torn, reordered or of the wrong size is counted as bad.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "shm/base/check.h"

namespace loopline::perf {

inline constexpr uint32_t producers_max = 2;
// The last message of a producer carries this number (and its producer's index, like all).
inline constexpr uint64_t stop_number = (uint64_t{1} << 56) - 1;

// Sizes are multiples of this: one AVX register.
inline constexpr size_t payload_unit = 32;

inline uint64_t load_word(const std::byte* from) {
  uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// The XOR of all 8-byte words; the two numbers cancel each other.
inline uint64_t checksum_of(const std::byte* payload, size_t size) {
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  const auto* floats = reinterpret_cast<const float*>(payload);
  size_t index = 0;
  for (; index + 2 * payload_unit <= size; index += 2 * payload_unit) {
    sums[0] = _mm256_xor_ps(sums[0], _mm256_loadu_ps(floats + index / 4));
    sums[1] = _mm256_xor_ps(sums[1], _mm256_loadu_ps(floats + index / 4 + 8));
  }
  if (index < size) sums[0] = _mm256_xor_ps(sums[0], _mm256_loadu_ps(floats + index / 4));
  const __m256i all = _mm256_castps_si256(_mm256_xor_ps(sums[0], sums[1]));
  const __m128i half = _mm_xor_si128(_mm256_castsi256_si128(all), _mm256_extractf128_si256(all, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(half) ^ _mm_extract_epi64(half, 1));
}

// Writes the messages of one producer, numbered from 0.
class Writer {
 public:
  explicit Writer(size_t size, uint64_t producer = 0)
      : source_(size), next_(producer << 56), producer_(producer << 56) {
    LL_CHECK(size % payload_unit == 0);
    LL_CHECK(size > 0);
    for (size_t index = 8; index < size - 8; ++index) {
      source_[index] = static_cast<std::byte>(index * 7 + 1);
    }
    checksum_ = checksum_of(source_.data(), size);
  }

  size_t size() const { return source_.size(); }
  uint64_t checksum() const { return checksum_; }

  // The next message, written to the place where it is sent from.
  void operator()(std::byte* to) { write(to, next_++); }
  void write_stop(std::byte* to) const { write(to, producer_ | stop_number); }

 private:
  void write(std::byte* to, uint64_t number) const {
    const size_t size = source_.size();
    const auto* from = reinterpret_cast<const float*>(source_.data());
    auto* out = reinterpret_cast<float*>(to);
    for (size_t index = 0; index < size / 4; index += 8) {
      _mm256_storeu_ps(out + index, _mm256_loadu_ps(from + index));
    }
    std::memcpy(to, &number, sizeof number);
    std::memcpy(to + size - sizeof number, &number, sizeof number);
  }

  std::vector<std::byte> source_;
  uint64_t next_;
  uint64_t producer_;
  uint64_t checksum_ = 0;
};

// Reads and checks messages of up to `producers` producers.
template <uint32_t producers = 1>
class Reader {
  static_assert(producers <= producers_max);

 public:
  explicit Reader(size_t size) : size_(size), checksum_(Writer(size).checksum()) {
    for (uint64_t producer = 0; producer < producers; ++producer) next_[producer] = producer << 56;
  }

  void operator()(const std::byte* payload, size_t size) {
    const uint64_t number = load_word(payload);
    const uint64_t producer = producers == 1 ? 0 : (number >> 56) % producers_max;
    const bool whole = size == size_ && load_word(payload + size_ - 8) == number &&
                       checksum_of(payload, size_) == checksum_;
    if (whole && number == next_[producer]) [[likely]] {
      ++next_[producer];
      ++count_;
    } else if (whole && (number & stop_number) == stop_number) {
      ++stop_count_;
    } else {
      ++bad_count_;
      next_[producer] = number + 1;
    }
  }

  uint64_t count() const { return count_; }
  uint64_t bad_count() const { return bad_count_; }
  bool stopped() const { return stop_count_ == producers; }

 private:
  size_t size_;
  uint64_t checksum_;
  uint64_t next_[producers];
  uint64_t count_ = 0;
  uint64_t bad_count_ = 0;
  uint32_t stop_count_ = 0;
};

}  // namespace loopline::perf
