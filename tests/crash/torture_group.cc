// The torture of consumer groups: producers and members killed and stopped while they share work.
//
//   crash_torture --only group --minutes 10
//
// Every member checks what it is handed against the book (group_book.h); at the end of each round
// the parent, the last member, finishes what is left, and everything committed was acknowledged
// exactly once. Leases expire after some milliseconds, so that those who are stopped lose theirs.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "group_book.h"
#include "shm/base/clock.h"
#include "torture.h"

namespace loopline::crash {
namespace {

constexpr uint64_t group_ms = 1'000'000;
constexpr uint64_t group_ack_wait_ns = 20 * group_ms;
constexpr uint64_t group_patience_ns = 30'000 * group_ms;
constexpr uint64_t group_stop_ns_max = 80 * group_ms;
constexpr uint64_t group_kill_ns_mean = 6 * group_ms;
constexpr useconds_t group_tick_us = 300;
constexpr size_t group_batch_max = 32;
constexpr uint64_t sequences_of_a_round = GroupBook::sequences_max - 65536;
constexpr uint32_t no_member = ~0u;

struct GroupBoard {
  GroupBook book;
  std::atomic<uint32_t> quit;
  std::atomic<uint32_t> writers;
  std::atomic<uint32_t> is_wrong;
  char wrong[1024];
  Histogram redelivered_us;  // of all members, without order: a count may be lost
  struct Slot {
    Vitals vitals;
    std::atomic<uint32_t> member;
  };
  Slot slots[children_max];
};

struct GroupLife {
  bool is_producer = false;
  pid_t pid = 0;
  bool stopped = false;
  uint64_t continue_ns = 0;
};

class GroupRound {
 public:
  GroupRound(GroupBoard& board, GroupTally& tally, uint64_t seed, uint32_t processes)
      : board_(board), tally_(tally), random_(seed), lives_(processes) {
    const auto roster = need(shm::Roster::create_anonymous(), "cannot make a roster");
    shm::RingOptions ring;
    ring.station = "torture";
    ring.capacity = below(random_, 2) == 0 ? 64u << 10 : 16u << 10;
    ring.producer_slots = ring.cursor_slots = 16;
    ring.timestamp = shm::TimestampKind::off;
    attached_ = shm::Attached::make(
        need(shm::Mapping::create_anonymous(ring, roster->uuid()), "cannot make a ring"), roster,
        std::nullopt);
    shm::GroupOptions options;
    options.name = "torture";
    options.entries = options.in_flight_max = shm::group_entries_min;
    options.members = 16;
    options.ack_wait_ns = group_ack_wait_ns;
    options.backoff_ns = {0, group_ms};
    file_ =
        need(shm::GroupFile::create_anonymous(attached_->header(), options), "cannot make a group");
    need(shm::GroupMember::open(attached_, file_, {}), "the floor cannot be taken");
  }

  bool run(uint64_t duration_ns, const std::atomic<bool>& interrupted) {
    for (size_t index = 0; index < lives_.size(); ++index) {
      lives_[index].is_producer = index % 3 == 0;
      launch(index);
    }
    const uint64_t end = monotonic_ns() + duration_ns;
    uint64_t next_kill = 0;
    while (board_.is_wrong == 0 && !interrupted && monotonic_ns() < end &&
           newest() < sequences_of_a_round) {
      ::usleep(group_tick_us);
      look_after(true);
      if (monotonic_ns() < next_kill) continue;
      kill_somebody();
      next_kill = monotonic_ns() + below(random_, 2 * group_kill_ns_mean);
    }
    board_.quit = 1;
    for (GroupLife& life : lives_) {
      if (life.pid != 0) ::kill(life.pid, SIGKILL);
    }
    for (GroupLife& life : lives_) {
      if (life.pid != 0) ::waitpid(life.pid, nullptr, 0);
    }
    if (board_.is_wrong == 0) finish();
    if (board_.is_wrong != 0) std::printf("WRONG: %s\n", board_.wrong);
    return board_.is_wrong == 0;
  }

 private:
  uint64_t newest() const {
    return attached_->ring().control->hint.pair.load(std::memory_order_acquire).second;
  }
  void wrong(const std::string& text) {
    uint32_t none = 0;
    if (!board_.is_wrong.compare_exchange_strong(none, 1)) return;
    std::strncpy(board_.wrong, text.c_str(), sizeof board_.wrong - 1);
  }

  void launch(size_t index);
  void look_after(bool replace);
  void kill_somebody();
  void mark_orphans(uint32_t member, uint64_t now_ns);
  void finish();
  void choose_fate();
  void produce();
  void work(size_t index);
  bool handle(shm::GroupMember& member, std::span<shm::Lease> leases);

  GroupBoard& board_;
  GroupTally& tally_;
  Random random_;
  std::vector<GroupLife> lives_;
  std::shared_ptr<shm::Attached> attached_;
  std::shared_ptr<shm::GroupFile> file_;
};

void GroupRound::launch(size_t index) {
  GroupLife& life = lives_[index];
  GroupBoard::Slot& slot = board_.slots[index];
  slot.member = no_member;
  const uint64_t seed = random_();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) give_up("cannot fork", std::strerror(errno));
  if (child != 0) {
    life.pid = child;
    life.stopped = false;
    return;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  random_.seed(seed);
  keep_vitals(&slot.vitals);
  choose_fate();
  if (life.is_producer) {
    produce();
  } else {
    work(index);
  }
  disarm();
  ::_exit(0);
}

void GroupRound::choose_fate() {
  const uint64_t steps = 1 + below(random_, 1ull << (4 + below(random_, 14)));
  const uint64_t dice = below(random_, 10);
  if (dice < 6) arm({Action::die, steps});
  if (dice == 6) arm({Action::stop, steps});
  if (dice == 7) arm({Action::dawdle, 1 + below(random_, 200), 16});
}

void GroupRound::look_after(bool replace) {
  for (size_t index = 0; index < lives_.size(); ++index) {
    GroupLife& life = lives_[index];
    int status = 0;
    if (life.stopped && monotonic_ns() >= life.continue_ns) {
      ::kill(life.pid, SIGCONT);
      life.stopped = false;
    }
    if (::waitpid(life.pid, &status, WNOHANG | WUNTRACED) != life.pid) continue;
    if (WIFSTOPPED(status)) {
      ++tally_.stops;
      life.stopped = true;
      life.continue_ns = monotonic_ns() + below(random_, group_stop_ns_max);
      continue;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
      wrong(std::string("a child ended by ") + ::strsignal(WTERMSIG(status)));
    }
    if (WIFSIGNALED(status)) ++(life.is_producer ? tally_.producer_deaths : tally_.member_deaths);
    if (replace) launch(index);
  }
}

void GroupRound::kill_somebody() {
  const size_t index = below(random_, lives_.size());
  const uint64_t now_ns = monotonic_ns();
  ::kill(lives_[index].pid, SIGKILL);
  const uint32_t member = board_.slots[index].member;
  if (!lives_[index].is_producer && member != no_member) mark_orphans(member, now_ns);
}

// What the one just killed held: the next who is handed it says how long that took.
void GroupRound::mark_orphans(uint32_t member, uint64_t now_ns) {
  const auto view = file_->view(*attached_);
  if (!view) return;
  for (uint64_t index = 0; index < view->entry_count(); ++index) {
    const uint64_t word = view->entries[index].load_first(std::memory_order_acquire);
    if (shm::lease_state(word) != shm::LeaseState::taken || shm::lease_member(word) != member) {
      continue;
    }
    const uint64_t sequence = ((shm::lease_lap(word) - 1) << view->entries_log2) + index;
    if (sequence < GroupBook::sequences_max) board_.book.mark_orphan(sequence, now_ns);
  }
}

void GroupRound::produce() {
  auto producer = shm::Producer::open(attached_);
  if (!producer) return;  // the lock of the ring is held by one who is stopped: the next one tries
  const uint32_t writer = ++board_.writers;
  for (uint64_t number = 1; board_.quit == 0; ++number) {
    const auto size = static_cast<uint32_t>(message_size_min + below(random_, 400));
    shm::OpenFrame frame;
    const Status room = producer->claim(size, monotonic_ns() + 100 * group_ms, frame);
    if (!room && room.fault().code() == FaultCode::timed_out) continue;
    if (!room && room.fault().code() == FaultCode::full) continue;
    if (!room) return wrong("claim: " + room.fault().message());
    const shm::Claim& claim = frame.claim;
    write_message(frame.body, {.writer = writer, .size = size, .number = number},
                  {claim.position, claim.sequence, attached_->ring().capacity}, true, random_);
    const Status done = producer->commit(frame, 0);
    if (!done) return wrong("commit: " + done.fault().message());
    if (claim.sequence < GroupBook::sequences_max) board_.book.note_published(claim.sequence);
    if (claim.sequence >= sequences_of_a_round) return;
    if (below(random_, 64) == 0) ::usleep(static_cast<useconds_t>(below(random_, 2000)));
  }
}

void GroupRound::work(size_t index) {
  while (board_.quit == 0) {
    auto member = shm::GroupMember::open(attached_, file_, {.wait = shm::WaitKind::adaptive});
    if (!member && member.fault().code() == FaultCode::timed_out) continue;
    if (!member) return wrong("open: " + member.fault().message());
    board_.slots[index].member = member->slot();
    const uint64_t rounds = 1 + below(random_, 2000);
    for (uint64_t round = 0; round < rounds && board_.quit == 0; ++round) {
      shm::Lease leases[group_batch_max];
      const size_t most = 1 + below(random_, group_batch_max);
      const auto take = [&] {
        const auto room = std::span(leases, most);
        return below(random_, 16) == 0 ? member->take_dead(room) : member->take(room);
      };
      const auto count = take();
      if (!count) return wrong("take: " + count.fault().message());
      if (!handle(*member, std::span(leases, *count))) return;
      if (member->in_flight() > shm::group_entries_min / 2) break;  // what it left expires
      if (*count == 0 && !member->wait(monotonic_ns() + 20 * group_ms)) return wrong("wait");
    }
    board_.slots[index].member = no_member;
  }
}

bool GroupRound::handle(shm::GroupMember& member, std::span<shm::Lease> leases) {
  std::byte copy[1024];
  for (const shm::Lease& lease : leases) {
    std::string problem = board_.book.note_handed(member, lease);
    const uint64_t orphan_us = board_.book.take_orphan(lease.message.sequence) / 1000;
    if (orphan_us != 0) board_.redelivered_us.record(orphan_us);
    const uint32_t size = lease.message.body_size;
    MessageHead head;
    const bool fits = size <= sizeof copy;
    if (fits) copy_from_shared(copy, lease.message.body, size);
    const bool is_whole = fits && read_message(copy, size, head);
    if (!is_whole && member.holds(lease)) problem = "a body is not whole";
    const uint64_t dice = below(random_, 100);
    if (dice < 88) {
      const std::string acked = board_.book.ack(member, lease);
      if (problem.empty()) problem = acked;
    } else if (dice < 93) {
      member.nack(lease);
    } else if (dice < 96) {
      member.nack(lease, below(random_, 3 * group_ms));
    } else if (dice < 99) {
      member.extend(lease, below(random_, 3 * group_ms));
      const std::string acked = board_.book.ack(member, lease);
      if (problem.empty()) problem = acked;
    }  // else it is left to expire
    if (!problem.empty()) {
      wrong(problem);
      return false;
    }
  }
  return true;
}

// Whoever is left, alone: repairs, inherits, acknowledges.
void GroupRound::finish() {
  attached_->janitor().sweep();
  auto member = shm::GroupMember::open(attached_, file_, {});
  if (!member) return wrong("the last member: " + member.fault().message());
  const uint64_t end = newest();
  const uint64_t deadline = monotonic_ns() + group_patience_ns;
  const auto floor = [&] { return member->group().floor->load(std::memory_order_acquire).second; };
  while (floor() < end && board_.is_wrong == 0) {
    shm::Lease leases[group_batch_max];
    auto count = member->take(leases);
    if (count && *count == 0) count = member->take_dead(leases);
    if (!count) return wrong("the last member takes: " + count.fault().message());
    for (size_t index = 0; index < *count; ++index) {
      std::string problem = board_.book.note_handed(*member, leases[index]);
      if (problem.empty()) problem = board_.book.ack(*member, leases[index]);
      if (!problem.empty()) return wrong(problem);
    }
    if (*count != 0) continue;
    static_cast<void>(member->wait(monotonic_ns() + group_ms));
    if (monotonic_ns() > deadline) return wrong("the floor stays at " + std::to_string(floor()));
  }
  for (uint64_t sequence = 1; sequence < end; ++sequence) {
    if (!board_.book.is_published(sequence)) continue;  // a filler, or not said any more
    const std::string problem = board_.book.examine(sequence);
    if (!problem.empty()) return wrong(problem);
    ++tally_.messages;
  }
}

}  // namespace

bool torture_groups(uint64_t seed, uint32_t processes, uint64_t duration_ns, uint64_t round_ns,
                    const std::atomic<bool>& interrupted) {
  GroupTally tally;
  const uint64_t end = monotonic_ns() + duration_ns;
  bool fine = true;
  auto redelivered = std::make_unique<Histogram>();
  while (fine && !interrupted && monotonic_ns() < end) {
    void* memory = ::mmap(nullptr, sizeof(GroupBoard), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) give_up("no memory for the board", std::strerror(errno));
    auto* board = new (memory) GroupBoard;
    GroupRound round(*board, tally, seed * 7919 + ++tally.rounds, processes);
    fine = round.run(std::min(round_ns, end - monotonic_ns()), interrupted);
    tally.handed += board->book.handed;
    tally.again += board->book.again;
    tally.late += board->book.late;
    redelivered->merge(board->redelivered_us);
    ::munmap(memory, sizeof(GroupBoard));
  }
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "groups: %llu rounds, %llu messages, %llu handed out, %llu again, %llu late acks "
      "refused\n        %llu members and %llu producers killed, %llu stops\n",
      number(tally.rounds), number(tally.messages), number(tally.handed), number(tally.again),
      number(tally.late), number(tally.member_deaths), number(tally.producer_deaths),
      number(tally.stops));
  std::printf("        kill to redelivery of %llu leases: p50 %llu us, p99 %llu us, max %llu us\n",
              number(redelivered->count()), number(redelivered->percentile(50)),
              number(redelivered->percentile(99)), number(redelivered->max()));
  return fine;
}

}  // namespace loopline::crash
