// Liars: what a client may write into a ring that it maps costs its own station at most.
//
// One round after another, each with its seed: a station with some messages, and a liar beside its
// flusher who writes nonsense, and what almost makes sense, into control lines, side words and
// frames, or cuts the file short. The stations beside it go on, and the flusher answers.
//
//   LL_LIES_SECONDS=600 io_test --gtest_filter='Liars.*'      for longer; LL_LIES_SEED=7
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "flusher_fixture.h"
#include "tests/sim/random.h"
#include "tests/support/ring_liar.h"

namespace loopline::io {
namespace {

uint64_t number_in(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Liars : public FlusherTest {
 protected:
  // What became of the station that was lied about.
  enum class Fate { fine, reported, refused };

  Fate live_with_a_liar(uint64_t seed) {
    sim::Random random(seed);
    const std::string name = "lied" + std::to_string(seed);
    make(name);
    {
      auto before = producer(name);
      for (uint64_t count = random.below(30); count > 0; --count)
        publish(before, random.below(900));
    }
    test::RingLiar liar(must(directory_.attach(named(name), 0, shm::Access::produce)), seed);
    std::atomic<bool> is_over{false};
    const uint64_t lies = random.between(1, 300);
    std::thread lying([&] { liar.tell(lies, is_over); });
    go_on_elsewhere();
    if (random.once_in(10)) {
      EXPECT_EQ(::truncate(ring_file(name).c_str(), static_cast<off_t>(64 * random.below(2000))),
                0);
    }
    if (random.coin()) is_over = true;
    lying.join();
    go_on_elsewhere();
    const Fate fate = status(name).failed ? Fate::reported : Fate::fine;
    (void)flusher_->remove(named(name), 0);
    return take_over_again(name) ? fate : Fate::refused;
  }
  // Who comes next finds what the liar left.
  bool take_over_again(const std::string& name) {
    bool is_taken = false;
    const auto sources = sources_of(directory_, data_, named(name));
    if (sources && !sources->empty()) is_taken = static_cast<bool>(flusher_->add(sources->front()));
    if (is_taken) {
      go_on_elsewhere();
      (void)flusher_->remove(named(name), 0);
    }
    std::error_code ignored;  // chores of the log may be at it as well
    for (uint32_t generation = 1; generation < 3; ++generation) {
      std::filesystem::remove(directory_.ring_path(named(name), 0, generation), ignored);
    }
    std::filesystem::remove_all(std::filesystem::path(partition_folder(name)).parent_path(),
                                ignored);
    return is_taken;
  }
  void go_on_elsewhere() {
    for (shm::Producer* honest : {&*one_, &*other_}) {
      ASSERT_TRUE(publish_durably(*honest)) << "the flusher hangs";
    }
  }

  std::optional<shm::Producer> one_, other_;
};

TEST_F(Liars, HarmTheirOwnStationAtMost) {
  start({.rest_after_ns = 20'000'000});
  make("honest");
  make("other");
  one_ = producer("honest");
  other_ = producer("other");
  const uint64_t seconds = number_in("LL_LIES_SECONDS", 0);
  const uint64_t until_ns =
      monotonic_ns() + (seconds == 0 ? 1'500'000'000 : seconds * 1'000'000'000);
  uint64_t rounds = 0, reported = 0, refused = 0;
  for (uint64_t seed = number_in("LL_LIES_SEED", 1); monotonic_ns() < until_ns; ++seed, ++rounds) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Fate fate = live_with_a_liar(seed);
    if (fate == Fate::reported) ++reported;
    if (fate == Fate::refused) ++refused;
    if (HasFatalFailure()) return;
  }
  EXPECT_FALSE(status("honest").failed);
  EXPECT_FALSE(status("other").failed);
  RecordProperty("rounds", std::to_string(rounds));
  if (seconds != 0) {
    std::printf("%lu rounds, %lu stations reported, %lu refused at the next opening\n", rounds,
                reported, refused);
  }
}

}  // namespace
}  // namespace loopline::io
