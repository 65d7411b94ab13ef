// Readiness: a descriptor that an event loop can wait by, readable when consumers have news.
//
//   auto readiness = Readiness::make();
//   Consumer* const all[] = {&consumer};
//   readiness->rest(all);                         // after a read of each that found nothing
//   epoll_wait(... readiness->fd() ...)           // readable: read until there is nothing, rest
//
//   epoll descriptor ──┬── the bell file of each consumer (bell_file.h), rung by commits and seals
//                      └── a timer: 10 ms after the last news, backing off to 1 s
//
// Whoever is not armed is readable: rest() drains the bell files, arms all consumers, looks again,
// and rings for itself where there is news. So loops that are told levels and loops that are told
// edges are both right, if they read until there is nothing.
//
// The timer is for what nobody rings for. A waker killed between its commit and its ring: the
// message waits for 10 ms to 1 s, by how long nothing came before. A death inside a claim that is
// in the way of committed messages: 10 ms, since the timer does not back off while the next frame
// is open. Each rest() cleans up after the dead as wait() does.
#pragma once

#include <cstdint>
#include <span>

#include "file.h"

namespace loopline::shm {

class Consumer;

class Readiness {
 public:
  static Result<Readiness> make();

  // Ours: closed with us.
  int fd() const { return epoll_.fd(); }
  // The same consumers at each call, but for those that were forgotten. Never waits. Faults:
  // unsupported and no_permission (nobody can ring for a consumer of a ring without a file, or of
  // one that it may only read), corrupted, and what the kernel says; then it stays readable.
  Status rest(std::span<Consumer* const> consumers);
  // It is not rung for any more.
  void forget(Consumer& consumer) const;

 private:
  Status set_timer();

  File epoll_;
  File timer_;
  uint64_t timeout_ns_ = 0;
};

}  // namespace loopline::shm
