// BellFile: whose it is, who removes it, and what stands in its place is never written to.
#include "shm/bell_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "child.h"
#include "named_station.h"
#include "shm/armed.h"
#include "shm/readiness.h"

namespace loopline::shm {
namespace {

class BellFileTest : public testing::Test {
 protected:
  // A consumer with a bell.
  struct Listener {
    Consumer consumer;
    Readiness readiness;
  };
  Listener listener() const { return listen(station_.lossless()); }
  static Listener listen(Consumer consumer) {
    Listener made{std::move(consumer), must(Readiness::make())};
    Consumer* const all[] = {&made.consumer};
    must(made.readiness.rest(all));
    return made;
  }
  std::string path(uint32_t slot) const {
    return station_.attach()->ring().bell_files + std::to_string(slot) + ".bell";
  }
  static bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
  size_t bell_count() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(station_.directory().paths().shm))
      count += is_bell_file(entry.path().string());
    return count;
  }
  // One that had a bell and was killed, in slot 0.
  void leave_a_dead_listener() const {
    Child child = Child::run([&](Child::Parent& parent) {
      const Listener dying = listener();
      parent.say();
      parent.wait_to_be_killed();
    });
    ASSERT_TRUE(child.listen());
    child.kill();
  }

  NamedStation station_;
};

TEST_F(BellFileTest, HasTheModeOfItsRingAndGoesWithItsConsumer) {
  {
    const Listener one = listener();
    struct stat bell, ring;
    ASSERT_EQ(::stat(path(one.consumer.slot()).c_str(), &bell), 0);
    ASSERT_EQ(::fstat(one.consumer.attached()->mapping().fd(), &ring), 0);
    EXPECT_TRUE(S_ISFIFO(bell.st_mode));
    EXPECT_EQ(bell.st_mode & 0777, ring.st_mode & 0777);
    EXPECT_EQ(bell_count(), 1u);
    EXPECT_TRUE(station_.directory().list_strangers().empty());
    EXPECT_TRUE(station_.directory().list_stale_bells().empty());
  }
  EXPECT_EQ(bell_count(), 0u);
}

TEST_F(BellFileTest, IsNotMadeUnlessItIsAskedFor) {
  const Consumer consumer = station_.lossless();
  EXPECT_EQ(bell_count(), 0u);
}

TEST_F(BellFileTest, MovesWithItsConsumer) {
  Listener one = listener();
  const Consumer moved = std::move(one.consumer);
  EXPECT_TRUE(exists(path(moved.slot())));
}

TEST_F(BellFileTest, OfTheDeadIsRemovedByWhoeverReapsThem) {
  leave_a_dead_listener();
  EXPECT_EQ(bell_count(), 1u);
  station_.attach()->janitor().sweep();
  EXPECT_EQ(bell_count(), 0u);
}

// Slot 0 has a file that nobody reaped; the next one there does not take it over.
TEST_F(BellFileTest, IsMadeAnewInASlotThatIsUsedAgain) {
  const auto attached = station_.attach();
  std::optional<BellFile> old = must(BellFile::make(attached->ring(), 0, 0600));
  const Listener one = listener();
  ASSERT_EQ(one.consumer.slot(), 0u);
  ring_bell_file(attached->ring(), 0);
  char byte;
  EXPECT_EQ(::read(old->fd(), &byte, 1), -1);
}

// Its thread ended, its slot was reaped and belongs to another: that one's file stays.
TEST_F(BellFileTest, OfAnotherStaysWhenOneLeavesWhoLostItsSlot) {
  std::optional<Listener> lost;
  std::thread([&] { lost.emplace(listener()); }).join();
  station_.attach()->janitor().sweep();
  EXPECT_EQ(bell_count(), 0u);
  const Listener other = listener();
  EXPECT_EQ(other.consumer.slot(), lost->consumer.slot());
  lost.reset();
  EXPECT_TRUE(exists(path(other.consumer.slot())));
}

TEST_F(BellFileTest, OfTheRingBeforeIsGoneInTheNext) {
  Listener one = listener();
  station_.seal();
  FrameView views[1];
  EXPECT_EQ(must(one.consumer.read(views)), 0u);
  EXPECT_EQ(bell_count(), 0u);
  Consumer* const all[] = {&one.consumer};
  must(one.readiness.rest(all));
  EXPECT_EQ(bell_count(), 1u);
  EXPECT_TRUE(exists(path(one.consumer.slot())));
}

// Removed and made anew under the same name: an old consumer leaves, the new one's file stays.
TEST_F(BellFileTest, OfANewStationIsAnotherThanOfTheOld) {
  auto old = std::make_optional(listener());
  must(station_.directory().remove_station(station_.name()));
  EXPECT_EQ(bell_count(), 0u);
  must(station_.directory().create(station_.options()));
  const Listener anew = listener();
  EXPECT_EQ(anew.consumer.slot(), old->consumer.slot());
  old.reset();
  EXPECT_TRUE(exists(path(anew.consumer.slot())));
}

TEST_F(BellFileTest, OfNoRingIsStaleAndGoesWithTheInstance) {
  auto attached = station_.attach();
  must(station_.directory().remove_station(station_.name()));
  const BellFile late = must(BellFile::make(attached->ring(), 2, 0600));
  const auto stale = station_.directory().list_stale_bells();
  ASSERT_EQ(stale.size(), 1u);
  EXPECT_TRUE(stale[0].ends_with("@2.bell"));
  EXPECT_TRUE(station_.directory().list_strangers().empty());
  EXPECT_TRUE(remove_instance_shm(station_.directory().paths()));
}

TEST_F(BellFileTest, OfAnotherStationStaysAtARemoval) {
  RingOptions other = station_.options();
  other.station = "orders-too";
  auto mapping = must(station_.directory().create(other));
  const auto attached =
      Attached::make(std::move(mapping), must(station_.directory().roster()), station_.directory());
  const Listener one = listen(must(Consumer::open(attached, {})));
  must(station_.directory().remove_station(station_.name()));
  EXPECT_EQ(bell_count(), 1u);
}

// Whoever may write to the folder can put anything there.
TEST_F(BellFileTest, IsNotWrittenWhenItIsNone) {
  const Listener one = listener();
  const std::string bell = path(one.consumer.slot());
  const std::string victim = station_.directory().paths().folder + "/victim";
  std::ofstream(victim) << "mine";
  const auto ring_in_vain = [&] { ring_bell_file(one.consumer.attached()->ring(), 0); };
  ::unlink(bell.c_str());
  ring_in_vain();
  ASSERT_EQ(::symlink(victim.c_str(), bell.c_str()), 0);
  ring_in_vain();
  ::unlink(bell.c_str());
  std::filesystem::copy(victim, bell);
  ring_in_vain();
  EXPECT_EQ(std::filesystem::file_size(victim), 4u);
  EXPECT_EQ(std::filesystem::file_size(bell), 4u);
  EXPECT_EQ(station_.directory().list_strangers().size(), 1u);
}

// A full one is readable; one without a reader takes the byte with it. Neither stops the waker.
TEST_F(BellFileTest, TakesAnyNumberOfBytes) {
  const auto attached = station_.attach();
  auto bell = std::make_optional(must(BellFile::make(attached->ring(), 0, 0600)));
  for (int count = 0; count < 100'000; ++count) bell->ring();
  ring_bell_file(attached->ring(), 0);
  bell->drain();
  char byte;
  EXPECT_EQ(::read(bell->fd(), &byte, 1), -1);
  bell.reset();
  ring_bell_file(attached->ring(), 0);
}

// Any bytes may stand where the marks do.
TEST_F(BellFileTest, IsLookedForInVainWhereAMarkIsGarbage) {
  const auto attached = station_.attach();
  attached->ring().control->cursor_count.store(~0u, std::memory_order_relaxed);
  for (uint32_t slot = 0; slot < attached->ring().cursor_slots; ++slot) {
    attached->ring().cursors[slot].waiting.store(0xfffffff2, std::memory_order_relaxed);
  }
  ring_readers(attached->ring());
  EXPECT_EQ(bell_count(), 0u);
}

}  // namespace
}  // namespace loopline::shm
