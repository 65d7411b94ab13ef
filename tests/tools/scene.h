// Scene: what the tests of looking tools set up: readers that stop, producers killed inside a
// claim, rings full of garbage.
//
//   const pid_t dead = killed_in_a_claim("orders", instance_.folder());
//   scribble(ring_path("orders"), 4096, 20);
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <loopline/loopline.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "tests/shm/child.h"
#include "tests/support/must.h"

namespace loopline::test {

// The pid of a process that published `messages`, opened one more and was killed.
inline pid_t killed_in_a_claim(const std::string& station, const std::string& dir,
                               int messages = 1) {
  Child child = Child::run([&](const Child::Parent& parent) {
    const Station opened = must(Station::open(station, dir));
    Producer producer = must(opened.producer());
    for (int count = 0; count < messages; ++count) must(producer.publish("whole"));
    const Slot slot = must(producer.claim(100));
    parent.say();
    Child::Parent::wait_to_be_killed();
  });
  EXPECT_TRUE(child.listen());
  const pid_t pid = child.pid();
  child.kill();
  return pid;
}

// Random bytes over the file from `begin` to its end; the same for the same seed.
inline void scribble(const std::string& path, uint64_t begin, uint32_t seed) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  struct stat status;
  ASSERT_EQ(::fstat(fd, &status), 0);
  const uint64_t size = static_cast<uint64_t>(status.st_size) - begin;
  std::mt19937_64 random(seed);
  std::vector<uint64_t> words(size / 8);
  for (uint64_t& word : words) word = random() >> (random() % 64);
  ASSERT_EQ(::pwrite(fd, words.data(), words.size() * 8, static_cast<off_t>(begin)),
            static_cast<ssize_t>(words.size() * 8));
  ::close(fd);
}

// Lines of 1000 bytes, newline included.
inline std::string thousand_byte_lines(int count) {
  std::string lines;
  for (int line = 0; line < count; ++line) lines += std::string(999, 'x') + "\n";
  return lines;
}

}  // namespace loopline::test
