// ThreadChores: a queue to the thread, a queue back, and a bell.
#include "thread_chores.h"

#include <utility>

#include "log/posix_disk.h"
#include "shm/bell.h"

namespace loopline::io {

ThreadChores::ThreadChores() : thread_([this] { work(); }) {}

ThreadChores::~ThreadChores() {
  {
    const std::lock_guard guard(mutex_);
    is_ending_ = true;
  }
  posted_.notify_one();
  thread_.join();
}

void ThreadChores::work() {
  block_file_size_signal();
  std::unique_lock lock(mutex_);
  for (;;) {
    posted_.wait(lock, [&] { return is_ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Chore chore = std::move(waiting_.front());
    waiting_.pop_front();
    is_busy_ = true;
    lock.unlock();
    Continuation continuation = chore();
    lock.lock();
    is_busy_ = false;
    done_.push_back(std::move(continuation));
    lock.unlock();
    shm::ring_if_parked(bell_);
    lock.lock();
  }
}

void ThreadChores::post(Chore chore) {
  {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(std::move(chore));
  }
  posted_.notify_one();
}

bool ThreadChores::collect() {
  std::deque<Continuation> done;
  {
    const std::lock_guard guard(mutex_);
    done.swap(done_);
  }
  for (const Continuation& continuation : done) continuation();
  return !done.empty();
}

bool ThreadChores::is_idle() {
  const std::lock_guard guard(mutex_);
  return waiting_.empty() && done_.empty() && !is_busy_;
}

}  // namespace loopline::io
