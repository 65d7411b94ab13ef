// Product: the lines by which Loopline is shown to people compile and do what they say.
#include <gtest/gtest.h>
#include <loopline/loopline.h>

#include <algorithm>
#include <cstdlib>

#include "station_fixture.h"

// They are shown without looking at what commit, publish, wait and poll answer.
#pragma GCC diagnostic ignored "-Wunused-result"

namespace {

using loopline::operator""_MiB;

void fill(std::span<std::byte> bytes) { std::fill(bytes.begin(), bytes.end(), std::byte{'x'}); }

class Product : public loopline::StationTest {
 protected:
  void SetUp() override { ::setenv("LOOPLINE_DIR", dir().c_str(), 1); }
  void TearDown() override { ::unsetenv("LOOPLINE_DIR"); }
};

// As in PRODUCT.md and in the opening of <loopline/loopline.h>.
TEST_F(Product, WorksAsItIsShown) {
  auto station = loopline::Station::open_or_create("orders", {.ring = 8_MiB});
  ASSERT_TRUE(station);
  auto producer = station->producer();
  ASSERT_TRUE(producer);
  auto consumer = station->consumer({.from = loopline::From::earliest});
  ASSERT_TRUE(consumer);
  if (auto slot = producer->claim(240, {.key = "AAPL"})) {
    fill(slot->bytes());
    slot->commit();
  }
  const std::string text = "one line";
  const auto bytes = std::as_bytes(std::span(text));
  producer->publish(bytes, {.key = "AAPL"});
  producer->publish(bytes);

  std::vector<std::string> seen;
  const auto handle = [&](const loopline::Message& message) {
    seen.emplace_back(std::string(message.key()) + ":" + std::to_string(message.payload().size()));
  };
  consumer->poll(
      [&](const loopline::Message& m) {
        handle(m);
        return loopline::ack;
      },
      256);
  EXPECT_EQ(seen, (std::vector<std::string>{"AAPL:240", "AAPL:8", ":8"}));
}

struct Quote {
  double bid;
  double ask;
};

// As in the opening of <loopline/producer.h>.
TEST_F(Product, BuildsObjectsInPlace) {
  auto station = loopline::Station::open_or_create("quotes");
  ASSERT_TRUE(station);
  auto producer = station->producer();
  auto consumer = station->consumer({.from = loopline::From::earliest});
  if (auto slot = producer->claim(sizeof(Quote), {.key = "AAPL"})) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(slot->bytes().data()) % 16, 0u);
    new (slot->bytes().data()) Quote{1.25, 1.5};
    slot->commit();
  }
  double bid = 0;
  consumer->poll([&](const loopline::Message& message) {
    bid = reinterpret_cast<const Quote*>(message.payload().data())->bid;
  });
  EXPECT_EQ(bid, 1.25);
}

// As in the opening of <loopline/consumer.h>.
TEST_F(Product, WaitsAndPollsInALoop) {
  auto station = loopline::Station::open_or_create("loop");
  auto producer = station->producer();
  auto consumer = station->consumer({.from = loopline::From::earliest});
  producer->publish("the only one");
  int handled = 0;
  while (handled == 0) {
    consumer->wait(std::chrono::seconds(1));
    consumer->poll([&](const loopline::Message&) { ++handled; }, 256);
  }
  EXPECT_EQ(handled, 1);
}

TEST_F(Product, SaysWhatWentWrongInWords) {
  open_or_create("somewhere");
  const auto station = loopline::Station::open("nowhere");
  ASSERT_FALSE(station);
  EXPECT_EQ(station.fault().code(), loopline::FaultCode::not_found);
  EXPECT_NE(station.fault().message().find("main/nowhere"), std::string::npos);
}

}  // namespace
