// Checks: says which condition broke, without allocating, and traps.
#include "check.h"

#include <cstdio>
#include <cstdlib>

namespace loopline {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "loopline: broken invariant, stopping before it spreads: %s (%s:%d)\n",
               condition, file, line);
  std::abort();
}

}  // namespace loopline
