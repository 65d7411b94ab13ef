// Roster: the file behind it, made whole or not at all, and validated before it is believed.
#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>

#include "base/units.h"
#include "lock.h"
#include "roster_registry.h"
#include "roster_state.h"

namespace loopline::shm {
namespace {

constexpr uint32_t roster_version = 1;
constexpr uint64_t entries_offset = page_size;
constexpr uint64_t entries_bytes = roster_entry_count * sizeof(RosterEntry);
constexpr uint64_t roster_bytes = entries_offset + entries_bytes;
static_assert(entries_bytes % page_size == 0 && sizeof(RosterHeader) <= page_size);
// Each try ends with a roster, or somebody else removed or made one meanwhile.
constexpr int open_tries_max = 100;

uint64_t hash_of(RosterHeader header) {
  header.header_hash = 0;
  return hash64(&header, sizeof header);
}

Fault not_a_roster(const std::string& name, const std::string& why) {
  return {FaultCode::corrupted, name + " is not a roster: " + why};
}

Result<RosterHeader> read_header(const File& file, const std::string& name) {
  LL_TRY(status, file.status(name));
  const auto bytes = static_cast<uint64_t>(status.st_size);
  RosterHeader header;
  if (bytes < sizeof header) return not_a_roster(name, "it has " + format_size(bytes));
  const ssize_t got = ::pread(file.fd(), &header, sizeof header, 0);
  if (got < 0) return fault_from_errno(errno, "cannot read roster " + name);
  if (got != sizeof header) return not_a_roster(name, "it was cut short while it was read");
  if (header.magic != roster_magic) return not_a_roster(name, "it begins with other bytes");
  if (header.version != roster_version) {
    return Fault(FaultCode::version_mismatch,
                 "roster " + name + " has layout version " + std::to_string(header.version) +
                     ", this program speaks " + std::to_string(roster_version) +
                     ": use programs of one version of Loopline");
  }
  if (header.header_hash != hash_of(header)) return not_a_roster(name, "its header is damaged");
  if (header.entry_count != roster_entry_count)
    return not_a_roster(name, "its size makes no sense");
  if (bytes != roster_bytes) {
    return Fault(FaultCode::corrupted, "roster " + name + " was cut short: it has " +
                                           format_size(bytes) + " of " + format_size(roster_bytes));
  }
  return header;
}

Result<Region> map_entries(int fd, const std::string& name, bool look) {
  RegionPlace place;
  place.fd = fd;
  place.offset = entries_offset;
  place.size = entries_bytes;
  place.writable = !look;
  place.populate = true;
  return Region::map(place, "roster " + name);
}

Result<std::unique_ptr<Roster::State>> map_roster(const File& file, const std::string& name,
                                                  bool look) {
  auto state = std::make_unique<Roster::State>();
  LL_TRY(header, read_header(file, name));
  LL_TRY(region, map_entries(file.fd(), name, look));
  state->header = header;
  state->region = std::move(region);
  state->name = name;
  state->look = look;
  return state;
}

// Writes a whole roster into an empty file nobody else has yet.
Status fill_roster(const File& file, const std::string& name) {
  if (::ftruncate(file.fd(), static_cast<off_t>(roster_bytes)) != 0) {
    return fault_from_errno(errno, "cannot size roster " + name);
  }
  const int error = allocate_file(file.fd(), 0, roster_bytes);
  if (error != 0) {
    return fault_from_errno(error, "no room in shared memory for roster " + name +
                                       ", which needs " + format_size(roster_bytes));
  }
  LL_TRY(uuid, make_uuid());
  RosterHeader header{};
  header.magic = roster_magic;
  header.version = roster_version;
  header.entry_count = roster_entry_count;
  header.uuid[0] = uuid.words[0];
  header.uuid[1] = uuid.words[1];
  header.header_hash = hash_of(header);
  LL_TRY(region, map_entries(file.fd(), name, false));
  auto* entries = reinterpret_cast<RosterEntry*>(region.address());
  for (uint32_t index = 0; index < roster_entry_count; ++index) init_robust(entries[index].mutex);
  if (::pwrite(file.fd(), &header, sizeof header, 0) != sizeof header) {
    return fault_from_errno(errno, "cannot write roster " + name);
  }
  return ok();
}

Status make_roster(const std::string& path, uint32_t mode) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  LL_TRY(file, make_file("roster", folder.empty() ? "." : folder, mode));
  LL_TRY_STATUS(fill_roster(file, path));
  return link_file("roster", file.fd(), path);
}

Result<File> open_or_make(const std::string& path, uint32_t mode) {
  for (int count = 0; count < open_tries_max; ++count) {
    auto opened = open_file("roster", path, true);
    if (opened || opened.fault().code() != FaultCode::not_found) return opened;
    const Status made = make_roster(path, mode);
    if (!made && made.fault().code() != FaultCode::already_exists) return made.fault();
  }
  return Fault(FaultCode::timed_out, "roster " + path +
                                         " comes and goes: another program makes and "
                                         "removes it again and again");
}

}  // namespace

std::mutex& RosterRegistry::mutex() {
  static auto* made = new std::mutex;  // never destroyed: threads may outlive our statics
  return *made;
}

RosterRegistry& RosterRegistry::instance() {
  static auto* made = new RosterRegistry;  // likewise
  return *made;
}

Roster::Roster(std::unique_ptr<State> state) : state_(std::move(state)) {}
Roster::~Roster() = default;

Result<std::shared_ptr<Roster>> Roster::open_or_create(const std::string& path, uint32_t mode) {
  fork_generation();  // from here on a fork must find the registry unlocked
  LL_TRY(file, open_or_make(path, mode));
  LL_TRY(status, file.status(path));
  const std::lock_guard lock(RosterRegistry::mutex());
  std::shared_ptr<Roster>& known =
      RosterRegistry::instance().by_file[{status.st_dev, status.st_ino}];
  if (known != nullptr) return known;
  LL_TRY(state, map_roster(file, path, false));
  known.reset(new Roster(std::move(state)));
  return known;
}

Result<std::shared_ptr<Roster>> Roster::open_to_look(const std::string& path) {
  LL_TRY(file, open_file("roster", path, false));
  LL_TRY(state, map_roster(file, path, true));
  return std::shared_ptr<Roster>(new Roster(std::move(state)));
}

Result<std::shared_ptr<Roster>> Roster::open_to_inspect(const std::string& path) {
  LL_TRY(file, open_file("roster", path, false));
  auto state = std::make_unique<State>();
  LL_TRY(header, read_header(file, path));
  state->header = header;
  state->name = path;
  state->look = true;
  state->file = std::move(file);
  return std::shared_ptr<Roster>(new Roster(std::move(state)));
}

Result<std::shared_ptr<Roster>> Roster::create_anonymous() {
  fork_generation();
  const std::string name = "(anonymous)";
  const File file(::memfd_create("loopline-roster", MFD_CLOEXEC));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot make an anonymous roster");
  LL_TRY_STATUS(fill_roster(file, name));
  LL_TRY(state, map_roster(file, name, false));
  std::shared_ptr<Roster> roster(new Roster(std::move(state)));
  const std::lock_guard lock(RosterRegistry::mutex());
  RosterRegistry::instance().anonymous.push_back(roster);
  return roster;
}

}  // namespace loopline::shm
