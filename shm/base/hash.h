// Hash: XXH3 of 64 bits, the one hash of Loopline (keys to partitions, checksums, names).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace loopline {

uint64_t hash64(const void* bytes, size_t size, uint64_t seed = 0);

inline uint64_t hash64(std::span<const std::byte> bytes, uint64_t seed = 0) {
  return hash64(bytes.data(), bytes.size(), seed);
}

}  // namespace loopline
