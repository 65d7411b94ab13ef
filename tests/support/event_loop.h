// EventLoop: an epoll loop over one descriptor, told levels or edges, as programs of users have it.
#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace loopline::test {

class EventLoop {
 public:
  explicit EventLoop(int fd, uint32_t events = EPOLLIN) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{};
    event.events = events;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop() { ::close(epoll_); }

  bool is_ready() const { return wait(0); }
  // Until it is readable; false: within half a minute it was not.
  bool turn() const { return wait(30'000); }

 private:
  bool wait(int timeout_ms) const {
    epoll_event event;
    int count = 0;
    do {
      count = ::epoll_wait(epoll_, &event, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    return count == 1;
  }

  int epoll_;
};

}  // namespace loopline::test
