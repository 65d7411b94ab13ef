// LooplinePeer: its cases, and those that only Loopline has: create, attach, and the death of a
// producer.
#include "loopline_peer.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <thread>

#include "peers.h"
#include "perf/harness/loops.h"
#include "shm/directory.h"

namespace loopline::perf {
namespace {

constexpr uint64_t attach_ring_bytes = 8ull << 20;
constexpr int create_count = 12;
constexpr int attach_count = 40;
constexpr int kill_count = 12;

// The folder of this process's stations; whoever ends it in an orderly way removes everything.
struct Instance {
  std::string folder;
  pid_t maker = ::getpid();
  Instance() {
    char path[] = "/tmp/loopline-bench-XXXXXX";
    if (::mkdtemp(path) != nullptr) folder = path;
  }
  ~Instance() {
    if (folder.empty() || ::getpid() != maker) return;
    // Ours alone, and our children are gone. By hand: the library's copy of shm still sits in the
    // roster for us, which ours cannot know.
    std::error_code ignored;
    if (const auto paths = shm::find_instance(folder)) {
      std::filesystem::remove_all(paths->shm, ignored);
    }
    std::filesystem::remove_all(folder, ignored);
  }
};

StationOptions options_8_mib() {
  StationOptions options;
  options.ring = attach_ring_bytes;
  return options;
}

Measurement empty_measurement() {
  Measurement measurement;
  measurement.latency_ns = std::make_unique<Histogram>();
  return measurement;
}

// Only whether it worked.
template <class T>
Status as_status(const Result<T>& result) {
  if (result) return ok();
  return result.fault();
}

Result<Measurement> measure_create(const Plan&) {
  Measurement measurement = empty_measurement();
  for (int index = 0; index < create_count; ++index) {
    const uint64_t begin = monotonic_ns();
    LL_TRY(station, Station::create("create", options_8_mib(), bench_instance()));
    LL_TRY_STATUS(as_status(station.producer()));
    measurement.latency_ns->record(monotonic_ns() - begin);
    LL_TRY_STATUS(Station::remove("create", bench_instance()));
  }
  return measurement;
}

Result<Measurement> measure_attach(const Plan&) {
  Measurement measurement = empty_measurement();
  LL_TRY_STATUS(as_status(Station::create("attach", options_8_mib(), bench_instance())));
  for (int index = 0; index < attach_count; ++index) {
    const uint64_t begin = monotonic_ns();
    LL_TRY(station, Station::open("attach", bench_instance()));
    LL_TRY_STATUS(as_status(station.consumer()));
    measurement.latency_ns->record(monotonic_ns() - begin);
  }
  LL_TRY_STATUS(Station::remove("attach", bench_instance()));
  return measurement;
}

// A child that dies inside a claim, and what stands behind it.
struct Victim {
  Atomic<uint32_t> inside;
};

pid_t fork_victim(const Station& station, Victim& victim) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto producer = station.producer();
  auto slot = producer->claim(64);
  victim.inside.store(1, std::memory_order_release);
  for (;;) ::pause();
}

Result<uint64_t> kill_once(const Station& station, Consumer& consumer, Victim& victim) {
  victim.inside.store(0, std::memory_order_relaxed);
  const pid_t child = fork_victim(station, victim);
  while (victim.inside.load(std::memory_order_acquire) == 0) ::usleep(100);
  LL_TRY(producer, station.producer());
  LL_TRY(sequence, producer.publish("behind the dead"));
  const uint64_t begin = monotonic_ns();
  ::kill(child, SIGKILL);
  bool seen = false;
  while (!seen) {
    LL_TRY(ready, consumer.wait(std::chrono::seconds(5)));
    LL_TRY(count, consumer.poll([&](const Message& message) {
      seen = seen || message.sequence() == sequence;
    }));
    if (!ready && count == 0) return Fault(FaultCode::timed_out, "the dead hold the ring");
  }
  const uint64_t took_ns = monotonic_ns() - begin;
  ::waitpid(child, nullptr, 0);
  return took_ns;
}

// Children that keep both processors busy for as long as they live.
class Busy {
 public:
  explicit Busy(bool wanted) {
    for (pid_t& child : children_) {
      child = wanted ? ::fork() : -1;
      if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) spin_pause();
      }
    }
  }
  ~Busy() {
    for (const pid_t child : children_) {
      if (child <= 0) continue;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::array<pid_t, 2> children_{};
};

// SIGKILL of a producer inside a claim, until the consumer has the message behind it.
Result<Measurement> measure_kill(bool busy) {
  Measurement measurement = empty_measurement();
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fault_from_errno(errno, "cannot map a page");
  auto& victim = *static_cast<Victim*>(memory);
  LL_TRY(station, Station::create("kill", options_8_mib(), bench_instance()));
  LL_TRY(consumer, station.consumer());
  {
    const Busy others(busy);
    for (int index = 0; index < kill_count; ++index) {
      LL_TRY(took_ns, kill_once(station, consumer, victim));
      measurement.latency_ns->record(took_ns);
    }
  }
  ::munmap(memory, 4096);
  LL_TRY_STATUS(Station::remove("kill", bench_instance()));
  return measurement;
}

void add_own(Cases& cases, const char* bench,
             std::function<Result<Measurement>(const Plan&)> measure) {
  Case own;
  own.bench = bench;
  own.subject = "loopline";
  own.version = LooplinePeer<false>::version();
  own.run = std::move(measure);
  own.link_matters = false;
  cases.push_back(std::move(own));
}

}  // namespace

const std::string& bench_instance() {
  static const Instance instance;
  return instance.folder;
}

template <bool exclusive, Wait wait>
std::string LooplinePeer<exclusive, wait>::version() {
  return "layout " + std::to_string(shm::layout_version);
}

void add_loopline(Cases& cases) {
  using Many = LooplinePeer<false>;
  using Exclusive = LooplinePeer<true>;
  (void)bench_instance();  // before the first fork
  add_message_cases<Many>(cases);
  add_wake<LooplinePeer<false, Wait::adaptive>>(cases, "wake-adaptive");
  for (const uint64_t size : message_sizes) {
    add_case<Exclusive>(cases, "one-way-exclusive", size, measure_one_way<Exclusive>);
  }
  add_own(cases, "create", measure_create);
  add_own(cases, "attach", measure_attach);
  add_own(cases, "kill", [](const Plan&) { return measure_kill(false); });
  add_own(cases, "kill-busy", [](const Plan&) { return measure_kill(true); });
}

}  // namespace loopline::perf
