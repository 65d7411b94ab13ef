// Round: one station's life under torture, from its first message to its last, and the reckoning.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "message.h"
#include "shm/base/clock.h"
#include "shm/producer.h"
#include "torture.h"

namespace loopline::crash {
namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint64_t stuck_after_ns = 20 * second;
constexpr uint64_t finish_within_ns = 30 * second;
constexpr uint64_t stop_min_ns = 1'000'000;
constexpr uint64_t stop_max_ns = 30'000'000;
constexpr uint64_t long_stop_max_ns = 200'000'000;
constexpr useconds_t tick_us = 500;
constexpr uint32_t slots_each = 16;

struct Live {
  Role role = Role::producer;
  pid_t pid = 0;        // 0: not running
  bool killed = false;  // by us
  bool stopped = false;
  uint64_t continue_ns = 0;
  uint64_t stopped_ns = 0;
  uint64_t stopped_at = 0;  // where the witness was
};

class Round {
 public:
  Round(const PrivateInstance& instance, Board& board, const RoundPlan& plan, Tally& tally,
        const std::atomic<bool>& interrupted)
      : instance_(instance),
        board_(board),
        plan_(plan),
        tally_(tally),
        interrupted_(interrupted),
        random_(plan.seed) {}

  bool run() {
    start();
    const uint64_t end = monotonic_ns() + plan_.duration_ns;
    uint64_t next_kill = monotonic_ns() + after(plan_.kill_mean_us);
    uint64_t next_stop = monotonic_ns() + after(plan_.stop_mean_us);
    while (sane() && !interrupted_ && monotonic_ns() < end &&
           board_.journals.writer_count + children_max < writers_max) {
      ::usleep(tick_us);
      look_after(true);
      const uint64_t now = monotonic_ns();
      if (now >= next_kill) {
        kill_somebody();
        next_kill = now + after(plan_.kill_mean_us);
      }
      if (now >= next_stop) {
        stop_somebody();
        next_stop = now + after(plan_.stop_mean_us);
      }
    }
    if (sane()) finish();
    if (!sane()) dump();
    kill_all();
    reckon();
    return sane();
  }

 private:
  uint64_t after(uint32_t mean_us) {
    return mean_us == 0 ? second * 3600 : below(random_, 2000ull * mean_us);
  }
  bool sane() const { return board_.wrong_count == 0; }

  void start();
  void launch(size_t index);
  void look_after(bool replace);
  void bury(size_t index, int status, bool replace);
  void count_death(const ChildSlot& slot, Role role, bool killed);
  void kill_somebody();
  void stop_somebody();
  void note_stop(Live& live);
  void wake(Live& live);
  void wake_in_time();
  void watch_progress();
  void finish();
  bool wait_for(Role role);
  void publish_last();
  void reckon();
  void reckon_fillers();
  void kill_all();
  void dump();

  const PrivateInstance& instance_;
  Board& board_;
  const RoundPlan& plan_;
  Tally& tally_;
  const std::atomic<bool>& interrupted_;
  Random random_;
  std::vector<Live> lives_;
  std::shared_ptr<shm::Attached> attached_;
  uint64_t births_ = 0;
  uint64_t deaths_in_ring_ = 0;
  uint64_t started_position_ = 0;
  uint64_t seals_before_ = 0;
};

void Round::start() {
  std::memset(static_cast<void*>(&board_.journals), 0, sizeof board_.journals);
  board_.quit = 0;
  board_.witness_position = board_.witness_sequence = board_.witness_messages = 0;
  board_.read_by_others = 0;
  board_.witness_ns = monotonic_ns();
  seals_before_ = board_.seals;
  shm::RingOptions options;
  options.station = torture_station;
  options.capacity = plan_.capacity;
  options.exclusive = plan_.exclusive;
  options.producer_slots = options.cursor_slots = slots_each;
  attached_ = instance_.create(options);
  started_position_ = attached_->ring().window_start().first;
  // The witness first: it sees the log from its first message on.
  for (size_t role = role_count; role-- > 0;) {
    for (uint32_t count = 0; count < plan_.counts[role]; ++count) {
      lives_.push_back({});
      lives_.back().role = static_cast<Role>(role);
    }
  }
  launch(0);
  while (board_.children[0].phase < Phase::reading && sane()) {
    ::usleep(tick_us);
    look_after(false);
  }
  for (size_t index = 1; index < lives_.size(); ++index) launch(index);
}

void Round::launch(size_t index) {
  Live& live = lives_[index];
  ChildSlot& slot = board_.children[index];
  slot.phase = Phase::starting;
  slot.vitals.locks = 0;
  slot.vitals.open_sequence = 0;
  slot.writer = live.role == Role::producer ? ++board_.journals.writer_count : 0;
  const ChildContext context{
      instance_, board_, slot, index, plan_, live.role, plan_.seed * 1'000'003 + ++births_};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) give_up("cannot fork", std::strerror(errno));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int status = run_child(context);
    disarm();
    ::_exit(status);
  }
  const Role role = live.role;
  live = {};
  live.role = role;
  live.pid = pid;
  if (role == Role::producer) ++board_.producers_alive;
}

// Whatever happened to the children since the last look: buried, replaced, woken.
void Round::look_after(bool replace) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid <= 0) break;
    for (size_t index = 0; index < lives_.size(); ++index) {
      if (lives_[index].pid != pid) continue;
      if (WIFSTOPPED(status))
        note_stop(lives_[index]);
      else
        bury(index, status, replace);
      break;
    }
  }
  wake_in_time();
  watch_progress();
}

void Round::bury(size_t index, int status, bool replace) {
  Live& live = lives_[index];
  const ChildSlot& slot = board_.children[index];
  if (live.role == Role::producer) --board_.producers_alive;
  if (live.stopped) wake(live);
  live.pid = 0;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    count_death(slot, live.role, live.killed);
    if (replace) launch(index);
    return;
  }
  if (WIFSIGNALED(status)) {
    board_.wrong("child " + std::to_string(index) + " ended by signal " +
                 std::to_string(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) != 0 && sane()) {
    board_.wrong("child " + std::to_string(index) + " ended with " +
                 std::to_string(WEXITSTATUS(status)));
  }
}

Fate fate_of(Role role, Phase phase, bool in_lock) {
  if (in_lock) return Fate::holding_lock;
  switch (role) {
    case Role::producer:
      return phase == Phase::claiming || phase == Phase::open || phase == Phase::committing
                 ? Fate::producer_inside
                 : Fate::producer_outside;
    case Role::repairer:
      return Fate::repairer;
    case Role::sealer:
      return Fate::sealer;
    case Role::lossy:
      return phase == Phase::waiting ? Fate::parker : Fate::lossy;
    default:
      break;
  }
  if (phase == Phase::waiting) return Fate::parker;
  return phase == Phase::reading ? Fate::consumer_reading : Fate::joiner;
}

void Round::count_death(const ChildSlot& slot, Role role, bool killed) {
  ++tally_.deaths[static_cast<size_t>(fate_of(role, slot.phase, slot.vitals.locks > 1))];
  ++(killed ? tally_.from_outside : tally_.by_hand);
  ++deaths_in_ring_;
}

void Round::kill_somebody() {
  const size_t index = 1 + below(random_, lives_.size() - 1);
  Live& live = lives_[index];
  if (live.pid == 0 || live.killed) return;
  ChildSlot& slot = board_.children[index];
  slot.vitals.note_death(monotonic_ns());
  live.killed = true;
  ::kill(live.pid, SIGKILL);
}

void Round::stop_somebody() {
  const size_t index = below(random_, lives_.size());
  if (lives_[index].pid != 0) ::kill(lives_[index].pid, SIGSTOP);
}

void Round::note_stop(Live& live) {
  if (live.stopped) return;
  ++board_.stopped_count;
  ++board_.stop_serial;
  ++tally_.stops;
  live.stopped = true;
  live.stopped_ns = monotonic_ns();
  live.continue_ns = live.stopped_ns + stop_min_ns + below(random_, stop_max_ns);
  live.stopped_at = board_.witness_position;
}

void Round::wake(Live& live) {
  const uint64_t laps = (board_.witness_position - live.stopped_at) / plan_.capacity;
  if (laps >= 1) ++tally_.stops_over_a_lap;
  if (laps >= 10) ++tally_.stops_over_ten_laps;
  live.stopped = false;
  ++board_.stop_serial;
  --board_.stopped_count;
  if (live.pid != 0) ::kill(live.pid, SIGCONT);
}

// One that holds nobody back stays stopped for longer, so that the ring goes round many times.
void Round::wake_in_time() {
  const uint64_t now = monotonic_ns();
  for (Live& live : lives_) {
    if (!live.stopped || now < live.continue_ns) continue;
    const bool holds_nobody = now - board_.witness_ns < 1'000'000;
    if (holds_nobody && now - live.stopped_ns < long_stop_max_ns) continue;
    wake(live);
  }
}

void Round::watch_progress() {
  const uint64_t last = board_.witness_ns;
  const uint64_t now = monotonic_ns();
  if (now > last && now - last > stuck_after_ns) {
    board_.wrong("stuck: the witness got nothing for " + std::to_string((now - last) / second) +
                 " s, at sequence " + std::to_string(board_.witness_sequence));
  }
}

// The producers end by themselves, the last message is published, the readers read to it.
void Round::finish() {
  board_.quit = 1;
  for (const Role role : {Role::producer, Role::joiner, Role::repairer, Role::sealer}) {
    if (!wait_for(role)) return;
  }
  publish_last();
  for (const Role role : {Role::witness, Role::consumer, Role::lossy}) {
    if (!wait_for(role)) return;
  }
}

bool Round::wait_for(Role role) {
  const uint64_t deadline = monotonic_ns() + finish_within_ns;
  for (;;) {
    size_t running = 0;
    for (const Live& live : lives_) running += live.role == role && live.pid != 0;
    if (running == 0 || !sane()) return sane();
    board_.witness_ns = monotonic_ns();  // has its own deadline here
    look_after(false);
    ::usleep(tick_us);
    if (monotonic_ns() > deadline) {
      board_.wrong("role " + std::to_string(static_cast<uint32_t>(role)) + " does not end");
      return false;
    }
  }
}

void Round::publish_last() {
  attached_ =
      need(instance_.attach(torture_station, shm::Access::produce), "cannot attach at the end");
  auto producer = shm::Producer::open(attached_);
  if (!producer) return board_.wrong("no producer at the end: " + producer.fault().message());
  shm::OpenFrame frame;
  ProducerJournal& journal = board_.journals.producers[last_writer];
  journal.intending = 1;
  // Readers that were killed or stopped meanwhile hold the window: look after them while we wait.
  for (;;) {
    const Status claimed = producer->claim(message_size_min, monotonic_ns() + second / 100, frame);
    if (claimed) break;
    if (claimed.fault().code() != FaultCode::timed_out) {
      return board_.wrong("no last message: " + claimed.fault().message());
    }
    look_after(false);
    if (!sane()) return;
  }
  const MessageHead head{last_writer, message_size_min, 1, 0, 0};
  write_message(frame.body, head, {frame.claim.position, frame.claim.sequence, plan_.capacity},
                false, random_);
  journal.first_sequence = frame.claim.sequence;
  journal.committed = 1;
  const Status committed = producer->commit(frame, 0);
  if (!committed) board_.wrong("no last commit: " + committed.fault().message());
}

// What the witness received against every journal, and the sequences against the messages.
void Round::reckon() {
  const Journals& journals = board_.journals;
  tally_.rounds += 1;
  tally_.writers += journals.writer_count;
  tally_.messages += board_.witness_messages;
  tally_.read_by_others += board_.read_by_others;
  tally_.laps += (board_.witness_position - started_position_) / plan_.capacity;
  tally_.seals += board_.seals - seals_before_;
  if (sane() && !interrupted_) reckon_fillers();
  attached_.reset();
  if (!sane()) return;  // left as it is; the instance is removed at the end
  instance_.remove(torture_station);
  if (sane() && instance_.file_count() != 0) board_.wrong("files are left of a removed station");
}

void Round::reckon_fillers() {
  const Journals& journals = board_.journals;
  uint64_t aborts = 0;
  for (uint32_t writer = 1; writer <= journals.writer_count; ++writer) {
    const ProducerJournal& journal = journals.producers[writer];
    aborts += journal.aborts;
    const uint64_t received = journal.received;
    if (received < journal.committed || received > journal.intending) {
      return board_.wrong("witness: writer " + std::to_string(writer) + " committed " +
                          std::to_string(journal.committed) + ", received " +
                          std::to_string(received));
    }
  }
  const shm::ControlBlock& control = *attached_->ring().control;
  tally_.repairs += control.repairs.load(std::memory_order_relaxed);
  tally_.reaped += control.reaped.load(std::memory_order_relaxed);
  tally_.fillers += control.fillers.load(std::memory_order_relaxed);
  // Dense: every sequence is a message, or a filler that somebody can account for.
  const uint64_t fillers = board_.witness_sequence - board_.witness_messages;
  const uint64_t seals = attached_->header().generation - 1;
  if (fillers > aborts + deaths_in_ring_ + seals) {
    board_.wrong("not dense: " + std::to_string(fillers) + " fillers, " + std::to_string(aborts) +
                 " aborts, " + std::to_string(deaths_in_ring_) + " deaths");
  }
}

void Round::kill_all() {
  for (Live& live : lives_) {
    if (live.pid == 0) continue;
    ::kill(live.pid, SIGKILL);
    int status = 0;
    ::waitpid(live.pid, &status, 0);
    if (live.stopped) {
      live.pid = 0;
      wake(live);
    }
    live.pid = 0;
  }
  board_.producers_alive = 0;
}

// The state of the ring, for whoever has to find out what went wrong.
void Round::dump() {
  auto now = instance_.attach(torture_station, shm::Access::look);
  for (uint64_t index = 0; index < 2 && index < board_.wrong_count; ++index) {
    std::fprintf(stderr, "WRONG: %s\n", board_.wrongs[index]);
  }
  if (!now) return;
  const shm::Ring& ring = (*now)->ring();
  const auto hint = ring.control->hint.pair.load(std::memory_order_relaxed);
  const auto start = ring.window_start();
  std::fprintf(
      stderr, "ring: generation %u, seal %llx, hint %llu/%llu, window %llu/%llu to %llu\n",
      (*now)->header().generation,
      static_cast<unsigned long long>(ring.control->seal.state.load(std::memory_order_relaxed)),
      static_cast<unsigned long long>(hint.first), static_cast<unsigned long long>(hint.second),
      static_cast<unsigned long long>(start.first), static_cast<unsigned long long>(start.second),
      static_cast<unsigned long long>(ring.limit_now()));
  const Pair gate = ring.control->gate.pair.load(std::memory_order_relaxed);
  std::fprintf(stderr, "gate: %llu/%llu\n", static_cast<unsigned long long>(gate.first),
               static_cast<unsigned long long>(gate.second));
  for (uint32_t slot = 0; slot < ring.cursor_slots; ++slot) {
    const uint64_t owner = ring.cursors[slot].owner.load(std::memory_order_relaxed);
    const Pair cursor = ring.cursors[slot].cursor.load(std::memory_order_relaxed);
    if (owner == shm::nobody && cursor == shm::no_cursor) continue;
    std::fprintf(stderr, "cursor %u: %llu/%llu owner %llx alive %d\n", slot,
                 static_cast<unsigned long long>(cursor.first),
                 static_cast<unsigned long long>(cursor.second),
                 static_cast<unsigned long long>(owner),
                 (*now)->roster().alive(owner & ~shm::repairing_bit));
  }
  for (uint32_t slot = 0; slot < ring.producer_slots; ++slot) {
    const uint64_t owner = ring.producers[slot].owner.load(std::memory_order_relaxed);
    if (owner == shm::nobody) continue;
    std::fprintf(stderr, "producer %u: owner %llx alive %d\n", slot,
                 static_cast<unsigned long long>(owner),
                 (*now)->roster().alive(owner & ~shm::repairing_bit));
  }
  for (size_t index = 0; index < lives_.size(); ++index) {
    std::fprintf(stderr, "child %zu: role %u pid %d phase %u locks %u stopped %d\n", index,
                 static_cast<uint32_t>(lives_[index].role), lives_[index].pid,
                 static_cast<uint32_t>(board_.children[index].phase.load()),
                 board_.children[index].vitals.locks.load(), lives_[index].stopped);
  }
}

}  // namespace

bool run_round(const PrivateInstance& instance, Board& board, const RoundPlan& plan, Tally& tally,
               const std::atomic<bool>& interrupted) {
  return Round(instance, board, plan, tally, interrupted).run();
}

}  // namespace loopline::crash
