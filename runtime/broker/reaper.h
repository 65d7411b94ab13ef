// Reaper: frees what dead processes hold in the rings, before anybody has to wait for it.
//
// Those who meet a dead holder clean up after it themselves; the reaper sees to rings nobody meets.
// It looks at the roster, and at the rings only after somebody died. One thread uses it.
#pragma once

#include <string>
#include <vector>

#include "shm/directory.h"

namespace loopline::broker {

class Reaper {
 public:
  explicit Reaper(shm::Directory directory) : directory_(std::move(directory)) {}
  // How many rings were freed of somebody.
  size_t look();

 private:
  struct Seen {
    shm::SeatId seat = shm::nobody;
    bool is_alive = false;
  };
  static bool note(Seen& seen, Seen now);
  bool sweep(const shm::Directory::Listed& ring, const std::shared_ptr<shm::Roster>& roster,
             size_t& freed);

  shm::Directory directory_;
  std::vector<Seen> seen_;  // by entry of the roster
  bool is_due_ = true;      // those who died before us
};

}  // namespace loopline::broker
