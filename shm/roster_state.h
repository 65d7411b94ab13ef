// What stands behind a Roster: its mapping, and which seats the calling thread holds.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "file.h"
#include "region.h"
#include "roster.h"

namespace loopline::shm {

struct Roster::State {
  RosterHeader header{};  // the private copy
  Region region;          // the entries
  std::string name;       // the path, for messages
  bool look = false;      // mapped read-only: takes no seat
  File file;              // to inspect: nothing is mapped, entries are read from here
  alignas(line_pitch) std::byte image[sizeof(RosterEntry)];  // the entry read last

  // An entry to ask about: in place, or read now; null when it is not there any more.
  const RosterEntry* entry(uint32_t index);
  RosterEntry* entries() const { return reinterpret_cast<RosterEntry*>(region.address()); }
  Result<SeatId> take_seat();
  // Gives back a seat of the calling thread.
  void leave(SeatId seat);
  // Whether a seat of the calling thread still is the entry's living generation.
  bool is_mine(SeatId seat) const;
};

struct HeldSeat {
  Roster::State* roster = nullptr;
  SeatId seat = nobody;
};

// The seats of one thread. Freed, and the seats given back, by a pthread key's destructor: that
// runs after the destructors of C++ thread_local objects, in which handles may still need the seat.
struct ThreadSeats {
  std::vector<HeldSeat> held;
};
Result<ThreadSeats*> seats_of_this_thread();
// Whether the calling thread holds `seat` in the roster of that uuid.
bool this_thread_holds(const uint64_t uuid[2], SeatId seat);

}  // namespace loopline::shm
