// Message: a body that proves who wrote it, and tries to pass for frames of other laps.
//
//   0        4        8         16         24       32                         32 + 64 k
//   +--------+--------+---------+----------+--------+---- ... ----+------------+---- ...
//   | writer | size   | number  | checksum | spare  |  pattern    | forged header, 32 bytes
//   +--------+--------+---------+----------+--------+---- ... ----+------------+---- ...
//
// A frame's body begins 32 bytes behind a unit boundary, so the next boundaries are at 32 + 64 k:
// there stands exactly the word a committed frame would carry, of this lap or of one to come, with
// random flags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "shm/layout.h"

namespace loopline::crash {

constexpr uint32_t message_size_min = 32;

using Random = std::mt19937_64;
inline uint64_t below(Random& random, uint64_t bound) { return bound == 0 ? 0 : random() % bound; }

struct MessageHead {
  uint32_t writer;
  uint32_t size;
  uint64_t number;
  uint64_t checksum;
  uint64_t spare;
};
static_assert(sizeof(MessageHead) == message_size_min);

struct Place {
  uint64_t position;
  uint64_t sequence;
  uint64_t capacity;
};

// Writes the body of message `number` of `writer`, `head.size` bytes, step by step.
void write_message(std::byte* body, MessageHead head, const Place& place, bool forge,
                   Random& random);

// Whether the body is whole; `head` is what it says.
bool read_message(const std::byte* body, uint32_t size, MessageHead& head);

}  // namespace loopline::crash
