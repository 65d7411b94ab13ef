// Readiness: an epoll set over bell files and one timer.
#include "readiness.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

#include "consumer.h"

namespace loopline::shm {

Result<Readiness> Readiness::make() {
  Readiness made;
  made.epoll_ = File(::epoll_create1(EPOLL_CLOEXEC));
  if (made.epoll_.fd() < 0) return fault_from_errno(errno, "cannot make an epoll descriptor");
  made.timer_ = File(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (made.timer_.fd() < 0) return fault_from_errno(errno, "cannot make a timer");
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(made.epoll_.fd(), EPOLL_CTL_ADD, made.timer_.fd(), &event) != 0) {
    return fault_from_errno(errno, "cannot watch a timer");
  }
  return made;
}

Status Readiness::rest(std::span<Consumer* const> consumers) {
  for (Consumer* consumer : consumers) LL_TRY_STATUS(consumer->listen(fd()));
  bool backs_off = timeout_ns_ != 0;
  for (Consumer* consumer : consumers) {
    LL_TRY(calm, consumer->arm());
    backs_off = calm && backs_off;
  }
  timeout_ns_ = backs_off ? std::min(timeout_ns_ * 2, park_timeout_max_ns) : park_timeout_min_ns;
  return set_timer();
}

void Readiness::forget(Consumer& consumer) const { consumer.stop_listening(fd()); }

// From now on; also takes back that it has fired.
Status Readiness::set_timer() {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(timeout_ns_ / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(timeout_ns_ % 1'000'000'000);
  if (::timerfd_settime(timer_.fd(), 0, &when, nullptr) == 0) return ok();
  return fault_from_errno(errno, "cannot set a timer");
}

}  // namespace loopline::shm
