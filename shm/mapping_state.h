// What stands behind a Mapping: the file, the private copy of its header, and the mapped pieces.
#pragma once

#include <string>

#include "file.h"
#include "mapping.h"
#include "region.h"

namespace loopline::shm {

struct Mapping::State {
  File file;
  RingHeader header{};
  std::string name;
  Access access = Access::look;
  Region control;  // from page 1 to the side words; page 0 is read, never mapped
  Region side;
  Region data;  // the two copies, back to back
  Region data_again;
};

// Where a huge page may begin in the data and its addresses, if the ring is large enough for one.
uint64_t alignment_of(uint64_t capacity);
uint64_t side_bytes_of(uint64_t capacity);

// Maps a file whose header was validated, or written by us a moment ago.
Result<std::unique_ptr<Mapping::State>> map_ring(File file, const RingHeader& header,
                                                 const std::string& name, Access access);

}  // namespace loopline::shm
