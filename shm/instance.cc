// Instance: finds, makes and removes the folders in which rings and their roster live.
#include "instance.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/clock.h"
#include "base/hash.h"
#include "bell_file.h"
#include "group_file.h"
#include "ledger.h"
#include "roster_state.h"

namespace loopline::shm {
namespace {

constexpr const char* run_folder = "/run/loopline";
constexpr const char* shm_root_default = "/dev/shm/loopline";
constexpr mode_t shm_root_mode = 01777;  // as /tmp: anyone makes folders, only owners remove them
constexpr size_t tail_length_max = 40;
constexpr int make_tries_max = 100;
constexpr uint64_t lock_wait_ns_max = 5'000'000'000;
constexpr useconds_t lock_look_us = 500;

// The variable, or an empty text when it is unset.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> choose_folder(std::string_view explicit_folder) {
  if (!explicit_folder.empty()) return std::string(explicit_folder);
  const std::string chosen = environment("LOOPLINE_DIR");
  if (!chosen.empty()) return chosen;
  if (::access(run_folder, R_OK | X_OK) == 0) return std::string(run_folder);
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  if (!runtime.empty()) return runtime + "/loopline";
  return Fault(FaultCode::not_found,
               std::string("no instance to use: ") + run_folder +
                   " does not exist or is not accessible, and neither LOOPLINE_DIR nor "
                   "XDG_RUNTIME_DIR is set; name a folder with --dir or LOOPLINE_DIR");
}

constexpr int make_attempts_max = 1000;

// "/run/loopline" -> "loopline-5f3a09c2": a tail for people, the hash so that two never meet.
std::string instance_name(const std::string& real_path) {
  std::string name;
  for (const char letter : std::filesystem::path(real_path).filename().string()) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
    if (name.size() < tail_length_max) name += plain ? letter : '_';
  }
  char digits[16];
  const auto hash = static_cast<uint32_t>(hash64(real_path.data(), real_path.size()));
  std::snprintf(digits, sizeof digits, "-%08x", hash);
  return name + digits;
}

// A folder that is there afterwards; `made` says whether by us. A remover may take it away between
// our two looks: then we begin again.
Status make_folder(const std::string& path, mode_t mode, bool& made) {
  int error = 0;
  for (int attempt = 0; attempt < make_attempts_max; ++attempt) {
    made = ::mkdir(path.c_str(), mode) == 0;
    if (made) return ok();
    error = errno;
    struct stat status;
    if (error != EEXIST) break;
    if (::stat(path.c_str(), &status) == 0) {
      if (S_ISDIR(status.st_mode)) return ok();
      break;
    }
  }
  return fault_from_errno(error, "cannot make folder " + path);
}

// Anyone's instance may live under the root. If its maker died before the mode was right, its next
// visit sets it; until then others are refused by the kernel, with its path in their fault.
Status make_root(const std::string& root) {
  bool made = false;
  LL_TRY_STATUS(make_folder(root, shm_root_mode, made));
  struct stat status;
  if (::stat(root.c_str(), &status) != 0) return ok();  // removed again: our caller tries again
  const bool is_ours = status.st_uid == ::geteuid() && root == shm_root_default;
  if ((made || is_ours) && (status.st_mode & 07777) != shm_root_mode) {
    ::chmod(root.c_str(), shm_root_mode);
  }
  return ok();
}

// The folder in shared memory is open to the same people as the instance's own folder, and files in
// it belong to its group. Its owner repeats this at each visit, which mends a death before the end.
void share_like(const std::string& shm, const struct stat& folder) {
  struct stat status;
  if (::stat(shm.c_str(), &status) != 0 || status.st_uid != ::geteuid()) return;
  // May be refused when we are not of that group; then the files stay with ours.
  if (status.st_gid != folder.st_gid && ::chown(shm.c_str(), -1u, folder.st_gid) != 0) return;
  const mode_t mode = (folder.st_mode & 0777) | S_ISGID;
  if ((status.st_mode & 07777) != mode || status.st_gid != folder.st_gid) {
    ::chmod(shm.c_str(), mode);
  }
}

Result<struct stat> examine(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno == ENOTDIR ? ENOENT : errno;
    return fault_from_errno(error, "there is no Loopline instance at " + path);
  }
  if (!S_ISDIR(status.st_mode)) {
    return Fault(FaultCode::not_found, path + " is no folder: no Loopline instance is there");
  }
  return status;
}

bool nobody_else_sits(const std::string& roster_path) {
  auto roster = Roster::open_to_look(roster_path);
  if (!roster) return true;  // missing, or no roster at all
  for (uint32_t entry = 0; entry < (*roster)->entry_count(); ++entry) {
    const SeatId seat = (*roster)->seat_of(entry);
    if ((*roster)->alive(seat) && !this_thread_holds((*roster)->uuid(), seat)) return false;
  }
  return true;
}

}  // namespace

Result<InstancePaths> find_instance(std::string_view explicit_folder) {
  LL_TRY(folder, choose_folder(explicit_folder));
  std::error_code error;
  std::filesystem::path real = std::filesystem::absolute(folder, error);
  if (!error) real = std::filesystem::weakly_canonical(real, error);
  if (error) return fault_from_errno(error.value(), "cannot resolve instance folder " + folder);
  if (!real.has_filename()) real = real.parent_path();  // "x/": the same folder as "x"
  const std::string chosen_root = environment("LOOPLINE_SHM");
  const auto root = std::filesystem::absolute(
      chosen_root.empty() ? std::string(shm_root_default) : chosen_root, error);
  if (error) return fault_from_errno(error.value(), "cannot resolve LOOPLINE_SHM " + chosen_root);
  InstancePaths paths;
  paths.folder = real.string();
  paths.shm = (root / instance_name(paths.folder)).string();
  return paths;
}

Status make_folders(const InstancePaths& paths) {
  const std::string root = std::filesystem::path(paths.shm).parent_path().string();
  for (int count = 0; count < make_tries_max; ++count) {
    bool made = false;
    LL_TRY_STATUS(make_folder(paths.folder, 0770, made));
    LL_TRY_STATUS(make_root(root));
    LL_TRY(folder, examine(paths.folder));
    const Status status = make_folder(paths.shm, folder.st_mode & 0777, made);
    if (!status && status.fault().code() != FaultCode::not_found) return status.fault();
    if (!status) continue;  // the root was removed between the two
    share_like(paths.shm, folder);
    Status checked = check_folders(paths);
    if (checked || checked.fault().code() != FaultCode::not_found) return checked;
  }
  return Fault(FaultCode::timed_out, "folder " + paths.shm +
                                         " comes and goes: another program makes "
                                         "and removes it again and again");
}

Status check_folders(const InstancePaths& paths) {
  LL_TRY(folder, examine(paths.folder));
  LL_TRY(shm, examine(paths.shm));
  const bool known = shm.st_uid == ::geteuid() || shm.st_uid == folder.st_uid || shm.st_uid == 0;
  const bool group_shares = shm.st_gid == folder.st_gid && (folder.st_mode & S_IWGRP) != 0;
  const bool all_share = (folder.st_mode & S_IWOTH) != 0;
  if (known || group_shares || all_share) return ok();
  return Fault(FaultCode::no_permission, "folder " + paths.shm + " belongs to user " +
                                             std::to_string(shm.st_uid) +
                                             ", who may not write to the instance " + paths.folder +
                                             ": somebody took its place; remove it");
}

Result<uint32_t> file_mode_of(const InstancePaths& paths) {
  LL_TRY(folder, examine(paths.folder));
  return static_cast<uint32_t>(folder.st_mode & 0666);
}

Result<FolderLock> FolderLock::take(const InstancePaths& paths, Kind kind) {
  return take_within(paths, kind, lock_wait_ns_max);
}

Result<FolderLock> FolderLock::try_take(const InstancePaths& paths, Kind kind) {
  return take_within(paths, kind, 0);
}

Result<FolderLock> FolderLock::take_within(const InstancePaths& paths, Kind kind,
                                           uint64_t wait_ns) {
  File folder(::open(paths.shm.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd() < 0) return fault_from_errno(errno, "cannot open folder " + paths.shm);
  const int operation = (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  const uint64_t end_ns = monotonic_ns() + wait_ns;
  while (::flock(folder.fd(), operation) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return fault_from_errno(errno, "cannot lock folder " + paths.shm);
    }
    if (monotonic_ns() >= end_ns) {
      return Fault(FaultCode::timed_out,
                   "folder " + paths.shm +
                       " stays locked by another process that makes or removes "
                       "a station; is it stopped? See: lslocks");
    }
    ::usleep(lock_look_us);
  }
  LL_TRY(status, folder.status(paths.shm));
  FolderLock lock(std::move(folder));
  if (status.st_nlink == 0)
    return Fault(FaultCode::not_found, "folder " + paths.shm + " was removed");
  return lock;
}

FolderLock::~FolderLock() {
  // Said aloud, since a child forked meanwhile shares the open folder and would keep the lock.
  if (folder_.fd() >= 0) ::flock(folder_.fd(), LOCK_UN);
}

bool remove_instance_shm(const InstancePaths& paths) {
  auto lock = FolderLock::try_take(paths, FolderLock::Kind::exclusive);
  if (!lock) return lock.fault().code() == FaultCode::not_found;  // nothing there: as wanted
  std::error_code error;
  for (std::filesystem::directory_iterator at(paths.shm, error), end; !error && at != end;
       at.increment(error)) {
    const bool may_go = at->path().filename() == roster_file_name || is_bell_file(at->path()) ||
                        is_ledger_file(at->path()) || is_group_file(at->path());
    if (!may_go) return false;
  }
  const std::string roster_path = paths.shm + "/" + roster_file_name;
  if (error || !nobody_else_sits(roster_path)) return false;
  // Whoever opened the roster just before finds another one, or none, when it makes its ring: see
  // Directory::create. If we die here: an empty folder, which the next one uses.
  remove_bell_files(paths.shm, "");    // of readers that died after their ring was removed
  remove_ledger_files(paths.shm, "");  // likewise of producers
  remove_group_files(paths.shm, "");   // and of consumer groups
  ::unlink(roster_path.c_str());
  return ::rmdir(paths.shm.c_str()) == 0;
}

}  // namespace loopline::shm
