// BoostQueue: Boost.Interprocess message_queue, the queue many C++ programs use between processes.
//
// Used at its best: as many slots as fit into the ring's bytes; where the bench spins it does, too
// (try_send, try_receive), and it blocks only in the wake bench. Its interface copies in and out:
// a message is filled in a buffer of the sender's and read in one of the receiver's.
#pragma once

#include <algorithm>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <memory>
#include <string>
#include <vector>

#include "perf/harness/subject.h"

namespace loopline::perf {

class BoostQueue {
  using Queue = boost::interprocess::message_queue;

 public:
  static constexpr const char* name = "boost-mq";
  static constexpr bool sleeps = true;
  static std::string version();
  static Result<std::unique_ptr<BoostQueue>> make(const Shape& shape);

  class Sender {
   public:
    Sender(Queue& queue, uint64_t size) : queue_(queue), buffer_(size) {}

    template <class Fill>
    void send(size_t size, Fill&& fill) {
      fill(buffer_.data());
      Backoff backoff;
      while (!queue_.try_send(buffer_.data(), size, 0)) backoff.wait();
    }

   private:
    Queue& queue_;
    std::vector<std::byte> buffer_;
  };

  class Receiver {
   public:
    Receiver(Queue& queue, uint64_t size) : queue_(queue), buffer_(size) {}

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      size_t count = std::exchange(held_, 0);
      if (count != 0) handle(buffer_.data(), held_size_);
      Queue::size_type size = 0;
      unsigned priority = 0;
      while (count < max && queue_.try_receive(buffer_.data(), buffer_.size(), size, priority)) {
        handle(buffer_.data(), size);
        ++count;
      }
      return count;
    }

    // It has no way to wait without receiving; what it received is handed out by the next poll.
    void sleep(uint64_t timeout_ns) {
      const auto until = boost::posix_time::microsec_clock::universal_time() +
                         boost::posix_time::microseconds(static_cast<long>(timeout_ns / 1000));
      Queue::size_type size = 0;
      unsigned priority = 0;
      if (!queue_.timed_receive(buffer_.data(), buffer_.size(), size, priority, until)) return;
      held_ = 1;
      held_size_ = size;
    }

   private:
    Queue& queue_;
    std::vector<std::byte> buffer_;
    size_t held_ = 0;
    size_t held_size_ = 0;
  };

  Result<Sender> sender() { return Sender(*queue_, message_bytes_); }
  Result<Receiver> receiver() { return Receiver(*queue_, message_bytes_); }

 private:
  BoostQueue(std::unique_ptr<Queue> queue, uint64_t message_bytes)
      : queue_(std::move(queue)), message_bytes_(message_bytes) {}

  std::unique_ptr<Queue> queue_;
  uint64_t message_bytes_;
};

}  // namespace loopline::perf
