// SimStorage and SimChores: chance instead of a kernel.
#include "sim_storage.h"

#include "shm/base/check.h"

namespace loopline::sim {

void SimStorage::submit(const io::WriteRequest& request) {
  LL_CHECK(in_flight_.size() < depth_);
  const size_t event = disk_.begin_write(*request.file, request.offset, request.bytes, true);
  in_flight_.push_back({request.token, event});
}

size_t SimStorage::reap(std::span<io::WriteDone> done) {
  size_t count = 0;
  const size_t held = stalled_ ? 1 : 0;  // the oldest one
  const bool hurried = hurried_;
  hurried_ = false;
  while (count < done.size() && in_flight_.size() > held) {
    const bool goes_on = (hurried && count == 0) || random_.coin();
    if (!goes_on) break;
    const size_t index = held + random_.below(in_flight_.size() - held);
    const InFlight write = in_flight_[index];
    in_flight_.erase(in_flight_.begin() + static_cast<ptrdiff_t>(index));
    done[count++] = {write.token, disk_.end_write(write.event)};
  }
  return count;
}

void SimStorage::wait(std::span<const io::BellTicket>, uint64_t) { hurried_ = true; }

std::vector<size_t> SimStorage::abandon() {
  std::vector<size_t> events;
  for (const InFlight& write : in_flight_) events.push_back(write.event);
  in_flight_.clear();
  return events;
}

bool SimChores::collect() {
  const bool found = !done_.empty();
  while (!done_.empty()) {
    const io::Continuation next = std::move(done_.front());
    done_.pop_front();
    if (next) next();
  }
  return found;
}

bool SimChores::run_one() {
  if (posted_.empty()) return false;
  const io::Chore chore = std::move(posted_.front());
  posted_.pop_front();
  done_.push_back(chore());
  return true;
}

}  // namespace loopline::sim
