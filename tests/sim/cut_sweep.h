// CutSweep: power cuts after every event of a log's life, each opened by the real code and held
// against what was promised until then; from some of them it goes on, to a second cut.
//
//   CutSweep sweep(schedule, life, disk);
//   sweep.run();                       sweep.wrong(): the first rule broken, and where
#pragma once

#include <optional>
#include <string>

#include "log_life.h"
#include "power_cut.h"

namespace loopline::sim {

struct CutCounts {
  uint64_t cuts = 0;         // all of them
  uint64_t in_opening = 0;   // while a log was being opened
  uint64_t in_dropping = 0;  // while retention dropped segments
  uint64_t second = 0;       // of a log that had lost power before
  uint64_t of_mode[std::size(cut_modes)] = {};
  void add(const CutCounts& other);
};

// One cut, to be made once more.
struct CutAt {
  size_t events = 0;
  CutMode mode{};
};

struct SweepPlan {
  uint64_t seed = 0;
  uint32_t modes = 0;          // how many at each event; 0: all of them
  uint64_t go_on_once_in = 0;  // how often a life goes on behind a cut; 0: never
  std::optional<CutAt> only;
};

class CutSweep {
 public:
  CutSweep(const SweepPlan& plan, const LifePlan& life, CutCounts& cuts, LifeCounts& lives)
      : plan_(plan), life_plan_(life), cuts_(cuts), lives_(lives) {}

  // `station` is what was published in `life`, whose disk it is. False: a rule was broken.
  bool run(const SimDisk& disk, const LogLife& life, const Station& station);

  const std::string& wrong() const { return wrong_; }
  const CutAt& at() const { return at_; }

 private:
  bool cut(const PowerCuts& cuts, const LogLife& life, const Station& station);
  std::string check(Image image, const Known& known, Station station, Random& random);
  std::string go_on(SimDisk& disk, LogLife& life, Station& station, Random& random);

  const SweepPlan& plan_;
  const LifePlan& life_plan_;
  CutCounts& cuts_;
  LifeCounts& lives_;
  CutAt at_;
  std::string wrong_;
};

// The first `count` events of a disk, a line each, for who wants to see what led to a cut.
void print_journal(const SimDisk& disk, const LogLife& life, size_t count);

}  // namespace loopline::sim
