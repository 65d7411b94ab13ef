// PosixQueue: a POSIX message queue (mq_open), the kernel's own, copying in and out.
//
// Used at its best: as many messages as fit into the ring's bytes or, where the kernel's limits are
// tighter, as they allow; where the bench spins it does, too (O_NONBLOCK). A sleeper blocks in
// mq_timedreceive on a second description of the same queue, to which the kernel hands the message
// directly.
#pragma once

#include <fcntl.h>
#include <mqueue.h>
#include <time.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "perf/harness/subject.h"

namespace loopline::perf {

class PosixQueue {
 public:
  static constexpr const char* name = "posix-mq";
  static constexpr bool sleeps = true;
  // The kernel's, for the queue is.
  static std::string version();
  // A size above the kernel's limit is `unsupported`.
  static Result<std::unique_ptr<PosixQueue>> make(const Shape& shape);
  ~PosixQueue();
  PosixQueue(const PosixQueue&) = delete;
  PosixQueue& operator=(const PosixQueue&) = delete;

  uint64_t depth() const { return depth_; }

  class Sender {
   public:
    Sender(mqd_t queue, uint64_t size) : queue_(queue), buffer_(size) {}

    template <class Fill>
    void send(size_t size, Fill&& fill) {
      fill(buffer_.data());
      const auto* bytes = reinterpret_cast<const char*>(buffer_.data());
      Backoff backoff;
      while (::mq_send(queue_, bytes, size, 0) != 0) {
        if (errno != EAGAIN) return;  // the receiver counts what is missing
        backoff.wait();
      }
    }

   private:
    mqd_t queue_;
    std::vector<std::byte> buffer_;
  };

  class Receiver {
   public:
    Receiver(mqd_t queue, mqd_t blocking, uint64_t size)
        : queue_(queue), blocking_(blocking), buffer_(size) {}

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      size_t count = 0;
      if (held_size_ > 0) {
        handle(buffer_.data(), static_cast<size_t>(std::exchange(held_size_, 0)));
        ++count;
      }
      while (count < max) {
        const ssize_t size = ::mq_receive(queue_, bytes(), buffer_.size(), nullptr);
        if (size < 0) break;
        handle(buffer_.data(), static_cast<size_t>(size));
        ++count;
      }
      return count;
    }

    // What is received on waking is handed out by the next poll.
    void sleep(uint64_t timeout_ns) {
      timespec until{};
      ::clock_gettime(CLOCK_REALTIME, &until);
      until.tv_sec += static_cast<time_t>(timeout_ns / 1'000'000'000) + 1;
      held_size_ = ::mq_timedreceive(blocking_, bytes(), buffer_.size(), nullptr, &until);
    }

   private:
    char* bytes() { return reinterpret_cast<char*>(buffer_.data()); }

    mqd_t queue_;
    mqd_t blocking_;
    std::vector<std::byte> buffer_;
    ssize_t held_size_ = 0;
  };

  Result<Sender> sender() { return Sender(queue_, message_bytes_); }
  Result<Receiver> receiver() { return Receiver(queue_, blocking_, message_bytes_); }

 private:
  PosixQueue(uint64_t message_bytes, uint64_t depth)
      : message_bytes_(message_bytes), depth_(depth) {}

  mqd_t queue_ = -1;
  mqd_t blocking_ = -1;
  uint64_t message_bytes_;
  uint64_t depth_;
};

}  // namespace loopline::perf
