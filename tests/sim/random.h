// Random: a small seeded generator, so that whatever chance decided can be decided once more.
#pragma once

#include <cstdint>

namespace loopline::sim {

// splitmix64: every seed is a good one.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t word = state_ += 0x9e3779b97f4a7c15u;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
  }
  // From 0 to `count` - 1; 0 for none.
  uint64_t below(uint64_t count) { return count == 0 ? 0 : next() % count; }
  uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
  bool once_in(uint64_t count) { return below(count) == 0; }
  bool coin() { return (next() & 1) != 0; }

 private:
  uint64_t state_;
};

}  // namespace loopline::sim
