// Durable scenarios: a ring that waits for its log, in every interleaving of its flusher, producers
// that find it full, and a lossy reader that nobody waits for.
//
// The flusher does on the ring what FlushCursor does: reads a frame, has it "written", moves
// `durable`, rings. What was flushed is checked against what was put in: one that is overwritten
// before it is on disk is a frame lost.
#include <gtest/gtest.h>

#include "explorer.h"
#include "ring_arena.h"
#include "shm/bell.h"

namespace loopline {
namespace {

using model::Limits;
using model::Report;
using model::require;
using model::RingArena;
using model::Scenario;
using shm::Claimer;
using shm::FrameView;
using shm::Reader;
using shm::ReadOutcome;

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: before the threads start, or after
constexpr auto release = std::memory_order_release;  // release: FlushCursor's own, [cursor]
constexpr uint64_t small = model::small_frame;
constexpr uint64_t large = model::large_frame;

class DurableScenario : public testing::Test {
 protected:
  void expect_sound(const Scenario& scenario, const Limits& limits = {}) {
    const Report report = model::explore(scenario, limits);
    EXPECT_TRUE(report.passed) << report;
    std::printf("  %-28s states %llu, transitions %llu, executions %llu, depth %u, %.1f s\n",
                report.name.c_str(), static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.transitions),
                static_cast<unsigned long long>(report.executions), report.depth_max,
                report.seconds);
  }
  // A file station's ring, full but for the reserve: nothing of it is on disk. Seven frames are
  // `oldest` bytes long, then seven the other size.
  void make_full(uint64_t oldest) {
    arena_.make();
    arena_.ring.control->durable.pair.store({model::arena_capacity, 1}, relaxed);
    arena_.fill(0, oldest, 7);
    arena_.fill(0, oldest == large ? small : large, 7);
  }
  // As FlushCursor: takes `count` frames of the full ring, one run each.
  void flush(uint64_t count) {
    Reader reader(arena_.ring, {model::arena_capacity, 1});
    FrameView view;
    for (uint64_t sequence = 1; sequence <= count; ++sequence) {
      require(reader.next_frame(view) == ReadOutcome::frame, "what is not on disk is in the ring");
      require(view.sequence == sequence, "the disk gets every frame, in order");
      require(RingArena::mark_of(view) == sequence * 10, "and as it was committed");
      arena_.ring.control->durable.pair.store(reader.at(), release);
      shm::ring_if_parked(arena_.ring.control->space_bell);
    }
  }
  void copy_the_oldest() {
    Reader reader(arena_.ring, {model::arena_capacity, 1});
    std::byte copy[large];
    FrameView view;
    const auto outcome = reader.next_copy(view, copy);
    require(outcome != ReadOutcome::corrupt, "no garbage is believed");
    if (outcome != ReadOutcome::frame) return;
    uint64_t mark;
    std::memcpy(&mark, view.body, sizeof mark);
    require(view.sequence == 1 && mark == 10, "an intact copy of the frame asked for");
  }
  // The window never passed what is on disk, and everything published is there.
  void check_all(uint64_t published) {
    const Pair durable = arena_.ring.control->durable.pair.load(relaxed);
    const Pair oldest = arena_.ring.window_start();
    require(oldest.first <= durable.first, "the window never passed what is on disk");
    require(oldest.second <= durable.second, "nor did its sequence");
    const auto marks = arena_.read_everything();
    require(marks.size() == 14 - (oldest.second - 1) + published, "all frames are there");
  }

  // Two producers want the room that the disk frees, while a reader copies the oldest frame.
  void expect_sound_at_the_brim(const char* name, uint64_t oldest) {
    uint64_t published[2] = {};
    const auto produce = [&](uint32_t index, uint64_t mark) {
      Claimer claimer(arena_.ring, index + 1, false);
      if (arena_.publish_over(claimer, small, mark, 2) != 0) ++published[index];
    };
    expect_sound({.name = name,
                  .prepare = [&] { make_full(oldest), arena_.keep(); },
                  .set_up = [&] { published[0] = published[1] = 0; },
                  .threads = {[&] { flush(2); }, [&] { produce(0, 1000); },
                              [&] { produce(1, 2000); }, [&] { copy_the_oldest(); }},
                  .check = [&] { check_all(published[0] + published[1]); }},
                 {.payload_words = 1});
  }

  RingArena arena_;
};

// R2, R3, R6: what the first flushed frame frees is enough for both, and they overwrite it.
TEST_F(DurableScenario, NothingIsOverwrittenBeforeItIsOnDisk) {
  expect_sound_at_the_brim("flusher of large frames", large);
}

// A window that is moved for more than the next claim would come over several frames at once.
TEST_F(DurableScenario, TheWindowNeverPassesWhatIsOnDisk) {
  expect_sound_at_the_brim("flusher of small frames", small);
}

}  // namespace
}  // namespace loopline
