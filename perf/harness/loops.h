// Loops: the measured loops, one instance per subject, without a virtual call inside.
//
// Every run: the subject is made, its roles are forked and pinned, they take their endpoints, meet,
// warm up for a tenth of the time, then measure. The sending side decides when it is over and says
// so with a last message; where a rate is measured, nobody reads the clock for each message.
#pragma once

#include <algorithm>
#include <ctime>
#include <utility>

#include "cases.h"
#include "payload.h"
#include "processes.h"
#include "shm/base/clock.h"
#include "subject.h"

namespace loopline::perf {

namespace loops_detail {

// Messages between two looks at the clock: 30 ns spread over 64 messages are not seen.
inline constexpr uint64_t messages_per_look = 64;
inline constexpr timespec wake_interval{0, 1'000'000};
inline constexpr uint64_t sleep_ns_max = 1'000'000'000;

// A tenth of the time, and enough for every page of a ring to have been touched by both sides.
inline uint64_t warm_ns(const Plan& plan) {
  return std::max<uint64_t>(plan.measure_ns / 10, 5'000'000);
}

// A run takes its time, its warm-up and a fork; ten times that and two seconds, and it hangs.
inline uint64_t timeout_ns(const Plan& plan) { return 10 * plan.measure_ns + 2'000'000'000; }

inline Status check_good(const char* bench, const char* subject, uint64_t bad_count) {
  if (bad_count == 0) return ok();
  return Fault(FaultCode::corrupted, std::string(bench) + ": " + subject + " delivered " +
                                         std::to_string(bad_count) + " wrong messages");
}

inline double share(uint64_t part_ns, uint64_t whole_ns) {
  return whole_ns == 0 ? 0 : static_cast<double>(part_ns) / static_cast<double>(whole_ns);
}

template <class Sender>
void send_stop(Sender& sender, const Writer& writer) {
  sender.send(writer.size(), [&](std::byte* to) { writer.write_stop(to); });
}

// Waits for one message and hands it over.
template <class Receiver, class R>
void receive_one(Receiver& receiver, R& reader) {
  while (receiver.poll(reader, 1) == 0) spin_pause();
}

template <Subject S>
Status ping(S& there, S& back, const Plan& plan, uint64_t size, Stage& stage, Outcome& outcome) {
  LL_TRY(sender, there.sender());
  LL_TRY(receiver, back.receiver());
  Writer writer(size);
  Reader<> reader(size);
  stage.meet();
  const auto round_trip = [&] {
    const uint64_t begin = TscClock::ticks();
    sender.send(size, writer);
    receive_one(receiver, reader);
    return TscClock::ticks() - begin;
  };
  const uint64_t measured_from = TscClock::ticks() + plan.clock.ticks_of(warm_ns(plan));
  while (TscClock::ticks() < measured_from) round_trip();
  const uint64_t deadline = TscClock::ticks() + plan.clock.ticks_of(plan.measure_ns);
  Usage usage;
  usage.begin();
  do {
    outcome.latency_ns.record(plan.clock.ns(round_trip()));
  } while (TscClock::ticks() < deadline);
  usage.end(outcome);
  send_stop(sender, writer);
  outcome.bad_count = reader.bad_count();
  return ok();
}

template <Subject S>
Status pong(S& there, S& back, uint64_t size, Stage& stage, Outcome& outcome) {
  LL_TRY(receiver, there.receiver());
  LL_TRY(sender, back.sender());
  Writer writer(size);
  Reader<> reader(size);
  stage.meet();
  Usage usage;
  usage.begin();
  for (uint64_t answered = 0;; ++answered) {
    receive_one(receiver, reader);
    if (reader.stopped()) break;
    sender.send(size, writer);
  }
  usage.end(outcome);
  outcome.bad_count = reader.bad_count();
  return ok();
}

template <Subject S>
Status produce(S& line, const Plan& plan, uint64_t size, uint32_t producer, Stage& stage,
               Outcome& outcome) {
  LL_TRY(sender, line.sender());
  Writer writer(size, producer);
  stage.meet();
  const uint64_t whole_ns = plan.measure_ns + warm_ns(plan);
  const uint64_t deadline = TscClock::ticks() + plan.clock.ticks_of(whole_ns);
  Usage usage;
  usage.begin();
  do {
    for (uint64_t index = 0; index < messages_per_look; ++index) sender.send(size, writer);
  } while (TscClock::ticks() < deadline);
  usage.end(outcome);
  send_stop(sender, writer);
  return ok();
}

// The rate counts from the first message after the warm-up to the last one.
template <uint32_t producers, Subject S>
Status consume(S& line, const Plan& plan, uint64_t size, Stage& stage, Outcome& outcome) {
  LL_TRY(receiver, line.receiver());
  Reader<producers> reader(size);
  Backoff backoff;
  const auto poll = [&] {
    if (receiver.poll(reader, batch_max) == 0) backoff.wait();
  };
  stage.meet();
  const uint64_t measured_from = TscClock::ticks() + plan.clock.ticks_of(warm_ns(plan));
  do {
    for (int index = 0; index < 16 && !reader.stopped(); ++index) poll();
  } while (TscClock::ticks() < measured_from);
  Usage usage;
  usage.begin();
  const uint64_t warm_count = reader.count();
  while (!reader.stopped()) poll();
  usage.end(outcome);
  outcome.message_count = reader.count() - warm_count;
  outcome.bad_count = reader.bad_count();
  return ok();
}

// Sends one message a millisecond to a sleeper and spins for the answer.
template <SleepingSubject S>
Status rouse(S& there, S& back, const Plan& plan, uint64_t size, Stage& stage, Outcome& outcome) {
  LL_TRY(sender, there.sender());
  LL_TRY(receiver, back.receiver());
  Writer writer(size);
  Reader<> reader(size);
  stage.meet();
  const uint64_t measured_from_ns = monotonic_ns() + warm_ns(plan);
  const uint64_t deadline_ns = measured_from_ns + plan.measure_ns;
  Usage usage;
  usage.begin();
  // By time, not by count: on a busy machine a millisecond's sleep may last fifty.
  for (uint64_t now_ns = 0; now_ns < deadline_ns; now_ns = monotonic_ns()) {
    ::nanosleep(&wake_interval, nullptr);
    const uint64_t begin = TscClock::ticks();
    sender.send(size, writer);
    receive_one(receiver, reader);
    const uint64_t span = TscClock::ticks() - begin;
    if (now_ns >= measured_from_ns) outcome.latency_ns.record(plan.clock.ns(span));
  }
  usage.end(outcome);
  send_stop(sender, writer);
  outcome.bad_count = reader.bad_count();
  return ok();
}

template <SleepingSubject S>
Status doze(S& there, S& back, uint64_t size, Stage& stage, Outcome& outcome) {
  LL_TRY(receiver, there.receiver());
  LL_TRY(sender, back.sender());
  Writer writer(size);
  Reader<> reader(size);
  stage.meet();
  Usage usage;
  usage.begin();
  for (;;) {
    if (receiver.poll(reader, 1) == 0) {
      receiver.sleep(sleep_ns_max);
      continue;
    }
    if (reader.stopped()) break;
    sender.send(size, writer);
  }
  usage.end(outcome);
  outcome.bad_count = reader.bad_count();
  return ok();
}

}  // namespace loops_detail

// Round trips of one message between two processes that both spin.
template <Subject S>
Result<Measurement> measure_rtt(const Plan& plan, uint64_t size) {
  using namespace loops_detail;
  LL_TRY(there, S::make({size, plan.ring_bytes, 1}));
  LL_TRY(back, S::make({size, plan.ring_bytes, 1}));
  const Role roles[] = {
      {"ping",
       {plan.cpus[0]},
       [&](Stage& stage, Outcome& out) { return ping(*there, *back, plan, size, stage, out); }},
      {"pong",
       {plan.cpus[1]},
       [&](Stage& stage, Outcome& out) { return pong(*there, *back, size, stage, out); }},
  };
  LL_TRY(outcomes, run_roles(roles, timeout_ns(plan)));
  LL_TRY_STATUS(check_good("rtt", S::name, outcomes[0].bad_count + outcomes[1].bad_count));
  Measurement measurement;
  measurement.latency_ns = std::make_unique<Histogram>(outcomes[0].latency_ns);
  measurement.message_count = outcomes[0].latency_ns.count();
  measurement.delayed_share =
      share(outcomes[0].delayed_ns + outcomes[1].delayed_ns, outcomes[0].wall_ns);
  return measurement;
}

// Messages a second from one producer to one consumer, each on its own processor.
template <Subject S>
Result<Measurement> measure_one_way(const Plan& plan, uint64_t size) {
  using namespace loops_detail;
  LL_TRY(line, S::make({size, plan.ring_bytes, 1}));
  const Role roles[] = {
      {"consumer",
       {plan.cpus[1]},
       [&](Stage& stage, Outcome& out) { return consume<1>(*line, plan, size, stage, out); }},
      {"producer",
       {plan.cpus[0]},
       [&](Stage& stage, Outcome& out) { return produce(*line, plan, size, 0, stage, out); }},
  };
  LL_TRY(outcomes, run_roles(roles, timeout_ns(plan)));
  LL_TRY_STATUS(check_good("one-way", S::name, outcomes[0].bad_count));
  Measurement measurement;
  measurement.message_count = outcomes[0].message_count;
  measurement.rate_per_s = 1e9 * share(outcomes[0].message_count, outcomes[0].wall_ns);
  measurement.delayed_share =
      share(outcomes[0].delayed_ns + outcomes[1].delayed_ns, outcomes[0].wall_ns);
  return measurement;
}

// Messages a second from two producers, one on each processor, to a consumer that shares the second
// processor with one of them: three busy processes on two processors, so somebody always waits.
template <Subject S>
Result<Measurement> measure_two_producers(const Plan& plan, uint64_t size) {
  using namespace loops_detail;
  LL_TRY(line, S::make({size, plan.ring_bytes, 2}));
  const Role roles[] = {
      {"consumer",
       {plan.cpus[1]},
       [&](Stage& stage, Outcome& out) { return consume<2>(*line, plan, size, stage, out); }},
      {"first producer",
       {plan.cpus[0]},
       [&](Stage& stage, Outcome& out) { return produce(*line, plan, size, 0, stage, out); }},
      {"second producer",
       {plan.cpus[1]},
       [&](Stage& stage, Outcome& out) { return produce(*line, plan, size, 1, stage, out); }},
  };
  LL_TRY(outcomes, run_roles(roles, timeout_ns(plan)));
  LL_TRY_STATUS(check_good("two-producers", S::name, outcomes[0].bad_count));
  Measurement measurement;
  measurement.message_count = outcomes[0].message_count;
  measurement.rate_per_s = 1e9 * share(outcomes[0].message_count, outcomes[0].wall_ns);
  return measurement;
}

// Round trips to a sleeping consumer: one message a millisecond, the sender spins for the answer.
template <SleepingSubject S>
Result<Measurement> measure_wake(const Plan& plan, uint64_t size) {
  using namespace loops_detail;
  LL_TRY(there, S::make({size, plan.ring_bytes, 1, true}));
  LL_TRY(back, S::make({size, plan.ring_bytes, 1, true}));
  const Role roles[] = {
      {"sender",
       {plan.cpus[0]},
       [&](Stage& stage, Outcome& out) { return rouse(*there, *back, plan, size, stage, out); }},
      {"sleeper",
       {plan.cpus[1]},
       [&](Stage& stage, Outcome& out) { return doze(*there, *back, size, stage, out); }},
  };
  LL_TRY(outcomes, run_roles(roles, timeout_ns(plan)));
  LL_TRY_STATUS(check_good("wake", S::name, outcomes[0].bad_count + outcomes[1].bad_count));
  Measurement measurement;
  measurement.latency_ns = std::make_unique<Histogram>(outcomes[0].latency_ns);
  measurement.message_count = outcomes[0].latency_ns.count();
  measurement.cpu_share = share(outcomes[1].cpu_ns, outcomes[1].wall_ns);
  measurement.delayed_share =
      share(outcomes[0].delayed_ns + outcomes[1].delayed_ns, outcomes[0].wall_ns);
  return measurement;
}

using Measure = Result<Measurement> (*)(const Plan&, uint64_t size);

// One case of a subject under a bench's name: add_case<Spsc>(cases, "rtt", 256, measure_rtt<Spsc>).
template <Subject S>
Case& add_case(Cases& cases, const char* bench, uint64_t size, Measure measure) {
  return cases.emplace_back(
      Case{bench, S::name, S::version(), size,
           [measure, size](const Plan& plan) { return measure(plan, size); }});
}

// The wake bench needs longer for as many samples, and the kernel's 30 us hide the link.
template <SleepingSubject S>
void add_wake(Cases& cases, const char* bench = "wake") {
  Case& added = add_case<S>(cases, bench, message_sizes[0], measure_wake<S>);
  added.link_matters = false;
  added.time_factor = 5;
}

// The rows of everything that carries messages of any size, from one producer or two.
template <SleepingSubject S>
void add_message_cases(Cases& cases) {
  for (const uint64_t size : message_sizes) {
    add_case<S>(cases, "rtt", size, measure_rtt<S>);
    add_case<S>(cases, "one-way", size, measure_one_way<S>);
  }
  for (const uint64_t size : {message_sizes[0], message_sizes[1]}) {
    add_case<S>(cases, "two-producers", size, measure_two_producers<S>);
  }
  add_wake<S>(cases);
}

}  // namespace loopline::perf
