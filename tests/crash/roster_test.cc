// What counts as a death, and what seats look like when their holders are cut off at every step.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "every_step.h"

namespace loopline::crash {
namespace {

std::string only_we_are_seated(Scene& scene) {
  shm::Roster& roster = scene.roster();
  const auto mine = need(roster.my_seat(), "no seat");
  for (uint32_t entry = 0; entry < roster.entry_count(); ++entry) {
    const shm::SeatId seat = roster.seat_of(entry);
    if (seat != mine && roster.alive(seat))
      return "entry " + std::to_string(entry) + " looks alive";
  }
  return scene.aftermath();
}

TEST(Death, InTheMidstOfSittingDownLeavesNoLivingSeat) {
  const Trial trial{.role =
                        [](Scene& scene) {
                          const auto seat = scene.roster().my_seat();
                          return seat ? "" : scene.fail("seat", seat.fault());
                        },
                    .check = only_we_are_seated};
  EXPECT_GT(at_every_step(trial, Action::die), 5u);
}

TEST(Death, OfAThreadThatGetsUpLeavesNoLivingSeat) {
  const Trial trial{.role =
                        [](Scene& scene) {
                          disarm();
                          std::thread([&] {
                            scene.rearm();
                            (void)scene.roster().my_seat();
                          }).join();
                          return std::string();
                        },
                    .check = only_we_are_seated};
  EXPECT_GT(at_every_step(trial, Action::die), 5u);
}

// Every handle of a thread that ended is cleaned up after, although its process lives on.
TEST(Death, OfAThreadCountsLikeOneOfAProcess) {
  Scene scene({});
  const pid_t child = scene.start({}, [](Scene& here) {
    std::thread([&] {
      if (here.open_producer().empty()) {
        shm::OpenFrame left_open;
        (void)here.producer().claim(64, 0, left_open);
      }
    }).join();
    here.ready();
    return std::string();
  });
  ASSERT_TRUE(scene.await_ready(child));
  EXPECT_EQ(scene.aftermath(), "");
  scene.go();
  EXPECT_EQ(scene.wait(child), End::finished);
}

// exec takes the address space, and with it what only its owner could have finished.
TEST(Death, IncludesExec) {
  Scene scene({});
  const pid_t child = scene.start({}, [](Scene& here) {
    const std::string problem = here.open_producer();
    shm::OpenFrame left_open;
    if (problem.empty()) (void)here.producer().claim(64, 0, left_open);
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    return problem + "exec failed";
  });
  const auto& owner = scene.ring().producers[0].owner;
  ASSERT_TRUE(scene.await(child, [&] {
    const uint64_t seat = owner.load(std::memory_order_relaxed);
    return seat != shm::nobody && !scene.roster().alive(seat);
  }));
  EXPECT_EQ(scene.aftermath(), "");
  ::kill(child, SIGKILL);
  EXPECT_EQ(scene.wait(child), End::died);
}

// The child of a producer may neither write nor close what is its parent's; its death is its own.
TEST(Death, OfAForkedChildIsNotItsParents) {
  Scene scene({});
  ASSERT_EQ(scene.publish(1), "");
  shm::Producer* parents = &scene.producer();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    shm::OpenFrame frame;
    const Status claimed = parents->claim(64, 0, frame);
    const auto read = scene.witness().read({});
    const bool refused = !claimed && claimed.fault().code() == FaultCode::forked && !read &&
                         read.fault().code() == FaultCode::forked;
    scene.forget();
    ::_exit(refused ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const shm::SeatId mine = need(scene.roster().my_seat(), "no seat");
  EXPECT_EQ(scene.ring().producers[0].owner.load(std::memory_order_relaxed), mine);
  EXPECT_EQ(scene.ring().cursors[0].owner.load(std::memory_order_relaxed), mine);
  ASSERT_EQ(scene.publish(1), "");
  EXPECT_EQ(scene.aftermath(), "");
}

// The seat of a dead reader is taken by another thread: the dead one stays dead.
TEST(Death, IsForEverAlthoughItsEntryIsUsedAgain) {
  Scene scene({});
  std::atomic<shm::SeatId> theirs{shm::nobody};
  const pid_t child = scene.start({}, [](Scene& here) {
    const std::string problem = here.open_reader({.from = From::earliest}, shm::Access::consume);
    here.ready();
    return problem;
  });
  ASSERT_TRUE(scene.await_ready(child));
  const shm::SeatId dead = scene.ring().cursors[1].owner.load(std::memory_order_relaxed);
  ::kill(child, SIGKILL);
  ASSERT_EQ(scene.wait(child), End::died);
  // Each thread begins to look for a seat at a place drawn by lot.
  constexpr int tries_max = 40 * static_cast<int>(shm::roster_entry_count);
  bool taken = false;
  for (int count = 0; count < tries_max && !taken; ++count) {
    std::thread([&] {
      theirs = need(scene.roster().my_seat(), "no seat");
      taken = shm::seat_entry(theirs) == shm::seat_entry(dead);
      if (!taken) return;
      EXPECT_NE(theirs, dead);
      EXPECT_FALSE(scene.roster().alive(dead));
      EXPECT_EQ(scene.aftermath(), "");
    }).join();
  }
  EXPECT_TRUE(taken);
}

}  // namespace
}  // namespace loopline::crash
