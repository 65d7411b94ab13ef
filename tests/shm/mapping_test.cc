// Tests of Mapping: a ring file is made whole or not at all, believed only when every field fits,
// and mapped so that a faulty reader cannot hurt it.
#include "shm/mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "child.h"
#include "shm/base/hash.h"
#include "shm/base/units.h"
#include "shm/lock.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {
namespace {

using test::code_of;
using test::fault_of;
using test::must;

constexpr uint64_t roster_uuid[2] = {11, 22};

RingOptions small_ring(uint64_t capacity = ring_capacity_min) {
  RingOptions options;
  options.station = "orders";
  options.capacity = capacity;
  options.producer_slots = 3;
  options.cursor_slots = 5;
  return options;
}

bool mentions(const Fault& fault, const std::string& text) {
  return fault.message().find(text) != std::string::npos;
}

// A place for ring files, and one in it whose bytes the test may change.
class RingFile : public ::testing::Test {
 protected:
  const std::string& folder() const { return folder_.path(); }
  std::string path(const std::string& name = "ring") const { return folder() + "/" + name; }

  Result<Mapping> create(const RingOptions& options = small_ring()) const {
    return Mapping::create(folder(), path(), options, roster_uuid);
  }
  Result<Mapping> attach(Access access = Access::produce) const {
    return Mapping::attach(path(), access);
  }
  RingHeader read_header() const {
    RingHeader header;
    const int fd = ::open(path().c_str(), O_RDONLY);
    EXPECT_EQ(::pread(fd, &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
    ::close(fd);
    return header;
  }
  void write_header(const RingHeader& header) const {
    const int fd = ::open(path().c_str(), O_RDWR);
    EXPECT_EQ(::pwrite(fd, &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
    ::close(fd);
  }
  // What attach says to a header changed by `change`, its hash correct again.
  Fault refusal(const std::function<void(RingHeader&)>& change) const {
    const RingHeader sound = read_header();
    RingHeader header = sound;
    change(header);
    header.header_hash = 0;
    header.header_hash = hash64(&header, sizeof header);
    write_header(header);
    const Fault fault = fault_of(attach(Access::look));
    write_header(sound);
    return fault;
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder()), {}));
  }

 private:
  test::TempFolder folder_;
};

TEST_F(RingFile, IsBornReadyForItsFirstClaim) {
  const Mapping mapping = must(create());
  const uint64_t capacity = mapping.header().capacity;
  const ControlBlock& control = mapping.control();
  EXPECT_EQ(control.start.pair.load(std::memory_order_relaxed), (Pair{capacity, 1}));
  EXPECT_EQ(control.hint.pair.load(std::memory_order_relaxed), (Pair{capacity, 1}));
  const auto limit = LimitWord::unpack(control.limit.pair.load(std::memory_order_relaxed));
  EXPECT_EQ(limit.position, 2 * capacity);
  EXPECT_EQ(limit.sequence, 1u);
  EXPECT_EQ(limit.epoch, 0u);
  EXPECT_EQ(control.gate.pair.load(std::memory_order_relaxed), no_cursor);
  EXPECT_EQ(control.seal.state.load(std::memory_order_relaxed), seal_open);
  for (uint32_t index = 0; index < 5; ++index) {
    EXPECT_EQ(mapping.cursors()[index].cursor.load(std::memory_order_relaxed), no_cursor);
    EXPECT_EQ(mapping.cursors()[index].owner.load(std::memory_order_relaxed), nobody);
  }
  EXPECT_EQ(try_lock(mapping.control().lock.mutex), LockOutcome::taken);
  unlock(mapping.control().lock.mutex);
}

TEST_F(RingFile, OfASuccessorHasNoStartYet) {
  RingOptions options = small_ring();
  options.born = false;
  const Mapping mapping = must(create(options));
  EXPECT_EQ(mapping.control().start.pair.load(std::memory_order_relaxed), Pair{});
  EXPECT_EQ(mapping.control().limit.pair.load(std::memory_order_relaxed), Pair{});
  EXPECT_EQ(mapping.control().gate.pair.load(std::memory_order_relaxed), no_cursor);
}

TEST_F(RingFile, KeepsWhatItWasMadeFrom) {
  RingOptions options = small_ring();
  options.factory = "billing";
  options.station = std::string(63, 'x');
  options.partition = 7;
  options.partitions = 9;
  options.generation = 3;
  options.exclusive = true;
  options.when_full = WhenFull::reject;
  options.timestamp = TimestampKind::coarse;
  options.message_max = 100;
  must(create(options));
  const Mapping attached = must(attach(Access::look));
  const RingHeader& header = attached.header();
  EXPECT_STREQ(header.factory, "billing");
  EXPECT_EQ(header.station, options.station);
  EXPECT_EQ(header.partition, 7u);
  EXPECT_EQ(header.partitions, 9u);
  EXPECT_EQ(header.generation, 3u);
  EXPECT_EQ(header.exclusive, 1u);
  EXPECT_EQ(header.when_full, WhenFull::reject);
  EXPECT_EQ(header.timestamp, TimestampKind::coarse);
  EXPECT_EQ(header.message_max, 100u);
  EXPECT_EQ(header.roster_uuid[0], 11u);
  EXPECT_EQ(header.roster_uuid[1], 22u);
}

TEST_F(RingFile, TakesMessagesOfAnEighthOfItselfUnlessToldLess) {
  EXPECT_EQ(must(create()).header().message_max, ring_capacity_min / 8 - 32);
}

TEST_F(RingFile, HasTheModeItWasAskedForWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  RingOptions options = small_ring();
  options.mode = 0664;
  must(create(options));
  ::umask(before);
  struct stat status;
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0664u);
}

TEST_F(RingFile, MirrorsItsData) {
  const Mapping producer = must(create());
  const uint64_t capacity = producer.header().capacity;
  std::memcpy(producer.data() + capacity - 3, "around", 6);
  EXPECT_EQ(std::memcmp(producer.data(), "und", 3), 0);
  const Mapping consumer = must(attach(Access::consume));
  EXPECT_EQ(std::memcmp(consumer.data() + capacity - 3, "around", 6), 0);
  producer.data()[2 * capacity - 1] = std::byte{9};
  EXPECT_EQ(consumer.data()[capacity - 1], std::byte{9});
}

TEST_F(RingFile, IsSharedByAllWhoAttach) {
  const Mapping one = must(create());
  const Mapping two = must(attach(Access::consume));
  one.side()[4].store(44, std::memory_order_relaxed);
  EXPECT_EQ(two.side()[4].load(std::memory_order_relaxed), 44u);
  two.cursors()[4].owner.store(55, std::memory_order_relaxed);
  EXPECT_EQ(one.cursors()[4].owner.load(std::memory_order_relaxed), 55u);
  one.producers()[2].owner.store(66, std::memory_order_relaxed);
  EXPECT_EQ(two.producers()[2].owner.load(std::memory_order_relaxed), 66u);
}

// Every boundary between two regions, by its neighbours: none overlaps another.
TEST_F(RingFile, KeepsItsRegionsApart) {
  for (const uint64_t capacity : {64_KiB, 1_MiB, 2_MiB, 8_MiB, 64_GiB}) {
    for (const uint32_t slots : {1u, 64u, 1022u}) {
      const Geometry geometry = geometry_of(capacity, slots, slots);
      const uint64_t control_end = page_size + sizeof(ControlBlock) + 2 * slots * line_pitch;
      EXPECT_GE(geometry.side_offset, control_end);
      EXPECT_GE(geometry.data_offset, geometry.side_offset + capacity / 8);
      EXPECT_EQ(geometry.file_bytes, geometry.data_offset + capacity);
      EXPECT_EQ(geometry.side_offset % page_size, 0u);
      EXPECT_EQ(geometry.data_offset % (capacity < 2_MiB ? page_size : 2_MiB), 0u);
    }
  }
}

TEST_F(RingFile, LetsNoConsumerWriteDataOrSideWords) {
  must(create());
  const Mapping consumer = must(attach(Access::consume));
  const uint64_t capacity = consumer.header().capacity;
  EXPECT_DEATH(consumer.data()[0] = std::byte{1}, "");
  EXPECT_DEATH(consumer.data()[capacity] = std::byte{1}, "");
  EXPECT_DEATH(consumer.side()[0].store(1, std::memory_order_relaxed), "");
}

TEST_F(RingFile, LetsNoLookerWriteAnything) {
  must(create());
  Mapping look = must(attach(Access::look));
  EXPECT_DEATH(look.control().repairs.store(1, std::memory_order_relaxed), "");
  EXPECT_DEATH(look.data()[0] = std::byte{1}, "");
  EXPECT_EQ(code_of(look.allow_writes(true)), FaultCode::no_permission);
}

TEST_F(RingFile, LetsAConsumerWriteOnlyWhileItRepairs) {
  must(create());
  Mapping consumer = must(attach(Access::consume));
  const uint64_t capacity = consumer.header().capacity;
  ASSERT_TRUE(consumer.allow_writes(true));
  consumer.data()[0] = std::byte{1};
  consumer.data()[2 * capacity - 1] = std::byte{2};
  consumer.side()[0].store(3, std::memory_order_relaxed);
  ASSERT_TRUE(consumer.allow_writes(false));
  EXPECT_DEATH(consumer.data()[0] = std::byte{4}, "");
  EXPECT_DEATH(consumer.data()[2 * capacity - 1] = std::byte{5}, "");
  EXPECT_DEATH(consumer.side()[0].store(6, std::memory_order_relaxed), "");
  EXPECT_EQ(must(attach(Access::produce)).data()[0], std::byte{1});
}

TEST_F(RingFile, StaysMappedWhenItsHandleMoves) {
  Mapping first = must(create());
  const std::byte* data = first.data();
  Mapping second = std::move(first);
  EXPECT_EQ(second.data(), data);
  Mapping third = must(Mapping::create_anonymous(small_ring(), roster_uuid));
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.name(), path());
}

TEST_F(RingFile, OfOneWhoWasSlowerIsNotMade) {
  const Mapping first = must(create());
  EXPECT_EQ(code_of(create()), FaultCode::already_exists);
  const Mapping attached = must(attach());
  EXPECT_EQ(attached.header().uuid[0], first.header().uuid[0]);
}

TEST_F(RingFile, IsSeenOnlyWhenItIsFinished) {
  Mapping prepared = must(Mapping::prepare(folder(), small_ring(), roster_uuid));
  EXPECT_EQ(files(), 0u);
  ASSERT_TRUE(prepared.publish(path()));
  EXPECT_EQ(files(), 1u);
  EXPECT_TRUE(attach());
}

TEST_F(RingFile, OfOneKilledWhileMakingItLeavesNothing) {
  for (int round = 0; round < 20; ++round) {
    Child child = Child::run([&](Child::Parent& parent) {
      parent.say();
      for (;;) must(Mapping::prepare(folder(), small_ring(1_MiB), roster_uuid));
    });
    ASSERT_TRUE(child.listen());
    ::usleep(static_cast<useconds_t>(round * 100));
    child.kill();
    EXPECT_EQ(files(), 0u);
  }
}

TEST_F(RingFile, AsksForHugePagesWithoutLosingAByte) {
  Mapping mapping = must(create(small_ring(4_MiB)));
  for (uint64_t place = 0; place < 4_MiB; place += 4096) {
    mapping.data()[place] = static_cast<std::byte>(place >> 12);
  }
  mapping.collapse();  // whether the kernel does it is its own affair
  const Mapping consumer = must(attach(Access::consume));
  for (uint64_t place = 0; place < 4_MiB; place += 4096) {
    ASSERT_EQ(consumer.data()[place], static_cast<std::byte>(place >> 12));
    ASSERT_EQ(consumer.data()[place + 4_MiB], static_cast<std::byte>(place >> 12));
  }
}

TEST_F(RingFile, OfALargeRingHasAllItsMemory) {
  const RingOptions options = small_ring(32_MiB);
  const Mapping mapping = must(create(options));
  struct stat status;
  ASSERT_EQ(::fstat(mapping.fd(), &status), 0);
  EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, 32_MiB + 4_MiB);
  for (uint64_t place = 0; place < 32_MiB; place += 4096) {
    ASSERT_EQ(mapping.data()[place], std::byte{0});
  }
}

TEST_F(RingFile, WithoutANameIsSharedByDescriptor) {
  const Mapping mapping = must(Mapping::create_anonymous(small_ring(4096), roster_uuid));
  EXPECT_EQ(mapping.header().capacity, 4096u);
  mapping.data()[4095] = std::byte{7};
  const Mapping again = must(Mapping::attach_fd(mapping.fd(), "twin", Access::consume));
  EXPECT_NE(again.fd(), mapping.fd());
  EXPECT_EQ(again.data()[2 * 4096 - 1], std::byte{7});
}

TEST_F(RingFile, IsNotMadeFromOptionsOutOfRange) {
  const auto refused = [&](const std::function<void(RingOptions&)>& change,
                           const std::string& words) {
    RingOptions options = small_ring();
    change(options);
    const Fault fault = fault_of(create(options));
    EXPECT_EQ(fault.code(), FaultCode::invalid_argument) << fault.message();
    EXPECT_TRUE(mentions(fault, words)) << fault.message();
  };
  refused([](RingOptions& o) { o.capacity = 65'537; }, "power of two from 64KiB to 64GiB");
  refused([](RingOptions& o) { o.capacity = 32_KiB; }, "ring cannot be 32KiB");
  refused([](RingOptions& o) { o.capacity = 128_GiB; }, "ring cannot be 128GiB");
  refused([](RingOptions& o) { o.capacity = 0; }, "ring cannot be 0B");
  refused([](RingOptions& o) { o.message_max = 8161; }, "max-message cannot be 8161B");
  refused([](RingOptions& o) { o.producer_slots = 0; }, "0 producer slots");
  refused([](RingOptions& o) { o.producer_slots = 1023; }, "1023 producer slots");
  refused([](RingOptions& o) { o.cursor_slots = 0; }, "0 cursor slots");
  refused([](RingOptions& o) { o.cursor_slots = 1025; }, "1025 cursor slots");
  refused([](RingOptions& o) { o.partition = 1; }, "no partition 1");
  refused([](RingOptions& o) { o.partitions = 0; }, "0 partitions");
  refused([](RingOptions& o) { o.partitions = 257; }, "257 partitions (1 to 256)");
  refused([](RingOptions& o) { o.generation = 0; }, "count from 1");
  refused([](RingOptions& o) { o.station = "Orders"; }, "name");
  refused([](RingOptions& o) { o.station = std::string(64, 'x'); }, "name");
  refused([](RingOptions& o) { o.factory = ""; }, "factory");
  refused([](RingOptions& o) { o.mode = 04755; }, "mode cannot be 4755");
  refused([](RingOptions& o) { o.mode = 0440; }, "mode cannot be 0440");
  EXPECT_EQ(files(), 0u);
}

TEST_F(RingFile, IsRefusedWhenItIsMissing) {
  const Fault fault = fault_of(attach());
  EXPECT_EQ(fault.code(), FaultCode::not_found);
  EXPECT_TRUE(mentions(fault, path()));
}

TEST_F(RingFile, IsRefusedWhenItIsNoRing) {
  must(create());
  const RingHeader sound = read_header();
  RingHeader header = sound;
  header.magic = 1;
  write_header(header);
  EXPECT_EQ(code_of(attach()), FaultCode::corrupted);
  EXPECT_TRUE(mentions(fault_of(attach()), "is not a ring"));
  ASSERT_EQ(::truncate(path().c_str(), 100), 0);
  write_header(sound);
  ASSERT_EQ(::truncate(path().c_str(), 100), 0);
  EXPECT_TRUE(mentions(fault_of(attach()), "is not a ring: it has 100B"));
  ASSERT_EQ(::truncate(path().c_str(), 0), 0);
  EXPECT_TRUE(mentions(fault_of(attach()), "is not a ring: it has 0B"));
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  EXPECT_FALSE(attach());
}

TEST_F(RingFile, IsRefusedWhenItsHeaderIsDamaged) {
  must(create());
  const RingHeader sound = read_header();
  for (size_t place = offsetof(RingHeader, header_bytes); place < sizeof sound; ++place) {
    RingHeader header = sound;
    reinterpret_cast<unsigned char*>(&header)[place] ^= 0x40;
    write_header(header);
    EXPECT_EQ(code_of(attach(Access::look)), FaultCode::corrupted) << place;
  }
}

TEST_F(RingFile, IsRefusedWhenItsLayoutIsAnother) {
  must(create());
  const Fault fault = refusal([](RingHeader& header) { header.version = 7; });
  EXPECT_EQ(fault.code(), FaultCode::version_mismatch);
  EXPECT_TRUE(mentions(fault, "has layout version 7, this program speaks 5"));
}

TEST_F(RingFile, IsRefusedWhenAFieldMakesNoSense) {
  must(create());
  const auto refused = [&](const std::function<void(RingHeader&)>& change,
                           const std::string& words) {
    const Fault fault = refusal(change);
    EXPECT_EQ(fault.code(), FaultCode::corrupted) << fault.message();
    EXPECT_TRUE(mentions(fault, words)) << fault.message();
  };
  refused([](RingHeader& h) { h.header_bytes = 4; }, "damaged header");
  refused([](RingHeader& h) { h.capacity = 12'345; }, "a capacity of 12345");
  refused([](RingHeader& h) { h.capacity = 2048; }, "a capacity of 2048");
  refused([](RingHeader& h) { h.capacity = 1ull << 63; }, "a capacity");
  refused([](RingHeader& h) { h.producer_slots = 0; }, "0 producer slots");
  refused([](RingHeader& h) { h.producer_slots = ~0u; }, "producer slots");
  refused([](RingHeader& h) { h.cursor_slots = 1025; }, "1025 cursor slots");
  refused([](RingHeader& h) { h.cursor_slots = 1000; }, "offsets");
  refused([](RingHeader& h) { h.side_offset += 8; }, "offsets");
  refused([](RingHeader& h) { h.data_offset = 0; }, "offsets");
  refused([](RingHeader& h) { h.file_bytes += 4096; }, "offsets");
  refused([](RingHeader& h) { h.message_max = 0; }, "messages of up to 0");
  refused([](RingHeader& h) { h.message_max = h.capacity / 8 - 31; }, "messages of up to");
  refused([](RingHeader& h) { h.exclusive = 2; }, "exclusive 2");
  refused([](RingHeader& h) { h.timestamp = TimestampKind{3}; }, "timestamp");
  refused([](RingHeader& h) { h.when_full = WhenFull{3}; }, "full ring");
  refused([](RingHeader& h) { h.partition = 1; }, "partition 1 of 1");
  refused([](RingHeader& h) { h.partitions = 0; }, "0 partitions");
  refused([](RingHeader& h) { h.partitions = 257; }, "257 partitions");
  refused([](RingHeader& h) { h.generation = 0; }, "generation 0");
  refused([](RingHeader& h) { std::memset(h.factory, 'a', 64); }, "factory");
  refused([](RingHeader& h) { h.station[0] = '/'; }, "station");
  refused([](RingHeader& h) { h.station[0] = 0; }, "station");
  EXPECT_TRUE(attach());
}

TEST_F(RingFile, IsRefusedWhenItWasCutShortOrGrew) {
  must(create());
  const auto bytes = static_cast<off_t>(read_header().file_bytes);
  ASSERT_EQ(::truncate(path().c_str(), bytes - 1), 0);
  EXPECT_TRUE(mentions(fault_of(attach()), "was cut short"));
  EXPECT_EQ(code_of(attach()), FaultCode::corrupted);
  ASSERT_EQ(::truncate(path().c_str(), bytes + 1), 0);
  EXPECT_TRUE(mentions(fault_of(attach()), "something was appended"));
}

TEST_F(RingFile, IsRefusedToWhoMayNotWriteIt) {
  RingOptions options = small_ring();
  options.mode = 0644;
  must(create(options));
  std::filesystem::permissions(folder(), std::filesystem::perms(0755));
  Child child = Child::run([&](Child::Parent&) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return false;
    if (::chmod(path().c_str(), 0444) != 0 && errno != EPERM) return false;
    const Fault fault = fault_of(attach(Access::consume));
    return fault.code() == FaultCode::no_permission && mentions(fault, path()) &&
           mentions(fault, "for writing: its mode is 0") && attach(Access::look);
  });
  EXPECT_TRUE(child.passes());
}

// A tmpfs of its own, in a mount namespace that goes with the child.
template <class Work>
void in_small_tmpfs(const std::string& folder, const std::string& options, Work work) {
  constexpr int not_permitted = 42;
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()) == 0;
    ::_exit(!mounted ? not_permitted : work() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == not_permitted) {
    GTEST_SKIP() << "this user may not mount a tmpfs";
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(RingFile, NamesTheRoomThatIsMissing) {
  in_small_tmpfs(folder(), "size=1m", [&] {
    const Fault fault = fault_of(create(small_ring(8_MiB)));
    return fault.code() == FaultCode::no_space && files() == 0 &&
           mentions(fault, "no room in shared memory for station \"main/orders\": needs 9.01MiB, " +
                               folder() + " has 1MiB free; make the ring smaller or enlarge");
  });
}

// What a ring that is dropped had taken is there for the next one.
TEST_F(RingFile, GivesItsRoomBack) {
  in_small_tmpfs(folder(), "size=2m", [&] {
    auto first = Mapping::prepare(folder(), small_ring(1_MiB), roster_uuid);
    if (!first) return false;
    if (code_of(Mapping::prepare(folder(), small_ring(1_MiB), roster_uuid)) !=
        FaultCode::no_space) {
      return false;
    }
    first = Fault(FaultCode::closed, "dropped");
    return static_cast<bool>(Mapping::prepare(folder(), small_ring(1_MiB), roster_uuid));
  });
}

TEST_F(RingFile, IsMadeWhereTheFileSystemHasNoBound) {
  in_small_tmpfs(folder(), "size=0", [&] { return static_cast<bool>(create()); });
}

// Two who allocate at once: whoever comes short is told, and nobody gets a SIGBUS.
TEST_F(RingFile, OfSeveralWhoFightForRoomIsWholeOrRefused) {
  in_small_tmpfs(folder(), "size=3m", [&] {
    bool fine = true;
    std::vector<Child> children;
    for (int index = 0; index < 4; ++index) {
      children.push_back(Child::run([&](Child::Parent&) {
        for (int round = 0; round < 10; ++round) {
          auto made = Mapping::prepare(folder(), small_ring(1_MiB), roster_uuid);
          if (!made && made.fault().code() != FaultCode::no_space) return false;
          if (made) std::memset(made->data(), 1, 2_MiB);
        }
        return true;
      }));
    }
    for (Child& child : children) fine = child.passes() && fine;
    return fine;
  });
}

}  // namespace
}  // namespace loopline::shm
