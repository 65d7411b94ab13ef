// Mapping: puts the pieces of a ring file into memory, the data twice, and takes them away again.
#include "mapping.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "mapping_state.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

Status map_data(Mapping::State& state) {
  const uint64_t capacity = state.header.capacity;
  LL_TRY(reserved, Reservation::make(2 * capacity, alignment_of(capacity), state.name));
  RegionPlace place;
  place.fd = state.file.fd();
  place.offset = state.header.data_offset;
  place.size = capacity;
  place.writable = state.access == Access::produce;
  place.populate = state.access != Access::look;
  for (Region* copy : {&state.data, &state.data_again}) {
    place.address = reserved.address();
    LL_TRY(mapped, Region::map(place, state.name));
    reserved.hand_over(capacity);
    *copy = std::move(mapped);
    // Of the second copy only what one frame can reach: a frame is an eighth of the ring at most.
    place.populate = false;
  }
  if (state.access != Access::look) {
    state.data_again.populate(round_up(capacity / 8, page_size));
  }
  return ok();
}

}  // namespace

uint64_t alignment_of(uint64_t capacity) {
  return capacity >= huge_page_size ? huge_page_size : page_size;
}

uint64_t side_bytes_of(uint64_t capacity) {
  return round_up(capacity / unit_size * sizeof(uint64_t), page_size);
}

Geometry geometry_of(uint64_t capacity, uint32_t producer_slots, uint32_t cursor_slots) {
  static_assert(sizeof(ProducerSlot) == sizeof(CursorSlot));
  const uint64_t slots = uint64_t{producer_slots} + cursor_slots;
  const uint64_t control_end = page_size + sizeof(ControlBlock) + slots * sizeof(CursorSlot);
  const uint64_t side_offset = round_up(control_end, page_size);
  // Data begins where a huge page can begin. What lies before it is a hole that costs no memory.
  const uint64_t data_offset =
      round_up(side_offset + side_bytes_of(capacity), alignment_of(capacity));
  return {side_offset, data_offset, data_offset + capacity};
}

RingOptions options_of(const RingHeader& header) {
  RingOptions options;
  options.factory = header.factory;
  options.station = header.station;
  options.partition = header.partition;
  options.partitions = header.partitions;
  options.generation = header.generation;
  options.capacity = header.capacity;
  options.message_max = header.message_max;
  options.exclusive = header.exclusive != 0;
  options.when_full = header.when_full;
  options.evict_after_ns = header.evict_after_ns;
  options.timestamp = header.timestamp;
  options.producer_slots = header.producer_slots;
  options.cursor_slots = header.cursor_slots;
  options.storage = header.storage;
  options.log_uuid = {header.log_uuid[0], header.log_uuid[1]};
  options.dedup_window_ns = header.dedup_window_ns;
  options.dedup_entries = header.dedup_entries;
  options.lineage = {header.lineage[0], header.lineage[1]};
  return options;
}

const char* word_of(WhenFull when_full) {
  switch (when_full) {
    case WhenFull::block:
      return "block";
    case WhenFull::reject:
      return "reject";
    case WhenFull::drop_oldest:
      return "drop-oldest";
  }
  return "unknown";
}

const char* word_of(TimestampKind kind) {
  switch (kind) {
    case TimestampKind::precise:
      return "precise";
    case TimestampKind::coarse:
      return "coarse";
    case TimestampKind::off:
      return "off";
  }
  return "unknown";
}

const char* word_of(Storage storage) {
  switch (storage) {
    case Storage::memory:
      return "memory";
    case Storage::file:
      return "file";
  }
  return "unknown";
}

Result<std::unique_ptr<Mapping::State>> map_ring(File file, const RingHeader& header,
                                                 const std::string& name, Access access) {
  auto state = std::make_unique<Mapping::State>();
  state->file = std::move(file);
  state->header = header;
  state->name = name;
  state->access = access;
  RegionPlace place;
  place.fd = state->file.fd();
  place.offset = page_size;
  place.size = header.side_offset - page_size;
  place.writable = access != Access::look;
  place.populate = access != Access::look;
  LL_TRY(control, Region::map(place, name));
  state->control = std::move(control);
  place.offset = header.side_offset;
  place.size = side_bytes_of(header.capacity);
  place.writable = access == Access::produce;
  LL_TRY(side, Region::map(place, name));
  state->side = std::move(side);
  LL_TRY_STATUS(map_data(*state));
  return state;
}

Result<Mapping> Mapping::attach(const std::string& path, Access access) {
  LL_TRY(file, open_file("ring", path, access != Access::look));
  LL_TRY(header, read_ring_header(file, path));
  LL_TRY(state, map_ring(std::move(file), header, path, access));
  return Mapping(std::move(state));
}

Result<Mapping> Mapping::attach_fd(int fd, const std::string& name, Access access) {
  File file(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot use the descriptor of ring " + name);
  LL_TRY(header, read_ring_header(file, name));
  LL_TRY(state, map_ring(std::move(file), header, name, access));
  return Mapping(std::move(state));
}

Mapping::Mapping(std::unique_ptr<State> state) : state_(std::move(state)) {}
Mapping::Mapping(Mapping&&) noexcept = default;
Mapping& Mapping::operator=(Mapping&&) noexcept = default;
Mapping::~Mapping() = default;

const RingHeader& Mapping::header() const { return state_->header; }
Access Mapping::access() const { return state_->access; }
const std::string& Mapping::name() const { return state_->name; }
int Mapping::fd() const { return state_->file.fd(); }

ControlBlock& Mapping::control() const {
  return *reinterpret_cast<ControlBlock*>(state_->control.address());
}
ProducerSlot* Mapping::producers() const {
  return reinterpret_cast<ProducerSlot*>(state_->control.address() + sizeof(ControlBlock));
}
CursorSlot* Mapping::cursors() const {
  return reinterpret_cast<CursorSlot*>(producers() + state_->header.producer_slots);
}
Atomic<uint64_t>* Mapping::side() const {
  return reinterpret_cast<Atomic<uint64_t>*>(state_->side.address());
}
std::byte* Mapping::data() const { return state_->data.address(); }

Status Mapping::allow_writes(bool allowed) {
  if (state_->access == Access::produce) return ok();
  if (state_->access == Access::look) {
    return Fault(
        FaultCode::no_permission,
        "ring " + state_->name + " was opened only to look: nothing can be repaired in it");
  }
  for (const Region* region : {&state_->side, &state_->data, &state_->data_again}) {
    const int error = region->protect(allowed);
    if (error != 0) {
      return fault_from_errno(error, "cannot change the protection of ring " + state_->name);
    }
  }
  return ok();
}

bool Mapping::collapse() {
  if (state_->header.capacity < huge_page_size) return false;
  for (const Region* region : {&state_->data, &state_->data_again}) {
    if (!region->collapse()) return false;
  }
  return true;
}

}  // namespace loopline::shm
