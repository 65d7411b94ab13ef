// Mapping: makes a new ring: checks what is asked, finds the room, fills the file, gives it its
// name.
//
// Until the name is given nobody else has the file, so nothing in here is ordered, and a death at
// any point leaves nothing: the kernel drops a file that has neither a name nor an open descriptor.
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/units.h"
#include "lock.h"
#include "mapping_state.h"
#include "name.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

constexpr uint64_t huge_capacity_min = 32_MiB;

std::string range(uint64_t low, uint64_t high) {
  return " (" + std::to_string(low) + " to " + std::to_string(high) + ")";
}

Status check_options(const RingOptions& options, uint64_t capacity_min) {
  const auto wrong = wrong_in(options, capacity_min);
  if (!wrong) return ok();
  return Fault(FaultCode::invalid_argument,
               "station \"" + options.factory + "/" + options.station + "\": " + *wrong);
}

Result<RingHeader> make_header(const RingOptions& options, const uint64_t roster_uuid[2]) {
  LL_TRY(uuid, make_uuid());
  const Geometry geometry =
      geometry_of(options.capacity, options.producer_slots, options.cursor_slots);
  RingHeader header{};
  header.magic = ring_magic;
  header.version = layout_version;
  header.header_bytes = sizeof header;
  std::memcpy(header.uuid, uuid.words, sizeof header.uuid);
  std::memcpy(header.roster_uuid, roster_uuid, sizeof header.roster_uuid);
  header.capacity = options.capacity;
  header.side_offset = geometry.side_offset;
  header.data_offset = geometry.data_offset;
  header.file_bytes = geometry.file_bytes;
  header.message_max =
      options.message_max == 0 ? body_max_of(options.capacity) : options.message_max;
  header.producer_slots = options.producer_slots;
  header.cursor_slots = options.cursor_slots;
  header.exclusive = options.exclusive ? 1 : 0;
  header.timestamp = options.timestamp;
  header.when_full = options.when_full;
  header.evict_after_ns = options.evict_after_ns;
  header.partition = options.partition;
  header.partitions = options.partitions;
  header.generation = options.generation;
  header.created_ns = utc_ns();
  header.storage = options.storage;
  std::copy(options.log_uuid.begin(), options.log_uuid.end(), header.log_uuid);
  header.dedup_window_ns = options.dedup_window_ns;
  header.dedup_entries = options.dedup_entries;
  const bool begins_one = options.lineage[0] == 0 && options.lineage[1] == 0;
  for (size_t index = 0; index < options.lineage.size(); ++index) {
    header.lineage[index] = begins_one ? uuid.words[index] : options.lineage[index];
  }
  options.factory.copy(header.factory, sizeof header.factory - 1);
  options.station.copy(header.station, sizeof header.station - 1);
  header.header_hash = hash_of(header);
  return header;
}

// The two pieces of the file that have memory behind them; between them is the hole before the
// data.
struct Piece {
  uint64_t offset, size;
};
Piece front_of(const RingHeader& header) {
  return {0, header.side_offset + side_bytes_of(header.capacity)};
}
Piece data_of(const RingHeader& header) { return {header.data_offset, header.capacity}; }

Fault no_room(const RingOptions& options, const std::string& folder, uint64_t needed,
              uint64_t free) {
  return {FaultCode::no_space,
          "no room in shared memory for station \"" + options.factory + "/" + options.station +
              "\": needs " + format_size_rounded(static_cast<double>(needed)) + ", " + folder +
              " has " + format_size_rounded(static_cast<double>(free)) +
              " free; make the ring smaller or enlarge the file system"};
}

// Bytes that may still be allocated; ~0 where the file system has no bound or does not tell.
uint64_t free_bytes(int fd) {
  struct statvfs status;
  if (::fstatvfs(fd, &status) != 0 || status.f_blocks == 0) return ~0ull;
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

// Puts 2 MiB pages behind the data of a large ring where the kernel can: one small page in each,
// and MADV_COLLAPSE clears and maps the rest at once. In memory that was in use before it is twenty
// times faster than small pages (64 MiB: 16 ms against 150). Not for rings below huge_capacity_min:
// there the gain in use is small, and a virtual machine that touches its memory for the first time
// pays more (8 MiB: 25 ms of processor time against 7). What fails here is allocated in small pages
// right after.
void lay_huge_pages(const File& file, const RingHeader& header) {
  const Piece data = data_of(header);
  for (uint64_t done = 0; done < data.size; done += huge_page_size) {
    if (allocate_file(file.fd(), data.offset + done, page_size) != 0) return;
  }
  auto reserved = Reservation::make(data.size, huge_page_size, "a new ring");
  if (!reserved) return;
  RegionPlace place;
  place.fd = file.fd();
  place.offset = data.offset;
  place.size = data.size;
  place.writable = true;
  place.address = reserved->address();
  const auto region = Region::map(place, "a new ring");
  if (!region) return;
  reserved->hand_over(data.size);
  static_cast<void>(region->collapse());
}

// Sizes the file and allocates its pages: first a look, so that a refusal fills nothing up even for
// a moment, then for real, since another may take the room between the two. The first partition
// looks for all.
Status find_room(const File& file, const RingHeader& header, const RingOptions& options,
                 const std::string& folder) {
  const bool is_first = header.partition == 0 && header.generation == 1;
  const uint64_t needed =
      (front_of(header).size + data_of(header).size) * (is_first ? uint64_t{header.partitions} : 1);
  const uint64_t free = free_bytes(file.fd());
  if (needed > free) return no_room(options, folder, needed, free);
  if (::ftruncate(file.fd(), static_cast<off_t>(header.file_bytes)) != 0) {
    return fault_from_errno(errno, "cannot size a ring in " + folder);
  }
  const bool is_large = header.capacity >= huge_capacity_min;
  if (is_large) lay_huge_pages(file, header);
  const auto allocate = is_large ? allocate_file : zero_file;
  for (const Piece piece : {front_of(header), data_of(header)}) {
    const int error = allocate(file.fd(), piece.offset, piece.size);
    if (error == ENOSPC || error == ENOMEM) {
      return no_room(options, folder, needed, free_bytes(file.fd()));
    }
    if (error != 0) return fault_from_errno(error, "cannot allocate a ring in " + folder);
  }
  return ok();
}

void init_control(const Mapping::State& state, const RingOptions& options) {
  auto& control = *reinterpret_cast<ControlBlock*>(state.control.address());
  auto* cursors = reinterpret_cast<CursorSlot*>(state.control.address() + sizeof(ControlBlock) +
                                                options.producer_slots * sizeof(ProducerSlot));
  init_robust(control.lock.mutex);
  control.gate.pair.store(no_cursor, std::memory_order_relaxed);  // relaxed: nobody else has it
  for (uint32_t index = 0; index < options.cursor_slots; ++index) {
    cursors[index].cursor.store(no_cursor, std::memory_order_relaxed);  // relaxed: likewise
  }
  // Whether it gates is said before birth: that is how give_birth() knows a file station's ring.
  const Pair first = options.start.value_or(Pair{options.capacity, 1});
  const Pair on_disk = options.born ? first : Pair{};
  control.durable.pair.store(options.storage == Storage::file ? on_disk : no_cursor,
                             std::memory_order_relaxed);  // relaxed: likewise
  if (!options.born) return;  // its start, and with it hint and limit, come from its predecessor
  const LimitWord limit{first.first + options.capacity, first.second, 0};
  control.start.pair.store(first, std::memory_order_relaxed);         // relaxed: likewise
  control.hint.pair.store(first, std::memory_order_relaxed);          // relaxed: likewise
  control.limit.pair.store(limit.pack(), std::memory_order_relaxed);  // relaxed: likewise
}

Result<std::unique_ptr<Mapping::State>> fill(File file, const RingHeader& header,
                                             const RingOptions& options,
                                             const std::string& folder) {
  LL_TRY_STATUS(find_room(file, header, options, folder));
  if (::pwrite(file.fd(), &header, sizeof header, 0) != sizeof header) {
    return fault_from_errno(errno, "cannot write a ring in " + folder);
  }
  LL_TRY(state, map_ring(std::move(file), header, options.factory + "/" + options.station,
                         Access::produce));
  init_control(*state, options);
  return std::move(state);
}

// What does not go with where its messages are kept, and where its log begins.
std::optional<std::string> wrong_in_storage(const RingOptions& options) {
  if (options.storage == Storage::file) {
    const std::string why = " is for memory stations: consumers of a file station never hold it";
    if (options.when_full == WhenFull::drop_oldest) return "when-full drop-oldest" + why;
    if (options.evict_after_ns != 0) return "evict-after" + why;
  }
  const bool has_log = options.log_uuid[0] != 0 || options.log_uuid[1] != 0;
  if (options.storage == Storage::memory && has_log) return "a memory station has no log";
  if (!options.start) return {};
  const Pair at = *options.start;
  const bool is_place = at.first != 0 && at.first % unit_size == 0 && at.first <= position_max;
  // Each frame before it took a unit at least.
  const bool is_number = at.second != 0 && at.second <= at.first / unit_size + 1;
  if (is_place && is_number && options.born) return {};
  return "a ring cannot begin at position " + std::to_string(at.first) + " with sequence " +
         std::to_string(at.second);
}

std::optional<std::string> wrong_in_dedup(const RingOptions& options) {
  if (options.dedup_window_ns > dedup_window_ns_max) {
    return "dedup-window cannot be " + format_duration(options.dedup_window_ns) +
           ": it is off, or at most " + format_duration(dedup_window_ns_max);
  }
  const bool is_size = is_power_of_two(options.dedup_entries) &&
                       options.dedup_entries >= dedup_entries_min &&
                       options.dedup_entries <= dedup_entries_max;
  if (is_size) return {};
  return "dedup-entries cannot be " + std::to_string(options.dedup_entries) +
         ": it is a power of two" + range(dedup_entries_min, dedup_entries_max);
}

}  // namespace

std::optional<std::string> wrong_in(const RingOptions& options, uint64_t capacity_min) {
  if (!is_name(options.factory)) return "its factory is no name";
  if (!is_name(options.station)) return "its name is no name";
  if (!is_power_of_two(options.capacity) || options.capacity < capacity_min ||
      options.capacity > ring_capacity_max) {
    return "ring cannot be " + format_size(options.capacity) + ": it is a power of two from " +
           format_size(capacity_min) + " to " + format_size(ring_capacity_max);
  }
  const uint64_t body_max = body_max_of(options.capacity);
  if (options.message_max > body_max) {
    return "max-message cannot be " + format_size(options.message_max) + ": a ring of " +
           format_size(options.capacity) + " takes messages of up to " + format_size(body_max);
  }
  if (options.partitions == 0 || options.partitions > partitions_max) {
    return "cannot have " + std::to_string(options.partitions) + " partitions" +
           range(1, partitions_max);
  }
  if (options.partition >= options.partitions) {
    return "there is no partition " + std::to_string(options.partition) +
           range(0, options.partitions - 1);
  }
  if (options.generation == 0) return "generations count from 1";
  if (options.producer_slots == 0 || options.producer_slots > producer_slots_max) {
    return "cannot have " + std::to_string(options.producer_slots) + " producer slots" +
           range(1, producer_slots_max);
  }
  if (options.cursor_slots == 0 || options.cursor_slots > cursor_slots_max) {
    return "cannot have " + std::to_string(options.cursor_slots) + " cursor slots" +
           range(1, cursor_slots_max);
  }
  if (options.evict_after_ns != 0 && options.when_full == WhenFull::drop_oldest) {
    return "evict-after says nothing with when-full drop-oldest: no consumer holds the ring";
  }
  if (options.evict_after_ns != 0 && options.evict_after_ns < evict_after_min_ns) {
    return "evict-after cannot be " + format_duration(options.evict_after_ns) +
           ": it is off, or at least " + format_duration(evict_after_min_ns);
  }
  if (const auto wrong = wrong_in_dedup(options)) return wrong;
  if (const auto wrong = wrong_in_storage(options)) return wrong;
  if ((options.mode & ~0777u) != 0 || (options.mode & 0600u) != 0600u) {
    return "mode cannot be " + mode_text(options.mode) +
           " (0600 to 0777, and the owner may always read and write)";
  }
  return {};
}

uint64_t memory_of(const RingOptions& options) {
  const Geometry geometry =
      geometry_of(options.capacity, options.producer_slots, options.cursor_slots);
  return geometry.side_offset + side_bytes_of(options.capacity) + options.capacity;
}

Result<Mapping> Mapping::prepare(const std::string& folder, const RingOptions& options,
                                 const uint64_t roster_uuid[2]) {
  LL_TRY_STATUS(check_options(options, ring_capacity_min));
  LL_TRY(header, make_header(options, roster_uuid));
  LL_TRY(file, make_file("ring", folder, options.mode, options.owner));
  LL_TRY(state, fill(std::move(file), header, options, folder));
  return Mapping(std::move(state));
}

Status Mapping::publish(const std::string& path) {
  LL_TRY_STATUS(link_file("ring", state_->file.fd(), path));
  state_->name = path;
  return ok();
}

Result<Mapping> Mapping::create(const std::string& folder, const std::string& path,
                                const RingOptions& options, const uint64_t roster_uuid[2]) {
  LL_TRY(mapping, prepare(folder, options, roster_uuid));
  LL_TRY_STATUS(mapping.publish(path));
  return std::move(mapping);
}

Result<Mapping> Mapping::create_anonymous(const RingOptions& options,
                                          const uint64_t roster_uuid[2]) {
  LL_TRY_STATUS(check_options(options, tiny_capacity_min));
  LL_TRY(header, make_header(options, roster_uuid));
  File file(::memfd_create("loopline-ring", MFD_CLOEXEC));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot make an anonymous ring");
  LL_TRY(state, fill(std::move(file), header, options, "(memory)"));
  return Mapping(std::move(state));
}

}  // namespace loopline::shm
