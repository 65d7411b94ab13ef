// ThreadChores: chores done one after the other by a thread of their own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "chores.h"

namespace loopline::io {

class ThreadChores final : public Chores {
 public:
  ThreadChores();
  // Finishes what was posted; its continuations are dropped.
  ~ThreadChores() override;

  void post(Chore chore) override;
  bool collect() override;
  shm::BellLine& bell() override { return bell_; }
  // Whether all that was posted is done and collected.
  bool is_idle();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Chore> waiting_;
  std::deque<Continuation> done_;
  bool is_busy_ = false;
  bool is_ending_ = false;
  shm::BellLine bell_{};
  std::thread thread_;
};

}  // namespace loopline::io
