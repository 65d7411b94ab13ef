// RingHeader from a file: read once, validated field by field, and only then believed.
#pragma once

#include <string>

#include "base/result.h"
#include "file.h"
#include "layout.h"

namespace loopline::shm {

// Tests make rings this small, without a file.
constexpr uint64_t tiny_capacity_min = 4096;

uint64_t hash_of(RingHeader header);

// The header of a ring, after comparing every field with the others and with the file. Reads
// instead of mapping: a file that shrinks under us is a short read, not a SIGBUS.
Result<RingHeader> read_ring_header(const File& file, const std::string& name);

// Where a ring is in its life, read without mapping it; born and open when it cannot be read.
struct RingMarks {
  bool is_born = true;
  uint64_t seal_state = seal_open;
};
RingMarks read_ring_marks(const File& file);

}  // namespace loopline::shm
