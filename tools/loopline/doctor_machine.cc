// Doctor: shared memory, limits, huge pages and the clock of this machine.
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "doctor.h"
#include "person.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/file.h"

namespace loopline::cli {
namespace {

constexpr uint64_t station_bytes = 10_MiB;  // one of the default size, with its side words
constexpr uint64_t roomy_bytes = 128_MiB;
constexpr uint64_t memlock_bytes = 64_MiB;
constexpr uint64_t pair_of_huge_pages = 4_MiB;
constexpr double clock_call_ns_max = 100;
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

std::string size_text(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }

// The folder itself, or the nearest one above it that is there.
std::string existing(std::string path) {
  std::error_code error;
  while (path.size() > 1 && !std::filesystem::exists(path, error)) {
    path = std::filesystem::path(path).parent_path().string();
  }
  return path;
}

Finding check_shm_size(const std::string& root) {
  Finding finding{"shm-size", Level::ok, "", "", "", {}};
  const std::string folder = existing(root);
  struct statfs status;
  if (::statfs(folder.c_str(), &status) != 0) {
    finding.level = Level::critical;
    finding.text = "the file system of " + folder + " cannot be examined";
    finding.remedy = "mount a tmpfs at /dev/shm, or name one with LOOPLINE_SHM";
    return finding;
  }
  const auto unit = static_cast<uint64_t>(status.f_bsize);
  const uint64_t size = status.f_blocks * unit, room = status.f_bavail * unit;
  finding.text = fmt::format("{} has {} free of {}", folder, size_text(room), size_text(size));
  finding.remedy =
      "mount -o remount,size=4G /dev/shm; in a container: --shm-size=4g, or an "
      "emptyDir with medium: Memory at /dev/shm";
  if (static_cast<uint64_t>(status.f_type) != TMPFS_MAGIC) {
    finding.level = Level::critical;
    finding.text += ", and is no tmpfs: rings would be files on a disk";
    finding.remedy = "name a folder on a tmpfs with LOOPLINE_SHM, or mount one at /dev/shm";
  } else if (size == 0) {
    finding.text = folder + " is a tmpfs without a bound";
    finding.remedy.clear();
  } else if (room < station_bytes) {
    finding.level = Level::critical;
    finding.text += ": too little for one station of 8MiB";
  } else if (room < roomy_bytes) {
    finding.level = Level::warning;
    finding.text += ": room for a few small stations";
  } else {
    finding.remedy.clear();
  }
  return finding;
}

Finding check_memlock() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return {"memlock", Level::ok, "memory may be locked without a bound", "", "", {}};
  }
  const std::string text =
      fmt::format("a process may lock {}", size_text(static_cast<uint64_t>(limit.rlim_cur)));
  if (limit.rlim_cur >= memlock_bytes) return {"memlock", Level::ok, text, "", "", {}};
  return {"memlock",
          Level::warning,
          text + ": enough for rings, little for io_uring's registered buffers",
          "ulimit -l unlimited; for a service: LimitMEMLOCK=infinity; in a container: --ulimit "
          "memlock=-1",
          "",
          {}};
}

// Whether 2 MiB pages come when they are asked for: tried, since what the files of /sys say is not
// the whole truth.
bool can_collapse() {
  const shm::File file(::memfd_create("loopline-doctor", MFD_CLOEXEC));
  if (file.fd() < 0 || ::ftruncate(file.fd(), pair_of_huge_pages) != 0) return false;
  // Shared memory is collapsed where address and offset are both aligned: twice the size has it.
  void* mapped =
      ::mmap(nullptr, pair_of_huge_pages, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
  if (mapped == MAP_FAILED) return false;
  constexpr uintptr_t huge = 2_MiB;
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = (begin + huge - 1) / huge * huge;
  auto* place = reinterpret_cast<char*>(aligned);
  void* moved = ::mmap(place, huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd(), 0);
  bool is_done = false;
  if (moved != MAP_FAILED) {
    std::fill_n(place, huge, '\1');
    is_done = ::madvise(place, huge, MADV_COLLAPSE) == 0;
  }
  ::munmap(mapped, pair_of_huge_pages);
  return is_done;
}

// "always within_size [never]" -> "never"
std::string chosen(const std::string& words) {
  const size_t begin = words.find('['), end = words.find(']');
  return begin == std::string::npos || end < begin ? "unknown"
                                                   : words.substr(begin + 1, end - begin - 1);
}

Finding check_huge_pages() {
  const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
  const std::string shmem = chosen(read_small_file(folder + "shmem_enabled"));
  if (can_collapse()) {
    return {
        "huge-pages", Level::ok, "2MiB pages come when asked for (shmem_enabled: " + shmem + ")",
        "",           "",        {}};
  }
  return {"huge-pages",
          Level::warning,
          "2MiB pages do not come when asked for (shmem_enabled: " + shmem +
              "): rings larger than the cache are slower",
          "Linux 6.1 or newer, with transparent huge pages built in; or: echo advise > " + folder +
              "shmem_enabled",
          "",
          {}};
}

double clock_call_ns() {
  constexpr int batches = 7, calls = 2000;
  double best = 1e9;
  for (int batch = 0; batch < batches; ++batch) {
    const uint64_t begin = monotonic_ns();
    for (int count = 0; count < calls; ++count) static_cast<void>(utc_ns());
    best = std::min(best, static_cast<double>(monotonic_ns() - begin) / calls);
  }
  return best;
}

Finding check_clock() {
  const std::string folder = "/sys/devices/system/clocksource/clocksource0/";
  const std::string source = read_small_file(folder + "current_clocksource");
  const double cost_ns = clock_call_ns();
  const std::string text = fmt::format("source {}, {} a call", source.empty() ? "unknown" : source,
                                       format_duration_rounded(cost_ns));
  const bool is_slow_kind = source == "hpet" || source == "acpi_pm" || source == "jiffies";
  if (!is_slow_kind && cost_ns <= clock_call_ns_max) return {"clock", Level::ok, text, "", "", {}};
  return {"clock",
          Level::warning,
          text + ": each message's timestamp costs that much",
          "choose a faster one of " + read_small_file(folder + "available_clocksource") +
              ": echo "
              "tsc > " +
              folder + "current_clocksource; or stations with --timestamp coarse or off",
          "",
          {}};
}

Finding check_clock_sync() {
  timex state{};
  const int answer = ::adjtimex(&state);
  if (answer >= 0 && answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0) {
    return {"clock-sync", Level::ok, "the clock is synchronised", "", "", {}};
  }
  return {"clock-sync",
          Level::warning,
          "the clock is not synchronised: timestamps of different hosts cannot be compared",
          "run chronyd or systemd-timesyncd; in a container or a virtual machine ask its host",
          "",
          {}};
}

uint64_t number_in(const std::string& path) {
  const std::string text = read_small_file(path);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

// Shared memory counts against the memory of a container; "max", a number, or nothing to see.
Finding check_container() {
  const std::string folder = "/sys/fs/cgroup/";
  uint64_t most = number_in(folder + "memory.max");
  uint64_t used = number_in(folder + "memory.current");
  if (most == 0) {  // the older layout
    most = number_in(folder + "memory/memory.limit_in_bytes");
    used = number_in(folder + "memory/memory.usage_in_bytes");
  }
  constexpr uint64_t unbounded = 1ull << 60;
  if (most == 0 || most >= unbounded) {
    return {"container", Level::ok, "no bound of memory to be seen", "", "", {}};
  }
  const std::string text = fmt::format("memory is bounded to {}, of which {} are used; rings count",
                                       size_text(most), size_text(used));
  if (used + roomy_bytes <= most) return {"container", Level::ok, text, "", "", {}};
  return {"container",
          Level::warning,
          text + ": a new station may be killed instead of refused",
          "give the container more memory (--memory, resources.limits.memory), or make rings "
          "smaller",
          "",
          {}};
}

}  // namespace

std::vector<Finding> check_machine(const std::string& root) {
  std::vector<Finding> findings = {check_shm_size(root), check_container(), check_memlock(),
                                   check_huge_pages(),   check_clock(),     check_clock_sync()};
  check_kernel(findings);
  return findings;
}

}  // namespace loopline::cli
