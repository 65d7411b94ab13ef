// GroupFile: the file of a consumer group beside the rings of its partition, and its place in one.
//
//   auto file = GroupFile::open_or_create(folder, ring header, options, mode, owner);
//   Group group = *file->settle_in(*attached, From::earliest);
//
// The file is made whole or not at all, and validated before it is believed. It outlives its
// members: without any it still holds the ring, until it is removed. It belongs to a lineage, a
// ring and all its successors, and has its floor in one of them at a time (`home`).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attached.h"
#include "base/from.h"
#include "group.h"
#include "lock.h"
#include "region.h"

namespace loopline::shm {

// As PRODUCT.md has them.
struct GroupOptions {
  std::string name;
  uint32_t entries = 16384;
  uint32_t members = 64;
  uint32_t deliveries_max = 5;
  uint32_t in_flight_max = 4096;
  uint64_t ack_wait_ns = 30'000'000'000;
  uint64_t expire_ns = 0;  // never
  std::vector<uint64_t> backoff_ns = {0, 100'000'000, 1'000'000'000, 10'000'000'000};
};

class GroupFile {
 public:
  // "FACTORY@STATION@PARTITION@LINEAGE@GROUP.group" in `folder`.
  static std::string path_of(const std::string& folder, const RingHeader& ring,
                             std::string_view name);
  // Opens it, or makes it; one that is there keeps its parameters. Faults: invalid_argument (what
  // is asked, by name and range), corrupted, version_mismatch, no_space, no_permission.
  static Result<std::shared_ptr<GroupFile>> open_or_create(const std::string& folder,
                                                           const RingHeader& ring,
                                                           const GroupOptions& options,
                                                           uint32_t mode, FileOwner owner);
  // not_found when there is none.
  static Result<std::shared_ptr<GroupFile>> open(const std::string& folder, const RingHeader& ring,
                                                 std::string_view name);
  // Without a file, for rings that have none.
  static Result<std::shared_ptr<GroupFile>> create_anonymous(const RingHeader& ring,
                                                             const GroupOptions& options);
  static Result<std::shared_ptr<GroupFile>> attach_fd(int fd, const RingHeader& ring);

  const GroupHeader& header() const { return header_; }
  GroupControl& control() const { return *reinterpret_cast<GroupControl*>(region_.address()); }
  int fd() const { return file_.fd(); }

  // The group as it stands in this ring: where it has its floor, or takes it now, at `from`.
  // Idempotent; goes on with what a dead one began. `lost`: how many messages are not handed out
  // because the floor was taken away meanwhile (evict-after). Faults: unsupported (a file station,
  // or one that drops the oldest), too_many (cursors), closed (removed, or the group is in another
  // ring), timed_out (the group's lock or the ring's stays with somebody else), forked.
  Result<Group> settle_in(Attached& attached, From from, uint64_t* lost = nullptr);
  // The group as it stands in this ring, only to look; nothing when it does not.
  std::optional<Group> view(const Attached& attached) const;
  // Whether its floor is in this ring.
  bool is_in(const Attached& attached) const;
  // Goes to the successor's ring, once all that was handed out of `from` is settled: true, or it
  // was there already. For members that came to the seal; see group.h.
  Result<bool> move(Attached& from, Attached& to);
  // While it is paused nothing is handed out; leases go on. Takes hold with the next take().
  void set_paused(const Attached& attached, bool paused);
  bool is_paused() const;
  // Goes on at what `from` means, with members attached: what was not handed out and lies before it
  // never is; leases before it end with their next verdict. Faults: unsupported (what was handed
  // out already is not handed out again: the group is removed and made anew for that), closed (as
  // settle_in), timed_out.
  Status seek(Attached& attached, From from);
  // Gives the ring back; members are told that the group is gone. The caller unlinks the file.
  Status retire(Attached& attached);

 private:
  GroupFile(File file, Region region, const GroupHeader& header, std::string name);
  static Result<std::shared_ptr<GroupFile>> map(File file, const RingHeader& ring,
                                                const std::string& name);
  Group over(const Ring& ring, uint32_t slot) const;
  MemberSlot* members() const;
  Status take_floor(Attached& attached, From from);
  Status join_ring(Attached& attached, uint32_t slot, SeatId me, From from);
  std::optional<uint32_t> find_floor(const Ring& ring) const;
  Fault not_locked(LockOutcome outcome) const;

  File file_;
  Region region_;  // from the control page on; the header is read, never mapped
  GroupHeader header_;
  std::string name_;
};

// `home` in the control block.
constexpr uint64_t home_removed = ~0ull;
constexpr uint64_t make_home(uint32_t generation, uint32_t slot) {
  return static_cast<uint64_t>(generation) << 32 | slot;
}
constexpr uint32_t home_generation(uint64_t home) { return static_cast<uint32_t>(home >> 32); }
constexpr uint32_t home_slot(uint64_t home) { return static_cast<uint32_t>(home); }

constexpr std::string_view group_suffix = ".group";
bool is_group_file(const std::string& path);
// Those in `folder` whose names begin with `start`: their paths.
std::vector<std::string> group_files(const std::string& folder, std::string_view start);
void remove_group_files(const std::string& folder, std::string_view start);

}  // namespace loopline::shm
