// SimStorage: asynchronous writes to a simulated disk, done in any order, as a seed decides; and
// SimChores: chores that run when the test says so.
#pragma once

#include <deque>
#include <vector>

#include "io/chores.h"
#include "io/storage.h"
#include "random.h"
#include "sim_disk.h"

namespace loopline::sim {

class SimStorage final : public io::Storage {
 public:
  SimStorage(SimDisk& disk, Random& random, uint32_t depth)
      : disk_(disk), random_(random), depth_(depth) {}

  const char* name() const override { return "simulated"; }
  uint32_t depth() const override { return depth_; }
  void submit(const io::WriteRequest& request) override;
  // Some of what is in flight is done now, often none of it.
  size_t reap(std::span<io::WriteDone> done) override;
  void wait(std::span<const io::BellTicket> bells, uint64_t deadline_ns) override;

  size_t in_flight() const { return in_flight_.size(); }
  // A write that is stalled stays in flight, whatever else is done, until this is called.
  void stall_one() { stalled_ = true; }
  void unstall() { stalled_ = false; }
  // The process died: what it had in flight, for SimDisk::end_write() at any time later.
  std::vector<size_t> abandon();

 private:
  struct InFlight {
    uint64_t token;
    size_t event;
  };
  SimDisk& disk_;
  Random& random_;
  uint32_t depth_;
  bool stalled_ = false;
  bool hurried_ = false;
  std::deque<InFlight> in_flight_;
};

class SimChores final : public io::Chores {
 public:
  void post(io::Chore chore) override { posted_.push_back(std::move(chore)); }
  bool collect() override;
  shm::BellLine& bell() override { return bell_; }

  // Whether there was one to run.
  bool run_one();
  bool is_idle() const { return posted_.empty() && done_.empty(); }

 private:
  std::deque<io::Chore> posted_;
  std::deque<io::Continuation> done_;
  shm::BellLine bell_{};
};

}  // namespace loopline::sim
