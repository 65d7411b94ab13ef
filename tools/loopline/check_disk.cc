// check disk: room for segments in the data folder, and how long a small synced write takes there.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker.h"
#include "check.h"
#include "io/log/paths.h"
#include "io/log/station_conf.h"
#include "mount_room.h"
#include "options.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/file.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

constexpr uint64_t broker_answers_soon_ns = 1'000'000'000;
constexpr uint64_t segment_bytes_default = 64_MiB;

CheckReport disk_report() {
  CheckReport report{"disk", "", "", room_measures(), {}, ""};
  report.measures.push_back(
      {"write-time", "how long a synced write of 4KiB took", Unit::seconds, 0.1, 1});
  return report;
}

// ---- a write ----------------------------------------------------------------

struct WriteTry {
  int error = 0;
  uint64_t took_ns = 0;
};

// In a file that has no name, or loses it before it is written to: nothing stays, even of a killed
// one.
int make_nameless(const std::string& folder) {
  const int flags = O_WRONLY | O_DSYNC | O_CLOEXEC;
  const int fd = ::open(folder.c_str(), flags | O_TMPFILE, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  const std::string path = folder + "/.check-" + std::to_string(::getpid());
  const int named = ::open(path.c_str(), flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (named >= 0) ::unlink(path.c_str());
  return named;
}

WriteTry write_once(const std::string& folder) {
  static char block[4096];
  WriteTry tried;
  const uint64_t begin_ns = monotonic_ns();
  const shm::File file(make_nameless(folder));
  const bool is_done = file.fd() >= 0 && ::pwrite(file.fd(), block, sizeof block, 0) ==
                                             static_cast<ssize_t>(sizeof block);
  tried.error = is_done ? 0 : errno;
  if (is_done && ::fsync(file.fd()) != 0) tried.error = errno;
  tried.took_ns = monotonic_ns() - begin_ns;
  return tried;
}

// In a child: a disk that hangs would hold us, and nobody ends a process that waits for one. It
// keeps none of our descriptors: whoever reads what we say until its end would wait for it, too.
std::optional<WriteTry> write_within(const std::string& folder, uint64_t within_ns) {
  int ends[2];
  WriteTry tried;
  if (::pipe2(ends, O_CLOEXEC) != 0) return WriteTry{errno, 0};
  const shm::File in(ends[0]);
  shm::File out(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return WriteTry{errno, 0};
  if (child == 0) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
    ::signal(SIGXFSZ, SIG_IGN);
    const WriteTry own = write_once(folder);
    ::_exit(::write(out.fd(), &own, sizeof own) == static_cast<ssize_t>(sizeof own) ? 0 : 1);
  }
  out = shm::File();
  const uint64_t until_ns = monotonic_ns() + within_ns;
  pollfd ready{in.fd(), POLLIN, 0};
  int polled = 0;
  do {
    const uint64_t now_ns = monotonic_ns();
    const uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    polled = ::poll(&ready, 1, static_cast<int>((left_ns + 999'999) / 1'000'000));
  } while (polled < 0 && errno == EINTR);
  if (polled <= 0) {
    ::kill(child, SIGKILL);  // gone when the disk lets it go; init's child by then
    return {};
  }
  const bool is_told = ::read(in.fd(), &tried, sizeof tried) == static_cast<ssize_t>(sizeof tried);
  ::waitpid(child, nullptr, 0);
  return is_told ? tried : WriteTry{EIO, 0};
}

void try_write(const std::string& folder, uint64_t within_ns, CheckReport& report) {
  const auto tried = write_within(folder, within_ns);
  if (!tried) {
    report.find("hangs", Level::critical,
                fmt::format("a write of 4KiB to {} was not done within {}", folder,
                            format_duration(within_ns)),
                "see what the disk does: dmesg, iostat -x 1");
  } else if (tried->error == ENOSPC || tried->error == EDQUOT) {
    report.find(
        "full", Level::critical,
        "there is no room for a write of 4KiB in " + folder + ": " + std::strerror(tried->error),
        "make room there; stations on it go on by themselves");
  } else if (tried->error != 0) {
    report.find(
        "no-write", Level::critical,
        "cannot write in " + folder + ": " + std::strerror(tried->error),
        tried->error == EACCES ? "run it as the user of the broker" : "see to the disk: dmesg");
  } else {
    report.measure("write-time").value = static_cast<double>(tried->took_ns) / 1e9;
  }
}

// ---- room -------------------------------------------------------------------

// Each log makes its next segment while it fills this one.
void find_room(const MountRoom& room, const std::string& data, CheckReport& report) {
  uint64_t needed = 0, largest = 0;
  size_t logs = 0;
  std::string of_largest;
  for (const shm::StationName& name : names_on_disk(data)) {
    const StationOnDisk station = find_on_disk(data, name, nullptr);
    const uint64_t bytes = station.conf ? station.conf->segment_bytes : segment_bytes_default;
    needed += bytes * station.partitions;
    logs += station.partitions;
    if (bytes <= largest) continue;
    largest = bytes;
    of_largest = name.text();
  }
  if (room.bytes == 0 || logs == 0) return;
  const std::string free = format_size_rounded(static_cast<double>(room.free_bytes));
  const std::string remedy =
      "make room, or keep less: loopline station edit NAME "
      "--retention-bytes SIZE";
  if (room.free_bytes < largest) {
    report.find("segment", Level::critical,
                fmt::format("{} free: too little for the next segment of {} ({})", free, of_largest,
                            format_size(largest)),
                remedy);
  } else if (room.free_bytes < needed) {
    report.find("segment", Level::warning,
                fmt::format("{} free: too little for the next segments of {} ({})", free,
                            counted(logs, "log"), format_size_rounded(static_cast<double>(needed))),
                remedy);
  }
}

// How the broker writes there, as far as it can be asked.
std::string storage_text(const std::string& folder, CheckReport& report) {
  const auto broker = look_at_broker(folder, "", broker_answers_soon_ns);
  if (!broker) return "";
  if (!broker->storage_note.empty()) {
    report.find("posix", Level::ok, broker->storage_note + "; threads write instead",
                "see: loopline doctor");
  }
  return ", by " + broker->storage;
}

void look(const shm::InstancePaths& paths, const CheckDiskArguments& arguments, uint64_t timeout_ns,
          CheckReport& report) {
  const std::string data = io::data_folder_of(paths);
  report.subject = data;
  const auto room = look_at_mount(data);
  if (!room) {
    report.unknown = room.fault().message();
    return;
  }
  set_room(report, *room);
  report.summary =
      room->bytes == 0
          ? "room without a bound"
          : fmt::format("{} of {} free", format_size_rounded(static_cast<double>(room->free_bytes)),
                        format_size_rounded(static_cast<double>(room->bytes)));
  if (!room->is_there) report.summary += "; the folder is made with the first station on disk";
  if (room->is_memory) {
    report.find("tmpfs", Level::warning,
                "it is a tmpfs: what is durable there does not survive a reboot",
                "put the data folder on a disk");
  }
  if (room->is_read_only) {
    report.find("read-only", Level::critical, "its file system is mounted read-only",
                "mount -o remount,rw, and see why it is: dmesg; then: loopline up");
  }
  find_room(*room, data, report);
  report.summary += storage_text(paths.folder, report);
  if (arguments.no_write || room->is_read_only || !room->is_there) return;
  try_write(data, timeout_ns, report);
  const auto& took = report.measure("write-time").value;
  if (took)
    report.summary += fmt::format(", a write takes {}", format_duration_rounded(*took * 1e9));
}

}  // namespace

Status check_disk(Output& out, const CheckDiskArguments& arguments) {
  CheckReport report = disk_report();
  LL_TRY_STATUS(set_limits(report, arguments.limits));
  LL_TRY(timeout_ns, read_seconds("--timeout", arguments.timeout, {0.001, 3600}));
  LL_TRY(paths, shm::find_instance(out.dir()));
  look(paths, arguments, timeout_ns, report);
  tell(out, report);
  return ok();
}

}  // namespace loopline::cli
