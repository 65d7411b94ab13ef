// Mapping: a ring file in this process's memory, its data mirrored back to back.
//
// The data region is mapped twice, one copy behind the other, so that a frame never wraps. Readers
// map data and side words read-only; the control region is always read-write for participants. The
// geometry is validated against the file and copied; nothing reads it from shared memory again.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "file.h"
#include "layout.h"

namespace loopline::shm {

enum class Access {
  produce,  // everything read-write
  consume,  // control read-write, side words and data read-only
  look,     // everything read-only: tools, and whoever has no write permission
};

// What a new ring is made from; sizes in bytes, already checked against PRODUCT.md by the caller.
struct RingOptions {
  std::string factory = "main";
  std::string station;
  uint32_t partition = 0;
  uint32_t partitions = 1;  // of the station
  uint32_t generation = 1;
  uint64_t capacity = 8u << 20;
  uint64_t message_max = 0;  // 0: as large as the ring allows
  bool exclusive = false;
  WhenFull when_full = WhenFull::block;
  uint64_t evict_after_ns = 0;  // 0: never
  TimestampKind timestamp = TimestampKind::precise;
  uint32_t producer_slots = 64;
  uint32_t cursor_slots = 64;
  uint32_t mode = 0660;
  FileOwner owner;
  bool born = true;  // false: a successor whose start is not known yet
  Storage storage = Storage::memory;
  std::array<uint64_t, 2> log_uuid{};  // of a file station's log
  uint64_t dedup_window_ns = 120'000'000'000;
  uint32_t dedup_entries = 65536;
  std::array<uint64_t, 2> lineage{};  // of the ring before it; zero: it begins one
  // {position, sequence} at which it is born: where the log on disk ended. Else {capacity, 1}.
  std::optional<Pair> start;
};

class Mapping {
 public:
  struct State;

  // Makes the file without a name in `folder` (O_TMPFILE), sized, with its pages allocated
  // (no_space says what is needed and what there is, before anything is written), initialised, then
  // links it to `path`: already_exists when somebody else was first. A death at any point leaves
  // nothing.
  static Result<Mapping> create(const std::string& folder, const std::string& path,
                                const RingOptions& options, const uint64_t roster_uuid[2]);
  // The same in two steps: everything but the name, then the name.
  static Result<Mapping> prepare(const std::string& folder, const RingOptions& options,
                                 const uint64_t roster_uuid[2]);
  Status publish(const std::string& path);
  // A ring without a file, for tests and benchmarks inside one process tree (memfd);
  // its capacity may be as small as 4096.
  static Result<Mapping> create_anonymous(const RingOptions& options,
                                          const uint64_t roster_uuid[2]);
  // Maps an existing ring after validating every field against the file: magic, version, hash,
  // geometry, size. Refusals are in words. MAP_POPULATE unless `access` is look.
  static Result<Mapping> attach(const std::string& path, Access access);
  // The same over a descriptor, which stays the caller's.
  static Result<Mapping> attach_fd(int fd, const std::string& name, Access access);

  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  const RingHeader& header() const;  // the private copy
  Access access() const;
  const std::string& name() const;  // the path, for messages
  int fd() const;
  ControlBlock& control() const;
  ProducerSlot* producers() const;
  CursorSlot* cursors() const;
  Atomic<uint64_t>* side() const;
  std::byte* data() const;

  // Lets a consumer's mapping write side words and data while it repairs, and takes it back.
  Status allow_writes(bool allowed);
  // Asks for 2 MiB pages behind the data (MADV_COLLAPSE); false where the kernel will not.
  bool collapse();

 private:
  explicit Mapping(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What a ring was made from, to make another one like it; mode and owner are its file's.
RingOptions options_of(const RingHeader& header);
// Why no ring can be made from these, if so.
std::optional<std::string> wrong_in(const RingOptions& options,
                                    uint64_t capacity_min = ring_capacity_min);
// Bytes of shared memory behind a ring; its file is longer by a hole.
uint64_t memory_of(const RingOptions& options);
// As the command line has them: "drop-oldest", "precise".
const char* word_of(WhenFull when_full);
const char* word_of(TimestampKind kind);
const char* word_of(Storage storage);

// Where things stand in a ring file of these options.
struct Geometry {
  uint64_t side_offset, data_offset, file_bytes;
};
Geometry geometry_of(uint64_t capacity, uint32_t producer_slots, uint32_t cursor_slots);
// The largest body (extension and payload) one frame may have in a ring of this capacity; its
// length has 32 bits in the frame's header.
constexpr uint64_t body_max_of(uint64_t capacity) {
  constexpr uint64_t frame_bytes_max = 1ull << 32;
  return (capacity / 8 < frame_bytes_max ? capacity / 8 : frame_bytes_max) - frame_header_size;
}

}  // namespace loopline::shm
