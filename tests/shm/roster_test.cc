// Tests of Roster: a seat looks alive exactly as long as its thread lives, whatever kills it.
#include "shm/roster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cctype>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "child.h"
#include "shm/base/hash.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::shm {
namespace {

using test::code_of;
using test::must;

// What one process tells another through shared memory.
struct Note {
  std::atomic<SeatId> seat{nobody};
  std::atomic<bool> go{false};
};

template <class T>
T* shared_memory() {
  void* place =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (place) T;
}

// A roster file whose bytes the test may change behind everybody's back.
class RosterFile {
 public:
  RosterFile() : path_(folder_.path() + "/roster") {
    roster_ = must(Roster::open_or_create(path_, 0600));
    const int fd = ::open(path_.c_str(), O_RDWR);
    entries_ = static_cast<RosterEntry*>(::mmap(nullptr, sizeof(RosterEntry) * roster_entry_count,
                                                PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
    ::close(fd);
  }
  ~RosterFile() { ::munmap(entries_, sizeof(RosterEntry) * roster_entry_count); }

  const std::string& path() const { return path_; }
  Roster& operator*() const { return *roster_; }
  Roster* operator->() const { return roster_.get(); }
  RosterEntry* entries() const { return entries_; }

  // Leaves the first `count` entries; all others have no generation left.
  void leave_entries(uint32_t count) const {
    for (uint32_t index = count; index < roster_entry_count; ++index) {
      entries_[index].state.store(((1ull << 33) - 1) << 31, std::memory_order_relaxed);
    }
  }
  // A child that has a seat and waits to be killed.
  Child seated_child(SeatId& seat) const {
    Note* note = shared_memory<Note>();
    Child child = Child::run([&](Child::Parent& parent) {
      note->seat = must(roster_->my_seat());
      parent.say();
      parent.wait_to_be_killed();
    });
    EXPECT_TRUE(child.listen());
    seat = note->seat;
    ::munmap(note, sizeof *note);
    return child;
  }

 private:
  test::TempFolder folder_;
  std::string path_;
  std::shared_ptr<Roster> roster_;
  RosterEntry* entries_;
};

TEST(Roster, GivesAThreadOneSeatAndKeepsIt) {
  auto roster = must(Roster::create_anonymous());
  const SeatId seat = must(roster->my_seat());
  EXPECT_NE(seat, nobody);
  EXPECT_EQ(must(roster->my_seat()), seat);
  EXPECT_TRUE(roster->alive(seat));
  EXPECT_NE(roster->futex_word(seat), nullptr);
}

TEST(Roster, GivesEachThreadItsOwnSeatAndTakesItBackAtItsEnd) {
  auto roster = must(Roster::create_anonymous());
  std::vector<SeatId> seats(8);
  std::vector<std::thread> threads;
  for (SeatId& seat : seats) {
    threads.emplace_back([&roster, &seat] { seat = must(roster->my_seat()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<SeatId>(seats.begin(), seats.end()).size(), seats.size());
  for (const SeatId seat : seats) {
    EXPECT_FALSE(roster->alive(seat));
    EXPECT_EQ(roster->futex_word(seat), nullptr);
  }
}

// Handles in thread_local variables must still find their seat when they close themselves.
struct LateHandle {
  Roster* roster = nullptr;
  SeatId seat = nobody;
  bool* was_alive = nullptr;
  ~LateHandle() {
    if (roster != nullptr) *was_alive = roster->alive(seat) && must(roster->my_seat()) == seat;
  }
};

TEST(Roster, KeepsTheSeatUntilThreadLocalObjectsAreGone) {
  auto roster = must(Roster::create_anonymous());
  bool was_alive = false;
  SeatId seat = nobody;
  std::thread thread([&] {
    thread_local LateHandle handle;
    seat = must(roster->my_seat());
    handle.roster = roster.get();
    handle.seat = seat;
    handle.was_alive = &was_alive;
  });
  thread.join();
  EXPECT_TRUE(was_alive);
  EXPECT_FALSE(roster->alive(seat));
}

TEST(Roster, SeesAKilledProcess) {
  const RosterFile roster;
  SeatId seat = nobody;
  Child child = roster.seated_child(seat);
  EXPECT_TRUE(roster->alive(seat));
  child.kill();
  EXPECT_TRUE(test::wait_until([&] { return !roster->alive(seat); }));
}

TEST(Roster, SeesExecAsDeath) {
  const RosterFile roster;
  Note* note = shared_memory<Note>();
  Child child = Child::run([&](Child::Parent& parent) {
    note->seat = must(roster->my_seat());
    parent.say();
    ::execlp("sleep", "sleep", "60", nullptr);
  });
  ASSERT_TRUE(child.listen());
  EXPECT_TRUE(test::wait_until([&] { return !roster->alive(note->seat); }));
  ::munmap(note, sizeof *note);
}

TEST(Roster, SeparatesAForkedChildFromItsParent) {
  const RosterFile roster;
  const SeatId mine = must(roster->my_seat());
  const uint64_t my_key = thread_key();
  const uint64_t my_generation = fork_generation();
  Note* note = shared_memory<Note>();
  Child child = Child::run([&](Child::Parent& parent) {
    note->seat = must(roster->my_seat());
    const bool differs = note->seat != mine && thread_key() != my_key &&
                         fork_generation() == my_generation + 1 && roster->alive(mine) &&
                         roster->alive(note->seat);
    if (!differs) return false;
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  EXPECT_TRUE(roster->alive(note->seat));
  child.kill();
  EXPECT_TRUE(test::wait_until([&] { return !roster->alive(note->seat); }));
  EXPECT_TRUE(roster->alive(mine));
  EXPECT_EQ(must(roster->my_seat()), mine);
  EXPECT_EQ(thread_key(), my_key);
  EXPECT_EQ(fork_generation(), my_generation);
  ::munmap(note, sizeof *note);
}

TEST(Roster, KeepsTheParentsSeatWhenAChildEndsInOrder) {
  const RosterFile roster;
  const SeatId mine = must(roster->my_seat());
  Child child = Child::run([&](Child::Parent&) {
    must(roster->my_seat());
    return true;
  });
  EXPECT_TRUE(child.passes());
  EXPECT_TRUE(roster->alive(mine));
}

TEST(Roster, GivesADeadSeatToTheNextWithANewGeneration) {
  const RosterFile roster;
  roster.leave_entries(1);
  SeatId dead = nobody;
  roster.seated_child(dead).kill();
  const SeatId mine = must(roster->my_seat());
  EXPECT_EQ(seat_entry(mine), seat_entry(dead));
  EXPECT_EQ(seat_generation(mine), seat_generation(dead) + 1);
  EXPECT_FALSE(roster->alive(dead));
  EXPECT_TRUE(roster->alive(mine));
}

TEST(Roster, SaysWhenEverySeatIsTaken) {
  const RosterFile roster;
  roster.leave_entries(1);
  SeatId seat = nobody;
  Child child = roster.seated_child(seat);
  EXPECT_EQ(code_of(roster->my_seat()), FaultCode::too_many);
  child.kill();
  EXPECT_TRUE(roster->my_seat());
}

TEST(Roster, NeverRevivesASeatThatWasDeclaredDead) {
  const RosterFile roster;
  const SeatId first = must(roster->my_seat());
  roster->mark_dead(first);  // mistaken: we live
  EXPECT_FALSE(roster->alive(first));
  const SeatId second = must(roster->my_seat());
  EXPECT_NE(second, first);
  EXPECT_FALSE(roster->alive(first));
  EXPECT_TRUE(roster->alive(second));
}

TEST(Roster, MarksOnlyTheGenerationItWasAskedFor) {
  const RosterFile roster;
  const SeatId mine = must(roster->my_seat());
  roster->mark_dead(make_seat(seat_entry(mine), seat_generation(mine) + 1));
  roster->mark_dead(make_seat(seat_entry(mine), seat_generation(mine) - 1));
  EXPECT_TRUE(roster->alive(mine));
}

TEST(Roster, TellsWhoSits) {
  const RosterFile roster;
  SeatId seat = nobody;
  Child child = roster.seated_child(seat);
  std::string command;
  std::getline(std::ifstream("/proc/self/comm"), command);
  EXPECT_EQ(roster->seat_of(seat_entry(seat)), seat);
  const Roster::Person person = roster->describe(seat);
  EXPECT_TRUE(person.alive);
  EXPECT_EQ(person.pid, static_cast<uint32_t>(child.pid()));
  EXPECT_EQ(person.tid, static_cast<uint32_t>(child.pid()));
  EXPECT_EQ(person.uid, ::geteuid());
  EXPECT_EQ(person.command, command);
  child.kill();
  ASSERT_TRUE(test::wait_until([&] { return !roster->alive(seat); }));
  EXPECT_EQ(roster->describe(seat).command, command);  // the dead keep their name until replaced
}

TEST(Roster, LooksWithoutWriting) {
  const RosterFile roster;
  auto look = must(Roster::open_to_look(roster.path()));
  const SeatId mine = must(roster->my_seat());
  EXPECT_TRUE(look->alive(mine));
  EXPECT_EQ(look->describe(mine).pid, static_cast<uint32_t>(::getpid()));
  look->mark_dead(mine);
  EXPECT_TRUE(look->alive(mine));
  EXPECT_EQ(code_of(look->my_seat()), FaultCode::no_permission);
}

TEST(Roster, TellsWhoLivesWithoutMappingTheFile) {
  const RosterFile roster;
  auto look = must(Roster::open_to_inspect(roster.path()));
  const SeatId mine = must(roster->my_seat());
  EXPECT_TRUE(look->alive(mine));
  EXPECT_EQ(look->seat_of(seat_entry(mine)), mine);
  EXPECT_EQ(look->describe(mine).pid, static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(look->futex_word(mine), nullptr);
  EXPECT_EQ(code_of(look->my_seat()), FaultCode::no_permission);
  SeatId theirs = nobody;
  Child child = roster.seated_child(theirs);
  EXPECT_TRUE(look->alive(theirs));
  child.kill();
  EXPECT_TRUE(test::wait_until([&] { return !look->alive(theirs); }));
}

TEST(Roster, KnowsNobodyOnceItsFileIsCutShort) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/roster";
  must(Roster::open_or_create(path, 0600));
  auto look = must(Roster::open_to_inspect(path));
  EXPECT_TRUE(look->describe(make_seat(100, 1)).is_known);
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  EXPECT_FALSE(look->describe(make_seat(100, 1)).is_known);
  EXPECT_FALSE(look->alive(make_seat(100, 1)));
  EXPECT_EQ(look->seat_of(100), nobody);
}

TEST(Roster, IsMappedOncePerFileAndProcess) {
  const RosterFile roster;
  auto again = must(Roster::open_or_create(roster.path(), 0600));
  EXPECT_EQ(again.get(), &*roster);
  EXPECT_EQ(must(again->my_seat()), must(roster->my_seat()));
}

TEST(Roster, IsMadeOnceByAllWhoRaceForIt) {
  for (int round = 0; round < 10; ++round) {
    const test::TempFolder folder;
    struct Uuids {
      Note start;
      uint64_t words[8];
    };
    auto* uuids = shared_memory<Uuids>();
    std::vector<Child> children;
    for (int index = 0; index < 8; ++index) {
      children.push_back(Child::run([&](Child::Parent&) {
        while (!uuids->start.go) ::sched_yield();
        uuids->words[index] =
            must(Roster::open_or_create(folder.path() + "/roster", 0600))->uuid()[0];
      }));
    }
    uuids->start.go = true;
    for (Child& child : children) EXPECT_TRUE(child.passes());
    for (const uint64_t word : uuids->words) EXPECT_EQ(word, uuids->words[0]);
    ::munmap(uuids, sizeof *uuids);
  }
}

// A tid is a number of its pid namespace: two programs in containers are often both 1.
TEST(Roster, DoesNotTakeAThreadOfTheSameTidForTheDeadOne) {
  const RosterFile roster;
  roster.leave_entries(1);
  auto& notes = *shared_memory<std::array<Note, 2>>();
  const auto sit_as_pid_1 = [&](Note& note) {
    return Child::run([&](Child::Parent& parent) {
      if (::unshare(CLONE_NEWPID) != 0) return true;
      const pid_t first = ::fork();
      if (first == 0) {
        note.seat = must(roster->my_seat());
        parent.say();
        while (!note.go) ::usleep(100);
        ::_exit(0);
      }
      ::waitpid(first, nullptr, 0);
      return true;
    });
  };
  Child first = sit_as_pid_1(notes[0]);
  if (!first.listen()) GTEST_SKIP() << "this user may not make a pid namespace";
  EXPECT_EQ(roster->describe(notes[0].seat).tid, 1u);
  notes[0].go = true;
  EXPECT_TRUE(first.passes());
  Child second = sit_as_pid_1(notes[1]);
  ASSERT_TRUE(second.listen());
  EXPECT_EQ(roster->describe(notes[1].seat).tid, 1u);
  EXPECT_EQ(seat_entry(notes[1].seat), seat_entry(notes[0].seat));
  EXPECT_FALSE(roster->alive(notes[0].seat));
  EXPECT_TRUE(roster->alive(notes[1].seat));
  notes[1].go = true;
  EXPECT_TRUE(second.passes());
}

// The one usable entry changes hands again and again, its holder killed anywhere in between.
TEST(Roster, SurvivesKillsWhileSeatsAreTaken) {
  const RosterFile roster;
  roster.leave_entries(1);
  std::mt19937 random(11);
  uint64_t generation = 0;
  for (int round = 0; round < 200; ++round) {
    Child child = Child::run([&](Child::Parent& parent) {
      parent.say();
      for (;;) std::thread([&] { must(roster->my_seat()); }).join();
    });
    ASSERT_TRUE(child.listen());
    ::usleep(static_cast<useconds_t>(random() % 500));
    child.kill();
    std::thread([&] {
      const SeatId seat = must(roster->my_seat());
      EXPECT_GT(seat_generation(seat), generation);
      EXPECT_TRUE(roster->alive(seat));
      generation = seat_generation(seat);
    }).join();
    EXPECT_FALSE(roster->alive(make_seat(0, generation)));
  }
}

TEST(Roster, NamesOnePersonWhileTheSeatChangesHands) {
  const RosterFile roster;
  roster.leave_entries(1);
  Child child = Child::run([&](Child::Parent& parent) {
    parent.say();
    for (;;) std::thread([&] { must(roster->my_seat()); }).join();
  });
  ASSERT_TRUE(child.listen());
  for (int count = 0; count < 20'000; ++count) {
    const Roster::Person person = roster->describe(roster->seat_of(0));
    if (person.pid == 0) continue;
    EXPECT_EQ(person.pid, static_cast<uint32_t>(child.pid()));
    EXPECT_NE(person.tid, 0u);
  }
}

TEST(Roster, AnswersAnyBitsWithoutHarm) {
  const RosterFile roster;
  const SeatId mine = must(roster->my_seat());
  std::mt19937_64 random(3);
  for (int count = 0; count < 100'000; ++count) {
    const SeatId seat = random() >> (random() % 64);
    if (seat == mine) continue;
    EXPECT_FALSE(roster->alive(seat));
    EXPECT_EQ(roster->futex_word(seat), nullptr);
    roster->describe(seat);
    roster->seat_of(static_cast<uint32_t>(seat));
    if (seat_entry(seat) != seat_entry(mine)) roster->mark_dead(seat);
  }
  EXPECT_TRUE(roster->alive(mine));
  EXPECT_FALSE(roster->alive(nobody));
  EXPECT_FALSE(roster->alive(~0ull));
  EXPECT_FALSE(roster->alive(mine | repairing_bit));
}

TEST(Roster, OfRandomBytesFindsASoundEntryOrSaysThereIsNone) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 20; ++round) {
    const RosterFile roster;
    const uint32_t sound = round % 2 == 0 ? 1 : 0;
    for (uint32_t index = sound; index < roster_entry_count; ++index) {
      auto* words = reinterpret_cast<uint64_t*>(&roster.entries()[index]);
      for (size_t place = 0; place < sizeof(RosterEntry) / 8; ++place) words[place] = random();
    }
    for (uint32_t index = 0; index < roster_entry_count; ++index) {
      const SeatId seat = roster->seat_of(index);
      EXPECT_FALSE(roster->alive(seat));
      for (const char letter : roster->describe(seat).command) EXPECT_TRUE(std::isprint(letter));
    }
    std::thread([&] {
      const auto seat = roster->my_seat();
      EXPECT_EQ(static_cast<bool>(seat), sound == 1);
    }).join();
  }
}

// What a roster file must be before it is believed.
class RosterRefusal : public ::testing::Test {
 protected:
  void write(size_t place, const void* bytes, size_t size) const {
    const int fd = ::open(roster_.path().c_str(), O_RDWR);
    EXPECT_EQ(::pwrite(fd, bytes, size, static_cast<off_t>(place)), static_cast<ssize_t>(size));
    ::close(fd);
  }
  template <class T>
  void write(size_t place, T value) const {
    write(place, &value, sizeof value);
  }
  void rehash() const {
    RosterHeader header;
    std::ifstream file(roster_.path(), std::ios::binary);
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    header.header_hash = 0;
    header.header_hash = hash64(&header, sizeof header);
    write(0, &header, sizeof header);
  }
  Fault refusal() const { return test::fault_of(Roster::open_to_look(roster_.path())); }
  RosterFile roster_;
};

TEST_F(RosterRefusal, OfForeignBytes) {
  write<uint64_t>(offsetof(RosterHeader, magic), 1);
  EXPECT_EQ(refusal().code(), FaultCode::corrupted);
}
TEST_F(RosterRefusal, OfAnotherVersion) {
  write<uint32_t>(offsetof(RosterHeader, version), 7);
  EXPECT_EQ(refusal().code(), FaultCode::version_mismatch);
  EXPECT_NE(refusal().message().find("has layout version 7, this program speaks 1"),
            std::string::npos);
}
TEST_F(RosterRefusal, OfADamagedHeader) {
  write<uint64_t>(offsetof(RosterHeader, uuid), 1);
  EXPECT_EQ(refusal().code(), FaultCode::corrupted);
}
TEST_F(RosterRefusal, OfAnotherCount) {
  write<uint32_t>(offsetof(RosterHeader, entry_count), 1u << 30);
  rehash();
  EXPECT_EQ(refusal().code(), FaultCode::corrupted);
}
TEST_F(RosterRefusal, OfAFileCutShort) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/roster";
  must(Roster::open_or_create(path, 0600));
  for (const off_t size : {200'000, 20, 0}) {
    ASSERT_EQ(::truncate(path.c_str(), size), 0);
    EXPECT_EQ(code_of(Roster::open_to_look(path)), FaultCode::corrupted);
  }
}
TEST_F(RosterRefusal, OfWhatIsNotThere) {
  EXPECT_EQ(code_of(Roster::open_to_look(roster_.path() + "x")), FaultCode::not_found);
}
TEST_F(RosterRefusal, OfAFifo) {
  const std::string path = roster_.path() + "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(code_of(Roster::open_to_look(path)), FaultCode::corrupted);
  EXPECT_EQ(code_of(Roster::open_or_create(path, 0600)), FaultCode::corrupted);
}

}  // namespace
}  // namespace loopline::shm
