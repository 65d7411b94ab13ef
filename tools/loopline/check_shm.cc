// check shm: room for rings in shared memory, and what the dead left there.
#include <fmt/format.h>

#include <filesystem>

#include "check.h"
#include "doctor.h"
#include "mount_room.h"
#include "shm/base/units.h"
#include "shm/directory.h"

namespace loopline::cli {
namespace {

CheckReport shm_report() {
  CheckReport report{"shm", "", "", room_measures(), {}, ""};
  report.measure("free").warning = 128.0 * (1_MiB);
  report.measure("free").critical = 16.0 * (1_MiB);
  report.measures.push_back({"rings", "rings of the instance", Unit::count});
  report.measures.push_back({"ring-bytes", "memory that these rings may take", Unit::bytes});
  return report;
}

// What doctor says of this instance, not of its neighbours.
void find_leftovers(const std::string& dir, CheckReport& report) {
  std::vector<Finding> findings;
  check_instance(dir, {}, findings);
  for (Finding& finding : findings) {
    const bool is_ours = finding.code != "other-instance" && finding.code != "instance";
    if (is_ours && finding.level != Level::ok) report.findings.push_back(std::move(finding));
  }
}

void count_rings(const shm::InstancePaths& paths, CheckReport& report) {
  uint64_t rings = 0, bytes = 0;
  if (const auto directory = shm::Directory::open(paths)) {
    if (const auto listed = directory->list()) {
      for (const auto& ring : *listed) bytes += ring.bytes;
      rings = listed->size();
    }
  }
  report.measure("rings").value = static_cast<double>(rings);
  report.measure("ring-bytes").value = static_cast<double>(bytes);
  report.summary = fmt::format("{} of {}", counted(rings, "ring"),
                               format_size_rounded(static_cast<double>(bytes)));
}

}  // namespace

Status check_shm(Output& out, const CheckShmArguments& arguments) {
  CheckReport report = shm_report();
  LL_TRY_STATUS(set_limits(report, arguments.limits));
  LL_TRY(paths, shm::find_instance(out.dir()));
  report.subject = paths.shm;
  const auto room = look_at_mount(paths.shm);
  if (!room) {
    report.unknown = room.fault().message();
    tell(out, report);
    return ok();
  }
  set_room(report, *room);
  count_rings(paths, report);
  if (room->bytes != 0) {
    report.summary +=
        fmt::format("; {} free", format_size_rounded(static_cast<double>(room->free_bytes)));
  }
  if (!room->is_memory) {
    report.find("no-tmpfs", Level::critical,
                room->folder + " is no tmpfs: rings would be files on a disk",
                "name a folder on a tmpfs with LOOPLINE_SHM, or mount one at /dev/shm");
  }
  if (room->is_read_only) {
    report.find("read-only", Level::critical,
                "the file system of " + room->folder + " is mounted read-only: no ring can be made",
                "mount -o remount,rw " + room->folder);
  }
  find_leftovers(out.dir(), report);
  tell(out, report);
  return ok();
}

}  // namespace loopline::cli
