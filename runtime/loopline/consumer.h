// Consumer: a handle to read a station, in runs of views.
//
//   auto consumer = station->consumer({.from = loopline::From::earliest});
//   for (;;) {
//     consumer->wait(std::chrono::seconds(1));
//     consumer->poll([](const loopline::Message& message) { handle(message); }, 256);
//   }
//
// A lossless consumer (the default) misses nothing: producers wait for it when the ring is full. A
// `.lossy` one never holds anybody back; what it missed is told by gap(). One thread uses a
// consumer at a time; it may be moved to another. In a forked child every call answers `forked`.
//
// On a station with evict-after a lossless consumer that held a full ring for so long is detached;
// its next call answers `fenced`. Messages that it was handed since its last release() may have
// been overwritten while it looked at them: what it made of them counts only when release() (poll
// does it at its end) says that they were still its own.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "loopline/message.h"
#include "shm/base/from.h"
#include "shm/base/result.h"
#include "shm/base/visibility.h"

namespace loopline {

// spin: a core for the lowest latency; adaptive: about 50 us of it, then sleep; park: sleep at
// once.
enum class Wait { spin, adaptive, park };

struct ConsumerOptions {
  From from = From::latest;
  bool lossy = false;                      // always on where the station says when-full drop-oldest
  std::optional<uint32_t> partition = {};  // only this one; unset: all, in no order between them
  Wait wait = Wait::adaptive;
};

// Sequences that a consumer did not get, just before the messages it was handed last: a lossy one
// what was overwritten meanwhile, any one what it asked for (From::sequence) when it was gone.
struct Gap {
  uint64_t first = 0;
  uint64_t count = 0;
  uint32_t partition = 0;
};

class LL_EXPORT Consumer {
 public:
  Consumer(Consumer&& other) noexcept;
  Consumer& operator=(Consumer&& other) noexcept;
  ~Consumer();

  // Hands at most `max` messages that are there now to `handler`, in order, and gives their space
  // back; returns how many. Never waits. The handler returns nothing, or a Verdict.
  // Faults: closed (station removed and read to its end), corrupted, fenced, forked.
  template <class Handler>
  Result<size_t> poll(Handler&& handler, size_t max = 256) {
    size_t handed = 0;
    while (handed < max) {
      const size_t wanted = std::min(max - handed, run_max);
      const auto run = next_run(wanted);
      if (!run) return run.fault();
      for (const Message& message : *run) handler(message);
      handed += run->size();
      // A short run: all is read, or another partition is next. Lossy: a gap may come next, and
      // gap() belongs to one run.
      if (run->empty() || (run->size() < wanted && !has_many()) || lossy()) break;
    }
    if (handed != 0) {
      auto released = release();
      if (!released) return released.fault();
    }
    return handed;
  }

  // For loops of one's own: the next messages that are there now, at most run_max, all of one
  // partition; none: an empty span. Valid until the next call; gives the run before back. Faults:
  // as poll.
  Result<std::span<const Message>> batch(size_t max = run_max) {
    return next_run(std::min(max, run_max));
  }
  // The next message, waiting for it for as long as `timeout`; nothing: none came. Valid until the
  // next call; gives the one before back. Faults: as poll.
  Result<std::optional<Message>> take(std::chrono::nanoseconds timeout = {});
  // As batch, into memory of the caller's.
  Result<size_t> read(std::span<Message> run);
  // Gives the space of the last run back to the producers.
  Status release();
  // Until there is something to read: true. False: `timeout` passed.
  Result<bool> wait(std::chrono::nanoseconds timeout);
  // A descriptor for epoll, poll, io_uring or asio: readable when there is something to read or to
  // be told. The loop it waits in:
  //
  //   epoll_event event{.events = EPOLLIN};                     // levels; EPOLLET is right as well
  //   epoll_ctl(loop, EPOLL_CTL_ADD, *consumer->fd(), &event);
  //   ... it is readable:
  //   while (*consumer->poll(handle) != 0) {}                   // until there is nothing
  //
  // The poll (or read) that finds nothing is what waits for the next message: it makes the
  // descriptor unreadable, at the price of two system calls (one more a partition); with levels a
  // loop may poll once a turn and comes back while there is more. It is readable now and then
  // without a message. Only polled, never read or written, and closed with the consumer.
  // Producers pay for it as for one that sleeps in wait(): nothing while it is busy.
  //
  // A message whose producer was killed between its commit and the wake-up makes it readable after
  // 10 ms to 1 s, as long as nothing came before; one behind an open message whose producer died
  // after 10 ms. Stations that are sealed are followed; one that was removed makes it readable and
  // poll says `closed`.
  // The first call makes it; later ones give the same. One thread at a time, as all calls.
  // Faults: no_permission (a station that may only be read, or whose folder may not be written to),
  // corrupted, fenced, forked, and what the kernel refuses; then use wait().
  Result<int> fd();
  // What was missed before the last run; asking forgets it. Later than their first run lossless
  // consumers miss nothing.
  Gap gap();
  bool lossy() const;
  // The sequence that comes next, in a partition that this consumer reads.
  uint64_t next_sequence(uint32_t partition = 0) const;

  static constexpr size_t run_max = 64;

 private:
  friend class Station;
  explicit Consumer(std::unique_ptr<struct ConsumerState> state);
  // In memory of the consumer's own, made once: an empty look stays cheap. `max` up to run_max.
  Result<std::span<const Message>> next_run(size_t max);
  Result<size_t> read_any(std::span<Message> run);
  Status rest();
  Result<bool> wait_until(uint64_t deadline_ns);
  Result<size_t> read_ring(uint32_t index, std::span<Message> run);
  Result<size_t> read_many(std::span<Message> run);
  bool has_many() const;
  static Status split(Message& message);
  std::unique_ptr<struct ConsumerState> state_;
};

}  // namespace loopline
