// demo: the director, which starts five processes, kills one inside a claim, and compares at the
// end.
#include <fmt/format.h>
#include <loopline/station.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <functional>
#include <thread>

#include "child.h"
#include "commands.h"
#include "demo_report.h"
#include "demo_roles.h"
#include "json.h"
#include "options.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "signals.h"
#include "temporary_instance.h"

namespace loopline::cli {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t ring_bytes = 8_MiB;
constexpr double producer_rate =
    100'000;  // messages a second, each; five processes may share two cores
constexpr uint64_t patience_ns = 30 * second_ns;
constexpr uint64_t nap_ns_max = second_ns / 10;
constexpr useconds_t look_us = 100;
constexpr const char* producer_names = "ab";
enum ConsumerIndex : uint32_t { first = 0, late = 1, slow = 2 };

void sleep_until(uint64_t when_ns) {
  const timespec until{static_cast<time_t>(when_ns / second_ns),
                       static_cast<long>(when_ns % second_ns)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

class Director {
 public:
  Director(Output& out, DemoRecords records, TemporaryInstance instance, DemoMemory memory,
           uint64_t duration_ns)
      : out_(out),
        records_(std::move(records)),
        instance_(std::move(instance)),
        memory_(std::move(memory)),
        duration_ns_(duration_ns) {
    stage_.records = &records_;
    stage_.memory = &memory_;
    stage_.dir = instance_.folder();
    stage_.station = "records";
    stage_.ring_bytes = ring_bytes;
    stage_.rate = producer_rate;
  }

  Result<DemoResult> run() {
    LL_TRY_STATUS(introduce());
    LL_TRY_STATUS(start_consumer(first));
    LL_TRY_STATUS(start_consumer(slow));
    began_ns_ = monotonic_ns();
    for (uint32_t index = 0; index < demo_producer_count; ++index) {
      LL_TRY_STATUS(start_producer(index));
    }
    say_who();
    LL_TRY_STATUS(play());
    LL_TRY_STATUS(end());
    return judge();
  }

 private:
  DemoBoard& board() { return memory_.board(); }
  void say(const std::string& text) {
    if (!out_.is_json() && !out_.is_quiet()) out_.line(text);
  }
  double now_s() const { return static_cast<double>(monotonic_ns() - began_ns_) / second_ns; }
  void say_now(const std::string& text) {
    say(out_.paint(Color::yellow, fmt::format("{:>3.1f}s", now_s())) + " " + text);
  }

  Status introduce();
  void say_who();
  Status start_producer(uint32_t index);
  Status start_consumer(uint32_t index);
  Status play();
  Status let_late_join();
  Status kill_inside_claim();
  Status start_again();
  void show_second(uint64_t now);
  Status check_children();
  Status wait_for(const char* what, const std::function<bool()>& is_so);
  Status end();
  Result<DemoResult> judge();
  void measure(DemoResult& result);
  Fault fault_of(const char* kind, const std::string& name, const DemoFault& fault, int status);

  Output& out_;
  DemoRecords records_;
  TemporaryInstance instance_;
  DemoMemory memory_;
  DemoStage stage_;
  const uint64_t duration_ns_;
  // Declared after the instance: killed before it is removed.
  std::array<Child, demo_producer_count> producers_;
  std::array<Child, demo_consumer_count> consumers_;
  uint64_t began_ns_ = 0;
  uint64_t ended_ns_ = 0;
  uint64_t killed_ns_ = 0;
  DemoMoment last_;
  uint64_t last_ns_ = 0;
  uint64_t last_bytes_ = 0;
  std::array<uint64_t, demo_consumer_count> last_handed_{};
};

Status Director::introduce() {
  StationOptions options;
  options.ring = ring_bytes;
  LL_TRY(station, Station::create(stage_.station, options, stage_.dir));
  say(out_.paint(Color::bold,
                 "Loopline demo: two processes publish, three consume, one is killed"));
  say("");
  const auto fact = [&](const char* name, const std::string& text) {
    say(fmt::format("{}{}", out_.paint(Color::dim, fmt::format("{:<11}", name)), text));
  };
  fact("records", fmt::format("{} records from {} ({}), again and again",
                              format_count(records_.records.size()), records_.source,
                              format_size_rounded(static_cast<double>(records_.bytes()))));
  fact("station",
       fmt::format("{}, a ring of {} in shared memory", station.name(), format_size(ring_bytes)));
  fact("instance", stage_.dir + ", removed at the end");
  return ok();
}

void Director::say_who() {
  const auto fact = [&](const char* name, const std::string& text) {
    say(fmt::format("{}{}", out_.paint(Color::dim, fmt::format("{:<11}", name)), text));
  };
  fact("producers",
       fmt::format("a (pid {}) and b (pid {}), {} messages/s each, each with a journal",
                   producers_[0].pid(), producers_[1].pid(),
                   format_count(static_cast<uint64_t>(producer_rate))));
  fact("consumers",
       fmt::format("first (pid {})  lossless, from the first message on", consumers_[first].pid()));
  fact("",
       fmt::format("slow  (pid {})  lossy, and stops now and then until it has missed something",
                   consumers_[slow].pid()));
  fact("", "late  joins later, lossless from the oldest message that is still there");
  say("");
  say(out_.paint(Color::dim, demo_moments_title()));
}

Status Director::start_producer(uint32_t index) {
  LL_TRY(child, Child::start([&] { return run_demo_producer(stage_, index); }));
  producers_[index] = std::move(child);
  return ok();
}

Status Director::start_consumer(uint32_t index) {
  LL_TRY(child, Child::start([&] {
           return run_demo_consumer(stage_, index, demo_consumers[index].is_lossy);
         }));
  consumers_[index] = std::move(child);
  return wait_for("a consumer to attach", [&] {
    return board().consumers[index].is_ready.load(std::memory_order_acquire) !=
           0;  // acquire [told]
  });
}

Fault Director::fault_of(const char* kind, const std::string& name, const DemoFault& fault,
                         int status) {
  std::string why = fault.text;
  if (why.empty()) {
    why = status > 128 ? "killed by signal " + std::to_string(status - 128)
                       : "exit status " + std::to_string(status);
  }
  return {FaultCode::io_error, fmt::format("{} {} ended too early: {}", kind, name, why)};
}

Status Director::check_children() {
  if (stop_requested()) return Fault(FaultCode::closed, "interrupted; all is removed");
  int status = 0;
  for (uint32_t index = 0; index < demo_producer_count; ++index) {
    if (!producers_[index].has_ended(status)) continue;
    const std::string name(1, producer_names[index]);
    return fault_of("producer", name, board().producers[index].fault, status);
  }
  for (uint32_t index = 0; index < demo_consumer_count; ++index) {
    if (!consumers_[index].has_ended(status)) continue;
    return fault_of("consumer", demo_consumers[index].name, board().consumers[index].fault, status);
  }
  return ok();
}

Status Director::wait_for(const char* what, const std::function<bool()>& is_so) {
  const uint64_t deadline = monotonic_ns() + patience_ns;
  while (!is_so()) {
    LL_TRY_STATUS(check_children());
    if (monotonic_ns() > deadline) {
      return Fault(FaultCode::timed_out, std::string("waited too long for ") + what);
    }
    ::usleep(look_us);
  }
  return ok();
}

// The plot: what happens when, in parts of the whole time.
Status Director::play() {
  struct Event {
    double part;
    Status (Director::*action)();
  };
  constexpr Event events[] = {{0.30, &Director::let_late_join},
                              {0.50, &Director::kill_inside_claim},
                              {0.55, &Director::start_again}};
  const Event* next = std::begin(events);
  last_ns_ = began_ns_;
  uint64_t line_ns = began_ns_ + second_ns;
  const uint64_t end_ns = began_ns_ + duration_ns_;
  for (uint64_t now = monotonic_ns(); now < end_ns; now = monotonic_ns()) {
    LL_TRY_STATUS(check_children());
    const bool is_due =
        next != std::end(events) &&
        static_cast<double>(now - began_ns_) >= next->part * static_cast<double>(duration_ns_);
    if (is_due) {
      LL_TRY_STATUS((this->*next->action)());
      ++next;
    } else if (now >= line_ns) {
      show_second(now);
      line_ns += second_ns;
    } else {
      sleep_until(std::min({now + nap_ns_max, line_ns, end_ns}));
    }
  }
  while (next != std::end(events)) LL_TRY_STATUS((this->*(next++)->action)());
  return ok();
}

Status Director::let_late_join() {
  LL_TRY_STATUS(start_consumer(late));
  const auto& theirs = board().consumers[late];
  LL_TRY_STATUS(wait_for("the late consumer's first message", [&] {
    return theirs.first_sequence.load(std::memory_order_relaxed) != 0;  // relaxed: a figure
  }));
  say_now(fmt::format(
      "late (pid {}) joins and begins with sequence {}, the oldest still in the ring",
      consumers_[late].pid(),
      format_count(theirs.first_sequence.load(std::memory_order_relaxed))));  // relaxed: a figure
  return ok();
}

Status Director::kill_inside_claim() {
  auto& victim = board().producers[0];
  victim.die.store(1, std::memory_order_release);  // release [order]
  LL_TRY_STATUS(wait_for("producer a to be inside a claim", [&] {
    return victim.open_sequence.load(std::memory_order_acquire) != 0;  // acquire [inside]
  }));
  const uint64_t hole =
      victim.open_sequence.load(std::memory_order_relaxed);  // relaxed: seen above
  const pid_t pid = producers_[0].pid();
  board().hole_sequence.store(hole, std::memory_order_relaxed);  // relaxed: only marks a time
  killed_ns_ = monotonic_ns();
  producers_[0].send_kill();
  LL_TRY(status, producers_[0].wait_until(monotonic_ns() + patience_ns));
  if (status != 128 + SIGKILL) {
    return fault_of("producer", "a", victim.fault, status);
  }
  say_now(
      fmt::format("producer a (pid {}) is killed inside a claim: sequence {} is claimed, half "
                  "filled,",
                  pid, format_count(hole)));
  say("     not committed; what b publishes stands behind it");
  const auto resumed_ns = [&](uint32_t index) {
    return board().consumers[index].resumed_ns.load(std::memory_order_relaxed);  // relaxed: a time
  };
  LL_TRY_STATUS(wait_for("the consumers to go on",
                         [&] { return resumed_ns(first) != 0 && resumed_ns(late) != 0; }));
  say(fmt::format(
      "     the consumers go on: first after {}, late after {}; nobody waits for the dead",
      format_duration_rounded(static_cast<double>(resumed_ns(first) - killed_ns_)),
      format_duration_rounded(static_cast<double>(resumed_ns(late) - killed_ns_))));
  return ok();
}

Status Director::start_again() {
  auto& theirs = board().producers[0];
  theirs.die.store(0, std::memory_order_relaxed);            // relaxed: before the fork
  theirs.open_sequence.store(0, std::memory_order_relaxed);  // relaxed: likewise
  const uint64_t next = memory_.written(0).size() + 1;
  LL_TRY_STATUS(start_producer(0));
  say_now(fmt::format("producer a is started again (pid {}), and goes on with its message {}",
                      producers_[0].pid(), format_count(next)));
  return ok();
}

void Director::show_second(uint64_t now) {
  const double seconds = static_cast<double>(now - last_ns_) / second_ns;
  const auto per_second = [&](uint64_t after, uint64_t before) {
    return static_cast<double>(after - before) / seconds;
  };
  DemoMoment moment;
  moment.second = static_cast<uint64_t>(now_s() + 0.5);
  uint64_t bytes = 0;
  for (const auto& producer : board().producers) {
    moment.published += producer.count.load(std::memory_order_relaxed);  // relaxed: a figure
    bytes += producer.bytes.load(std::memory_order_relaxed);             // relaxed: a figure
  }
  moment.published_rate = per_second(moment.published, last_.published);
  moment.bytes_rate = per_second(bytes, last_bytes_);
  for (uint32_t index = 0; index < demo_consumer_count; ++index) {
    const uint64_t handed =
        board().consumers[index].messages.load(std::memory_order_relaxed);  // relaxed: a figure
    moment.handed_rate[index] = per_second(handed, last_handed_[index]);
    last_handed_[index] = handed;
  }
  moment.has_late = consumers_[late].is_running();
  moment.missed =
      board().consumers[slow].missed.load(std::memory_order_relaxed);  // relaxed: a figure
  last_ = moment;
  last_ns_ = now;
  last_bytes_ = bytes;
  if (out_.is_json() || out_.is_quiet()) return;
  const std::string text = demo_moment_text(moment);
  if (out_.is_terminal()) {
    out_.live(text);
  } else {
    out_.line(text);
    out_.flush();
  }
}

Status Director::end() {
  board().stop.store(1, std::memory_order_release);  // release [order]
  for (uint32_t index = 0; index < demo_producer_count; ++index) {
    LL_TRY(status, producers_[index].wait_until(monotonic_ns() + patience_ns));
    const std::string name(1, producer_names[index]);
    if (status != 0) return fault_of("producer", name, board().producers[index].fault, status);
  }
  ended_ns_ = monotonic_ns();
  say_now("the producers stop; the consumers read to the end");
  out_.flush();
  const uint64_t end = last_sequence_of(memory_);
  board().end_sequence.store(end, std::memory_order_release);  // release [order]
  for (uint32_t index = 0; index < demo_consumer_count; ++index) {
    LL_TRY(status, consumers_[index].wait_until(monotonic_ns() + patience_ns));
    if (status == 0) continue;
    return fault_of("consumer", demo_consumers[index].name, board().consumers[index].fault, status);
  }
  return ok();
}

void Director::measure(DemoResult& result) {
  result.source = records_.source;
  result.record_count = records_.records.size();
  result.record_bytes = records_.bytes();
  result.ring_bytes = ring_bytes;
  result.processors = std::thread::hardware_concurrency();
  result.seconds = static_cast<double>(ended_ns_ - began_ns_) / second_ns;
  for (const Tally& tally : result.journals.written) {
    result.messages += tally.messages;
    result.bytes += tally.bytes;
  }
  const Histogram& latency = board().consumers[first].latency_ns;
  result.p50_ns = latency.percentile(50);
  result.p90_ns = latency.percentile(90);
  result.p99_ns = latency.percentile(99);
  result.p999_ns = latency.percentile(99.9);
  result.max_ns = latency.max();
  result.killed_sequence =
      board().hole_sequence.load(std::memory_order_relaxed);  // relaxed: our own store
  const auto resumed = [&](uint32_t index) {
    return board().consumers[index].resumed_ns.load(std::memory_order_relaxed) -  // relaxed: a time
           killed_ns_;
  };
  result.first_resumed_ns = resumed(first);
  result.late_resumed_ns = resumed(late);
}

Result<DemoResult> Director::judge() {
  DemoResult result;
  result.journals = judge_journals(memory_);
  for (uint32_t index = 0; index < demo_consumer_count; ++index) {
    result.consumers.push_back(judge_consumer(memory_, index, result.journals));
  }
  measure(result);
  const Status removed = instance_.remove();
  result.is_removed = static_cast<bool>(removed);
  if (!removed) out_.note(removed.fault().message());
  return result;
}

}  // namespace

Status demo(Output& out, const DemoArguments& arguments) {
  LL_TRY(duration_ns, read_seconds("--seconds", arguments.seconds, {0.5, 3600}));
  LL_TRY(records, load_demo_records(arguments.input, ring_bytes / 16));
  const double messages = producer_rate * static_cast<double>(duration_ns) / second_ns;
  LL_TRY(memory, DemoMemory::make(static_cast<uint64_t>(messages * 1.25) + 100'000));
  LL_TRY(instance, TemporaryInstance::make(out.dir(), "demo"));
  out.flush();
  Director director(out, std::move(records), std::move(instance), std::move(memory), duration_ns);
  LL_TRY(result, director.run());
  if (out.is_json()) {
    out.line(json_of(result));
  } else {
    print_demo_result(out, result);
  }
  if (!result.is_removed) return Fault(FaultCode::io_error, "shared memory is left behind");
  if (!result.is_equal()) {
    return Fault(FaultCode::corrupted, "what the consumers got is not what was published");
  }
  return ok();
}

}  // namespace loopline::cli
