// The one loop of fused.cc and fused_avx2.cc, which compile it for different processors.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

constexpr size_t piece_bytes = 16u << 10;

inline uint64_t copy_and_hash_here(std::byte* to, const std::byte* from, size_t size) {
  if (size <= piece_bytes) {
    std::memcpy(to, from, size);
    return XXH3_64bits(to, size);
  }
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (size_t done = 0; done < size; done += piece_bytes) {
    const size_t piece = size - done < piece_bytes ? size - done : piece_bytes;
    std::memcpy(to + done, from + done, piece);
    XXH3_64bits_update(&state, to + done, piece);
  }
  return XXH3_64bits_digest(&state);
}

}  // namespace
