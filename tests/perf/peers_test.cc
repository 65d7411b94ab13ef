// Peers: each delivers every message once, whole and in order, and wakes a sleeper. Not iceoryx: a
// host has one RouDi at most, so only the bench starts it.
#include <gtest/gtest.h>

#include "perf/harness/payload.h"
#include "perf/peers/boost_queue.h"
#include "perf/peers/posix_queue.h"
#include "perf/peers/raw_line.h"
#include "perf/peers/spsc_ring.h"
#include "perf/peers/unix_socket.h"
#include "perf/peers/zeromq.h"

namespace loopline::perf {
namespace {

// What a subject promises, in one thread: all messages, whole, in order, many times round its ring.
template <class S>
class SubjectTest : public testing::Test {};
using Rings = testing::Types<SpscRing, BoostQueue, ZeroMq, UnixSocket, PosixQueue>;
TYPED_TEST_SUITE(SubjectTest, Rings);

TYPED_TEST(SubjectTest, DeliversEveryMessageOnceWholeAndInOrder) {
  constexpr uint64_t ring_bytes = 4096;
  constexpr size_t message_bytes = 224;  // does not divide the ring
  auto subject = TypeParam::make({message_bytes, ring_bytes});
  ASSERT_TRUE(subject) << subject.fault().message();
  auto sender = (*subject)->sender();
  auto receiver = (*subject)->receiver();
  ASSERT_TRUE(sender && receiver);
  Writer writer(message_bytes);
  Reader<> reader(message_bytes);
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t count = round % 8 + 1;
    for (uint64_t index = 0; index < count; ++index) sender->send(message_bytes, writer);
    size_t found = 0;
    while (found < count) found += receiver->poll(reader, 3);
    EXPECT_EQ(found, count);
  }
  EXPECT_EQ(receiver->poll(reader, 3), 0u);
  EXPECT_EQ(reader.count(), 900u);
  EXPECT_EQ(reader.bad_count(), 0u);
}

template <class S>
class SleeperTest : public testing::Test {};
using Sleepers = testing::Types<BoostQueue, ZeroMq, UnixSocket, PosixQueue>;
TYPED_TEST_SUITE(SleeperTest, Sleepers);

TYPED_TEST(SleeperTest, WakesForAMessageAndLosesNone) {
  auto subject = TypeParam::make({64, 4096, 1, true});
  ASSERT_TRUE(subject) << subject.fault().message();
  auto sender = (*subject)->sender();
  auto receiver = (*subject)->receiver();
  ASSERT_TRUE(sender && receiver);
  Writer writer(64);
  Reader<> reader(64);
  for (uint64_t sent = 1; sent <= 5; ++sent) {
    sender->send(64, writer);
    while (receiver->poll(reader, 1) == 0) receiver->sleep(60'000'000'000);
    EXPECT_EQ(reader.count(), sent);
  }
  EXPECT_EQ(reader.bad_count(), 0u);
}

TEST(PosixQueue, SaysWhichSizesTheKernelRefuses) {
  const auto refused = PosixQueue::make({1u << 30, 1u << 20});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.fault().code(), FaultCode::unsupported);
  EXPECT_NE(refused.fault().message().find("1GiB"), std::string::npos);
}

TEST(RawLine, ShowsEachMessageOnce) {
  auto subject = RawLine::make({32, 0});
  ASSERT_TRUE(subject);
  auto sender = (*subject)->sender();
  auto receiver = (*subject)->receiver();
  Writer writer(32);
  Reader<> reader(32);
  for (int index = 0; index < 3; ++index) {
    EXPECT_EQ(receiver->poll(reader, 1), 0u);
    sender->send(32, writer);
    EXPECT_EQ(receiver->poll(reader, 1), 1u);
  }
  EXPECT_EQ(reader.count(), 3u);
}

}  // namespace
}  // namespace loopline::perf
