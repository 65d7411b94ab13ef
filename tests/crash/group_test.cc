// Consumer groups cut off at every step: members that die, or stop past their lease and go on.
//
// The parent is a member too: it inherits, and in the end everything was acknowledged exactly once,
// the floor is behind it, and the ring goes round.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "every_step.h"
#include "group_book.h"
#include "shm/base/clock.h"

namespace loopline::crash {
namespace {

constexpr uint64_t patience_ns = 10'000'000'000;
constexpr uint32_t messages_first = 8;
constexpr int messages_after = 24;  // more than a lap

// One group over a scene's ring, and its book.
class Stand {
 public:
  Stand(Scene& scene, uint64_t ack_wait_ns) : scene_(scene) {
    void* memory = ::mmap(nullptr, sizeof(GroupBook), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) ::abort();
    book_ = new (memory) GroupBook;
    shm::GroupOptions options;
    options.name = "crash";
    options.entries = options.in_flight_max = shm::group_entries_min;
    options.members = 4;
    options.deliveries_max = shm::group_deliveries_max;
    options.ack_wait_ns = ack_wait_ns;
    options.backoff_ns = {};
    file_ = need(shm::GroupFile::create_anonymous(scene.attached()->header(), options),
                 "cannot make a group");
  }
  ~Stand() {
    member_.reset();
    ::munmap(book_, sizeof(GroupBook));
  }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  std::string open() {
    auto opened = shm::GroupMember::open(scene_.attached(), file_, {});
    if (!opened) return scene_.fail("no member", opened.fault());
    member_.emplace(std::move(*opened));
    return "";
  }
  std::string take(size_t most) {
    leases_.resize(most);
    const auto count = member_->take(leases_);
    if (!count) return scene_.fail("take", count.fault());
    leases_.resize(*count);
    std::string problem;
    for (const shm::Lease& lease : leases_) {
      if (problem.empty()) problem = book_->note_handed(*member_, lease);
      MessageHead head;
      std::vector<std::byte> copy(lease.message.body_size);
      copy_from_shared(copy.data(), lease.message.body, copy.size());
      const bool is_whole = read_message(copy.data(), lease.message.body_size, head);
      if (problem.empty() && !is_whole && member_->holds(lease)) problem = "a body is not whole";
    }
    return problem;
  }
  std::string ack(size_t index) {
    return index < leases_.size() ? book_->ack(*member_, leases_[index]) : "";
  }
  std::string ack_all() {
    std::string problem;
    for (size_t index = 0; index < leases_.size() && problem.empty(); ++index) problem = ack(index);
    return problem;
  }
  shm::GroupMember& member() { return *member_; }
  std::vector<shm::Lease>& leases() { return leases_; }
  GroupBook& book() { return *book_; }
  // Ends the membership, as one does who leaves in peace.
  void close() { member_.reset(); }
  // In a child: the parent's member is not ours.
  void forget() { new (&member_) std::optional<shm::GroupMember>; }

  // Everything up to `end` is acknowledged, by us if need be.
  std::string finish(uint64_t end) {
    const uint64_t deadline = monotonic_ns() + patience_ns;
    while (floor() < end) {
      std::string problem = take(16);
      if (problem.empty()) problem = ack_all();
      if (!problem.empty()) return problem;
      if (!leases_.empty()) continue;
      if (monotonic_ns() > deadline) return stuck(end);
      const auto more = member_->wait(monotonic_ns() + 1'000'000);
      if (!more) return scene_.fail("wait", more.fault());
    }
    return "";
  }
  uint64_t floor() const { return member_->group().floor->load(std::memory_order_acquire).second; }

 private:
  std::string stuck(uint64_t end) const {
    return "the floor stays at " + std::to_string(floor()) + " of " + std::to_string(end);
  }
  Scene& scene_;
  GroupBook* book_;
  std::shared_ptr<shm::GroupFile> file_;
  std::optional<shm::GroupMember> member_;
  std::vector<shm::Lease> leases_;
};

// What the group is asked of after whatever happened to the child.
class GroupCrash : public testing::Test {
 protected:
  std::string prepare(Scene& scene, uint64_t ack_wait_ns) {
    stand_.reset();
    stand_.emplace(scene, ack_wait_ns);
    std::string problem = stand_->open();  // the floor stands before the first message
    if (problem.empty() && !parent_stays_) stand_->close();
    if (problem.empty()) problem = scene.publish(messages_first);
    return problem;
  }
  std::string newest(Scene& scene, uint64_t& end) {
    end = scene.ring().control->hint.pair.load(std::memory_order_acquire).second;
    return "";
  }
  // Laps of messages, all through the group.
  std::string go_round(Scene& scene) {
    uint64_t end = 0;
    std::string problem = newest(scene, end);
    if (problem.empty()) problem = stand_->finish(end);
    for (int count = 0; count < messages_after && problem.empty(); ++count) {
      problem = scene.publish(1);
      if (problem.empty()) problem = newest(scene, end);
      if (problem.empty()) problem = stand_->finish(end);
    }
    return problem;
  }
  std::string check(Scene& scene) {
    if (scene.stage().problem[0] != 0) return std::string("child: ") + scene.stage().problem;
    std::string problem = parent_stays_ ? "" : stand_->open();
    if (problem.empty()) problem = go_round(scene);
    if (!problem.empty()) return problem;
    uint64_t end = 0;
    problem = newest(scene, end);
    for (uint64_t sequence = 1; sequence < end && problem.empty(); ++sequence) {
      problem = stand_->book().examine(sequence);
    }
    if (problem.empty()) problem = stand_->open();  // who joins sweeps first
    if (!problem.empty()) return problem;
    const shm::Group group = stand_->member().group();
    stand_->close();
    for (uint32_t slot = 0; slot < group.member_slots; ++slot) {
      if (group.members[slot].owner.load(std::memory_order_acquire) != shm::nobody) {
        return "member slot " + std::to_string(slot) + " is not free";
      }
    }
    return "";
  }
  Trial trial(uint64_t ack_wait_ns, const Scene::Role& role) {
    Trial trial{.options = {.witnessed = false}};
    trial.prepare = [this, ack_wait_ns](Scene& scene) { return prepare(scene, ack_wait_ns); };
    trial.role = [this, role](Scene& scene) {
      stand_->forget();
      return role(scene);
    };
    trial.when_stopped = [this](Scene& scene, pid_t child) {
      std::string problem = parent_stays_ ? "" : stand_->open();
      if (problem.empty()) problem = go_round(scene);
      if (!parent_stays_) stand_->close();
      if (problem.empty()) scene.carry_on(child);
      return problem;
    };
    trial.check = [this](Scene& scene) { return check(scene); };
    return trial;
  }

  std::optional<Stand> stand_;
  bool parent_stays_ = false;
};

constexpr uint64_t never = 3'600'000'000'000;
constexpr uint64_t soon_ns = 1'000'000;

// Joins, takes, gives one back, extends one, acknowledges, leaves the rest to its end.
std::string work(Stand& stand) {
  std::string problem = stand.open();
  if (problem.empty()) problem = stand.take(4);
  if (problem.empty()) problem = stand.ack(1);
  if (!problem.empty() || stand.leases().size() < 4) return problem;
  stand.member().extend(stand.leases()[2], 2'000'000);
  stand.member().nack(stand.leases()[0]);
  stand.member().nack(stand.leases()[3], 1'000'000);
  problem = stand.ack(2);
  if (problem.empty()) problem = stand.take(3);
  if (problem.empty()) problem = stand.ack_all();
  return problem;
}

TEST_F(GroupCrash, WhatADeadMemberHeldComesAgain) {
  Trial each = trial(never, [&](Scene&) { return work(*stand_); });
  each.stride = 2;  // the others have the steps between
  EXPECT_GT(at_every_step(each, Action::die), 100u);
}

TEST_F(GroupCrash, BesideAMemberThatStaysNothingIsLost) {
  parent_stays_ = true;
  Trial once = trial(never, [&](Scene&) { return work(*stand_); });
  once.stride = 3;
  EXPECT_GT(at_every_step(once, Action::die), 100u);
}

// The parent stays: who is stopped while it joins holds up who joins, and nobody else.
TEST_F(GroupCrash, OneWhoWasStoppedPastItsLeaseIsRefused) {
  parent_stays_ = true;
  Trial slow = trial(soon_ns, [&](Scene&) { return work(*stand_); });
  slow.stride = 5;
  EXPECT_GT(at_every_step(slow, Action::stop), 100u);
}

// The one who gives back what another left dies, or stops, while it does.
TEST_F(GroupCrash, WhoInheritsMayDieToo) {
  const auto inherit = [&](Scene&) {
    std::string problem = stand_->open();
    if (problem.empty()) problem = stand_->take(8);
    return problem.empty() ? stand_->ack_all() : problem;
  };
  for (const Action action : {Action::die, Action::stop}) {
    parent_stays_ = action == Action::stop;
    Trial heir = trial(action == Action::die ? never : soon_ns, inherit);
    heir.prepare = [this, action](Scene& scene) {
      const std::string problem = prepare(scene, action == Action::die ? never : soon_ns);
      if (!problem.empty()) return problem;
      scene.run({Action::die, 100'000}, [this](Scene&) {
        stand_->forget();
        const std::string taken = stand_->open() + stand_->take(5);
        ::kill(::getpid(), SIGKILL);
        return taken;
      });
      return std::string();
    };
    heir.stride = 13;
    at_every_step(heir, action);
  }
}

// Nobody was there yet: the floor is taken by one who dies on the way.
TEST_F(GroupCrash, AFloorThatWasHalfTakenHoldsNobody) {
  Trial first = trial(never, [&](Scene&) { return stand_->open(); });
  first.prepare = [this](Scene& scene) {
    stand_.reset();
    stand_.emplace(scene, never);
    return std::string();
  };
  EXPECT_GT(at_every_step(first, Action::die), 20u);
}

}  // namespace
}  // namespace loopline::crash
