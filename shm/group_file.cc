// GroupFile: the file, made whole or not at all and validated before it is believed.
#include "group_file.h"

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

constexpr long group_name_separators = 4;  // of the parts of its file's name
constexpr int group_tries_max = 100;

uint64_t group_hash_of(GroupHeader header) {
  header.header_hash = 0;
  return hash64(&header, sizeof header);
}

Fault not_a_group(const std::string& name, const std::string& why) {
  return {FaultCode::corrupted, name + " is no group of its station: " + why +
                                    "; remove it and make the group anew (what it had "
                                    "acknowledged is then not known any more)"};
}

bool in_range(uint64_t value, uint64_t low, uint64_t high) { return low <= value && value <= high; }

bool has_sound_sizes(const GroupHeader& header) {
  return is_power_of_two(header.entries) &&
         in_range(header.entries, group_entries_min, group_entries_max) &&
         in_range(header.members, 1, group_members_max) &&
         in_range(header.deliveries_max, 1, group_deliveries_max) && header.in_flight_max > 0 &&
         header.ack_wait_ns > 0 && header.backoff_count <= group_backoff_max &&
         is_group_seat(header.seat) && (header.seat & repairing_bit) == 0 &&
         header.file_bytes == group_bytes(header.members, header.entries);
}

Result<GroupHeader> read_group_header(const File& file, const RingHeader& ring,
                                      const std::string& name) {
  GroupHeader header;
  const ssize_t got = ::pread(file.fd(), &header, sizeof header, 0);
  if (got < 0) return fault_from_errno(errno, "cannot read group " + name);
  if (got != sizeof header) return not_a_group(name, "it was cut short");
  if (header.magic != group_magic) return not_a_group(name, "it begins with other bytes");
  if (header.version != group_version) {
    return Fault(FaultCode::version_mismatch,
                 "group " + name + " has layout version " + std::to_string(header.version) +
                     ", this program speaks " + std::to_string(group_version) +
                     ": use programs of one version of Loopline");
  }
  if (header.header_bytes != sizeof header || header.header_hash != group_hash_of(header)) {
    return not_a_group(name, "its header is damaged");
  }
  if (!std::equal(ring.lineage, ring.lineage + 2, header.lineage)) {
    return not_a_group(name, "it belongs to other rings");
  }
  if (!std::equal(ring.roster_uuid, ring.roster_uuid + 2, header.roster_uuid)) {
    return not_a_group(name, "its members sit in another roster");
  }
  if (!has_sound_sizes(header)) return not_a_group(name, "its sizes make no sense");
  LL_TRY(status, file.status(name));
  if (static_cast<uint64_t>(status.st_size) == header.file_bytes) return header;
  return not_a_group(name, "it has " + format_size(static_cast<uint64_t>(status.st_size)) +
                               " instead of " + format_size(header.file_bytes));
}

// What is wrong with what is asked, if anything.
std::string wrong_in(const GroupOptions& options) {
  const auto range = [](const char* what, uint64_t low, uint64_t high) {
    return std::string(what) + " is out of range (" + std::to_string(low) + " to " +
           std::to_string(high) + ")";
  };
  if (!is_name(options.name)) {
    return "a group is called [a-z0-9][a-z0-9._-]{0,62}, not that";
  }
  if (!is_power_of_two(options.entries) ||
      !in_range(options.entries, group_entries_min, group_entries_max)) {
    return range("its table", group_entries_min, group_entries_max) + ", or no power of two";
  }
  if (!in_range(options.members, 1, group_members_max)) {
    return range("the number of members", 1, group_members_max);
  }
  if (!in_range(options.deliveries_max, 1, group_deliveries_max)) {
    return range("max-deliveries", 1, group_deliveries_max);
  }
  if (!in_range(options.in_flight_max, 1, options.entries)) {
    return range("max-in-flight", 1, options.entries);
  }
  if (options.ack_wait_ns == 0) return "ack-wait is nothing; say how long, as 30s";
  if (options.backoff_ns.size() > group_backoff_max) {
    return "backoff has more than " + std::to_string(group_backoff_max) + " steps";
  }
  return {};
}

Result<GroupHeader> make_group_header(const RingHeader& ring, const GroupOptions& options) {
  const std::string wrong = wrong_in(options);
  if (!wrong.empty()) {
    return Fault(FaultCode::invalid_argument, "group \"" + options.name + "\" of station \"" +
                                                  ring.factory + "/" + ring.station +
                                                  "\": " + wrong);
  }
  LL_TRY(uuid, make_uuid());
  GroupHeader header{};
  header.magic = group_magic;
  header.version = group_version;
  header.header_bytes = sizeof header;
  std::copy(uuid.words, uuid.words + 2, header.uuid);
  std::copy(ring.roster_uuid, ring.roster_uuid + 2, header.roster_uuid);
  std::copy(ring.lineage, ring.lineage + 2, header.lineage);
  header.seat = (uuid.words[0] & (group_seat_bit - 1)) | group_seat_bit;
  header.entries = options.entries;
  header.members = options.members;
  header.deliveries_max = options.deliveries_max;
  header.in_flight_max = options.in_flight_max;
  header.ack_wait_ns = options.ack_wait_ns;
  header.expire_ns = options.expire_ns;
  header.created_ns = utc_ns();
  header.backoff_count = static_cast<uint32_t>(options.backoff_ns.size());
  std::copy(options.backoff_ns.begin(), options.backoff_ns.end(), header.backoff_ns);
  header.partition = ring.partition;
  header.file_bytes = group_bytes(header.members, header.entries);
  std::copy(std::begin(ring.factory), std::end(ring.factory), header.factory);
  std::copy(std::begin(ring.station), std::end(ring.station), header.station);
  options.name.copy(header.name, sizeof header.name - 1);
  header.header_hash = group_hash_of(header);
  return header;
}

// Nobody else has it yet; a death leaves nothing. Zeros are a group that has handed out nothing.
Status fill_group_file(const File& file, const GroupHeader& header, const std::string& name) {
  if (::ftruncate(file.fd(), static_cast<off_t>(header.file_bytes)) != 0) {
    return fault_from_errno(errno, "cannot size group " + name);
  }
  const int error = allocate_file(file.fd(), 0, header.file_bytes);
  if (error != 0) {
    return fault_from_errno(error, "no room in shared memory for group " + name + ", which needs " +
                                       format_size(header.file_bytes));
  }
  if (::pwrite(file.fd(), &header, sizeof header, 0) != sizeof header) {
    return fault_from_errno(errno, "cannot write group " + name);
  }
  RegionPlace place;
  place.fd = file.fd();
  place.offset = page_size;
  place.size = page_size;
  place.writable = true;
  LL_TRY(region, Region::map(place, "group " + name));
  init_robust(reinterpret_cast<GroupControl*>(region.address())->lock.mutex);
  return ok();
}

}  // namespace

std::string GroupFile::path_of(const std::string& folder, const RingHeader& ring,
                               std::string_view name) {
  char lineage[40];
  std::snprintf(lineage, sizeof lineage, "%016" PRIx64, ring.lineage[0]);
  return folder + "/" + ring.factory + "@" + ring.station + "@" + std::to_string(ring.partition) +
         "@" + lineage + "@" + std::string(name) + std::string(group_suffix);
}

GroupFile::GroupFile(File file, Region region, const GroupHeader& header, std::string name)
    : file_(std::move(file)), region_(std::move(region)), header_(header), name_(std::move(name)) {}

Result<std::shared_ptr<GroupFile>> GroupFile::map(File file, const RingHeader& ring,
                                                  const std::string& name) {
  LL_TRY(header, read_group_header(file, ring, name));
  RegionPlace place;
  place.fd = file.fd();
  place.offset = page_size;
  place.size = header.file_bytes - page_size;
  place.writable = true;
  place.populate = true;
  LL_TRY(region, Region::map(place, "group " + name));
  return std::shared_ptr<GroupFile>(
      new GroupFile(std::move(file), std::move(region), header, name));
}

Result<std::shared_ptr<GroupFile>> GroupFile::open(const std::string& folder,
                                                   const RingHeader& ring, std::string_view name) {
  const std::string path = path_of(folder, ring, name);
  LL_TRY(file, open_file("group", path, true));
  return map(std::move(file), ring, path);
}

Result<std::shared_ptr<GroupFile>> GroupFile::open_or_create(const std::string& folder,
                                                             const RingHeader& ring,
                                                             const GroupOptions& options,
                                                             uint32_t mode, FileOwner owner) {
  LL_TRY(header, make_group_header(ring, options));
  const std::string path = path_of(folder, ring, options.name);
  for (int count = 0; count < group_tries_max; ++count) {
    auto opened = open(folder, ring, options.name);
    if (opened || opened.fault().code() != FaultCode::not_found) return opened;
    LL_TRY(file, make_file("group", folder, mode, owner));
    LL_TRY_STATUS(fill_group_file(file, header, path));
    const Status linked = link_file("group", file.fd(), path);
    if (!linked && linked.fault().code() != FaultCode::already_exists) return linked.fault();
  }
  return Fault(FaultCode::timed_out, "group " + path +
                                         " comes and goes: another program makes and removes it "
                                         "again and again");
}

Result<std::shared_ptr<GroupFile>> GroupFile::create_anonymous(const RingHeader& ring,
                                                               const GroupOptions& options) {
  const std::string name = "(anonymous)";
  LL_TRY(header, make_group_header(ring, options));
  File file(::memfd_create("loopline-group", MFD_CLOEXEC));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot make an anonymous group");
  LL_TRY_STATUS(fill_group_file(file, header, name));
  return map(std::move(file), ring, name);
}

Result<std::shared_ptr<GroupFile>> GroupFile::attach_fd(int fd, const RingHeader& ring) {
  File file(::dup(fd));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot open a group");
  return map(std::move(file), ring, "(anonymous)");
}

bool is_group_file(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.ends_with(group_suffix) &&
         std::count(name.begin(), name.end(), '@') == group_name_separators;
}

std::vector<std::string> group_files(const std::string& folder, std::string_view start) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const bool is_wanted = at->path().filename().string().starts_with(start);
    if (is_wanted && is_group_file(at->path().string())) paths.push_back(at->path().string());
  }
  return paths;
}

void remove_group_files(const std::string& folder, std::string_view start) {
  for (const std::string& path : group_files(folder, start)) ::unlink(path.c_str());
}

}  // namespace loopline::shm
