// BellWatch: each bell that is rung is told, once, however many are watched and whoever rings when.
#include "io/bell_watch.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "shm/base/clock.h"
#include "shm/layout.h"

namespace loopline::io {
namespace {

constexpr uint32_t bell_bit = 1;
constexpr uint64_t patience_ns = 30'000'000'000;

// Sleeps until the watch has something to say; it may ring for what was taken before. Empty: it
// never did.
std::vector<void*> await_rung(BellWatch& watch, shm::BellLine& bell) {
  const uint64_t deadline_ns = monotonic_ns() + patience_ns;
  while (monotonic_ns() < deadline_ns) {
    const uint32_t ticket = shm::prepare_to_park(bell, bell_bit);
    if (!watch.has_rung()) shm::park(bell, ticket, patience_ns);
    auto rung = watch.take_rung();
    if (!rung.empty()) return rung;
  }
  return {};
}

TEST(BellWatch, TellsEachRingOfManyBells) {
  constexpr size_t bell_count = 300, rings_each = 30;
  shm::BellLine teller{};
  std::vector<shm::BellLine> bells(bell_count);
  std::vector<std::atomic<uint32_t>> work(bell_count);  // done for each, and seen
  std::vector<uint32_t> seen(bell_count, 0);
  BellWatch watch(teller);
  // As a log goes to rest: the ticket, then a look for work.
  const auto rest = [&](size_t index) {
    for (;;) {
      const uint32_t ticket = shm::prepare_to_park(bells[index], bell_bit);
      const uint32_t there = work[index].load();
      if (there == seen[index]) return watch.add(&bells[index], {&bells[index], ticket});
      seen[index] = there;
    }
  };
  for (size_t index = 0; index < bell_count; ++index) rest(index);
  EXPECT_EQ(watch.thread_count(), 3u);
  std::vector<std::thread> ringers;
  for (size_t part = 0; part < 2; ++part) {
    ringers.emplace_back([&, part] {
      for (size_t count = 0; count < rings_each * bell_count / 2; ++count) {
        const size_t index = (count * 7 + part * 150) % bell_count;
        work[index].fetch_add(1);
        shm::ring_if_parked(bells[index]);
        if (count % 64 == 0) ::usleep(50);
      }
    });
  }
  const auto is_all_seen = [&] {
    uint64_t sum = 0;
    for (const uint32_t count : seen) sum += count;
    return sum == rings_each * bell_count;
  };
  while (!is_all_seen()) {
    const auto rung = await_rung(watch, teller);
    EXPECT_FALSE(rung.empty()) << "a wake-up was lost";
    if (rung.empty()) break;
    for (void* const who : rung) {
      rest(static_cast<size_t>(static_cast<shm::BellLine*>(who) - bells.data()));
    }
  }
  for (std::thread& ringer : ringers) ringer.join();
}

TEST(BellWatch, SaysNothingOfOneThatWasRemoved) {
  shm::BellLine teller{}, first{}, second{};
  BellWatch watch(teller);
  for (shm::BellLine* bell : {&first, &second}) {
    watch.add(bell, {bell, shm::prepare_to_park(*bell, bell_bit)});
  }
  watch.remove(&first);
  shm::ring(first);
  shm::ring(second);
  EXPECT_EQ(await_rung(watch, teller), std::vector<void*>{&second});
  EXPECT_FALSE(watch.has_rung());
}

TEST(BellWatch, TellsOfABellWhoseFileIsCutShort) {
  const int fd = ::memfd_create("bells", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(fd, 2 * shm::page_size), 0);
  void* const memory =
      ::mmap(nullptr, 2 * shm::page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  auto* const bell = reinterpret_cast<shm::BellLine*>(static_cast<std::byte*>(memory) + 4096);
  shm::BellLine teller{};
  {
    BellWatch watch(teller);
    const uint32_t ticket = shm::prepare_to_park(*bell, bell_bit);
    ASSERT_EQ(::ftruncate(fd, shm::page_size), 0);
    watch.add(bell, {bell, ticket});
    EXPECT_EQ(await_rung(watch, teller), std::vector<void*>{bell});
  }
  ::munmap(memory, 2 * shm::page_size);
  ::close(fd);
}

}  // namespace
}  // namespace loopline::io
