// GroupMember: one thread's handle in a consumer group: takes messages, settles them, waits.
//
//   auto member = GroupMember::open(attached, file, {.from = From::earliest});
//   Lease leases[64];
//   while (auto count = member->take(leases)) {
//     for (const Lease& lease : std::span(leases, *count)) { use lease.message; }
//     member->ack(std::span(leases, *count));
//   }
//
// What it was handed and has not settled comes to another member when its thread dies, at once, or
// when ack-wait is over. Members clean up after each other: whoever is idle, and now and then who
// is not. They follow the ring to its successor once everything before the seal is settled. One
// thread at a time; may move between threads; every call in a forked child answers `forked`.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/one_thread.h"
#include "group_file.h"
#include "group_settle.h"
#include "group_sweep.h"
#include "group_take.h"
#include "wait.h"

namespace loopline::shm {

struct MemberOptions {
  From from = From::earliest;  // of a group that has read nothing yet
  WaitKind wait = WaitKind::adaptive;
};

class GroupMember {
 public:
  // Faults: too_many (members), and those of GroupFile::settle_in.
  static Result<GroupMember> open(std::shared_ptr<Attached> attached,
                                  std::shared_ptr<GroupFile> file, const MemberOptions& options);
  GroupMember(GroupMember&& other) noexcept { *this = std::move(other); }
  GroupMember& operator=(GroupMember&& other) noexcept;
  ~GroupMember();

  // Messages to work on, as many as are there, fit, and max-in-flight leaves; 0: none now. Those
  // that come again first. Faults: corrupted, closed (the station or the group was removed), fenced
  // (its thread was taken for dead), forked.
  Result<size_t> take(std::span<Lease> leases);
  // The same of those that have no delivery left: whoever moves them to the dead-letter station
  // takes them, publishes them there, and acknowledges them.
  Result<size_t> take_dead(std::span<Lease> leases);

  // Each of these answers `late` when the lease was not ours any more; nothing has changed then.
  Settled ack(const Lease& lease);
  size_t ack(std::span<const Lease> leases);  // how many were ours
  // It comes back after `delay_ns`; by the group's backoff, if none is named.
  Settled nack(const Lease& lease, std::optional<uint64_t> delay_ns = std::nullopt);
  // It does not expire for `time_ns` from now.
  Settled extend(const Lease& lease, uint64_t time_ns);
  // Whether it is still ours: what was read of it counts.
  bool holds(const Lease& lease) const { return shm::holds(group_, lease); }

  // Until there may be something to take, or `deadline_ns` (monotonic): true when there is.
  Result<bool> wait(uint64_t deadline_ns);

  // Messages nobody of the group will get, because it was evicted; since the last call.
  uint64_t take_lost() { return std::exchange(lost_, 0); }
  // Why take() gave nothing, the last time.
  TakeStop why_none() const { return why_none_; }
  uint32_t slot() const { return slot_; }
  uint64_t in_flight() const { return in_flight_; }
  const Group& group() const { return group_; }
  const std::shared_ptr<Attached>& attached() const { return attached_; }

 private:
  GroupMember() = default;
  Status join(SeatId seat);
  Status settle_in();
  Status rebind();
  Status ensure_here() { return thread_key() == thread_key_ ? ok() : rebind(); }
  Result<size_t> take_some(std::span<Lease> leases, bool dead);
  Status go_on(TakeStop stop, bool& again);
  void sweep(uint64_t now_ns);
  void sweep_members();
  bool has_news();
  void sleep(Waiter& waiter);
  void count_settled(Settled outcome, size_t done);
  void close();

  std::shared_ptr<Attached> attached_;
  std::shared_ptr<GroupFile> file_;
  MemberOptions options_;
  Group group_;
  Taker taker_;
  std::unique_ptr<LeaseWatch> watch_;
  MemberSlot* mine_ = nullptr;
  uint32_t slot_ = 0;
  uint64_t thread_key_ = 0;
  SeatId seat_ = nobody;
  uint64_t home_ = 0;  // the group's, that group_ was made for
  uint64_t fork_generation_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t lost_ = 0;
  uint64_t swept_at_ns_ = 0;
  uint64_t due_ns_ = ~0ull;  // when a look at the leases may find something
  uint32_t takes_ = 0;       // since the clock was read
  TakeStop why_none_ = TakeStop::none;
  OneThread one_thread_;
};

}  // namespace loopline::shm
