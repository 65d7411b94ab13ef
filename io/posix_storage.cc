// PosixStorage: a thread for each write that may be in flight, pwritev2 with RWF_DSYNC, and a bell
// for what is done.
#include "posix_storage.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace loopline::io {
namespace {

class PosixStorage final : public Storage {
 public:
  explicit PosixStorage(uint32_t depth) : depth_(depth) {}
  ~PosixStorage() override;

  const char* name() const override { return "posix"; }
  uint32_t depth() const override { return depth_; }
  void submit(const WriteRequest& request) override;
  size_t reap(std::span<WriteDone> done) override;
  void wait(std::span<const BellTicket> bells, uint64_t deadline_ns) override;

 private:
  void work();
  bool is_any_done();

  const uint32_t depth_;
  std::mutex mutex_;
  std::condition_variable work_there_;
  std::deque<WriteRequest> waiting_;
  std::deque<WriteDone> done_;
  bool is_ending_ = false;
  uint32_t idle_ = 0;
  std::vector<std::thread> workers_;  // one for each write that was ever in flight with others
  shm::BellLine bell_{};
};

PosixStorage::~PosixStorage() {
  {
    const std::lock_guard guard(mutex_);
    is_ending_ = true;
  }
  work_there_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// Returns 0 or errno.
int write_synced(const WriteRequest& request) {
  uint64_t done = 0;
  while (done < request.bytes.size()) {
    iovec piece{const_cast<std::byte*>(request.bytes.data()) + done, request.bytes.size() - done};
    const ssize_t put = ::pwritev2(request.file->fd(), &piece, 1,
                                   static_cast<off_t>(request.offset + done), RWF_DSYNC);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return EIO;
    done += static_cast<uint64_t>(put);
  }
  return 0;
}

void PosixStorage::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_there_.wait(lock, [&] { return is_ending_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    const WriteRequest request = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    const int error = write_synced(request);
    lock.lock();
    done_.push_back({request.token, error});
    lock.unlock();
    shm::ring_if_parked(bell_);
    lock.lock();
  }
}

void PosixStorage::submit(const WriteRequest& request) {
  {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(request);
    const bool is_short = idle_ < waiting_.size() && workers_.size() < depth_;
    if (is_short) workers_.emplace_back([this] { work(); });
  }
  work_there_.notify_one();
}

size_t PosixStorage::reap(std::span<WriteDone> done) {
  const std::lock_guard guard(mutex_);
  const size_t count = std::min(done.size(), done_.size());
  for (size_t index = 0; index < count; ++index) {
    done[index] = done_.front();
    done_.pop_front();
  }
  return count;
}

bool PosixStorage::is_any_done() {
  const std::lock_guard guard(mutex_);
  return !done_.empty();
}

void PosixStorage::wait(std::span<const BellTicket> bells, uint64_t deadline_ns) {
  const uint32_t ticket = shm::prepare_to_park(bell_, 1);
  if (is_any_done()) return;
  std::vector<BellTicket> all{{&bell_, ticket}};
  all.insert(all.end(), bells.begin(), bells.end());
  sleep_by(all, deadline_ns);
}

}  // namespace

std::unique_ptr<Storage> make_posix_storage(uint32_t depth) {
  return std::make_unique<PosixStorage>(depth);
}

}  // namespace loopline::io
