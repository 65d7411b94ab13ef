// Event loop: two stations and a clock in one epoll loop, without a thread for any of them.
//
//   epoll_loop [FOLDER]   the instance; LOOPLINE_DIR and its kin if none is named
//
// A descriptor of a consumer goes wherever descriptors go: epoll here, as well into io_uring, asio,
// GLib. It is told levels, and each turn polls until there is nothing: that is what makes it wait
// for the next message.
#include <loopline/loopline.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <thread>

using namespace loopline::literals;

namespace {

constexpr int order_count = 3;
constexpr int price_count = 10'000;
constexpr int tick_count = 3;

// Another program, in truth.
void trade(loopline::Producer& orders, loopline::Producer& prices) {
  for (int count = 1; count <= price_count; ++count) {
    (void)prices.publish("price " + std::to_string(count));
    if (count % (price_count / order_count) != 0) continue;
    (void)orders.publish("order at price " + std::to_string(count));
  }
}

class Loop {
 public:
  Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() { ::close(epoll_); }

  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  // The next descriptor that is readable.
  int next() {
    epoll_event event{};
    while (::epoll_wait(epoll_, &event, 1, -1) != 1) {
    }
    return event.data.fd;
  }

 private:
  int epoll_;
};

// A tick every ten milliseconds.
int make_clock() {
  const int clock = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const itimerspec often{{0, 10'000'000}, {0, 10'000'000}};
  ::timerfd_settime(clock, 0, &often, nullptr);
  return clock;
}

template <class Handler>
loopline::Status read_all(loopline::Consumer& consumer, const Handler& handler) {
  for (;;) {
    LL_TRY(count, consumer.poll(handler));
    if (count == 0) return loopline::ok();
  }
}

loopline::Status run(loopline::Consumer& orders, loopline::Consumer& prices, int clock) {
  LL_TRY(orders_fd, orders.fd());
  LL_TRY(prices_fd, prices.fd());
  Loop loop;
  for (const int fd : {orders_fd, prices_fd, clock}) loop.watch(fd);
  int orders_seen = 0, prices_seen = 0, ticks = 0;
  while (orders_seen < order_count || prices_seen < price_count || ticks < tick_count) {
    const int ready = loop.next();
    if (ready == clock) {
      uint64_t passed = 0;
      if (::read(clock, &passed, sizeof passed) == sizeof passed) ++ticks;
    } else if (ready == orders_fd) {
      LL_TRY_STATUS(read_all(orders, [&](const loopline::Message& message) {
        std::cout << message.text() << "\n";
        ++orders_seen;
      }));
    } else {
      LL_TRY_STATUS(read_all(prices, [&](const loopline::Message&) { ++prices_seen; }));
    }
  }
  std::cout << prices_seen << " prices, and the clock went on\n";
  return loopline::ok();
}

loopline::Status listen(const char* dir) {
  LL_TRY(orders, loopline::Station::open_or_create("orders", {.ring = 64_KiB}, dir));
  LL_TRY(prices, loopline::Station::open_or_create("prices", {.ring = 64_KiB}, dir));
  LL_TRY(orders_in, orders.consumer());
  LL_TRY(prices_in, prices.consumer());
  LL_TRY(orders_out, orders.producer());
  LL_TRY(prices_out, prices.producer());
  std::thread others([&] { trade(orders_out, prices_out); });
  const int clock = make_clock();
  const auto listened = run(orders_in, prices_in, clock);
  ::close(clock);
  others.join();
  if (!listened) return listened.fault();
  LL_TRY_STATUS(loopline::Station::remove("orders", dir));
  return loopline::Station::remove("prices", dir);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = listen(argc > 1 ? argv[1] : "");
  if (done) return 0;
  std::cerr << done.fault().message() << "\n";
  return 1;
}
