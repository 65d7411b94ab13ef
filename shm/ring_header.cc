// RingHeader from a file: each refusal says which bytes make no sense.
#include "ring_header.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include "base/hash.h"
#include "base/units.h"
#include "mapping.h"
#include "name.h"

namespace loopline::shm {
namespace {

Fault corrupted(const std::string& message) { return {FaultCode::corrupted, message}; }

// The text in `place`, if it ends inside it and is a name.
bool holds_name(const char (&place)[64]) {
  const size_t length = ::strnlen(place, sizeof place);
  return length < sizeof place && is_name({place, length});
}

// The first field that cannot be, if any: a correct hash proves no more than that somebody computed
// it.
std::optional<std::string> senseless(const RingHeader& header) {
  if (!is_power_of_two(header.capacity) || header.capacity < tiny_capacity_min ||
      header.capacity > ring_capacity_max) {
    return "a capacity of " + std::to_string(header.capacity);
  }
  if (header.producer_slots == 0 || header.producer_slots > producer_slots_max) {
    return std::to_string(header.producer_slots) + " producer slots";
  }
  if (header.cursor_slots == 0 || header.cursor_slots > cursor_slots_max) {
    return std::to_string(header.cursor_slots) + " cursor slots";
  }
  const Geometry geometry =
      geometry_of(header.capacity, header.producer_slots, header.cursor_slots);
  if (header.side_offset != geometry.side_offset || header.data_offset != geometry.data_offset ||
      header.file_bytes != geometry.file_bytes) {
    return "offsets that do not follow from its sizes";
  }
  if (header.message_max == 0 || header.message_max > body_max_of(header.capacity)) {
    return "messages of up to " + std::to_string(header.message_max) + " bytes";
  }
  if (header.exclusive > 1) return "exclusive " + std::to_string(header.exclusive);
  if (header.timestamp > TimestampKind::off) return std::string("an unknown kind of timestamp");
  if (header.when_full > WhenFull::drop_oldest)
    return std::string("an unknown answer to a full ring");
  if (header.evict_after_ns != 0 && header.when_full == WhenFull::drop_oldest) {
    return std::string("readers to evict, where none holds the ring");
  }
  if (header.storage > Storage::file) return std::string("an unknown kind of storage");
  if (header.dedup_window_ns > dedup_window_ns_max || !is_power_of_two(header.dedup_entries) ||
      header.dedup_entries < dedup_entries_min || header.dedup_entries > dedup_entries_max) {
    return std::string("a table of ids that cannot be");
  }
  const bool has_log = header.log_uuid[0] != 0 || header.log_uuid[1] != 0;
  const bool may_lose = header.when_full == WhenFull::drop_oldest || header.evict_after_ns != 0;
  if (header.storage == Storage::memory && has_log) return std::string("a log, kept in memory");
  if (header.storage == Storage::file && may_lose) {
    return std::string("a log on disk, and readers that lose or are evicted");
  }
  if (header.partitions == 0 || header.partitions > partitions_max) {
    return std::to_string(header.partitions) + " partitions";
  }
  if (header.partition >= header.partitions) {
    return "partition " + std::to_string(header.partition) + " of " +
           std::to_string(header.partitions);
  }
  if (header.generation == 0) return std::string("generation 0");
  if (!holds_name(header.factory)) return std::string("a factory that is no name");
  if (!holds_name(header.station)) return std::string("a station that is no name");
  return {};
}

// What one pread of `size` bytes got: all of them, or a fault.
Status read_exactly(const File& file, void* into, size_t size, const std::string& name) {
  const ssize_t got = ::pread(file.fd(), into, size, 0);
  if (got < 0) return fault_from_errno(errno, "cannot read ring " + name);
  if (static_cast<size_t>(got) == size) return ok();
  return corrupted(name + " is not a ring: it has " + format_size(static_cast<uint64_t>(got)) +
                   ", a header has " + format_size(size));
}

}  // namespace

uint64_t hash_of(RingHeader header) {
  header.header_hash = 0;
  return hash64(&header, sizeof header);
}

Result<RingHeader> read_ring_header(const File& file, const std::string& name) {
  RingHeader header;
  // Another version's header may be shorter: first only what never moves.
  constexpr size_t stem = offsetof(RingHeader, header_bytes);
  LL_TRY_STATUS(read_exactly(file, &header, stem, name));
  if (header.magic != ring_magic)
    return corrupted(name + " is not a ring: it begins with other bytes");
  if (header.version != layout_version) {
    return Fault(FaultCode::version_mismatch,
                 "ring " + name + " has layout version " + std::to_string(header.version) +
                     ", this program speaks " + std::to_string(layout_version) +
                     ": use programs of one version of Loopline, or remove the ring");
  }
  LL_TRY_STATUS(read_exactly(file, &header, sizeof header, name));
  if (header.header_bytes != sizeof header || header.header_hash != hash_of(header)) {
    return corrupted("ring " + name + " has a damaged header: its hash does not match");
  }
  const auto wrong = senseless(header);
  if (wrong)
    return corrupted("ring " + name + " claims " + *wrong + ": it was made by no Loopline");
  LL_TRY(status, file.status(name));
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes < header.file_bytes) {
    return corrupted("ring " + name + " was cut short: it has " + format_size(bytes) + " of " +
                     format_size(header.file_bytes));
  }
  if (bytes > header.file_bytes) {
    return corrupted("ring " + name + " has " + format_size(bytes) + ", more than its " +
                     format_size(header.file_bytes) + ": something was appended");
  }
  return header;
}

RingMarks read_ring_marks(const File& file) {
  RingMarks marks;
  uint64_t start = 0;  // the position alone: a log never starts at 0
  constexpr off_t start_place = page_size + offsetof(ControlBlock, start);
  constexpr off_t seal_place = page_size + offsetof(ControlBlock, seal) + offsetof(SealLine, state);
  if (::pread(file.fd(), &start, sizeof start, start_place) == sizeof start) {
    marks.is_born = start != 0;
  }
  uint64_t state = seal_open;
  if (::pread(file.fd(), &state, sizeof state, seal_place) == sizeof state)
    marks.seal_state = state;
  return marks;
}

}  // namespace loopline::shm
