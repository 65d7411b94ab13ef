// Roles: what a child of the torture does between its birth and its death.
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "message.h"
#include "shm/base/clock.h"
#include "shm/producer.h"
#include "shm/readiness.h"
#include "torture.h"

namespace loopline::crash {
namespace {

constexpr uint64_t millisecond = 1'000'000;
constexpr int exit_wrong = 2;
constexpr size_t run_max = 64;
constexpr int listen_ms_max = 10'000;  // ten times what its timer takes

shm::WaitKind random_wait(Random& random) {
  constexpr shm::WaitKind kinds[] = {shm::WaitKind::park, shm::WaitKind::adaptive,
                                     shm::WaitKind::adaptive, shm::WaitKind::spin};
  return kinds[below(random, 4)];
}

// From 1 to 2^bits, small ones as likely as large ones.
uint64_t log_uniform(Random& random, uint32_t bits) {
  const uint64_t range = 1ull << (1 + below(random, bits));
  return 1 + below(random, range);
}

class Child {
 public:
  explicit Child(const ChildContext& context)
      : context_(context), board_(context.board), random_(context.seed) {}

  int run() {
    choose_fate();
    switch (context_.role) {
      case Role::producer:
        return produce();
      case Role::consumer:
      case Role::witness:
        return consume();
      case Role::joiner:
        return come_and_go();
      case Role::lossy:
        return consume_lossy();
      case Role::repairer:
        return repair();
      case Role::sealer:
        return seal();
    }
    return 0;
  }

 private:
  void phase(Phase phase) { context_.slot.phase.store(phase, std::memory_order_relaxed); }
  bool quit() const { return board_.quit.load(std::memory_order_relaxed) != 0; }
  uint64_t soon(uint64_t ms) const { return monotonic_ns() + ms * millisecond; }

  int wrong(const std::string& text) {
    disarm();
    board_.wrong("child " + std::to_string(context_.slot_index) + " " + text);
    return exit_wrong;
  }
  int wrong(const char* what, const Fault& fault) {
    return wrong(std::string(what) + ": " + name_of(fault.code()) + ": " + fault.message());
  }

  // Where this life ends, if nobody ends it before.
  void choose_fate() {
    if (context_.role == Role::witness || context_.role == Role::repairer) return;
    if (below(random_, 6) == 0) arm_in_lock({Action::die, 1 + below(random_, 96)});
    const uint64_t dice = below(random_, 100);
    if (dice < 45)
      arm({Action::die, log_uniform(random_, 21)});
    else if (dice < 65)
      arm({Action::stop, log_uniform(random_, 18)});
    else if (dice < 75)
      arm({Action::dawdle, 1 + below(random_, 200), 1 + static_cast<uint32_t>(below(random_, 64))});
  }

  Result<std::shared_ptr<shm::Attached>> attach(shm::Access access) {
    return context_.instance.attach(torture_station, access);
  }

  // An exclusive ring has its producer; or the ring lock is held by one who dawdles or stopped.
  bool may_try_again(const Fault& fault) const {
    if (fault.code() == FaultCode::timed_out) return true;
    return fault.code() == FaultCode::too_many && context_.plan.exclusive;
  }
  Result<shm::Consumer> open_reader(const std::shared_ptr<shm::Attached>& attached,
                                    const shm::ConsumerOptions& options) {
    for (;;) {
      auto opened = shm::Consumer::open(attached, options);
      if (opened || opened.fault().code() != FaultCode::timed_out) return opened;
      ::usleep(200);
    }
  }

  int produce();
  uint32_t random_size(uint64_t largest);
  int consume();
  int come_and_go();
  int consume_lossy();
  int repair();
  int seal();
  bool read_run(shm::Consumer& consumer, Examiner& examiner, int& status, size_t& count);
  void witness(const shm::Consumer& consumer, const Examiner& examiner, size_t count);
  Status wait(shm::Consumer& consumer);
  Status listen(shm::Consumer& consumer, shm::Readiness& readiness);
  void watch_deaths(uint64_t sequence, bool progress);

  ChildContext context_;
  Board& board_;
  Random random_;
  shm::FrameView views_[run_max];
  // The witness' notes on deaths it has seen and not got past.
  struct Pending {
    uint64_t since_ns = 0;
    uint64_t until_sequence = 0;
    uint32_t stop_serial = 0;
    Blocked kind = Blocked::other;
  };
  uint64_t handled_[children_max] = {};
  Pending pending_[children_max];
};

uint32_t Child::random_size(uint64_t largest) {
  const uint64_t dice = below(random_, 100);
  uint64_t bound = largest;
  if (dice < 60)
    bound = 96;
  else if (dice < 85)
    bound = 600;
  else if (dice < 95)
    bound = 2500;
  else if (dice < 97)
    return static_cast<uint32_t>(largest);
  if (bound > largest) bound = largest;
  return static_cast<uint32_t>(message_size_min + below(random_, bound - message_size_min + 1));
}

int Child::produce() {
  phase(Phase::starting);
  auto attached = attach(shm::Access::produce);
  if (!attached) return wrong("attach", attached.fault());
  std::optional<shm::Producer> producer;
  while (!producer) {
    if (quit()) return 0;
    auto opened = shm::Producer::open(*attached);
    if (opened) {
      producer = std::move(*opened);
    } else if (may_try_again(opened.fault())) {
      ::usleep(200);
    } else {
      return wrong("open", opened.fault());
    }
  }
  if (context_.plan.exclusive) ++board_.takeovers;
  producer->wait_kind = random_wait(random_);
  Author author(board_.journals, context_.slot.writer, context_.slot.phase, context_.slot.vitals);
  const uint64_t burst = 1 + below(random_, 64);
  for (uint64_t count = 1; !quit(); ++count) {
    Author::Wish wish;
    wish.size = random_size(producer->attached()->header().message_max);
    wish.forge = context_.plan.forge;
    wish.abort = below(random_, 16) == 0;
    wish.deadline_ns = soon(50);
    const Status done = author.publish(*producer, wish, random_);
    if (!done && done.fault().code() != FaultCode::timed_out) return wrong("publish", done.fault());
    if (context_.plan.paced && count % burst == 0)
      ::usleep(static_cast<useconds_t>(below(random_, 2000)));
  }
  return 0;
}

// One read: false ends the life.
bool Child::read_run(shm::Consumer& consumer, Examiner& examiner, int& status, size_t& count) {
  phase(Phase::reading);
  const auto run = consumer.read({views_, 1 + below(random_, run_max)});
  if (!run) {
    status = wrong("read", run.fault());
    return false;
  }
  count = *run;
  examiner.note_gap(consumer.take_gap());
  const shm::Ring& ring = consumer.attached()->ring();
  // Whatever holds a view longer must find the same bytes.
  const bool hold = !consumer.lossy() && below(random_, 64) == 0;
  for (size_t index = 0; index < count; ++index) {
    const shm::FrameView& view = views_[index];
    const uint64_t side = ring.side(view.position).load(std::memory_order_relaxed);
    const uint64_t claimed =
        consumer.lossy() ? shm::frame_size(view.body_size) : ring.side_bytes(side);
    if (!examiner.examine(view, claimed)) break;
  }
  if (hold && count != 0) {
    ::sched_yield();
    MessageHead head;
    if (!read_message(views_[0].body, views_[0].body_size, head)) {
      status = wrong("overwritten while it was held");
      return false;
    }
  }
  if (examiner.wrong().empty()) return !examiner.at_end();
  status = wrong(examiner.wrong());
  return false;
}

// The witness is never killed: what it received is what there was, and it measures how long it got
// nothing after a death.
void Child::witness(const shm::Consumer& consumer, const Examiner& examiner, size_t count) {
  if (count != 0) {
    board_.witness_messages = examiner.messages();
    board_.witness_position = consumer.at().first;
    board_.witness_sequence = examiner.last_sequence();
    board_.witness_ns = monotonic_ns();
  }
  watch_deaths(examiner.last_sequence(), count != 0);
}

void Child::watch_deaths(uint64_t sequence, bool progress) {
  uint64_t now = 0;
  for (size_t index = 0; index < children_max; ++index) {
    const ChildSlot& child = board_.children[index];
    const uint64_t died = child.vitals.died_ns.load(std::memory_order_relaxed);
    Pending& pending = pending_[index];
    if (died != handled_[index]) {
      handled_[index] = died;
      const uint64_t open_sequence = child.vitals.died_open;
      const bool quiet = board_.stopped_count == 0 && board_.producers_alive > 0;
      pending = {};
      pending.until_sequence = open_sequence;
      pending.stop_serial = board_.stop_serial;
      pending.kind = context_.plan.paced      ? Blocked::paced
                     : open_sequence != 0     ? Blocked::inside
                     : child.vitals.locks > 1 ? Blocked::lock
                                              : Blocked::other;
      if (quiet && died != 0) pending.since_ns = died;
    }
    if (pending.since_ns == 0 || !progress) continue;
    if (pending.stop_serial != board_.stop_serial) {
      pending.since_ns = 0;
      continue;
    }
    if (sequence <= pending.until_sequence) continue;
    if (now == 0) now = monotonic_ns();
    if (now > pending.since_ns) {
      board_.blocked[static_cast<size_t>(pending.kind)].record(now - pending.since_ns);
    }
    pending.since_ns = 0;
  }
}

int Child::consume() {
  phase(Phase::starting);
  auto attached = attach(below(random_, 2) == 0 ? shm::Access::consume : shm::Access::produce);
  if (!attached) return wrong("attach", attached.fault());
  phase(Phase::joining);
  shm::ConsumerOptions options;
  options.from = From::earliest;
  options.wait = random_wait(random_);
  auto consumer = open_reader(*attached, options);
  if (!consumer) return wrong("join", consumer.fault());
  Examiner examiner(board_.journals, Examiner::Kind::lossless, consumer->at().second);
  const bool is_witness = context_.role == Role::witness;
  std::optional<shm::Readiness> readiness;  // of one in an event loop
  if (!is_witness && below(random_, 3) == 0) {
    readiness.emplace(need(shm::Readiness::make(), "no descriptor"));
  }
  int status = 0;
  size_t count = 0;
  for (;;) {
    const bool go_on = read_run(*consumer, examiner, status, count);
    if (is_witness) witness(*consumer, examiner, count);
    if (!go_on) break;
    if (count != 0) continue;
    phase(Phase::waiting);
    const Status waited = readiness ? listen(*consumer, *readiness) : wait(*consumer);
    if (!waited) return wrong("wait", waited.fault());
  }
  board_.read_by_others += is_witness ? 0 : examiner.messages();
  if (!is_witness) return status;
  for (uint32_t writer = 0; writer <= writers_max; ++writer) {
    board_.journals.producers[writer].received = examiner.last()[writer];
  }
  return status;
}

Status Child::wait(shm::Consumer& consumer) {
  LL_TRY_STATUS(consumer.wait(soon(50)));
  return ok();
}

// Until it is told: there is no other look than the timer's.
Status Child::listen(shm::Consumer& consumer, shm::Readiness& readiness) {
  shm::Consumer* const all[] = {&consumer};
  LL_TRY_STATUS(readiness.rest(all));
  epoll_event event;
  if (::epoll_wait(readiness.fd(), &event, 1, listen_ms_max) != 0) return ok();
  return Fault(FaultCode::timed_out, "nobody told the event loop, and its timer did not either");
}

// Joins from either end, reads a little, leaves, and again.
int Child::come_and_go() {
  phase(Phase::starting);
  auto attached = attach(shm::Access::consume);
  if (!attached) return wrong("attach", attached.fault());
  while (!quit()) {
    phase(Phase::joining);
    shm::ConsumerOptions options;
    options.from = below(random_, 2) == 0 ? From::earliest : From::latest;
    options.wait = random_wait(random_);
    auto consumer = open_reader(*attached, options);
    if (!consumer) return wrong("join", consumer.fault());
    *attached = consumer->attached();
    const bool latest = options.from == From::latest;
    Examiner examiner(board_.journals, Examiner::Kind::lossless,
                      latest ? Examiner::from_first : consumer->at().second);
    const uint64_t runs = below(random_, 20);
    int status = 0;
    size_t count = 0;
    for (uint64_t run = 0; run < runs; ++run) {
      if (!read_run(*consumer, examiner, status, count)) return status;
      if (count != 0) continue;
      phase(Phase::waiting);
      const auto ready = consumer->wait(soon(2));
      if (!ready) return wrong("wait", ready.fault());
    }
    *attached = consumer->attached();
    phase(Phase::leaving);
    board_.read_by_others += examiner.messages();
  }
  return 0;
}

int Child::consume_lossy() {
  phase(Phase::starting);
  constexpr shm::Access accesses[] = {shm::Access::look, shm::Access::consume,
                                      shm::Access::produce};
  auto attached = attach(accesses[below(random_, context_.plan.sealing ? 2 : 3)]);
  if (!attached) return wrong("attach", attached.fault());
  phase(Phase::joining);
  shm::ConsumerOptions options;
  options.lossy = true;
  options.from = below(random_, 2) == 0 ? From::earliest : From::latest;
  options.wait = random_wait(random_);
  auto consumer = open_reader(*attached, options);
  if (!consumer) return wrong("join", consumer.fault());
  Examiner examiner(board_.journals, Examiner::Kind::lossy, consumer->at().second);
  const useconds_t nap = below(random_, 2) == 0 ? 0 : static_cast<useconds_t>(below(random_, 3000));
  int status = 0;
  size_t count = 0;
  while (read_run(*consumer, examiner, status, count)) {
    if (nap != 0 && below(random_, 8) == 0) ::usleep(nap);
    if (count != 0) continue;
    // One that was slow to start has leapt over the last message: nothing comes any more.
    const uint64_t last = board_.journals.producers[last_writer].first_sequence;
    if (last != 0 && consumer->at().second > last) break;
    phase(Phase::waiting);
    const auto ready = consumer->wait(soon(50));
    if (!ready) return wrong("wait", ready.fault());
  }
  board_.read_by_others += examiner.messages();
  return status;
}

// Hurries to whatever is dead, and dies over it at any of its steps.
int Child::repair() {
  phase(Phase::starting);
  auto attached = attach(below(random_, 2) == 0 ? shm::Access::consume : shm::Access::produce);
  if (!attached) return wrong("attach", attached.fault());
  const auto seat = (*attached)->roster().my_seat();
  if (!seat) return wrong("seat", seat.fault());
  const bool slow = below(random_, 3) == 0;
  while (!quit()) {
    const shm::Ring& ring = (*attached)->ring();
    shm::Janitor janitor = (*attached)->janitor();
    const Plan plan = slow ? Plan{Action::dawdle, 1 + below(random_, 8), 32}
                           : Plan{Action::die, 1 + below(random_, 128)};
    const bool armed = slow || below(random_, 2) == 0;
    const auto is_dead = [&](uint64_t owner) {
      return owner != shm::nobody && !(*attached)->roster().alive(owner & ~shm::repairing_bit);
    };
    phase(Phase::repairing);
    for (uint32_t slot = 0; slot < ring.producer_slots; ++slot) {
      if (!is_dead(ring.producers[slot].owner.load(std::memory_order_relaxed))) continue;
      if (armed) arm(plan);
      (void)janitor.clean_producer(slot);
      disarm();
    }
    for (uint32_t slot = 0; slot < ring.cursor_slots; ++slot) {
      if (!is_dead(ring.cursors[slot].owner.load(std::memory_order_relaxed))) continue;
      if (armed) arm(plan);
      (void)janitor.clean_cursor(slot);
      disarm();
    }
    phase(Phase::idle);
    ::usleep(50);
    if ((*attached)->is_open()) continue;
    auto next = attach(shm::Access::consume);
    if (next) *attached = std::move(*next);
  }
  return 0;
}

// Ends the ring in favour of another, again and again.
int Child::seal() {
  while (!quit()) {
    phase(Phase::starting);
    auto attached = attach(shm::Access::produce);
    if (!attached) return wrong("attach", attached.fault());
    const auto seat = (*attached)->roster().my_seat();
    if (!seat) return wrong("seat", seat.fault());
    phase(Phase::sealing);
    shm::RingOptions options;
    options.capacity = context_.plan.capacity;
    options.exclusive = context_.plan.exclusive;
    options.producer_slots = (*attached)->header().producer_slots;
    options.cursor_slots = (*attached)->header().cursor_slots;
    if (below(random_, 2) == 0) arm({Action::die, log_uniform(random_, 9)});
    const Status sealed = (*attached)->seal_with_successor(options);
    disarm();
    if (sealed) ++board_.seals;
    const bool allowed =
        sealed || sealed.fault().code() == FaultCode::timed_out ||
        (context_.plan.exclusive && sealed.fault().code() == FaultCode::unsupported);
    if (!allowed) return wrong("seal", sealed.fault());
    phase(Phase::idle);
    ::usleep(static_cast<useconds_t>(below(random_, 40'000)));
  }
  return 0;
}

}  // namespace

int run_child(const ChildContext& context) {
  keep_vitals(&context.slot.vitals);
  return Child(context).run();
}

}  // namespace loopline::crash
