// Mount room: statfs, of the folder or of the nearest one above it.
#include "mount_room.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>

namespace loopline::cli {

Result<MountRoom> look_at_mount(const std::string& folder) {
  MountRoom room;
  room.folder = folder;
  std::error_code error;
  room.is_there = std::filesystem::exists(folder, error);
  while (room.folder.size() > 1 && !std::filesystem::exists(room.folder, error)) {
    room.folder = std::filesystem::path(room.folder).parent_path().string();
  }
  struct statfs kind {};
  struct statvfs facts {};
  if (::statfs(room.folder.c_str(), &kind) != 0 || ::statvfs(room.folder.c_str(), &facts) != 0) {
    return fault_from_errno(errno, "cannot examine the file system of " + room.folder);
  }
  room.is_memory = static_cast<uint64_t>(kind.f_type) == TMPFS_MAGIC;
  room.is_read_only = (facts.f_flag & ST_RDONLY) != 0;
  room.bytes = uint64_t{facts.f_blocks} * facts.f_frsize;
  room.free_bytes = uint64_t{facts.f_bavail} * facts.f_frsize;
  room.inodes = facts.f_files;
  room.free_inodes = facts.f_favail;
  return room;
}

std::vector<Measure> room_measures() {
  return {{"free", "room that is free", Unit::bytes, {}, {}, true},
          {"free-percent", "part of the room that is free", Unit::part, 0.1, 0.05, true},
          {"inodes-percent", "part of the inodes that is free", Unit::part, 0.1, 0.05, true}};
}

void set_room(CheckReport& report, const MountRoom& room) {
  if (room.bytes != 0) {
    Measure& free = report.measure("free");
    free.value = static_cast<double>(room.free_bytes);
    free.max = static_cast<double>(room.bytes);
    report.measure("free-percent").value = *free.value / *free.max;
  }
  if (room.inodes != 0) {
    report.measure("inodes-percent").value =
        static_cast<double>(room.free_inodes) / static_cast<double>(room.inodes);
  }
}

}  // namespace loopline::cli
