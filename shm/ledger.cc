// Ledger: the file, made whole or not at all and validated before it is believed; and its lock.
#include "ledger.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/clock.h"
#include "base/hash.h"
#include "base/units.h"

namespace loopline::shm {
namespace {

constexpr long name_separators = 3;  // of the parts of its name
constexpr int ledger_tries_max = 100;
constexpr int spins_max = 2000;  // a hold of the lock is about a copy of the message long

uint64_t header_hash_of(LedgerHeader header) {
  header.header_hash = 0;
  return hash64(&header, sizeof header);
}

Fault not_a_ledger(const std::string& name, const std::string& why) {
  return {FaultCode::corrupted, name + " is no ledger of its station: " + why +
                                    "; remove it to begin with an empty one (ids and producers "
                                    "of before are then not known again)"};
}

Result<LedgerHeader> read_ledger_header(const File& file, const RingHeader& ring,
                                        const std::string& name) {
  LedgerHeader header;
  const ssize_t got = ::pread(file.fd(), &header, sizeof header, 0);
  if (got < 0) return fault_from_errno(errno, "cannot read ledger " + name);
  if (got != sizeof header) return not_a_ledger(name, "it was cut short");
  if (header.magic != ledger_magic) return not_a_ledger(name, "it begins with other bytes");
  if (header.version != ledger_version) {
    return Fault(FaultCode::version_mismatch,
                 "ledger " + name + " has layout version " + std::to_string(header.version) +
                     ", this program speaks " + std::to_string(ledger_version) +
                     ": use programs of one version of Loopline");
  }
  if (header.header_bytes != sizeof header || header.header_hash != header_hash_of(header)) {
    return not_a_ledger(name, "its header is damaged");
  }
  if (!std::equal(ring.lineage, ring.lineage + 2, header.lineage)) {
    return not_a_ledger(name, "it belongs to other rings");
  }
  if (!is_power_of_two(header.id_entries) || header.id_entries < dedup_entries_min ||
      header.id_entries > dedup_entries_max || header.producer_entries != ledger_producers ||
      header.file_bytes != ledger_bytes(header.id_entries)) {
    return not_a_ledger(name, "its sizes make no sense");
  }
  LL_TRY(status, file.status(name));
  if (static_cast<uint64_t>(status.st_size) == header.file_bytes) return header;
  return not_a_ledger(name, "it has " + format_size(static_cast<uint64_t>(status.st_size)) +
                                " instead of " + format_size(header.file_bytes));
}

}  // namespace

IdKey key_of(std::string_view id) {
  constexpr uint64_t other_seed = 0x6c656467'65720001;
  return {{hash64(id.data(), id.size()), hash64(id.data(), id.size(), other_seed)}};
}

std::string Ledger::path_of(const std::string& folder, const RingHeader& ring) {
  char lineage[40];
  std::snprintf(lineage, sizeof lineage, "%016" PRIx64, ring.lineage[0]);
  return folder + "/" + ring.factory + "@" + ring.station + "@" + std::to_string(ring.partition) +
         "@" + lineage + std::string(ledger_suffix);
}

Ledger::Ledger(File file, Region region, uint32_t entries, std::string name)
    : file_(std::move(file)),
      region_(std::move(region)),
      entries_(entries),
      name_(std::move(name)) {}

LedgerControl& Ledger::control() const {
  return *reinterpret_cast<LedgerControl*>(region_.address());
}

Result<std::shared_ptr<Ledger>> Ledger::map(File file, const RingHeader& ring,
                                            const std::string& name) {
  LL_TRY(header, read_ledger_header(file, ring, name));
  RegionPlace place;
  place.fd = file.fd();
  place.offset = page_size;
  place.size = header.file_bytes - page_size;
  place.writable = true;
  LL_TRY(region, Region::map(place, "ledger " + name));
  return std::shared_ptr<Ledger>(
      new Ledger(std::move(file), std::move(region), header.id_entries, name));
}

// Nobody else has it yet; a death leaves nothing.
Status Ledger::fill_file(const File& file, const RingHeader& ring, const std::string& name) {
  LedgerHeader header{};
  header.magic = ledger_magic;
  header.version = ledger_version;
  header.header_bytes = sizeof header;
  std::copy(ring.lineage, ring.lineage + 2, header.lineage);
  header.id_entries = ring.dedup_entries;
  header.producer_entries = ledger_producers;
  header.file_bytes = ledger_bytes(header.id_entries);
  header.header_hash = header_hash_of(header);
  if (::ftruncate(file.fd(), static_cast<off_t>(header.file_bytes)) != 0) {
    return fault_from_errno(errno, "cannot size ledger " + name);
  }
  const int error = allocate_file(file.fd(), 0, header.file_bytes);
  if (error != 0) {
    return fault_from_errno(error, "no room in shared memory for ledger " + name +
                                       ", which needs " + format_size(header.file_bytes));
  }
  if (::pwrite(file.fd(), &header, sizeof header, 0) != sizeof header) {
    return fault_from_errno(errno, "cannot write ledger " + name);
  }
  RegionPlace place;
  place.fd = file.fd();
  place.offset = page_size;
  place.size = page_size;
  place.writable = true;
  LL_TRY(region, Region::map(place, "ledger " + name));
  init_robust(reinterpret_cast<LedgerControl*>(region.address())->lock.mutex);
  return ok();
}

Result<std::shared_ptr<Ledger>> Ledger::open(const std::string& folder, const RingHeader& ring) {
  const std::string path = path_of(folder, ring);
  LL_TRY(file, open_file("ledger", path, true));
  return map(std::move(file), ring, path);
}

Result<std::shared_ptr<Ledger>> Ledger::open_or_create(const std::string& folder,
                                                       const RingHeader& ring, uint32_t mode,
                                                       FileOwner owner) {
  const std::string path = path_of(folder, ring);
  for (int count = 0; count < ledger_tries_max; ++count) {
    auto opened = open(folder, ring);
    if (opened || opened.fault().code() != FaultCode::not_found) return opened;
    LL_TRY(file, make_file("ledger", folder, mode, owner));
    LL_TRY_STATUS(fill_file(file, ring, path));
    const Status linked = link_file("ledger", file.fd(), path);
    if (!linked && linked.fault().code() != FaultCode::already_exists) return linked.fault();
  }
  return Fault(FaultCode::timed_out, "ledger " + path +
                                         " comes and goes: another program makes and removes it "
                                         "again and again");
}

Result<std::shared_ptr<Ledger>> Ledger::create_anonymous(const RingHeader& ring) {
  const std::string name = "(anonymous)";
  File file(::memfd_create("loopline-ledger", MFD_CLOEXEC));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot make an anonymous ledger");
  LL_TRY_STATUS(fill_file(file, ring, name));
  return map(std::move(file), ring, name);
}

Result<std::shared_ptr<Ledger>> Ledger::attach_fd(int fd, const RingHeader& ring) {
  File file(::dup(fd));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot open a ledger");
  return map(std::move(file), ring, "(anonymous)");
}

LockOutcome Ledger::lock(uint64_t deadline_ns) {
  LockOutcome outcome = try_lock(mutex());
  for (int spin = 0; spin < spins_max && outcome == LockOutcome::busy; ++spin) {
    spin_pause();
    outcome = try_lock(mutex());
  }
  if (outcome != LockOutcome::busy) return outcome;
  const uint64_t now = monotonic_ns();
  return lock_for(mutex(), deadline_ns > now ? deadline_ns - now : 0);
}

Fault Ledger::not_locked(LockOutcome outcome, const std::string& station) const {
  if (outcome == LockOutcome::broken) return not_a_ledger(name_, "its lock is damaged");
  return {FaultCode::timed_out, "the ledger of station \"" + station + "\" is held by thread " +
                                    std::to_string(holder_of(mutex()).tid) +
                                    ", which publishes there and does not go on; is it stopped?"};
}

bool is_ledger_file(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.ends_with(ledger_suffix) &&
         std::count(name.begin(), name.end(), '@') == name_separators;
}

std::vector<std::string> ledger_files(const std::string& folder, std::string_view start) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const bool is_wanted = at->path().filename().string().starts_with(start);
    if (is_wanted && is_ledger_file(at->path().string())) paths.push_back(at->path().string());
  }
  return paths;
}

void remove_ledger_files(const std::string& folder, std::string_view start) {
  for (const std::string& path : ledger_files(folder, start)) ::unlink(path.c_str());
}

}  // namespace loopline::shm
