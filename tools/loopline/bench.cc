// bench: two processes on two cores, a round trip or a stream between them, as percentiles.
#include <fmt/format.h>
#include <loopline/loopline.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>

#include "bench.h"
#include "child.h"
#include "commands.h"
#include "json.h"
#include "options.h"
#include "shm/base/atomic.h"
#include "shm/base/clock.h"
#include "shm/base/histogram.h"
#include "shm/base/units.h"
#include "signals.h"
#include "temporary_instance.h"

namespace loopline::cli {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t patience_ns = 30 * second_ns;
constexpr uint64_t ring_bytes_min = 1_MiB;  // a hot window of 1 to 4 MiB is best
constexpr uint64_t ring_messages_min = 16;
constexpr uint64_t size_max = 16_MiB;
constexpr uint64_t sample_step = 16;  // publish calls, of which one is timed
constexpr auto look_around = std::chrono::milliseconds(100);
constexpr useconds_t look_us = 1000;
constexpr const char* there = "there";
constexpr const char* back = "back";

// What the two processes and their parent share.
// Happens-before edges
//   [ready]  a process stores ready -> the parent starts the clock
//   [phase]  the parent stores the phase -> the processes load it
//   [exit]   a process's figures -> the parent after waitpid (the kernel's)
enum Phase : uint32_t { warming, measuring, over };
struct Board {
  Atomic<uint32_t> ready[2];
  Atomic<uint32_t> phase;
  uint64_t messages;  // measured
  uint64_t wall_ns;   // of measuring
  Histogram latency_ns;
  char fault[400];

  bool is(Phase wanted) const {
    return phase.load(std::memory_order_relaxed) == wanted;  // relaxed: sooner or later
  }
};

struct Unmap {
  void operator()(Board* board) const { ::munmap(board, sizeof(Board)); }
};
using SharedBoard = std::unique_ptr<Board, Unmap>;

Result<SharedBoard> make_board() {
  void* memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fault_from_errno(errno, "cannot map memory for the figures");
  return SharedBoard(static_cast<Board*>(memory));  // zeroed: everything at its start
}

struct Plan {
  std::string dir;
  uint64_t size = 0;
  uint64_t measure_ns = 0;
  Wait wait = Wait::adaptive;
  std::vector<int> cpus;
};

// The first two processors we may use; none when there is only one.
std::vector<int> two_cpus() {
  cpu_set_t allowed;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  if (cpus.size() < 2) cpus.clear();
  return cpus;
}

void pin(const Plan& plan, uint32_t role) {
  if (plan.cpus.empty()) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(plan.cpus[role], &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

// Measures from the first message of the measuring phase to its end.
class Stopwatch {
 public:
  explicit Stopwatch(Board& board) : board_(board) {}
  bool is_on() {
    if (began_ns_ == 0 && board_.is(measuring)) began_ns_ = monotonic_ns();
    return began_ns_ != 0;
  }
  void stop() {
    if (began_ns_ != 0) board_.wall_ns = monotonic_ns() - began_ns_;
  }

 private:
  Board& board_;
  uint64_t began_ns_ = 0;
};

Result<Consumer> consumer_of(const Plan& plan, const char* name) {
  LL_TRY(station, Station::open(name, plan.dir));
  ConsumerOptions options;
  options.from = From::earliest;
  options.wait = plan.wait;
  return station.consumer(options);
}

Result<Producer> producer_of(const Plan& plan, const char* name) {
  LL_TRY(station, Station::open(name, plan.dir));
  return station.producer();
}

// A message of the plan's size into the station. The producer waits at most `look_around` for room.
Result<bool> send(Producer& producer, std::span<const std::byte> payload) {
  PublishOptions options;
  options.timeout = look_around;
  const auto sequence = producer.publish(payload, options);
  if (sequence) return true;
  if (sequence.fault().code() == FaultCode::timed_out) return false;
  return sequence.fault();
}

Status ask(const Plan& plan, Board& board) {
  LL_TRY(producer, producer_of(plan, there));
  LL_TRY(consumer, consumer_of(plan, back));
  board.ready[0].store(1, std::memory_order_release);  // release [ready]
  const std::vector<std::byte> payload(plan.size);
  Stopwatch watch(board);
  while (!board.is(over)) {
    const bool counts = watch.is_on();
    const uint64_t began = monotonic_ns();
    LL_TRY(sent, send(producer, payload));
    size_t count = 0;
    while (sent && count == 0 && !board.is(over)) {
      LL_TRY(ready, consumer.wait(look_around));
      if (!ready) continue;
      LL_TRY(handed, consumer.poll([](const Message&) {}));
      count = handed;
    }
    if (!counts || count == 0) continue;
    board.latency_ns.record(monotonic_ns() - began);
    ++board.messages;
  }
  watch.stop();
  return ok();
}

Status answer(const Plan& plan, Board& board) {
  LL_TRY(consumer, consumer_of(plan, there));
  LL_TRY(producer, producer_of(plan, back));
  board.ready[1].store(1, std::memory_order_release);  // release [ready]
  Status status = ok();
  while (!board.is(over)) {
    LL_TRY(ready, consumer.wait(look_around));
    if (!ready) continue;
    LL_TRY(count, consumer.poll([&](const Message& message) {
      const auto sent = send(producer, message.payload());
      if (!sent) status = sent.fault();
    }));
    static_cast<void>(count);
    if (!status) return status;
  }
  return ok();
}

Status flood(const Plan& plan, Board& board) {
  LL_TRY(producer, producer_of(plan, there));
  board.ready[0].store(1, std::memory_order_release);  // release [ready]
  const std::vector<std::byte> payload(plan.size);
  for (uint64_t number = 0; !board.is(over); ++number) {
    const bool is_timed = number % sample_step == 0 && board.is(measuring);
    const uint64_t began = is_timed ? monotonic_ns() : 0;
    LL_TRY(sent, send(producer, payload));
    if (is_timed && sent) board.latency_ns.record(monotonic_ns() - began);
  }
  return ok();
}

Status drain(const Plan& plan, Board& board) {
  LL_TRY(consumer, consumer_of(plan, there));
  board.ready[1].store(1, std::memory_order_release);  // release [ready]
  Stopwatch watch(board);
  uint64_t expected = consumer.next_sequence();
  bool is_dense = true;
  while (!board.is(over)) {
    const bool counts = watch.is_on();
    LL_TRY(count, consumer.poll([&](const Message& message) {
      is_dense =
          is_dense && message.sequence() == expected && message.payload().size() == plan.size;
      ++expected;
    }));
    if (counts) board.messages += count;
    if (count != 0) continue;
    LL_TRY(ready, consumer.wait(look_around));
    static_cast<void>(ready);  // either way we look again
  }
  watch.stop();
  if (!is_dense) return Fault(FaultCode::corrupted, "messages were lost, repeated or torn");
  return ok();
}

using Role = Status (*)(const Plan&, Board&);

int play(Role role, uint32_t index, const Plan& plan, Board& board) {
  pin(plan, index);
  const Status status = role(plan, board);
  if (status) return 0;
  std::strncpy(board.fault, status.fault().message().c_str(), sizeof board.fault - 1);
  return 1;
}

class Bench {
 public:
  Bench(Output& out, const BenchArguments& arguments) : out_(out), arguments_(arguments) {}

  Result<BenchResult> run(const char* name, std::array<Role, 2> roles,
                          std::initializer_list<const char*> stations) {
    LL_TRY_STATUS(read_plan());
    LL_TRY(instance, TemporaryInstance::make(out_.dir(), "bench"));
    plan_.dir = instance.folder();
    LL_TRY(board, make_board());
    for (const char* station : stations) LL_TRY_STATUS(add_station(station));
    LL_TRY_STATUS(measure(*board, roles));
    LL_TRY_STATUS(instance.remove());
    return result_of(name, *board);
  }

 private:
  Status read_plan() {
    LL_TRY(size, read_size("--size", arguments_.size));
    LL_TRY(measure_ns, read_seconds("--seconds", arguments_.seconds, {0.01, 3600}));
    if (!size || *size > size_max) {
      return Fault(FaultCode::invalid_argument, "--size is at most " + format_size(size_max));
    }
    if (arguments_.wait == "spin") {
      plan_.wait = Wait::spin;
    } else if (arguments_.wait == "park") {
      plan_.wait = Wait::park;
    } else if (arguments_.wait != "adaptive") {
      return unknown_word("--wait", arguments_.wait, "spin, adaptive or park");
    }
    plan_.size = *size;
    plan_.measure_ns = measure_ns;
    plan_.cpus = two_cpus();
    return ok();
  }

  Status add_station(const char* name) {
    StationOptions options;
    uint64_t ring = ring_bytes_min;
    while (ring < ring_messages_min * plan_.size) ring *= 2;
    options.ring = ring;
    options.timestamp = Timestamp::off;
    LL_TRY(station, Station::create(name, options, plan_.dir));
    static_cast<void>(station);
    return ok();
  }

  Status sleep_for(uint64_t ns, std::array<Child, 2>& children, const Board& board,
                   const std::function<bool()>& is_enough) {
    const uint64_t end = monotonic_ns() + ns;
    while (monotonic_ns() < end && !is_enough()) {
      if (stop_requested()) return Fault(FaultCode::closed, "interrupted");
      int status = 0;
      for (Child& child : children) {
        if (!child.has_ended(status)) continue;
        const std::string why = board.fault[0] != '\0' ? board.fault : "killed";
        return Fault(FaultCode::io_error, "a process of the bench ended too early: " + why);
      }
      ::usleep(look_us);
    }
    return ok();
  }

  Status measure(Board& board, std::array<Role, 2> roles) {
    std::array<Child, 2> children;
    // The reading side first: it is there before the first message.
    for (const uint32_t index : {1u, 0u}) {
      LL_TRY(child, Child::start([&] { return play(roles[index], index, plan_, board); }));
      children[index] = std::move(child);
      LL_TRY_STATUS(sleep_for(patience_ns, children, board, [&] {
        return board.ready[index].load(std::memory_order_acquire) != 0;  // acquire [ready]
      }));
    }
    const auto never = [] { return false; };
    out_.progress("measuring for " +
                  format_duration_rounded(static_cast<double>(plan_.measure_ns)));
    LL_TRY_STATUS(sleep_for(plan_.measure_ns / 10, children, board, never));
    board.phase.store(measuring, std::memory_order_release);  // release [phase]
    LL_TRY_STATUS(sleep_for(plan_.measure_ns, children, board, never));
    board.phase.store(over, std::memory_order_release);  // release [phase]
    for (Child& child : children) {
      LL_TRY(status, child.wait_until(monotonic_ns() + patience_ns));
      if (status != 0) return Fault(FaultCode::io_error, board.fault);
    }
    return ok();
  }

  BenchResult result_of(const char* name, const Board& board) const {
    BenchResult result;
    result.bench = name;
    result.size_bytes = plan_.size;
    result.wait = arguments_.wait;
    result.cpus = plan_.cpus;
    result.seconds = static_cast<double>(board.wall_ns) / second_ns;
    result.messages = board.messages;
    if (result.seconds > 0) {
      result.rate_per_s = static_cast<double>(board.messages) / result.seconds;
      result.bytes_per_s = result.rate_per_s * static_cast<double>(plan_.size);
    }
    result.p50_ns = board.latency_ns.percentile(50);
    result.p99_ns = board.latency_ns.percentile(99);
    result.p999_ns = board.latency_ns.percentile(99.9);
    result.max_ns = board.latency_ns.max();
    return result;
  }

  Output& out_;
  const BenchArguments& arguments_;
  Plan plan_;
};

std::string time_text(uint64_t ns) { return format_duration_rounded(static_cast<double>(ns)); }

void report(Output& out, const BenchResult& result, const char* what, const char* timed) {
  if (out.is_json()) {
    out.line(json_of(result));
    return;
  }
  const std::string where =
      result.cpus.empty() ? "one processor for both"
                          : fmt::format("processors {} and {}", result.cpus[0], result.cpus[1]);
  out.line(fmt::format("{} of {} between two processes, {}, wait {}, {}", what,
                       format_size(result.size_bytes), where, result.wait,
                       format_duration_rounded(result.seconds * 1e9)));
  out.line(fmt::format("{}  {}, {}/s", out.paint(Color::dim, "rate   "),
                       rate_text(result.rate_per_s), format_size_rounded(result.bytes_per_s)));
  out.line(fmt::format("{}  p50 {}, p99 {}, p99.9 {}, max {} {}", out.paint(Color::dim, "latency"),
                       time_text(result.p50_ns), time_text(result.p99_ns),
                       time_text(result.p999_ns), time_text(result.max_ns), timed));
}

}  // namespace

Status bench_rtt(Output& out, const BenchArguments& arguments) {
  LL_TRY(result, Bench(out, arguments).run("rtt", {ask, answer}, {there, back}));
  report(out, result, "round trips", "there and back");
  return ok();
}

Status bench_pub(Output& out, const BenchArguments& arguments) {
  LL_TRY(result, Bench(out, arguments).run("one-way", {flood, drain}, {there}));
  report(out, result, "messages", "for a call to publish, waiting for room included");
  return ok();
}

}  // namespace loopline::cli
