// Doctor: rings of the dead, rings that were removed, files that are no rings, folders left over.
//
// What --fix does is safe while others work on: it cleans up as whoever attaches would, finishes
// removals that somebody began, and removes files that hold nothing of ours. Only with --yes goes
// what holds messages, and never anything of another instance.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <loopline/station.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "doctor.h"
#include "shm/attached.h"
#include "shm/base/units.h"
#include "shm/instance.h"
#include "shm/ring_header.h"

namespace loopline::cli {
namespace {

using shm::Directory;
using Listed = Directory::Listed;

std::string size_text(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }

std::string command_for(const char* words, const std::string& dir, const std::string& more = "") {
  return std::string("loopline ") + words + more + (dir.empty() ? "" : " --dir " + dir);
}

// Who is attached to one ring.
struct Attendance {
  uint64_t dead = 0;
  uint64_t others = 0;  // alive, or nobody knows
};

template <class Facts>
void count(const std::vector<Facts>& all, Attendance& attendance) {
  for (const Facts& one : all) {
    ++(one.occupant.life == shm::Life::dead ? attendance.dead : attendance.others);
  }
}

class InstanceDoctor {
 public:
  InstanceDoctor(const Directory& directory, const std::string& dir, const DoctorRights& rights,
                 std::vector<Finding>& findings)
      : directory_(directory), dir_(dir), rights_(rights), findings_(findings) {}

  void check_all() {
    check_roster();
    check_rings();
    check_strangers();
    check_bells();
    check_empty();
  }

 private:
  void check_roster();
  void check_rings();
  void check_ring(const Listed& ring);
  void check_removed(const Listed& ring);
  void check_dead(const Listed& ring, const shm::RingSnapshot& snapshot,
                  const Attendance& attendance);
  void check_strangers();
  void check_stranger(const std::string& path);
  void check_bells();
  void check_empty();
  bool is_used_elsewhere(const Listed& ring) const;
  Status sweep(const Listed& ring) const;

  const Directory& directory_;
  const std::string& dir_;
  const DoctorRights& rights_;
  std::vector<Finding>& findings_;
  std::shared_ptr<shm::Roster> roster_;
  uint64_t rings_ = 0, ring_bytes_ = 0;
};

void InstanceDoctor::check_roster() {
  const std::string path = directory_.paths().shm + "/" + shm::roster_file_name;
  auto roster = shm::Roster::open_to_inspect(path);
  if (roster) {
    roster_ = *roster;
  } else if (roster.fault().code() != FaultCode::not_found) {
    findings_.push_back({"roster",
                         Level::critical,
                         roster.fault().message(),
                         "nobody can attach: end the programs of this instance, then: rm " + path,
                         "",
                         {}});
  }
}

void InstanceDoctor::check_rings() {
  const auto rings = directory_.list();
  if (!rings) {
    findings_.push_back({"rings", Level::critical, rings.fault().message(), "", "", {}});
    return;
  }
  const size_t before = findings_.size();
  for (const Listed& ring : *rings) check_ring(ring);
  if (findings_.size() == before && rings_ != 0) {
    findings_.push_back({"rings",
                         Level::ok,
                         fmt::format("{} of {} in {}", counted(rings_, "ring"),
                                     size_text(ring_bytes_), directory_.paths().shm),
                         "",
                         "",
                         {}});
  }
}

void InstanceDoctor::check_ring(const Listed& ring) {
  shm::InspectOptions options;
  options.walk = false;
  const auto snapshot = shm::inspect(ring.path, roster_.get(), options);
  if (!snapshot) return;  // gone meanwhile, or told among the strangers
  ++rings_;
  ring_bytes_ += ring.bytes;
  if (!snapshot->damage.empty()) {
    findings_.push_back({"damaged-ring",
                         Level::critical,
                         ring.name.text() + ": " + snapshot->damage,
                         command_for("station rm ", dir_, ring.name.text() + " --yes"),
                         "",
                         {}});
  } else if (snapshot->seal_state == shm::seal_removed) {
    check_removed(ring);
  } else {
    Attendance attendance;
    count(snapshot->producers, attendance);
    count(snapshot->cursors, attendance);
    if (attendance.dead != 0) check_dead(ring, *snapshot, attendance);
  }
}

// Sealed as removed: its messages were given up by `station rm`.
void InstanceDoctor::check_removed(const Listed& ring) {
  Finding finding{"removed-ring",
                  Level::warning,
                  fmt::format("{} was removed and its memory is still there ({})", ring.name.text(),
                              size_text(ring.bytes)),
                  command_for("doctor --fix", dir_),
                  "",
                  {}};
  if (rights_.fix) {
    const Status removed = directory_.unlink(ring.name, ring.partition);
    if (removed) {
      finding.level = Level::ok;
      finding.done = "unlinked " + ring.path;
      finding.remedy.clear();
    } else {
      finding.remedy = removed.fault().message();
    }
  }
  findings_.push_back(std::move(finding));
}

// Whether anyone not known to be dead uses another ring of the station: it goes as a whole.
bool InstanceDoctor::is_used_elsewhere(const Listed& ring) const {
  const auto rings = directory_.list();
  if (!rings) return true;
  for (const Listed& other : *rings) {
    if (other.name.text() != ring.name.text() || other.path == ring.path) continue;
    shm::InspectOptions options;
    options.walk = false;
    const auto snapshot = shm::inspect(other.path, roster_.get(), options);
    if (!snapshot) continue;
    Attendance attendance;
    count(snapshot->producers, attendance);
    count(snapshot->cursors, attendance);
    if (attendance.others != 0) return true;
  }
  return false;
}

// As whoever attaches would; takes no seat and no slot.
Status InstanceDoctor::sweep(const Listed& ring) const {
  LL_TRY(mapping, directory_.attach_generation(ring.name, ring.partition, ring.generation,
                                               shm::Access::produce));
  LL_TRY(roster, directory_.roster());
  const bool is_its = std::equal(roster->uuid(), roster->uuid() + 2, mapping.header().roster_uuid);
  if (!is_its) {
    return Fault(FaultCode::corrupted, "its slots name seats of another roster: remove it");
  }
  const auto attached = shm::Attached::make(std::move(mapping), roster, directory_);
  if (attached->janitor().sweep()) return ok();
  return attached->lock_held();
}

void InstanceDoctor::check_dead(const Listed& ring, const shm::RingSnapshot& snapshot,
                                const Attendance& attendance) {
  const std::string name = ring.name.text();
  const uint64_t messages = snapshot.frontier.second - snapshot.oldest.second;
  const bool is_stale = attendance.others == 0 && !is_used_elsewhere(ring);
  Finding finding{is_stale ? "stale-ring" : "dead-places", Level::warning, "", "", "", {}};
  finding.text =
      fmt::format("{}: {} left by processes that died", name, counted(attendance.dead, "place"));
  if (is_stale) {
    finding.text += fmt::format("; nobody else is attached; its ring of {} holds {}",
                                size_text(ring.bytes), counted(messages, "message"));
  }
  finding.remedy = command_for("doctor --fix", dir_);
  if (rights_.fix && rights_.yes && is_stale) {
    const Status removed = Station::remove(name, dir_);
    finding.done = removed ? "removed it, with its messages" : "";
    finding.remedy = removed ? "" : removed.fault().message();
  } else if (rights_.fix) {
    const Status swept = sweep(ring);
    finding.done = swept ? "cleaned up after the dead; no message was touched" : "";
    finding.remedy = swept ? "" : swept.fault().message();
    if (swept && is_stale) {
      finding.remedy = "if its messages are not needed any more: " +
                       command_for("station rm ", dir_, name + " --yes");
    }
  }
  if (!finding.done.empty()) finding.level = Level::ok;
  findings_.push_back(std::move(finding));
}

void InstanceDoctor::check_strangers() {
  for (const std::string& path : directory_.list_strangers()) check_stranger(path);
}

// What a file is that is no ring of ours. One under a ring's name that was never one holds nothing;
// another version's ring, or one that was cut short, may.
enum class Stranger { garbage, ring_of_others, something_else };

Stranger examine(const std::string& path, std::string& text) {
  const auto file = shm::open_file("ring", path, false);
  const auto header =
      file ? shm::read_ring_header(*file, path) : Result<shm::RingHeader>(file.fault());
  text = header ? path + " is not named like a ring" : header.fault().message();
  if (header || !file || !path.ends_with(".ring")) return Stranger::something_else;
  uint64_t magic = 0;
  const ssize_t got = ::pread(file->fd(), &magic, sizeof magic, 0);
  const bool is_ring = got == static_cast<ssize_t>(sizeof magic) && magic == shm::ring_magic;
  return is_ring ? Stranger::ring_of_others : Stranger::garbage;
}

void InstanceDoctor::check_stranger(const std::string& path) {
  Finding finding{
      "stranger", Level::warning, "", "look at it, and if nobody needs it: rm " + path, "", {}};
  Stranger kind = examine(path, finding.text);
  if (kind == Stranger::garbage) finding.remedy = command_for("doctor --fix", dir_);
  if (kind == Stranger::ring_of_others) {
    finding.remedy =
        "if its messages are not needed any more: " + command_for("doctor --fix --yes", dir_);
  }
  if (rights_.fix && kind != Stranger::something_else) {
    // Under the lock nobody gives a name, so what is examined now is what is unlinked.
    const auto lock = shm::FolderLock::take(directory_.paths(), shm::FolderLock::Kind::exclusive);
    std::string again;
    kind = examine(path, again);
    const bool may_go =
        kind == Stranger::garbage || (kind == Stranger::ring_of_others && rights_.yes);
    if (lock && may_go && ::unlink(path.c_str()) == 0) {
      finding.level = Level::ok;
      finding.done = "unlinked it";
      finding.remedy.clear();
    }
  }
  findings_.push_back(std::move(finding));
}

// Those of readers of rings that are there go with whoever reaps them: check_dead.
void InstanceDoctor::check_bells() {
  const auto bells = directory_.list_stale_bells();
  if (bells.empty()) return;
  Finding finding{"stale-bells",
                  Level::warning,
                  fmt::format("{} left by readers of rings that are gone, such as {}",
                              counted(bells.size(), "bell file"), bells[0]),
                  command_for("doctor --fix", dir_),
                  "",
                  {}};
  if (rights_.fix) {
    for (const std::string& path : bells) ::unlink(path.c_str());
    const size_t left = directory_.list_stale_bells().size();
    if (left == 0) {
      finding.level = Level::ok;
      finding.done = "unlinked " + counted(bells.size(), "file");
      finding.remedy.clear();
    } else {
      finding.remedy = counted(left, "file") + " may not be unlinked by this user: ask its owner";
    }
  }
  findings_.push_back(std::move(finding));
}

// Only a roster in which nobody sits.
void InstanceDoctor::check_empty() {
  const auto rings = directory_.list();
  if (!rings || !rings->empty() || !directory_.list_strangers().empty()) return;
  const std::string& folder = directory_.paths().shm;
  for (uint32_t entry = 0; roster_ != nullptr && entry < roster_->entry_count(); ++entry) {
    if (roster_->alive(roster_->seat_of(entry))) {
      findings_.push_back({"instance",
                           Level::ok,
                           folder + " holds no rings; programs are attached to the instance",
                           "",
                           "",
                           {}});
      return;
    }
  }
  Finding finding{
      "instance", Level::warning, folder + " holds no rings, and nobody is attached", "", "", {}};
  if (rights_.fix && shm::remove_instance_shm(directory_.paths())) {
    finding.level = Level::ok;
    finding.done = "removed it; the next station makes it again";
  } else {
    finding.remedy = command_for("doctor --fix", dir_);
  }
  findings_.push_back(std::move(finding));
}

// What is known of a folder of somebody else's instance: its name does not lead back to it.
struct Neighbour {
  uint64_t rings = 0;
  uint64_t bytes = 0;
  bool is_alive = false;
  bool is_readable = false;
};

Neighbour look_at(const std::string& folder) {
  Neighbour neighbour;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    neighbour.is_readable = true;
    if (at->path().filename() == shm::roster_file_name) continue;
    struct stat status;
    if (::lstat(at->path().c_str(), &status) != 0) continue;
    ++neighbour.rings;
    neighbour.bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  neighbour.is_readable = !error;
  const auto roster = shm::Roster::open_to_inspect(folder + "/" + shm::roster_file_name);
  if (!roster) return neighbour;
  for (uint32_t entry = 0; entry < (*roster)->entry_count() && !neighbour.is_alive; ++entry) {
    neighbour.is_alive = (*roster)->alive((*roster)->seat_of(entry));
  }
  return neighbour;
}

// Folders in which nobody is alive. With rings in them they may still be wanted: only told.
void check_neighbours(const shm::InstancePaths& paths, const DoctorRights& rights,
                      std::vector<Finding>& findings) {
  const auto root = std::filesystem::path(paths.shm).parent_path();
  std::error_code error;
  for (std::filesystem::directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    const std::string folder = at->path().string();
    if (folder == paths.shm || !at->is_directory(error)) continue;
    const Neighbour neighbour = look_at(folder);
    if (!neighbour.is_readable || neighbour.is_alive) continue;
    Finding finding{"other-instance",
                    Level::warning,
                    fmt::format("{}: {} of {}, and nobody of its instance is alive", folder,
                                counted(neighbour.rings, "file"), size_text(neighbour.bytes)),
                    "if its instance is gone for good: rm -r " + folder,
                    "",
                    {}};
    if (neighbour.rings == 0) {
      finding.text = folder + " is empty, and nobody of its instance is alive";
      finding.remedy = "loopline doctor --fix";
      if (rights.fix && shm::remove_instance_shm({"", folder})) {
        finding.level = Level::ok;
        finding.done = "removed it";
        finding.remedy.clear();
      }
    }
    findings.push_back(std::move(finding));
  }
}

}  // namespace

void check_instance(const std::string& dir, const DoctorRights& rights,
                    std::vector<Finding>& findings) {
  const auto paths = shm::find_instance(dir);
  if (!paths) {
    findings.push_back({"instance", Level::warning, paths.fault().message(), "", "", {}});
    return;
  }
  const auto directory = Directory::open(*paths);
  if (directory) {
    InstanceDoctor(*directory, dir, rights, findings).check_all();
  } else if (directory.fault().code() == FaultCode::not_found) {
    findings.push_back({"instance",
                        Level::ok,
                        paths->folder + " has no stations yet; the first one makes it",
                        "",
                        "",
                        {}});
  } else {
    findings.push_back({"instance", Level::critical, directory.fault().message(), "", "", {}});
  }
  check_neighbours(*paths, rights, findings);
}

}  // namespace loopline::cli
