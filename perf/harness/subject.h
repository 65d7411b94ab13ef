// Subject: what a ring, queue or line must offer to be measured; the loops are built on it.
//
// A subject is one direction between processes: made by the parent, then used by children it forks.
//
//   struct MyQueue {
//     static constexpr const char* name = "my-queue";
//     static std::string version();
//     static constexpr bool sleeps = true;                      // Receiver has sleep()
//     static Result<std::unique_ptr<MyQueue>> make(const Shape&);
//     Result<Sender> sender();                                   // called in the sending child
//     Result<Receiver> receiver();                               // called in the receiving child
//   };
//   struct Sender {
//     template <class Fill> void send(size_t size, Fill&& fill);  // fill(std::byte*): in place
//   };
//   struct Receiver {
//     template <class Handle> size_t poll(Handle&& handle, size_t max);
//     void sleep(uint64_t timeout_ns);
//   };
//
// send waits while there is no room. poll never waits: it shows up to `max` messages that are ready
// as handle(const std::byte* payload, size_t size), views that live until handle returns, and says
// how many there were. sleep returns when there may be a message, or after `timeout_ns`.
// All are templates or inline, so that the loops in "loops.h" contain no call per message that the
// subject's own users would not pay for.
#pragma once

#include <sched.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "shm/base/atomic.h"
#include "shm/base/result.h"

namespace loopline::perf {

// What the parent wants to measure.
struct Shape {
  uint64_t message_bytes = 0;
  uint64_t ring_bytes = 0;
  uint32_t producer_count = 1;
  bool receiver_sleeps = false;  // a sender that need not look for sleepers may spare that
};

// Receivers take at most this many messages in one poll.
inline constexpr size_t batch_max = 64;

namespace subject_detail {
struct AnyFill {
  void operator()(std::byte*) {}
};
struct AnyHandle {
  void operator()(const std::byte*, size_t) {}
};
}  // namespace subject_detail

template <class S>
concept Subject = requires(S& subject, const Shape& shape, typename S::Sender& sender,
                           typename S::Receiver& receiver, subject_detail::AnyFill fill,
                           subject_detail::AnyHandle handle) {
  { S::name } -> std::convertible_to<const char*>;
  { S::sleeps } -> std::convertible_to<bool>;
  { S::version() } -> std::same_as<std::string>;
  { S::make(shape) } -> std::same_as<Result<std::unique_ptr<S>>>;
  { subject.sender() } -> std::same_as<Result<typename S::Sender>>;
  { subject.receiver() } -> std::same_as<Result<typename S::Receiver>>;
  sender.send(size_t{}, fill);
  { receiver.poll(handle, size_t{}) } -> std::same_as<size_t>;
};

template <class S>
concept SleepingSubject = Subject<S> && S::sleeps && requires(typename S::Receiver& receiver) {
  receiver.sleep(uint64_t{});
};

// Waits a little longer each time: pauses, then gives the processor away, for peers may share it.
class Backoff {
 public:
  void wait() {
    if (++spins_ % spins_per_yield == 0) ::sched_yield();
    spin_pause();
  }

 private:
  static constexpr uint32_t spins_per_yield = 1024;  // about 30 us
  uint32_t spins_ = 0;
};

}  // namespace loopline::perf
