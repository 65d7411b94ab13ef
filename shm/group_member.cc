// GroupMember: the handle: joining, taking, settling, sweeping, sleeping, following.
#include "group_member.h"

#include <algorithm>
#include <array>

#include "armed.h"
#include "base/clock.h"
#include "seal.h"

namespace loopline::shm {
namespace {

constexpr uint64_t sweep_every_ns = 1'000'000;
constexpr uint32_t takes_per_look = 256;  // of one who is never idle, at the clock
constexpr uint32_t lives_watched_max = 63;
constexpr int rings_passed_max = 1000;  // of one who comes to a group that went on meanwhile

}  // namespace

Result<GroupMember> GroupMember::open(std::shared_ptr<Attached> attached,
                                      std::shared_ptr<GroupFile> file,
                                      const MemberOptions& options) {
  if (attached->mapping().access() == Access::look) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached->name() +
                     "\" may only be read: a member of a group needs write permission to say what "
                     "it has done");
  }
  GroupMember member;
  member.options_ = options;
  member.thread_key_ = thread_key();
  member.fork_generation_ = fork_generation();
  LL_TRY(seat, attached->my_seat());
  member.attached_ = std::move(attached);
  member.file_ = std::move(file);
  LL_TRY_STATUS(member.settle_in());
  member.sweep_members();
  LL_TRY_STATUS(member.join(seat));
  return member;
}

Status GroupMember::join(SeatId seat) {
  auto& count = group_.control->member_count;
  for (uint32_t slot = 0; slot < group_.member_slots; ++slot) {
    MemberSlot& theirs = group_.members[slot];
    // Before the slot is ours: were it counted later, and we dead by then, nobody would sweep it.
    uint32_t used = count.load(std::memory_order_relaxed);  // relaxed: CAS below
    while (used < slot + 1 &&
           !count.compare_exchange(used, slot + 1, std::memory_order_acq_rel,  // acq_rel [member]
                                   std::memory_order_relaxed)) {  // relaxed: looked at again
    }
    uint64_t expected = nobody;
    if (!theirs.owner.compare_exchange(expected, seat,
                                       std::memory_order_acq_rel,     // acq_rel [member]
                                       std::memory_order_relaxed)) {  // relaxed: taken, next one
      continue;
    }
    // If we die here, or later: the others find our seat dead and give back what we hold.
    theirs.taken.store(0, std::memory_order_relaxed);  // relaxed: for people
    theirs.acked.store(0, std::memory_order_relaxed);  // relaxed: for people
    theirs.late.store(0, std::memory_order_relaxed);   // relaxed: for people
    mine_ = &theirs;
    slot_ = slot;
    seat_ = seat;
    taker_ = Taker(group_, slot_);
    return ok();
  }
  return Fault(FaultCode::too_many, "group \"" + std::string(file_->header().name) +
                                        "\" of station \"" + attached_->name() + "\" has all its " +
                                        std::to_string(group_.member_slots) +
                                        " members; end some of them");
}

// Where the group is now: perhaps rings further than we are.
Status GroupMember::settle_in() {
  for (int passed = 0; passed < rings_passed_max; ++passed) {
    const uint64_t home = file_->control().home.load(std::memory_order_acquire);  // acquire [home]
    const bool goes_on = home == 0 && seal_state(attached_->ring()) != seal_open;
    const bool is_here = home == 0 || home == home_removed || file_->is_in(*attached_);
    if (goes_on || (!is_here && home_generation(home) > attached_->header().generation)) {
      LL_TRY(next, attached_->successor());
      attached_ = std::move(next);
      continue;
    }
    uint64_t lost = 0;
    auto group = file_->settle_in(*attached_, options_.from, &lost);
    if (!group && group.fault().code() == FaultCode::fenced) continue;  // sealed meanwhile
    if (!group) return group.fault();
    lost_ += lost;
    home_ = file_->control().home.load(std::memory_order_acquire);  // acquire [home]
    group_ = *group;
    taker_ = Taker(group_, slot_);
    watch_ = std::make_unique<LeaseWatch>(group_, file_->header().ack_wait_ns);
    due_ns_ = ~0ull;
    return ok();
  }
  return Fault(FaultCode::timed_out, "station \"" + attached_->name() +
                                         "\" is sealed again and again: group \"" +
                                         file_->header().name + "\" does not catch up");
}

GroupMember& GroupMember::operator=(GroupMember&& other) noexcept {
  if (this == &other) return *this;
  close();
  attached_ = std::move(other.attached_);
  file_ = std::move(other.file_);
  options_ = other.options_;
  group_ = other.group_;
  taker_ = other.taker_;
  watch_ = std::move(other.watch_);
  mine_ = std::exchange(other.mine_, nullptr);
  slot_ = other.slot_;
  thread_key_ = other.thread_key_;
  seat_ = other.seat_;
  home_ = other.home_;
  fork_generation_ = other.fork_generation_;
  in_flight_ = other.in_flight_;
  lost_ = other.lost_;
  swept_at_ns_ = other.swept_at_ns_;
  due_ns_ = other.due_ns_;
  takes_ = other.takes_;
  why_none_ = other.why_none_;
  return *this;
}

GroupMember::~GroupMember() { close(); }

// As if we had died, only that nobody has to find out: what we hold goes to the others now.
void GroupMember::close() {
  if (mine_ == nullptr || fork_generation_ != fork_generation()) return;
  mine_ = nullptr;
  if (give_back(group_, slot_, seat_) != 0) ring_readers_if_parked(attached_->ring());
}

Status GroupMember::rebind() {
  if (mine_ == nullptr) return Fault(FaultCode::closed, "this member of a group was closed");
  if (fork_generation_ != fork_generation()) {
    return Fault(FaultCode::forked, "this member of a group of station \"" + attached_->name() +
                                        "\" belongs to the parent process; open one of its own "
                                        "after fork");
  }
  LL_TRY(seat, attached_->my_seat());
  uint64_t expected = seat_;
  if (!mine_->owner.compare_exchange(expected, seat, std::memory_order_acq_rel,  // acq_rel [member]
                                     std::memory_order_relaxed)) {  // relaxed: lost to a sweep
    return Fault(FaultCode::fenced, "the thread that used this member of a group of station \"" +
                                        attached_->name() +
                                        "\" ended, and what it held was given to others; open a "
                                        "new one");
  }
  seat_ = seat;
  thread_key_ = thread_key();
  return ok();
}

Result<size_t> GroupMember::take(std::span<Lease> leases) {
  const OneThread::Use use(one_thread_);
  if (thread_key() != thread_key_) [[unlikely]]
    LL_TRY_STATUS(rebind());
  return take_some(leases, false);
}

Result<size_t> GroupMember::take_dead(std::span<Lease> leases) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  return take_some(leases, true);
}

Result<size_t> GroupMember::take_some(std::span<Lease> leases, bool dead) {
  for (int round = 0; round < rings_passed_max; ++round) {
    const uint64_t room = file_->header().in_flight_max -
                          std::min<uint64_t>(in_flight_, file_->header().in_flight_max);
    if (leases.size() > room) leases = leases.first(room);
    size_t count = 0;
    TakeStop stop = TakeStop::none;
    const bool is_paused =
        group_.control->paused.load(std::memory_order_relaxed) != 0;  // relaxed: sooner or later
    if (file_->control().home.load(std::memory_order_acquire) != home_)
        [[unlikely]] {  // acquire [home]
      in_flight_ = 0;
      LL_TRY_STATUS(settle_in());
    }
    if (is_paused || leases.empty()) return count;
    if (++takes_ == takes_per_look) sweep(monotonic_ns());
    if (dead || taker_.has_pending()) stop = taker_.take_again(leases, count, monotonic_ns(), dead);
    const bool may_go_on = stop == TakeStop::none || stop == TakeStop::enough;
    if (!dead && may_go_on && count < leases.size()) stop = taker_.take_new(leases, count);
    if (count != 0) {
      in_flight_ += count;
      const uint64_t taken = mine_->taken.load(std::memory_order_relaxed);  // relaxed: our own
      mine_->taken.store(taken + count, std::memory_order_relaxed);         // relaxed: for people
      return count;
    }
    bool again = false;
    why_none_ = stop;
    LL_TRY_STATUS(go_on(stop, again));
    // Once more for what the sweep found; after that it is another member's, or not due.
    if (!again && (dead || round != 0 || !taker_.has_pending())) return count;
  }
  return Fault(FaultCode::timed_out,
               "station \"" + attached_->name() + "\" is sealed again and again");
}

// Nothing was there to take: whether another look may find something, in this ring or another.
Status GroupMember::go_on(TakeStop stop, bool& again) {
  switch (stop) {
    case TakeStop::corrupt:
      return Fault(FaultCode::corrupted, "station \"" + attached_->name() + "\" or its group \"" +
                                             file_->header().name + "\" is damaged at position " +
                                             std::to_string(taker_.at().first) + " (sequence " +
                                             std::to_string(taker_.at().second) + ")");
    case TakeStop::detached:
      in_flight_ = 0;
      LL_TRY_STATUS(settle_in());
      again = true;
      return ok();
    case TakeStop::sealed: {
      sweep(monotonic_ns());
      if (taker_.has_pending()) return ok();
      LL_TRY(next, attached_->successor());
      LL_TRY(moved, file_->move(*attached_, *next));
      if (!moved) return ok();
      attached_ = std::move(next);
      again = true;
      return settle_in();
    }
    default:
      sweep(monotonic_ns());
      return ok();
  }
}

// At most once a millisecond, or when something is due.
void GroupMember::sweep(uint64_t now_ns) {
  takes_ = 0;
  if (now_ns < swept_at_ns_ + sweep_every_ns && now_ns < due_ns_) return;
  swept_at_ns_ = now_ns;
  sweep_members();
  const GroupLook found = watch_->look(now_ns);
  due_ns_ = found.due_ns;
  if (found.given_back != 0) ring_readers_if_parked(attached_->ring());
}

void GroupMember::sweep_members() {
  const uint32_t count = group_.members_in_use();
  for (uint32_t slot = 0; slot < count; ++slot) {
    const SeatId seat =
        group_.members[slot].owner.load(std::memory_order_acquire);  // acquire [member]
    if (seat == nobody || attached_->roster().alive(seat & ~repairing_bit)) {
      // A living one that closes marks its slot for an instant, too: its own sweep frees it.
      continue;
    }
    attached_->roster().mark_dead(seat & ~repairing_bit);
    if (give_back(group_, slot, seat) != 0) ring_readers_if_parked(attached_->ring());
  }
}

Settled GroupMember::ack(const Lease& lease) {
  const Settled outcome = ensure_here() ? shm::ack(group_, lease) : Settled::late;
  count_settled(outcome, outcome == Settled::done ? 1 : 0);
  return outcome;
}

size_t GroupMember::ack(std::span<const Lease> leases) {
  if (!ensure_here()) return 0;
  size_t done = 0;
  for (const Lease& lease : leases) {
    const Settled outcome = settle(group_, lease, LeaseState::acked);
    if (outcome == Settled::done) ++done;
    count_settled(outcome, 0);
  }
  // If we die here: they are acknowledged, and the floor follows with the next ack or sweep.
  help_floor(group_);
  const uint64_t acked = mine_->acked.load(std::memory_order_relaxed);  // relaxed: our own
  mine_->acked.store(acked + done, std::memory_order_relaxed);          // relaxed: for people
  return done;
}

Settled GroupMember::nack(const Lease& lease, std::optional<uint64_t> delay_ns) {
  if (!ensure_here()) return Settled::late;
  const uint64_t delay = delay_ns.value_or(backoff_of(file_->header(), lease.attempts()));
  const Settled outcome = shm::nack(group_, lease, delay == 0 ? 0 : monotonic_ns() + delay);
  count_settled(outcome, 0);
  if (outcome == Settled::done) ring_readers_if_parked(attached_->ring());
  return outcome;
}

Settled GroupMember::extend(const Lease& lease, uint64_t time_ns) {
  if (!ensure_here()) return Settled::late;
  return shm::extend(group_, lease, monotonic_ns() + time_ns);
}

// Whatever became of it, it is not in our hands any more.
void GroupMember::count_settled(Settled outcome, size_t done) {
  if (in_flight_ > 0) --in_flight_;
  auto& counter = outcome == Settled::late ? mine_->late : mine_->acked;
  const uint64_t more = outcome == Settled::late ? 1 : done;
  if (more == 0) return;
  const uint64_t count = counter.load(std::memory_order_relaxed);  // relaxed: our own
  counter.store(count + more, std::memory_order_relaxed);          // relaxed: for people
}

Result<bool> GroupMember::wait(uint64_t deadline_ns) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  Waiter waiter(options_.wait, deadline_ns);
  for (;;) {
    if (has_news()) return true;
    if (waiter.time_to_look_around()) {
      LL_TRY_STATUS(attached_->clean_up_at(Reader(attached_->ring(), taker_.at())));
      sweep(monotonic_ns());
      if (has_news()) return true;
    }
    if (waiter.expired()) return has_news();
    if (!waiter.spin()) sleep(waiter);
  }
}

// Whether take() may find something, or has something to say.
bool GroupMember::has_news() {
  if (group_.control->paused.load(std::memory_order_relaxed) != 0)
    return false;  // relaxed: as take
  if (in_flight_ >= file_->header().in_flight_max) return false;
  if (group_.control->home.load(std::memory_order_acquire) != home_) return true;  // acquire [home]
  if (taker_.has_pending()) return true;
  const Pair floor = group_.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor.first)) return true;
  const Ring& ring = attached_->ring();
  if (why_none_ == TakeStop::sealed) {  // news when the others are done with what lies before it
    return floor.first >=
           ring.control->seal.at.load_first(std::memory_order_acquire);  // acquire [sealed]
  }
  const Pair next = taker_.next();
  if (next.second - floor.second >= group_.entry_count()) return false;
  return Reader(ring, next).ready();
}

// By the commit bell, which whoever gives something back rings too; by the life of whoever holds
// the next frame open, and by those of the other members, whose leases come to us.
void GroupMember::sleep(Waiter& waiter) {
  const Ring& ring = attached_->ring();
  BellLine& bell = ring.control->data_bell;
  std::array<Bedside, lives_watched_max + 1> bedsides;
  const uint32_t ticket = prepare_to_park(bell, 1u << (slot_ & 31));
  uint32_t owner_slot = 0;
  const SeatId owner = attached_->janitor().owner_of_open(taker_.at().first, owner_slot);
  size_t count = 0;
  bedsides[count++] = {&bell, ticket, &attached_->roster(), owner & ~repairing_bit};
  const uint32_t members = group_.members_in_use();
  for (uint32_t slot = 0; slot < members && count < bedsides.size(); ++slot) {
    const SeatId seat =
        group_.members[slot].owner.load(std::memory_order_acquire);  // acquire [member]
    if (seat == nobody || (seat & repairing_bit) != 0 || seat == seat_) continue;
    bedsides[count++] = {&bell, ticket, &attached_->roster(), seat};
  }
  if (has_news()) return;
  // Nobody rings for a floor that moved, which these wait for.
  const bool by_floor = why_none_ == TakeStop::table_full || why_none_ == TakeStop::sealed;
  uint64_t wake_ns = due_ns_;
  if (by_floor) wake_ns = std::min(wake_ns, monotonic_ns() + sweep_every_ns);
  if (wake_ns != ~0ull) waiter.wake_by(wake_ns);
  waiter.sleep(std::span(bedsides).first(count));
}

}  // namespace loopline::shm
