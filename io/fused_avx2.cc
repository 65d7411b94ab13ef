// Fused, compiled with AVX2; includes nothing whose inline functions others could be given.
#include "fused.h"
#include "fused_loop.h"

namespace loopline::io {

uint64_t copy_and_hash_avx2(std::byte* to, const std::byte* from, size_t size) {
  return copy_and_hash_here(to, from, size);
}

}  // namespace loopline::io
