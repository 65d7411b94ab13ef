// The files of consumer groups beside their rings: made, refused, moved with the ring, given back.
#include "shm/group_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "named_station.h"
#include "shm/edit.h"
#include "shm/group_member.h"

namespace loopline::shm {
namespace {

GroupOptions group_named(const std::string& name) {
  GroupOptions options;
  options.name = name;
  options.entries = group_entries_min;
  options.in_flight_max = group_entries_min;
  options.backoff_ns = {};
  return options;
}

class GroupFiles : public testing::Test {
 protected:
  const std::string& folder() const { return station_.directory().paths().shm; }
  std::shared_ptr<GroupFile> file(const std::shared_ptr<Attached>& attached,
                                  const GroupOptions& options = group_named("billing")) const {
    return must(GroupFile::open_or_create(folder(), attached->header(), options, 0660, {}));
  }
  GroupMember member(From from = From::earliest) const {
    const auto attached = station_.attach();
    return must(GroupMember::open(attached, file(attached), {.from = from}));
  }
  static std::vector<std::string> take(GroupMember& member, std::vector<Lease>& leases) {
    leases.resize(64);
    leases.resize(must(member.take(leases)));
    std::vector<std::string> texts;
    for (const Lease& lease : leases) texts.push_back(text_of(lease.message));
    return texts;
  }
  static std::vector<std::string> take_and_ack(GroupMember& member) {
    std::vector<Lease> leases;
    auto texts = take(member, leases);
    EXPECT_EQ(member.ack(leases), leases.size());
    return texts;
  }

  NamedStation station_;
  std::vector<Lease> leases_;
};

TEST_F(GroupFiles, AreMadeOnceAndFoundAgain) {
  const auto attached = station_.attach();
  const auto one = file(attached);
  GroupOptions others = group_named("billing");
  others.deliveries_max = 9;
  EXPECT_EQ(file(attached, others)->header().deliveries_max, 5u);
  EXPECT_EQ(std::string(one->header().name), "billing");
  EXPECT_TRUE(station_.directory().list_strangers().empty());
}

TEST_F(GroupFiles, AreRefusedWithWhatIsOutOfRange) {
  const auto attached = station_.attach();
  const auto refuse = [&](const GroupOptions& options, const char* word) {
    const auto refused = GroupFile::open_or_create(folder(), attached->header(), options, 0660, {});
    EXPECT_EQ(code_of(refused), FaultCode::invalid_argument);
    EXPECT_TRUE(contains(test::fault_of(refused), word)) << refused.fault().message();
  };
  refuse(group_named("Billing"), "called");
  GroupOptions options = group_named("billing");
  options.entries = 300;
  refuse(options, "table");
  options = group_named("billing");
  options.deliveries_max = group_deliveries_max + 1;
  refuse(options, "max-deliveries");
  options = group_named("billing");
  options.ack_wait_ns = 0;
  refuse(options, "ack-wait");
}

TEST_F(GroupFiles, ThatAreDamagedAreNotBelieved) {
  const auto attached = station_.attach();
  const auto good = file(attached);
  for (off_t place = 0; place < static_cast<off_t>(sizeof(GroupHeader)); ++place) {
    std::byte was;
    ASSERT_EQ(::pread(good->fd(), &was, 1, place), 1);
    const std::byte flipped = was ^ std::byte{0x10};
    ASSERT_EQ(::pwrite(good->fd(), &flipped, 1, place), 1);
    EXPECT_FALSE(GroupFile::open(folder(), attached->header(), "billing")) << place;
    ASSERT_EQ(::pwrite(good->fd(), &was, 1, place), 1);
  }
  ASSERT_EQ(::ftruncate(good->fd(), 8192), 0);
  EXPECT_EQ(code_of(GroupFile::open(folder(), attached->header(), "billing")),
            FaultCode::corrupted);
}

TEST_F(GroupFiles, OfSeveralGroupsKnowNothingOfEachOther) {
  Producer producer = station_.producer();
  GroupMember billing = member();
  const auto attached = station_.attach();
  GroupMember mailing =
      must(GroupMember::open(attached, file(attached, group_named("mailing")), {}));
  write(producer, "a");
  EXPECT_EQ(take_and_ack(billing), texts("a"));
  EXPECT_EQ(take_and_ack(mailing), texts("a"));
}

TEST_F(GroupFiles, MoveWithTheRingOnceAllBeforeTheSealIsDone) {
  Producer producer = station_.producer();
  GroupMember one = member();
  GroupMember other = member();
  write(producer, "a");
  write(producer, "b");
  std::vector<Lease> held;
  EXPECT_EQ(take(other, held), texts("a", "b"));
  station_.seal();
  write(producer, "c");
  EXPECT_TRUE(take(one, leases_).empty()) << "what lies before the seal is not settled";
  EXPECT_EQ(one.why_none(), TakeStop::sealed);
  EXPECT_EQ(other.ack(held[0]), Settled::done);
  EXPECT_EQ(other.nack(held[1]), Settled::done);
  EXPECT_EQ(take_and_ack(one), texts("b"));
  EXPECT_EQ(take_and_ack(one), texts("c"));
  EXPECT_TRUE(take(other, leases_).empty());
  write(producer, "d");
  EXPECT_EQ(take_and_ack(other), texts("d"));
  EXPECT_EQ(one.attached()->header().generation, 2u);
  EXPECT_EQ(other.attached()->header().generation, 2u);
  EXPECT_EQ(station_.generations().size(), 1u) << "nothing holds the old ring";
}

TEST_F(GroupFiles, AreFoundInTheNewestRing) {
  Producer producer = station_.producer();
  GroupMember one = member();
  station_.seal();
  write(producer, "a");
  station_.seal();
  write(producer, "b");
  EXPECT_EQ(take_and_ack(one), texts("a"));
  EXPECT_EQ(take_and_ack(one), texts("b"));
  GroupMember late = member();
  write(producer, "c");
  EXPECT_EQ(take_and_ack(late), texts("c"));
}

TEST_F(GroupFiles, OfARemovedGroupGiveTheRingBack) {
  Producer producer = station_.producer();
  GroupMember one = member();
  fill(producer);
  EXPECT_EQ(refusal(producer, 32), FaultCode::full);
  const auto attached = station_.attach();
  must(file(attached)->retire(*attached));
  write(producer, "there is room");
  EXPECT_EQ(code_of(one.take(leases_ = std::vector<Lease>(1))), FaultCode::closed);
  EXPECT_EQ(code_of(GroupMember::open(attached, file(attached), {})), FaultCode::closed);
}

TEST_F(GroupFiles, GoWithTheirStation) {
  GroupMember one = member();
  must(station_.directory().remove_station(station_.name()));
  EXPECT_EQ(code_of(one.take(leases_ = std::vector<Lease>(1))), FaultCode::closed);
  EXPECT_TRUE(station_.directory().list_strangers().empty());
  EXPECT_EQ(
      ::access(GroupFile::path_of(folder(), one.attached()->header(), "billing").c_str(), F_OK),
      -1);
}

// Else who may read from now on could not work beside the others.
TEST_F(GroupFiles, HaveTheModeOfTheirStation) {
  const auto made = file(station_.attach());
  StationEdit edit;
  edit.mode = 0606;
  EXPECT_TRUE(must(edit_station(station_.directory(), station_.name(), edit)).is_changed);
  struct stat status;
  ASSERT_EQ(::fstat(made->fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0606u);
}

TEST_F(GroupFiles, OfAPausedGroupHandNothingOut) {
  Producer producer = station_.producer();
  GroupMember one = member();
  write(producer, "a");
  const auto attached = station_.attach();
  file(attached)->set_paused(*attached, true);
  EXPECT_TRUE(file(attached)->is_paused());
  EXPECT_TRUE(take(one, leases_).empty());
  std::thread operator_of_it([&] { file(attached)->set_paused(*attached, false); });
  EXPECT_TRUE(must(one.wait(~0ull)));
  operator_of_it.join();
  EXPECT_EQ(take_and_ack(one), texts("a"));
}

TEST_F(GroupFiles, SeekWithMembersAttached) {
  Producer producer = station_.producer();
  GroupMember one = member();
  for (const char* text : {"a", "b", "c", "d"}) write(producer, text);
  leases_.resize(1);
  ASSERT_EQ(must(one.take(leases_)), 1u);
  const auto held = leases_[0];
  const auto attached = station_.attach();
  must(file(attached)->seek(*attached, From::sequence(4)));
  EXPECT_EQ(one.ack(held), Settled::done) << "a lease goes on";
  EXPECT_EQ(take_and_ack(one), texts("d"));
  EXPECT_EQ(one.group().floor->load(std::memory_order_acquire).second, 5u);
  const auto back = file(attached)->seek(*attached, From::sequence(2));
  EXPECT_EQ(code_of(back), FaultCode::unsupported);
  write(producer, "e");
  must(file(attached)->seek(*attached, From::latest));
  write(producer, "f");
  EXPECT_EQ(take_and_ack(one), texts("f"));
}

RingOptions evicting() {
  RingOptions options = tiny_ring();
  options.evict_after_ns = evict_after_min_ns;
  return options;
}

TEST(EvictedGroup, IsToldWhatItLostAndGoesOn) {
  TestStation station(evicting());
  GroupOptions options = group_named("billing");
  const auto file = must(GroupFile::create_anonymous(station.attached()->header(), options));
  GroupMember one = must(GroupMember::open(station.attached(), file, {}));
  Producer producer = station.producer();
  const uint64_t count = fill(producer);
  std::vector<Lease> leases(2);
  ASSERT_EQ(must(one.take(leases)), 2u);
  EvictionWatch watch;
  const auto slot = slowest_reader(station.ring());
  ASSERT_TRUE(slot);
  watch.look(station.ring(), 1, *slot, 1, 0);
  ASSERT_TRUE(watch.look(station.ring(), 1, *slot, 1, 1));
  const uint64_t more = 10;
  for (uint64_t index = 0; index < more; ++index) write(producer, "there is room");
  EXPECT_FALSE(one.holds(leases[0]));
  EXPECT_EQ(one.ack(leases[0]), Settled::detached);
  std::vector<Lease> rest(200);
  const size_t left = must(one.take(rest));
  const uint64_t lost = one.take_lost();
  EXPECT_EQ(lost + left, count + more - 1) << "all but the one acknowledged";
  EXPECT_EQ(one.ack(std::span(rest).first(left)), left);
}

TEST(RefusedGroup, IsOneWhoseProducersWaitForNobody) {
  RingOptions options = tiny_ring();
  options.when_full = WhenFull::drop_oldest;
  TestStation station(options);
  const auto file =
      must(GroupFile::create_anonymous(station.attached()->header(), group_named("billing")));
  EXPECT_EQ(code_of(GroupMember::open(station.attached(), file, {})), FaultCode::unsupported);
}

}  // namespace
}  // namespace loopline::shm
