// BusGuard: a file cut short under a mapping is told, and only to those who hold a guard.
#include "shm/bus_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "shm/layout.h"

namespace loopline::shm {
namespace {

// Four pages of ones, mapped twice, in a file that can be cut.
class CutFile {
 public:
  CutFile() : fd_(::memfd_create("cut", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(fd_, size), 0);
    bytes_ = map();
    again_ = map();
    std::memset(bytes_, 1, size);
  }
  ~CutFile() {
    ::munmap(bytes_, size);
    ::munmap(again_, size);
    ::close(fd_);
  }
  void cut(off_t at) const { EXPECT_EQ(::ftruncate(fd_, at), 0); }
  volatile char* bytes() const { return bytes_; }
  volatile char* again() const { return again_; }
  static constexpr size_t size = 4 * page_size;

 private:
  char* map() const {
    return static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
  }
  int fd_;
  char* bytes_;
  char* again_;
};

TEST(BusGuard, ReadsZerosBehindTheEndAndSaysSo) {
  const CutFile file;
  file.cut(page_size);
  const BusGuard guard;
  EXPECT_EQ(file.bytes()[0], 1);
  EXPECT_FALSE(guard.was_hit());
  EXPECT_EQ(file.bytes()[2 * page_size + 5], 0);
  EXPECT_TRUE(guard.was_hit());
}

TEST(BusGuard, LetsStoresGoNowhere) {
  const CutFile file;
  file.cut(0);
  const BusGuard guard;
  file.bytes()[7] = 2;
  EXPECT_TRUE(guard.was_hit());
  file.again()[7] = file.again()[7];
  EXPECT_EQ(file.again()[7], 0) << "each mapping is replaced by itself";
}

TEST(BusGuard, IsToldOfWhatCameSinceOnly) {
  const CutFile file;
  file.cut(0);
  const BusGuard outer;
  {
    const BusGuard inner;
    EXPECT_EQ(file.bytes()[0], 0);
    EXPECT_TRUE(inner.was_hit());
  }
  EXPECT_TRUE(outer.was_hit());
  const BusGuard later;
  EXPECT_EQ(file.bytes()[0], 0);
  EXPECT_FALSE(later.was_hit()) << "the page is there by now";
}

TEST(BusGuard, HoldsInEachThreadByItself) {
  const CutFile file;
  file.cut(0);
  const BusGuard mine;
  std::vector<std::thread> threads;
  for (size_t page = 0; page < 4; ++page) {
    threads.emplace_back([&file, page] {
      const BusGuard guard;
      EXPECT_EQ(file.bytes()[page * page_size], 0);
      EXPECT_TRUE(guard.was_hit());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(mine.was_hit());
}

using BusGuardDeathTest = testing::Test;

TEST(BusGuardDeathTest, LeavesTheSignalToOthersWhereNobodyIsGuarded) {
  const CutFile file;
  file.cut(0);
  { const BusGuard guard; }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  EXPECT_DEATH(file.bytes()[0] = 1, "");  // they report, and end in their own way
#else
  EXPECT_EXIT(file.bytes()[0] = 1, testing::KilledBySignal(SIGBUS), "");
#endif
}

TEST(BusGuardDeathTest, GoesOnToTheHandlerThatWasThereBefore) {
  const CutFile file;
  file.cut(0);
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, [](int) { ::_exit(42); });
        { const BusGuard guard; }
        file.bytes()[0] = 1;
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace loopline::shm
