// Fused: for any processor of ours, and the choice between the two.
#include "fused.h"

#include "fused_loop.h"

namespace loopline::io {

uint64_t copy_and_hash(std::byte* to, const std::byte* from, size_t size) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? copy_and_hash_avx2(to, from, size) : copy_and_hash_here(to, from, size);
}

}  // namespace loopline::io
