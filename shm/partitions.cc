// Directory: the partitions of a station, made together, found one by one, removed together.
//
// A station is there when its partition 0 is; that ring's header says how many others there are.
// They get their names after it, so a maker that dies leaves some missing: whoever needs one makes
// it, with the parameters of partition 0. A remover seals them before partition 0, so one that dies
// leaves some sealed: whoever comes to one ends the removal.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "attached.h"
#include "directory.h"
#include "station_lock.h"

namespace loopline::shm {
namespace {

bool is(const Fault& fault, FaultCode code) { return fault.code() == code; }

// Sealed by a dead remover, or nothing that anybody could attach to.
bool needs_no_seal(const Fault& fault) {
  return is(fault, FaultCode::closed) || is(fault, FaultCode::corrupted) ||
         is(fault, FaultCode::version_mismatch);
}

}  // namespace

// Room for all was found with partition 0; if it was taken meanwhile there is no station after all.
Status Directory::make_others(const RingOptions& options) const {
  for (uint32_t partition = 1; partition < options.partitions; ++partition) {
    RingOptions one = options;
    one.partition = partition;
    const auto made = create(one);
    if (made || is(made.fault(), FaultCode::already_exists)) continue;  // by one who needed it
    static_cast<void>(remove_station({options.factory, options.station}));
    return made.fault();
  }
  return ok();
}

Result<Mapping> Directory::attach_or_make(const Mapping& first, uint32_t partition,
                                          Access access) const {
  RingOptions options = options_of(first.header());
  options.partition = partition;
  options.generation = 1;
  const StationName name{options.factory, options.station};
  auto mapping = attach(name, partition, access);
  if (mapping || !is(mapping.fault(), FaultCode::not_found)) return mapping;
  struct stat status;
  if (::fstat(first.fd(), &status) != 0) return mapping;
  options.mode = status.st_mode & 0777;
  if (::geteuid() == 0) options.owner = {status.st_uid, status.st_gid};
  const auto made = create(options);
  if (!made && !is(made.fault(), FaultCode::already_exists)) return made.fault();
  return attach(name, partition, access);
}

Result<Mapping> Directory::attach_partition(const StationName& name, uint32_t partition,
                                            Access access) const {
  auto mapping = attach(name, partition, access);
  if (partition == 0 || mapping || access == Access::look) return mapping;
  if (is(mapping.fault(), FaultCode::closed)) {
    static_cast<void>(remove_station(name));
    return missing(name, 0);
  }
  if (!is(mapping.fault(), FaultCode::not_found)) return mapping;
  LL_TRY(first, attach(name, 0, access));
  if (partition >= first.header().partitions) return mapping;
  return attach_or_make(first, partition, access);
}

// A missing partition is made first: nobody can make it behind our back then, and write into a ring
// that was never sealed.
Status Directory::remove_station(const StationName& name) const {
  const auto lock = StationLock::take(*this, name);
  if (!lock) return lock.fault();
  return remove_station_locked(name);
}

Status Directory::remove_station_locked(const StationName& name) const {
  LL_TRY(first, attach(name, 0, Access::produce));
  LL_TRY(roster, this->roster());
  for (uint32_t partition = first.header().partitions - 1; partition > 0; --partition) {
    auto other = attach_or_make(first, partition, Access::produce);
    if (!other && needs_no_seal(other.fault())) continue;
    if (!other) return other.fault();
    LL_TRY_STATUS(Attached::make(std::move(*other), roster, *this)->seal_for_good());
  }
  // If we die in between, the next to attach unlinks it.
  LL_TRY_STATUS(Attached::make(std::move(first), roster, *this)->seal_for_good());
  return unlink(name, 0);
}

// Under the exclusive lock, before partition 0 goes: a death leaves that one to be found again.
Status Directory::unlink_others(const StationName& name) const {
  LL_TRY(rings, list());
  for (const Listed& ring : rings) {
    const bool is_other = ring.partition != 0 && ring.name.factory == name.factory &&
                          ring.name.station == name.station;
    if (is_other && ::unlink(ring.path.c_str()) != 0 && errno != ENOENT) {
      return fault_from_errno(errno, "cannot remove ring " + ring.path);
    }
  }
  return ok();
}

}  // namespace loopline::shm
