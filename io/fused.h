// Fused: frames copied out of the ring and hashed in one pass, while they are in the nearest cache.
//
// Copy first, then hash the copy, 16 KiB at a time: what is hashed is what is written, whatever a
// broken process does to the ring meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace loopline::io {

// Returns hash64() of the copy.
uint64_t copy_and_hash(std::byte* to, const std::byte* from, size_t size);

// The same for a processor that has AVX2, twice as fast; fused_avx2.cc.
uint64_t copy_and_hash_avx2(std::byte* to, const std::byte* from, size_t size);

}  // namespace loopline::io
