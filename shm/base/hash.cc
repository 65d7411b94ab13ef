// Hash: XXH3 inlined here, in one unit, so that its header costs one compile.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "hash.h"

namespace loopline {

uint64_t hash64(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

}  // namespace loopline
