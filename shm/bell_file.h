// BellFile: a named FIFO beside a ring's file, by which a consumer in an event loop is rung.
//
//   FACTORY@STATION@PARTITION@GENERATION@UUID@SLOT.bell
//
// The ring's uuid is in the name: a handle on a ring that was removed never meets the file of a
// ring that took its name. The file belongs to whoever holds the cursor slot, or repairs it: made
// after the slot is taken, removed before it is freed. Whoever dies in between leaves it to the
// reaper of the slot, to the remover of the ring, or to the doctor.
//
// Both ends are opened for reading and writing: then a write never raises SIGPIPE, and a reader
// never sees an end of file.
#pragma once

#include <string>
#include <string_view>

#include "file.h"
#include "ring.h"

namespace loopline::shm {

constexpr std::string_view bell_suffix = ".bell";

class BellFile {
 public:
  // In the place of whatever stands there. Faults: unsupported (a ring without a file), and what
  // the kernel says.
  static Result<BellFile> make(const Ring& ring, uint32_t slot, uint32_t mode);

  int fd() const { return file_.fd(); }
  // Makes it readable.
  void ring() const;
  // What was rung until now is forgotten.
  void drain() const;

 private:
  explicit BellFile(File file) : file_(std::move(file)) {}
  File file_;
};

// Writes a byte, if there is such a file and we may. One that is full, or that nobody reads any
// more, needs nothing.
void ring_bell_file(const Ring& ring, uint32_t slot);
// By the holder of the slot, or its repairer.
void remove_bell_file(const Ring& ring, uint32_t slot);

// How the paths of a ring's bell files begin.
std::string bell_files_of(const std::string& folder, const RingHeader& header);
// Whether a file is one, of whatever ring.
bool is_bell_file(const std::string& path);
// Those in `folder` whose names begin with `start`, such as "main@orders@".
void remove_bell_files(const std::string& folder, std::string_view start);

}  // namespace loopline::shm
