// PowerCuts: what is left on a simulated disk when the power goes after each event of its journal.
//
//   PowerCuts cuts(disk);
//   while (cuts.step()) for (CutMode mode : cut_modes) examine(SimDisk(cuts.image(mode, random)))
//
// What was synced is there. Of what was not, any 512-byte sector is there or is not, and so is any
// name made, changed or removed in a folder that was not synced since. A file whose name is not
// there is gone. A rename is done or not done, never half, and is safe once the folder of the new
// name is synced.
#pragma once

#include <cstdint>
#include <vector>

#include "random.h"
#include "sim_disk.h"

namespace loopline::sim {

enum class CutMode : uint8_t {
  none,       // nothing that was not synced is there
  all,        // all of it
  prefix,     // all up to a point, within a write too
  random,     // any sectors, any names
  reordered,  // the later without the earlier
  torn,       // all but a part of one write
  zeroed,     // writes in flight have left zeros in some sectors
  garbage,    // or garbage
};
constexpr CutMode cut_modes[] = {CutMode::none,   CutMode::all,       CutMode::prefix,
                                 CutMode::random, CutMode::reordered, CutMode::torn,
                                 CutMode::zeroed, CutMode::garbage};
const char* name_of(CutMode mode);

class PowerCuts {
 public:
  explicit PowerCuts(const SimDisk& disk);
  // One more event happens before the cut; false: there is none.
  bool step();
  // How many events have happened.
  size_t at() const { return next_; }
  uint64_t last_mark() const { return last_mark_; }
  size_t unsynced() const { return pending_.size(); }
  size_t in_flight() const { return in_flight_; }

  Image image(CutMode mode, Random& random) const;

 private:
  struct Pending {
    size_t event;
    bool is_done;
  };
  struct State {
    std::vector<ContentRef> contents;  // by file
    std::map<std::string, uint32_t> names;
    std::set<std::string> folders;
  };
  class Chooser;
  static bool is_about_names(EventKind kind);
  void sync_file(uint32_t file);
  void sync_names(const std::string& folder);
  void finish_write(const Event& done);
  void apply(State& state, const Event& event) const;
  void apply_sectors(State& state, const Pending& pending, Chooser& chooser) const;

  const std::vector<Event>& events_;
  State durable_;
  std::vector<Pending> pending_;
  size_t next_ = 0;
  size_t in_flight_ = 0;
  uint64_t last_mark_ = 0;
};

}  // namespace loopline::sim
