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
#include <cstring>
#include <filesystem>
#include <thread>

#include "flusher_fixture.h"
#include "shm/bus_guard.h"
#include "tests/sim/random.h"

namespace loopline::io {
namespace {

uint64_t number_in(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// One client of one ring that has lost its mind.
class Liar {
 public:
  Liar(shm::Mapping mapping, uint64_t seed) : mapping_(std::move(mapping)), random_(seed) {}

  void tell(uint64_t count, const std::atomic<bool>& is_over) {
    const shm::BusGuard guard;
    for (; count > 0 && !is_over.load(); --count) {
      lie();
      if (random_.once_in(8)) shm::ring(mapping_.control().data_bell);
      if (random_.once_in(40)) ::usleep(200);
    }
  }

 private:
  using Word = std::atomic_ref<uint64_t>;
  static Word word_at(void* base, uint64_t index) {
    return Word(static_cast<uint64_t*>(base)[index]);
  }

  uint64_t capacity() const { return mapping_.header().capacity; }
  uint64_t hint() { return word_at(&mapping_.control().hint, 0).load(); }
  // A place that might be one.
  uint64_t place() {
    const uint64_t near = hint() + 64 * random_.below(64) - 64 * random_.below(64);
    return random_.coin() ? near : 64 * random_.below(4 * capacity() / 64);
  }
  uint64_t value(uint64_t before) {
    switch (random_.below(8)) {
      case 0:
        return 0;
      case 1:
        return ~uint64_t{0};
      case 2:
        return random_.next();
      case 3:
        return before ^ 1ull << random_.below(64);
      case 4:
        return before + 64 - 128 * random_.below(2);
      case 5:
        return place();
      case 6:
        return shm::word_tag(place()) | random_.below(8);
      default:
        return random_.below(2000);
    }
  }
  void spoil(void* base, uint64_t words) {
    Word word = word_at(base, random_.below(words));
    word.store(value(word.load()));
  }
  // All but the lock, whose forger is trusted (shm/README: Limits).
  void spoil_control() {
    shm::ControlBlock& control = mapping_.control();
    void* const lines[] = {&control.hint,       &control.limit,        &control.start,
                           &control.gate,       &control.durable,      &control.data_bell,
                           &control.space_bell, &control.durable_bell, &control.seal,
                           &control.log,        &control.cursor_count, &control.repairs};
    spoil(lines[random_.below(std::size(lines))], random_.coin() ? 2 : 6);
  }
  // A frame that is committed as far as anybody can see, but for one thing or another.
  void forge_frame() {
    const uint64_t at = random_.coin() ? hint() : place();
    if (at % 64 != 0) return;
    auto* const frame = reinterpret_cast<uint64_t*>(mapping_.data() + (at & (capacity() - 1)));
    word_at(frame, 1).store(
        shm::pack_meta(static_cast<uint32_t>(random_.below(random_.coin() ? 200 : ~0u)),
                       static_cast<shm::FrameType>(random_.below(6)), 0));
    word_at(frame, 2).store(word_at(&mapping_.control().hint, 1).load() + random_.below(3));
    word_at(frame, 0).store(shm::word_tag(at) | random_.below(8));
  }
  void forge_side() {
    const uint64_t at = place() & ~63ull;
    const uint32_t log2 = static_cast<uint32_t>(log2_exact(capacity()));
    const uint64_t lap = (at >> log2) + random_.below(3);
    const uint64_t owner = random_.coin() ? random_.below(4) : random_.below(1024);
    Word word = word_at(mapping_.side(), (at & (capacity() - 1)) / 64);
    word.store(lap << (13 + log2 - 9) | random_.below(128) << 13 | owner << 2 | random_.below(3));
  }
  void lie() {
    switch (random_.below(7)) {
      case 0:
      case 1:
        return spoil_control();
      case 2:
        return spoil(mapping_.producers(), 64 * 16);
      case 3:
        return spoil(mapping_.cursors(), 64 * 16);
      case 4:
        return forge_side();
      case 5:
        return forge_frame();
      default:
        return spoil(mapping_.data(), capacity() / 8);
    }
  }

  shm::Mapping mapping_;
  sim::Random random_;
};

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
    Liar liar(must(directory_.attach(named(name), 0, shm::Access::produce)), seed);
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
