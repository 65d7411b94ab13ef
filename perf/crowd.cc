// Crowd: every process holds a producer and a consumer on every station, then sleeps on all of them
// in one epoll loop; and, for comparison, on one of them in wait().
#include "crowd.h"

#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <vector>

#include "perf/deaths.h"
#include "perf/harness/processes.h"
#include "perf/harness/text.h"
#include "perf/peers/loopline_peer.h"
#include "shm/base/clock.h"
#include "shm/base/histogram.h"
#include "shm/base/units.h"
#include "shm/directory.h"

namespace loopline::perf {
namespace {

using namespace std::chrono_literals;

constexpr int station_count = 200;
constexpr uint32_t process_count = 4;
constexpr uint64_t ring_bytes = 64 << 10;
constexpr uint64_t idle_ns = 5'000'000'000;
constexpr uint64_t timeout_ns = 60'000'000'000;

std::string name_of(int number) { return "crowd/station-" + std::to_string(number); }

// What one process has of all stations.
struct Handles {
  std::vector<Producer> producers;
  std::vector<Consumer> consumers;
};

Result<Handles> attach_all(Histogram& latency_ns) {
  Handles handles;
  for (int number = 0; number < station_count; ++number) {
    const uint64_t begin = monotonic_ns();
    LL_TRY(station, Station::open(name_of(number), bench_instance()));
    LL_TRY(producer, station.producer());
    LL_TRY(consumer, station.consumer());
    latency_ns.record(monotonic_ns() - begin);
    handles.producers.push_back(std::move(producer));
    handles.consumers.push_back(std::move(consumer));
  }
  return handles;
}

// Sleeps for `idle_ns` on all of them; how often it woke up for nothing.
Result<uint64_t> sleep_on_all(std::vector<Consumer>& consumers) {
  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  for (Consumer& consumer : consumers) {
    LL_TRY(fd, consumer.fd());
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &consumer}};
    if (::epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) {
      return fault_from_errno(errno, "cannot watch a station");
    }
  }
  uint64_t wake_ups = 0;
  const uint64_t end = monotonic_ns() + idle_ns;
  for (uint64_t now = monotonic_ns(); now < end; now = monotonic_ns()) {
    epoll_event events[64];
    const int timeout_ms = static_cast<int>((end - now) / 1'000'000) + 1;
    const int count = ::epoll_wait(loop, events, 64, timeout_ms);
    for (int index = 0; index < count; ++index) {
      ++wake_ups;
      auto* consumer = static_cast<Consumer*>(events[index].data.ptr);
      LL_TRY_STATUS(consumer->poll([](const Message&) {}));
    }
  }
  ::close(loop);
  return wake_ups;
}

Status be_idle_on_all(Stage& stage, Outcome& outcome) {
  LL_TRY(handles, attach_all(outcome.latency_ns));
  stage.meet();
  Usage usage;
  usage.begin();
  LL_TRY(wake_ups, sleep_on_all(handles.consumers));
  usage.end(outcome);
  outcome.message_count = wake_ups;
  return ok();
}

Status be_idle_on_one(Stage& stage, Outcome& outcome) {
  LL_TRY(station, Station::open(name_of(0), bench_instance()));
  LL_TRY(consumer, station.consumer());
  stage.meet();
  Usage usage;
  usage.begin();
  LL_TRY_STATUS(consumer.wait(std::chrono::nanoseconds(idle_ns)));
  usage.end(outcome);
  return ok();
}

Result<Outcomes> run_all(Status (*body)(Stage&, Outcome&)) {
  LL_TRY(cpus, first_two_cpus());
  const Role role{"process", {cpus[0], cpus[1]}, body};
  const std::vector<Role> roles(process_count, role);
  return run_roles(roles, timeout_ns);
}

std::vector<std::string> distribution(const std::string& name, const Histogram& of) {
  const auto time = [&](double share) {
    return format_duration_rounded(static_cast<double>(of.percentile(share)));
  };
  return {name, time(50), time(99), time(99.9),
          format_duration_rounded(static_cast<double>(of.max()))};
}

// The processes' shares of a processor while they were idle.
std::string idle_text(const Outcomes& outcomes) {
  std::string text;
  for (uint32_t role = 0; role < process_count; ++role) {
    const Outcome& one = outcomes[role];
    const double share = 100.0 * static_cast<double>(one.cpu_ns) / static_cast<double>(one.wall_ns);
    text += (role == 0 ? "" : ", ") + three_digits(share) + " %";
  }
  return text;
}

uint64_t memory_bytes() {
  uint64_t bytes = 0;
  const auto paths = shm::find_instance(bench_instance());
  if (!paths) return 0;
  const auto directory = shm::Directory::open(*paths);
  if (!directory) return 0;
  const auto rings = directory->list();
  for (const auto& ring : rings ? *rings : std::vector<shm::Directory::Listed>()) {
    bytes += ring.bytes;
  }
  return bytes;
}

}  // namespace

Status measure_crowd() {
  Histogram create_ns;
  StationOptions options;
  options.ring = ring_bytes;
  for (int number = 0; number < station_count; ++number) {
    const uint64_t begin = monotonic_ns();
    LL_TRY_STATUS(Station::create(name_of(number), options, bench_instance()));
    create_ns.record(monotonic_ns() - begin);
  }
  const uint64_t bytes = memory_bytes();
  LL_TRY(on_all, run_all(be_idle_on_all));
  LL_TRY(on_one, run_all(be_idle_on_one));
  LL_TRY(deaths, kill_producers_of_a_loop());
  Histogram attach_ns;
  double wake_ups = 0;
  for (uint32_t role = 0; role < process_count; ++role) {
    attach_ns.merge(on_all[role].latency_ns);
    wake_ups += static_cast<double>(on_all[role].message_count);
  }
  for (int number = 0; number < station_count; ++number) {
    LL_TRY_STATUS(Station::remove(name_of(number), bench_instance()));
  }
  std::printf(
      "%d stations of %s (%s of memory), %u processes, each producer and consumer of all\n\n",
      station_count, format_size(ring_bytes).c_str(),
      format_size_rounded(static_cast<double>(bytes)).c_str(), process_count);
  std::fputs(format_table({{"", "p50", "p99", "p99.9", "max"},
                           distribution("create a station", create_ns),
                           distribution("open, producer, consumer", attach_ns),
                           distribution("claim to event loop *", deaths.waited_ns)},
                          {1, 2, 3, 4})
                 .c_str(),
             stdout);
  std::printf(
      "\n* %s messages, while %d of their producers were killed; fd() promises 1 s at most\n",
      format_count(deaths.waited_ns.count()).c_str(), deaths.killed_count);
  std::printf(
      "\nidle for %s, each process, of one processor\n  asleep on all, in epoll: %s; %s "
      "wake-ups\n  asleep on one, in wait(): %s\n",
      format_duration(idle_ns).c_str(), idle_text(on_all).c_str(),
      format_rate(wake_ups / (static_cast<double>(idle_ns) / 1e9) / process_count, "/s").c_str(),
      idle_text(on_one).c_str());
  return ok();
}

}  // namespace loopline::perf
