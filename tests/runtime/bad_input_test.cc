// Bad input: each gets a clear error, nothing is lost by it, and nothing crashes or hangs.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>

#include "shm/layout.h"
#include "station_fixture.h"
#include "tests/shm/child.h"

namespace loopline {
namespace {

using namespace std::chrono_literals;

class BadInput : public StationTest {
 protected:
  // Overwrites bytes of the station's ring file, with nobody's help.
  void write_into(const std::string& path, uint64_t offset, const std::string& bytes) const {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    ::close(fd);
  }
  FaultCode opening(std::string_view name) const { return code_of(Station::open(name, dir())); }

  // Work in a child as somebody who owns nothing (or as ourselves, when we are nobody special).
  template <class Work>
  static bool passes_as_nobody(Work&& work) {
    return Child::run([&](Child::Parent&) {
             constexpr unsigned nobody_id = 65534;
             if (::geteuid() == 0) {
               if (::setgroups(0, nullptr) != 0 || ::setgid(nobody_id) != 0 ||
                   ::setuid(nobody_id) != 0) {
                 return false;
               }
             }
             return static_cast<bool>(work());
           })
        .passes();
  }
  // An instance that everybody may enter.
  void open_the_door() const {
    const std::filesystem::path folder = dir();
    ASSERT_EQ(::chmod(folder.parent_path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
  }
};

// Whether `result` failed so; says what it was instead.
template <class T>
bool fails(const Result<T>& result, FaultCode code, std::initializer_list<const char*> words = {}) {
  if (result) {
    std::fprintf(stderr, "it did not fail\n");
    return false;
  }
  bool as_expected = result.fault().code() == code;
  for (const char* word : words) as_expected = as_expected && contains(result.fault(), word);
  if (!as_expected) std::fprintf(stderr, "%s\n", result.fault().message().c_str());
  return as_expected;
}

TEST_F(BadInput, AStationThatIsNotThere) {
  const auto missing = Station::open("orders", dir());
  EXPECT_EQ(code_of(missing), FaultCode::not_found);
  open_or_create("other");
  EXPECT_TRUE(fails(Station::open("orders", dir()), FaultCode::not_found,
                    {"main/orders", dir().c_str(), "loopline station ls"}));
}

TEST_F(BadInput, AnInstanceThatIsNotThere) {
  EXPECT_TRUE(
      fails(Station::open("orders", dir() + "/nowhere"), FaultCode::not_found, {"nowhere"}));
  EXPECT_TRUE(fails(Station::remove("orders", dir() + "/nowhere"), FaultCode::not_found));
}

TEST_F(BadInput, AnInstanceThatIsAFile) {
  const std::string path = dir() + "/file";
  std::ofstream(path) << "x";
  EXPECT_FALSE(Station::open("orders", path));
  EXPECT_FALSE(Station::open_or_create("orders", {}, path));
}

TEST_F(BadInput, AnotherLayoutVersion) {
  open_or_create("orders", {.ring = 64_KiB});
  write_into(ring_file("orders"), offsetof(shm::RingHeader, version), std::string("\x63\0\0\0", 4));
  for (const auto& refused : {Station::open("orders", dir()),
                              Station::open_or_create("orders", {.ring = 64_KiB}, dir())}) {
    EXPECT_TRUE(fails(refused, FaultCode::version_mismatch, {"99", "speaks 5", "main@orders"}));
  }
}

TEST_F(BadInput, AFileThatWasCutShort) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{7}, uint64_t{100}, 4_KiB, 64_KiB}) {
    (void)Station::remove("orders", dir());
    ::unlink(ring_file("orders").c_str());
    open_or_create("orders", {.ring = 64_KiB});
    ASSERT_EQ(::truncate(ring_file("orders").c_str(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(opening("orders"), FaultCode::corrupted) << size;
  }
}

TEST_F(BadInput, AFileWhoseHeaderWasOverwritten) {
  open_or_create("orders", {.ring = 64_KiB});
  write_into(ring_file("orders"), offsetof(shm::RingHeader, capacity), "x");
  EXPECT_TRUE(fails(Station::open("orders", dir()), FaultCode::corrupted, {"hash"}));
  write_into(ring_file("orders"), 0, std::string(4096, 'x'));
  EXPECT_TRUE(fails(Station::open("orders", dir()), FaultCode::corrupted, {"not a ring"}));
}

TEST_F(BadInput, AFileThatNeverWasARing) {
  open_or_create("orders", {.ring = 64_KiB});
  const std::string path = ring_file("strange");
  std::ofstream(path) << "these are not the bytes you are looking for, however many there are";
  EXPECT_EQ(opening("strange"), FaultCode::corrupted);
  ::unlink(path.c_str());
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  EXPECT_FALSE(Station::open("strange", dir()));
  ::rmdir(path.c_str());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(opening("strange"), FaultCode::corrupted);
  ::unlink(path.c_str());
  ASSERT_EQ(::symlink(ring_file("orders").c_str(), path.c_str()), 0);
  EXPECT_FALSE(Station::open("strange", dir())) << "a link is followed by nobody";
}

TEST_F(BadInput, DataOverwrittenUnderItsReaders) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer reader = must(station.consumer()), lossy = must(station.consumer({.lossy = true}));
  must(producer.publish("sound"));
  EXPECT_EQ(texts_of(reader), texts("sound"));
  EXPECT_EQ(texts_of(lossy), texts("sound"));
  must(producer.publish("about to be damaged"));
  const auto bytes = std::filesystem::file_size(ring_file("orders"));
  // All but the word, which still says committed.
  write_into(ring_file("orders"), bytes - 64_KiB + 64 + 8, std::string(56, '\xee'));
  const auto ignore = [](const Message&) {};
  EXPECT_EQ(code_of(reader.poll(ignore)), FaultCode::corrupted);
  EXPECT_TRUE(fails(lossy.poll(ignore), FaultCode::corrupted, {"main/orders", "sequence 2"}));
  EXPECT_TRUE(producer.publish("producers go on", {.timeout = 0ns}));
}

TEST_F(BadInput, EverythingOverwrittenUnderItsHandles) {
  for (const char byte : {'\0', '\x01', '\x7f', '\xff'}) {
    const Station station = open_or_create("orders", {.ring = 64_KiB});
    Producer producer = must(station.producer());
    Consumer reader = must(station.consumer()), lossy = must(station.consumer({.lossy = true}));
    must(producer.publish("sound"));
    const auto bytes = std::filesystem::file_size(ring_file("orders"));
    write_into(ring_file("orders"), 0, std::string(bytes, byte));
    const auto ignore = [](const Message&) {};
    for (int round = 0; round < 3; ++round) {
      (void)producer.publish("x", {.timeout = 0ns});
      (void)reader.poll(ignore);
      (void)lossy.poll(ignore);
      (void)reader.wait(0ns);
      (void)lossy.wait(0ns);
    }
    EXPECT_FALSE(Station::open("orders", dir()));
    ASSERT_EQ(::unlink(ring_file("orders").c_str()), 0);
  }
}

TEST_F(BadInput, NoRoomInSharedMemory) {
  const std::string place = dir() + "/tiny";
  ASSERT_EQ(::mkdir(place.c_str(), 0755), 0);
  Child child = Child::run([&](Child::Parent&) {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=1m") != 0) return false;
    ::setenv("LOOPLINE_SHM", place.c_str(), 1);
    const auto refused = Station::create("orders", {.ring = 8_MiB}, dir());
    const auto left = Station::create("small", {.ring = 64_KiB}, dir());
    return fails(refused, FaultCode::no_space,
                 {"main/orders", "needs 9.02MiB", "free", place.c_str()}) &&
           static_cast<bool>(left) && static_cast<bool>(left->producer()->publish("there is room"));
  });
  EXPECT_TRUE(child.passes());
}

TEST_F(BadInput, NoPermissionAtAll) {
  open_the_door();
  open_or_create("orders", {.ring = 64_KiB, .mode = 0600});
  ASSERT_EQ(::chmod(ring_file("orders").c_str(), 0), 0);
  EXPECT_TRUE(passes_as_nobody([&] {
    return fails(Station::open("orders", dir()), FaultCode::no_permission,
                 {"mode is 0000", "owner"});
  }));
}

TEST_F(BadInput, PermissionToReadOnly) {
  open_the_door();
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  ASSERT_EQ(::chmod(ring_file("orders").c_str(), 0444), 0);
  Child child = Child::run([&](Child::Parent& parent) {
    return passes_as_nobody([&] {
      const Station reading = must(Station::open("orders", dir()));
      Consumer lossy = must(reading.consumer({.from = From::earliest, .lossy = true}));
      parent.say();
      return fails(reading.producer(), FaultCode::no_permission) &&
             fails(reading.consumer(), FaultCode::no_permission, {"write permission"}) &&
             must(lossy.wait(forever)) && texts_of(lossy) == texts("seen by all");
    });
  });
  ASSERT_TRUE(child.listen());
  must(producer.publish("seen by all"));
  EXPECT_TRUE(child.passes());
}

TEST_F(BadInput, AHandleUsedAfterFork) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  Slot slot = must(producer.claim(1));
  slot.bytes()[0] = std::byte{'x'};
  Child child = Child::run([&](Child::Parent&) {
    const auto ignore = [](const Message&) {};
    return fails(producer.publish("x"), FaultCode::forked, {"after fork"}) &&
           fails(consumer.poll(ignore), FaultCode::forked) &&
           fails(consumer.wait(0ns), FaultCode::forked) &&
           fails(slot.commit(), FaultCode::forked) &&
           static_cast<bool>(must(station.producer()).publish("the child's own"));
  });
  EXPECT_TRUE(child.passes());
  must(slot.commit());
  EXPECT_EQ(texts_of(consumer), texts("x", "the child's own"));
}

TEST_F(BadInput, AHandleDestroyedInAChildStaysTheParents) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  auto producer = std::make_unique<Producer>(must(station.producer()));
  auto consumer = std::make_unique<Consumer>(must(station.consumer()));
  Child child = Child::run([&](Child::Parent&) {
    producer.reset();
    consumer.reset();
  });
  EXPECT_TRUE(child.passes());
  must(producer->publish("still mine"));
  EXPECT_EQ(texts_of(*consumer), texts("still mine"));
}

TEST_F(BadInput, AnExtensionThatMakesNoSense) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer reader = must(station.consumer());
  must(producer.publish("x", {.key = "AAPL"}));
  const auto bytes = std::filesystem::file_size(ring_file("orders"));
  write_into(ring_file("orders"), bytes - 64_KiB + 32, std::string(4, '\xff'));
  EXPECT_EQ(code_of(reader.poll([](const Message&) {})), FaultCode::corrupted);
  must(producer.publish("behind it"));
  EXPECT_EQ(texts_of(reader), texts("behind it"));
}

}  // namespace
}  // namespace loopline
