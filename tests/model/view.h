// View: what a thread, a store or a fence knows: for each location the oldest store still to be
// seen.
//
// A view is an array of indices into the modification orders. Joining two keeps the greater of
// each. The first entries count the threads' releases; with them the memory notices unordered
// accesses.
#pragma once

#include <cstdint>
#include <cstring>

namespace loopline::model {

constexpr unsigned thread_count_max = 8;
constexpr unsigned view_size = 256;
constexpr unsigned location_count_max = view_size - thread_count_max;
constexpr unsigned index_max = 254;  // of a store in its modification order

// Two independent 64-bit hashes. Sums of well mixed hashes stand for sets.
struct Hash {
  uint64_t a = 0;
  uint64_t b = 0;
  friend bool operator==(const Hash&, const Hash&) = default;
};

inline uint64_t fold(uint64_t left, uint64_t right) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
inline void mix(Hash& hash, uint64_t word) {
  hash.a = fold(hash.a ^ 0x9e3779b97f4a7c15, word ^ 0xd6e8feb86659fd93);
  hash.b = fold(hash.b + 0xa0761d6478bd642f, (word << 1 | 1) ^ 0xe7037ed1a0b428db) + word;
}
inline void add(Hash& sum, const Hash& hash) {
  sum.a += hash.a;
  sum.b += hash.b;
}
inline void subtract(Hash& sum, const Hash& hash) {
  sum.a -= hash.a;
  sum.b -= hash.b;
}

constexpr unsigned chunk_size = 16;
using Chunk = uint8_t __attribute__((vector_size(chunk_size)));

struct alignas(16) View {
  uint8_t at[view_size] = {};

  Chunk* chunks() { return reinterpret_cast<Chunk*>(at); }
  const Chunk* chunks() const { return reinterpret_cast<const Chunk*>(at); }
};

// `chunk_count` chunks are in use; behind them every view is zero.
inline void join(View& into, const View& other, unsigned chunk_count) {
  for (unsigned index = 0; index < chunk_count; ++index) {
    const Chunk mine = into.chunks()[index];
    const Chunk theirs = other.chunks()[index];
    into.chunks()[index] = mine > theirs ? mine : theirs;
  }
}
inline void assign(View& into, const View& other, unsigned chunk_count) {
  for (unsigned index = 0; index < chunk_count; ++index) {
    into.chunks()[index] = other.chunks()[index];
  }
}
inline void lower(View& into, const View& other, unsigned chunk_count) {
  for (unsigned index = 0; index < chunk_count; ++index) {
    const Chunk mine = into.chunks()[index];
    const Chunk theirs = other.chunks()[index];
    into.chunks()[index] = mine < theirs ? mine : theirs;
  }
}
// Zero words add nothing, so that a view's hash does not depend on how many chunks are in use.
inline Hash hash_of(const View& view, unsigned chunk_count) {
  Hash hash;
  for (unsigned index = 0; index < 2 * chunk_count; ++index) {
    uint64_t word;
    std::memcpy(&word, view.at + 8 * index, sizeof word);
    if (word == 0) continue;
    hash.a += fold(word ^ 0x8ebc6af09c88c6e3 * (index + 1), 0x589965cc75374cc3 + 2 * index);
    hash.b += fold(word + 0x1d8e4e27c47d124f * (index + 1), 0xeb44accab455d165 ^ word);
  }
  return hash;
}

}  // namespace loopline::model
