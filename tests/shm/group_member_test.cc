// Consumer groups by their handle: who is handed what, how often, and who is told no.
#include "shm/group_member.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "child.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

GroupOptions small_group() {
  GroupOptions options;
  options.name = "billing";
  options.entries = group_entries_min;
  options.in_flight_max = group_entries_min;
  options.members = 4;
  options.backoff_ns = {};
  return options;
}

class GroupMembers : public testing::Test {
 protected:
  explicit GroupMembers(const RingOptions& ring = tiny_ring(),
                        const GroupOptions& group = small_group())
      : station_(ring),
        file_(must(GroupFile::create_anonymous(station_.attached()->header(), group))) {}

  GroupMember member(From from = From::earliest) {
    return must(GroupMember::open(station_.attached(), file_, {.from = from}));
  }
  std::vector<Lease> take(GroupMember& member, size_t most = 64) {
    std::vector<Lease> leases(most);
    leases.resize(must(member.take(leases)));
    return leases;
  }
  static std::vector<std::string> texts_of(const std::vector<Lease>& leases) {
    std::vector<std::string> texts;
    for (const Lease& lease : leases) texts.push_back(text_of(lease.message));
    return texts;
  }
  void write_all(std::initializer_list<const char*> messages) {
    for (const char* message : messages) write(producer_, message);
  }
  // As a member that has looked for so long would: everything unacknowledged expires.
  static void expire_all(GroupMember& member) {
    LeaseWatch watch(member.group(), 1);
    watch.look(1);
    watch.look(2);
  }

  TestStation station_;
  std::shared_ptr<GroupFile> file_;
  Producer producer_ = station_.producer();
};

TEST_F(GroupMembers, ShareTheMessages) {
  GroupMember one = member();
  GroupMember other = member();
  write_all({"a", "b", "c"});
  EXPECT_EQ(texts_of(take(one, 2)), texts("a", "b"));
  EXPECT_EQ(texts_of(take(other)), texts("c"));
  EXPECT_TRUE(take(one).empty());
}

TEST_F(GroupMembers, NeverSeeAgainWhatWasAcknowledged) {
  GroupMember one = member();
  write_all({"a", "b"});
  const auto leases = take(one);
  EXPECT_EQ(one.ack(leases[0]), Settled::done);
  EXPECT_EQ(one.ack(leases[0]), Settled::late) << "twice";
  one = member();
  const auto again = take(one);
  ASSERT_EQ(texts_of(again), texts("b"));
  EXPECT_EQ(again[0].attempts(), 2u);
  EXPECT_EQ(one.ack(leases[1]), Settled::late) << "the lease of a member that was closed";
  EXPECT_EQ(one.ack(again), 1u);
}

TEST_F(GroupMembers, HoldTheRingUntilTheyAcknowledge) {
  GroupMember one = member();
  const uint64_t count = fill(producer_);
  EXPECT_EQ(refusal(producer_, 32), FaultCode::full);
  const auto leases = take(one);
  ASSERT_EQ(leases.size(), count);
  EXPECT_EQ(refusal(producer_, 32), FaultCode::full) << "handed out is not done";
  EXPECT_EQ(one.ack(leases), count);
  EXPECT_EQ(fill(producer_), count);
}

TEST_F(GroupMembers, AreNotNeededToHoldTheRing) {
  { const GroupMember gone = member(); }
  fill(producer_);
  EXPECT_EQ(refusal(producer_, 32), FaultCode::full);
  station_.attached()->janitor().sweep();
  EXPECT_EQ(refusal(producer_, 32), FaultCode::full) << "the floor is nobody's to reap";
  GroupMember heir = member();
  heir.ack(take(heir));
  EXPECT_GT(fill(producer_), 0u);
}

TEST_F(GroupMembers, InheritFromADeadThread) {
  GroupMember one = member();
  write_all({"a", "b"});
  std::optional<GroupMember> never_closed;  // before its thread ends
  std::thread([&] {
    never_closed.emplace(member());
    EXPECT_EQ(texts_of(take(*never_closed)), texts("a", "b"));
    EXPECT_EQ(never_closed->ack(std::span<const Lease>()), 0u);
  }).join();
  std::vector<Lease> leases(4);
  const uint64_t deadline = monotonic_ns() + 10'000'000'000;
  size_t count = 0;
  while (count == 0 && must(one.wait(deadline))) count = must(one.take(leases));
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(leases[0].attempts(), 2u);
  EXPECT_EQ(text_of(leases[1].message), "b");
}

TEST_F(GroupMembers, InheritFromAKilledProcess) {
  write_all({"a"});
  Child child = Child::run([&](Child::Parent& parent) {
    GroupMember theirs = member();
    if (take(theirs).size() == 1) parent.say();
    Child::Parent::wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  GroupMember one = member();
  EXPECT_TRUE(take(one).empty());
  child.kill();
  std::vector<Lease> leases(4);
  size_t count = 0;
  while (count == 0 && must(one.wait(monotonic_ns() + 10'000'000'000))) {
    count = must(one.take(leases));
  }
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(leases[0].attempts(), 2u);
}

TEST_F(GroupMembers, AreRefusedALateAck) {
  GroupMember slow = member();
  GroupMember other = member();
  write_all({"a"});
  const auto held = take(slow);
  expire_all(other);
  EXPECT_FALSE(slow.holds(held[0]));
  const auto again = take(other);
  ASSERT_EQ(texts_of(again), texts("a"));
  EXPECT_EQ(slow.ack(held[0]), Settled::late);
  EXPECT_EQ(slow.nack(held[0]), Settled::late);
  EXPECT_EQ(other.ack(again[0]), Settled::done);
}

TEST_F(GroupMembers, KeepALeaseThatIsExtended) {
  GroupMember one = member();
  write_all({"a", "b"});
  const auto leases = take(one);
  EXPECT_EQ(one.extend(leases[0], 60'000'000'000), Settled::done);
  LeaseWatch watch(one.group(), 1);
  watch.look(1);
  EXPECT_EQ(watch.look(2).given_back, 1u);
  EXPECT_TRUE(one.holds(leases[0]));
  EXPECT_FALSE(one.holds(leases[1]));
  EXPECT_EQ(watch.look(monotonic_ns() + 61'000'000'000).given_back, 1u);
}

TEST_F(GroupMembers, GiveBackWhatTheyCannotDo) {
  GroupMember one = member();
  write_all({"a", "b"});
  auto leases = take(one);
  EXPECT_EQ(one.nack(leases[0]), Settled::done);
  EXPECT_EQ(one.nack(leases[1], 3'600'000'000'000), Settled::done);
  leases = take(one);
  ASSERT_EQ(texts_of(leases), texts("a")) << "the other comes in an hour";
  LeaseWatch watch(one.group(), 10'000'000'000'000);
  const GroupLook found = watch.look(monotonic_ns());
  EXPECT_EQ(found.retries, 1u);
  EXPECT_EQ(found.leases, 1u);
  EXPECT_GT(found.due_ns, monotonic_ns());
}

TEST_F(GroupMembers, PassOverMessagesThatWereAborted) {
  GroupMember one = member();
  OpenFrame frame = open(producer_, "never");
  must(producer_.abort(frame));
  write_all({"a"});
  const auto leases = take(one);
  ASSERT_EQ(texts_of(leases), texts("a"));
  EXPECT_EQ(one.ack(leases[0]), Settled::done);
  EXPECT_EQ(one.group().floor->load(std::memory_order_acquire).second, 3u);
}

TEST_F(GroupMembers, AreToldThatAThreadOfTheirsEnded) {
  std::optional<GroupMember> theirs;
  std::thread([&] { theirs.emplace(member()); }).join();
  GroupMember one = member();
  EXPECT_EQ(code_of(theirs->take({})), FaultCode::fenced);
}

TEST_F(GroupMembers, GoOnInAnotherThread) {
  GroupMember one = member();
  write_all({"a"});
  std::vector<Lease> leases = take(one);
  std::thread([&] { EXPECT_EQ(one.ack(leases[0]), Settled::done); }).join();
}

TEST_F(GroupMembers, SleepUntilThereIsSomething) {
  GroupMember one = member();
  std::thread writer([&] { write_all({"a"}); });
  EXPECT_TRUE(must(one.wait(monotonic_ns() + 10'000'000'000)));
  writer.join();
  EXPECT_EQ(texts_of(take(one)), texts("a"));
}

struct TwoDeliveries : GroupMembers {
  static GroupOptions options() {
    GroupOptions options = small_group();
    options.deliveries_max = 2;
    return options;
  }
  TwoDeliveries() : GroupMembers(tiny_ring(), options()) {}
};

TEST_F(TwoDeliveries, ThatFailMakeADeadLetter) {
  GroupMember one = member();
  write_all({"poison", "b"});
  for (int count = 0; count < 2; ++count) {
    const auto leases = take(one, 1);
    ASSERT_EQ(texts_of(leases), texts("poison"));
    one.nack(leases[0]);
  }
  EXPECT_EQ(texts_of(take(one)), texts("b"));
  std::vector<Lease> dead(4);
  ASSERT_EQ(must(one.take_dead(dead)), 1u);
  EXPECT_EQ(text_of(dead[0].message), "poison");
  EXPECT_EQ(dead[0].attempts(), 3u);
  EXPECT_EQ(one.ack(dead[0]), Settled::done);
  EXPECT_EQ(must(one.take_dead(dead)), 0u);
}

struct LargeTable : GroupMembers {
  LargeTable() : GroupMembers(tiny_ring(ring_capacity_min)) {}
};

TEST_F(LargeTable, ThatIsFullHoldsTakersBackAndIsTold) {
  GroupMember one = member();
  GroupMember other = member();
  for (uint32_t count = 0; count < group_entries_min + 10; ++count) write_all({"x"});
  const auto held = take(one, 2 * group_entries_min);
  EXPECT_EQ(held.size(), group_entries_min);
  EXPECT_EQ(one.in_flight(), group_entries_min);
  EXPECT_TRUE(take(other).empty());
  EXPECT_EQ(other.why_none(), TakeStop::table_full);
  EXPECT_EQ(one.ack(held[0]), Settled::done);
  EXPECT_EQ(take(other).size(), 1u);
}

TEST_F(LargeTable, GoesRoundManyTimes) {
  GroupMember one = member();
  uint64_t expected = 0;
  for (int round = 0; round < 40; ++round) {
    for (int count = 0; count < 100; ++count) write_all({"x"});
    for (auto leases = take(one); !leases.empty(); leases = take(one)) {
      for (const Lease& lease : leases) EXPECT_EQ(lease.message.sequence, ++expected);
      EXPECT_EQ(one.ack(leases), leases.size());
    }
  }
  EXPECT_EQ(expected, 4000u);
}

TEST_F(LargeTable, OfAGroupThatBeginsLater) {
  write_all({"a", "b", "c"});
  GroupMember one = member(From::sequence(2));
  EXPECT_EQ(texts_of(take(one)), texts("b", "c"));
}

TEST_F(LargeTable, OfAGroupThatBeginsNow) {
  OpenFrame frame = open(producer_, "open");
  Producer other = station_.producer();
  write(other, "before");
  GroupMember one = member(From::latest);
  must(producer_.commit(frame, 0));
  write(other, "after");
  const auto leases = take(one);
  ASSERT_EQ(texts_of(leases), texts("after"));
  EXPECT_EQ(one.ack(leases), 1u);
  EXPECT_EQ(one.group().floor->load(std::memory_order_acquire).second, 4u);
}

// Whatever stands in the table, nobody crashes, hangs, or is handed bytes outside the ring.
TEST_F(LargeTable, FullOfGarbageHarmsNobody) {
  GroupMember one = member();
  for (int count = 0; count < 200; ++count) write_all({"x"});
  uint64_t seed = 7;
  const auto random = [&] { return seed = seed * 6364136223846793005 + 1442695040888963407; };
  const Group& group = one.group();
  for (int round = 0; round < 200; ++round) {
    for (int count = 0; count < 20; ++count) {
      const uint64_t sequence = random() >> 52;
      const uint64_t word = (group.lap(sequence) << 18) | ((random() >> 20) & 0x3ffff);
      group.entry(sequence).store({count % 3 == 0 ? random() : word, random() >> 20},
                                  std::memory_order_release);
    }
    group.control->pending.store(3, std::memory_order_release);
    std::vector<Lease> leases(64);
    const auto taken = one.take(leases);
    if (!taken) {
      EXPECT_EQ(taken.fault().code(), FaultCode::corrupted);
      continue;
    }
    for (size_t index = 0; index < *taken; ++index) {
      EXPECT_LE(leases[index].message.body_size, station_.ring().capacity);
      one.ack(leases[index]);
    }
  }
}

}  // namespace
}  // namespace loopline::shm
