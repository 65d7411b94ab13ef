// Deaths: a thread forks and kills, the main one sits in its event loop.
#include "deaths.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "perf/peers/loopline_peer.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr int kill_count = 1000;
constexpr int life_us_max = 12'000;
constexpr int between_us = 50;
constexpr int patience_ms = 100;
constexpr const char* station_name = "deaths";

[[noreturn]] void publish_until_killed() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto station = Station::open(station_name, bench_instance());
  if (!station) ::_exit(1);
  auto producer = station->producer();
  if (!producer) ::_exit(1);
  while (producer->publish("a message")) ::usleep(between_us);
  ::_exit(1);
}

// How many were killed at work.
int kill_one_after_another() {
  std::mt19937 random(20261123);
  int killed = 0;
  for (int count = 0; count < kill_count; ++count) {
    const pid_t pid = ::fork();
    if (pid == 0) publish_until_killed();
    ::usleep(static_cast<useconds_t>(1000 + random() % life_us_max));
    ::kill(pid, SIGKILL);
    int status = 0;
    ::waitpid(pid, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
  }
  return killed;
}

Status listen(Consumer& consumer, const std::atomic<bool>& is_over, Histogram& waited_ns) {
  LL_TRY(fd, consumer.fd());
  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {}};
  if (::epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) {
    return fault_from_errno(errno, "cannot watch a station");
  }
  const auto note = [&](const Message& message) {
    waited_ns.record(utc_ns() - message.timestamp_ns());
  };
  while (!is_over) {
    if (::epoll_wait(loop, &event, 1, patience_ms) == 1) LL_TRY_STATUS(consumer.poll(note));
  }
  ::close(loop);
  return ok();
}

}  // namespace

Result<DeathsOfProducers> kill_producers_of_a_loop() {
  LL_TRY(station, Station::create(station_name, {}, bench_instance()));
  LL_TRY(consumer, station.consumer());
  DeathsOfProducers deaths;
  std::atomic<bool> is_over = false;
  std::thread killer([&] {
    deaths.killed_count = kill_one_after_another();
    is_over = true;
  });
  const Status listened = listen(consumer, is_over, deaths.waited_ns);
  killer.join();
  if (!listened) return listened.fault();
  LL_TRY_STATUS(Station::remove(station_name, bench_instance()));
  return deaths;
}

}  // namespace loopline::perf
