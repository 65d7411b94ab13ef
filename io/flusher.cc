// Flusher: the loop, and the calls that reach it from other threads.
#include "flusher.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <utility>

#include "log/posix_disk.h"
#include "shm/base/clock.h"
#include "shm/bell.h"
#include "shm/bus_guard.h"

namespace loopline::io {
namespace {

constexpr uint64_t look_every_ns = 1'000'000;
constexpr uint64_t sleep_max_ns = 1'000'000'000;
constexpr uint64_t drain_look_ns = 200'000;
constexpr size_t done_max = 16;
constexpr size_t openers_max = 16;
constexpr uint32_t yield_every = 8;

Fault not_flushed(const shm::StationName& name, uint32_t partition) {
  return {FaultCode::not_found, "partition " + std::to_string(partition) + " of station \"" +
                                    name.text() + "\" is not flushed here"};
}

// A log takes three descriptors; shells give out a thousand and let us have more.
void allow_many_files() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

Result<std::unique_ptr<Flusher>> Flusher::start(const FlusherOptions& options) {
  allow_many_files();
  auto flusher = std::unique_ptr<Flusher>(new Flusher(options));
  std::promise<void> ready;
  Status started;
  auto waiting = ready.get_future();
  flusher->thread_ = std::thread([&started, &ready, raw = flusher.get()] {
    auto storage = make_storage(raw->options_.storage, raw->options_.depth, raw->why_not_);
    if (!storage) started = storage.fault();
    if (storage) raw->storage_ = std::move(*storage);
    const bool may_run = raw->storage_ != nullptr;
    ready.set_value();
    if (may_run) raw->run();
  });
  waiting.wait();
  if (!started) {
    flusher->thread_.join();
    return started.fault();
  }
  flusher->storage_name_ = flusher->storage_->name();
  return flusher;
}

Flusher::~Flusher() {
  if (thread_.joinable()) (void)stop();
}

// ---- calls from other threads -----------------------------------------------

void Flusher::call(std::function<void()> work) {
  std::promise<void> done;
  {
    const std::lock_guard guard(mutex_);
    calls_.push_back([&] {
      work();
      done.set_value();
    });
    has_calls_.store(true, std::memory_order_release);  // release [calls]
  }
  shm::ring_if_parked(call_bell_);
  done.get_future().wait();
}

bool Flusher::take_calls() {
  if (!has_calls_.load(std::memory_order_acquire)) return false;  // acquire [calls]
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard guard(mutex_);
    calls.swap(calls_);
    has_calls_.store(false, std::memory_order_relaxed);  // relaxed: under the lock
  }
  for (const auto& call : calls) call();
  return true;
}

Status Flusher::add(const FlushSource& source) {
  const shm::BusGuard guard;
  auto opened = FlushLog::open(posix_disk(), chores_, source, utc_ns());
  if (!opened) return opened.fault();
  // From here on it is the thread's, and ends there: a chore of it may come back at any time.
  std::shared_ptr<FlushLog> log = std::move(*opened);
  Status attached;
  if (guard.was_hit()) {
    attached = Fault(FaultCode::corrupted, "the ring of station \"" + source.name.text() +
                                               "\" is being cut short by somebody");
  }
  call([&] {
    if (attached) attached = log->attach(options_.rest_after_ns);
    if (!attached) return log.reset();
    awake_.push_back(log.get());
    logs_.push_back(std::move(log));
  });
  return attached;
}

// An opening waits for four syncs or so, which a journal takes in groups.
std::vector<Status> Flusher::add_all(std::span<const FlushSource> sources) {
  std::vector<Status> added(sources.size());
  std::atomic<size_t> next{0};
  const auto open_some = [&] {
    block_file_size_signal();
    for (;;) {
      const size_t index = next.fetch_add(1, std::memory_order_relaxed);  // relaxed: a share only
      if (index >= sources.size()) return;
      added[index] = add(sources[index]);
    }
  };
  std::vector<std::jthread> openers;
  for (size_t count = 0; count < std::min(openers_max, sources.size()); ++count) {
    openers.emplace_back(open_some);
  }
  openers.clear();  // joins
  return added;
}

std::vector<std::shared_ptr<FlushLog>>::iterator Flusher::find_log(const shm::StationName& name,
                                                                   uint32_t partition) {
  return std::find_if(logs_.begin(), logs_.end(), [&](const auto& candidate) {
    return candidate->source().name.text() == name.text() &&
           candidate->source().partition == partition;
  });
}

Status Flusher::reload(const FlushSource& source) {
  Status done = not_flushed(source.name, source.partition);
  call([&] {
    const auto log = find_log(source.name, source.partition);
    if (log == logs_.end() || (*log)->source().log.id != source.log.id) return;
    (*log)->reload(source);
    if ((*log)->is_resting()) wake(**log);
    next_look_ns_ = 0;
    done = ok();
  });
  return done;
}

Status Flusher::remove(const shm::StationName& name, uint32_t partition) {
  Status closed = not_flushed(name, partition);
  call([&] {
    const auto log = find_log(name, partition);
    if (log == logs_.end()) return;
    closed = close_log(**log);
    std::erase(awake_, log->get());
    logs_.erase(log);
  });
  return closed;
}

Status Flusher::drain(uint64_t deadline_ns) {
  Targets targets;
  call([&] {
    for (const auto& log : logs_) targets.emplace_back(log, log->frontier());
  });
  Status drained = drain(targets, deadline_ns);
  call([&] { targets.clear(); });  // one that was removed meanwhile ends in the thread
  return drained;
}

Status Flusher::drain(const Targets& targets, uint64_t deadline_ns) {
  for (;;) {
    bool is_done = true;
    std::optional<Fault> fault;
    call([&] {
      for (const auto& [log, position] : targets) {
        if (log->failed()) fault = *log->failed();
        if (!log->has_reached(position)) is_done = false;
        if (!log->has_reached(position) && log->log().starved()) fault = *log->log().starved();
      }
    });
    if (fault) return *fault;
    if (is_done) return ok();
    if (monotonic_ns() >= deadline_ns) {
      return Fault(FaultCode::timed_out, "the disk did not take all messages in time");
    }
    std::this_thread::sleep_for(std::chrono::nanoseconds(drain_look_ns));
  }
}

std::vector<FlushStatus> Flusher::status() {
  std::vector<FlushStatus> all;
  call([&] {
    for (const auto& log : logs_) {
      const LogWriter& writer = log->log();
      const auto size = writer.size();
      FlushStatus one;
      one.name = log->source().name;
      one.partition = log->source().partition;
      one.begin = writer.begin();
      one.durable = writer.durable();
      one.end = writer.end();
      one.segments = size.segments;
      one.disk_bytes = size.bytes;
      one.bytes_written = writer.bytes_written();
      one.frames_written = writer.frames_written();
      one.times = log->times().picture(monotonic_ns());
      one.is_resting = log->is_resting();
      one.failed = log->failed();
      one.starved = writer.starved();
      one.gaps = writer.recovered().gaps;
      all.push_back(std::move(one));
    }
  });
  return all;
}

Status Flusher::stop() {
  Status stopped;
  call([&] {
    for (const auto& log : logs_) {
      Status closed = close_log(*log);
      if (stopped && !closed) stopped = closed.fault();
    }
    awake_.clear();
    logs_.clear();
    is_over_ = true;
  });
  thread_.join();
  return stopped;
}

// Waits out what is in flight, then marks the log as closed.
Status Flusher::close_log(FlushLog& log) {
  watch_.remove(&log);
  while (!log.is_quiet()) {
    if (!reap()) storage_->wait({}, monotonic_ns() + look_every_ns);
  }
  while (!chores_.is_idle()) {
    if (!chores_.collect()) std::this_thread::yield();
  }
  return log.close(utc_ns());
}

// ---- the loop ---------------------------------------------------------------

bool Flusher::reap() {
  WriteDone done[done_max];
  const size_t count = storage_->reap(done);
  for (size_t index = 0; index < count; ++index) {
    const auto slot = static_cast<uint32_t>(done[index].token);
    FlushSlots::Slot& used = (*slots_)[slot];
    FlushLog* const owner = used.owner;
    const bool is_footer = used.is_footer;
    slots_->give_back(slot);
    owner->completed(slot, is_footer, done[index].error);
  }
  return count != 0;
}

bool Flusher::step(uint64_t now_ns) {
  bool any = take_calls();
  any |= wake_rung();
  any |= reap();
  for (FlushLog* const log : awake_) any |= log->submit(*storage_, *slots_, now_ns);
  // What was just submitted goes out at once.
  if (any) any |= reap();
  return any;
}

void Flusher::look_after(uint64_t now_ns) {
  for (FlushLog* const log : awake_) log->look_after(*storage_, *slots_, now_ns);
  look_at_resting(now_ns);
  const auto over = [](const auto& log) { return log->is_over() && log->is_quiet(); };
  std::erase_if(awake_, over);
  std::erase_if(logs_, over);
  let_rest();
}

// ---- those that rest --------------------------------------------------------

void Flusher::let_rest() {
  std::erase_if(awake_, [&](FlushLog* log) {
    BellTicket by;
    if (!log->lie_down(by)) return false;
    if (by.bell != nullptr) watch_.add(log, by);
    return true;
  });
}

void Flusher::wake(FlushLog& log) {
  watch_.remove(&log);
  log.get_up();
  awake_.push_back(&log);
}

bool Flusher::wake_rung() {
  const std::vector<void*> rung = watch_.take_rung();
  for (void* const log : rung) wake(*static_cast<FlushLog*>(log));
  return !rung.empty();
}

// As many of them as there was time for since we asked last.
void Flusher::look_at_resting(uint64_t now_ns) {
  const uint64_t now = monotonic_ns();
  const uint64_t round_ns = std::max<uint64_t>(options_.resting_round_ns, 1);
  const uint64_t since_ns = std::min(now - asked_resting_ns_, round_ns);
  uint64_t count = logs_.size() * since_ns / round_ns;
  if (count == 0 || awake_.size() == logs_.size()) return;
  asked_resting_ns_ = now;
  for (; count > 0; --count) {
    FlushLog& log = *logs_[next_resting_++ % logs_.size()];
    if (log.is_resting() && log.stirs(*storage_, *slots_, now_ns)) wake(log);
  }
}

void Flusher::sleep() {
  std::vector<BellTicket> bells;
  bells.push_back({&call_bell_, shm::prepare_to_park(call_bell_, 1)});
  bells.push_back({&chores_.bell(), shm::prepare_to_park(chores_.bell(), 1)});
  const bool is_any_resting = awake_.size() != logs_.size();
  uint64_t deadline_ns =
      monotonic_ns() +
      (is_any_resting ? std::min(options_.resting_round_ns, sleep_max_ns) : sleep_max_ns);
  for (FlushLog* const log : awake_) {
    if (!log->prepare_to_sleep(bells)) return;
    deadline_ns = std::min(deadline_ns, log->due_ns());
  }
  if (has_calls_.load(std::memory_order_acquire)) return;  // acquire [calls]: the last look
  if (watch_.has_rung()) return;
  if (chores_.collect()) return;
  storage_->wait(bells, deadline_ns);
}

void Flusher::run() {
  shm::guard_this_thread();  // each log asks on its own account, with a guard of its own
  block_file_size_signal();
  slots_ = std::make_unique<FlushSlots>(options_.depth, LogWriter::buffer_bytes(batch_bytes_max));
  uint32_t idle_rounds = 0;
  while (!is_over_) {
    const uint64_t now_ns = utc_coarse_ns();
    const bool any = step(now_ns);
    const uint64_t now = monotonic_ns();
    if (now >= next_look_ns_ || chores_.collect()) {
      next_look_ns_ = now + look_every_ns;
      look_after(now_ns);
    }
    if (any) spin_until_ns_ = now + shm::spin_budget_ns;
    const bool may_spin = options_.wait == shm::WaitKind::spin ||
                          (options_.wait == shm::WaitKind::adaptive && now < spin_until_ns_);
    if (!any && !may_spin) sleep();
    // The disk's completions run on this core too: who spins without manners waits for the end of
    // its own time slice (p50 3.5 ms instead of 0.14).
    if (!any && may_spin && ++idle_rounds % yield_every == 0) ::sched_yield();
  }
  storage_.reset();  // in the thread that made it
}

}  // namespace loopline::io
