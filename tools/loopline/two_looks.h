// Two looks: a station's rings seen twice, a moment apart: what was there both times is stuck; what
// differs moves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shm/inspect.h"
#include "viewer.h"

namespace loopline::cli {

struct TwoLooks {
  shm::RingSnapshot before;
  shm::RingSnapshot now;
  std::optional<shm::RingSnapshot> predecessor;  // while it is still read
  std::optional<shm::RingSnapshot> disk_before;  // the ring before, while it goes to disk first
  std::optional<shm::RingSnapshot> disk_now;
  uint64_t flush_interval_ns = 0;                // of a file station; 0: group commit
  std::optional<uint64_t> not_durable_since_ns;  // UTC, when the oldest such message was published
  std::optional<uint64_t> unread_since_ns;       // likewise, by the slowest of those who hold it

  double seconds() const;
  double messages_per_s() const;
  // The ring that goes to disk.
  const shm::RingSnapshot& on_its_way() const { return disk_now ? *disk_now : now; }
  const shm::RingSnapshot& on_its_way_before() const { return disk_before ? *disk_before : before; }
};

// All partitions. Faults: the viewer's.
Result<std::vector<TwoLooks>> look_twice(const Viewer& viewer, const std::string& station);

// The reader that holds the ring back most; null when none does.
const shm::CursorFacts* slowest_of(const shm::RingSnapshot& ring);
// The same handle, at another look.
const shm::CursorFacts* same_in(const shm::RingSnapshot& ring, const shm::CursorFacts& cursor);
// From where on the log still needs the ring; none: nowhere.
std::optional<uint64_t> log_needs_from(const shm::RingSnapshot& ring);
// From where on the ring may not be reused.
uint64_t held_from(const shm::RingSnapshot& ring);
// A message of the largest size has no room.
bool is_full(const shm::RingSnapshot& ring);
// How much of the ring no producer may reuse: 0 to 1.
double fill_of(const shm::RingSnapshot& snapshot);
// "45%"
std::string percent_text(double part);
// "12 messages (1.5KiB)"
std::string behind_text(uint64_t messages, uint64_t bytes);
// " main/orders", for commands
std::string station_word(const shm::RingSnapshot& ring);

}  // namespace loopline::cli
