// Factory, and stations that are edited and purged, as programs do it.
#include "loopline/factory.h"

#include <gtest/gtest.h>
#include <loopline/c.h>

#include "station_fixture.h"

namespace loopline {
namespace {

class FactoryOfStations : public StationTest {};

TEST_F(FactoryOfStations, GivesItsDefaultsToWhoeverNamesNothing) {
  must(Factory::create("billing", {.stations = {.ring = 128_KiB, .when_full = WhenFull::reject}},
                       dir()));
  EXPECT_EQ(open_or_create("billing/orders").ring_bytes(), 128_KiB);
  EXPECT_EQ(open_or_create("billing/refunds", {.ring = 64_KiB}).ring_bytes(), 64_KiB);
  EXPECT_EQ(must(try_create("billing/third", {})).ring_bytes(), 128_KiB);
  EXPECT_EQ(open_or_create("orders").ring_bytes(), 8_MiB);
  EXPECT_EQ(open_or_create("billing/refunds").ring_bytes(), 64_KiB) << "only what is asked counts";
}

TEST_F(FactoryOfStations, SaysWhatItWasToldAndNothingElseAfterAnEdit) {
  Factory factory = must(Factory::create("f",
                                         {.stations = {.evict_after = std::chrono::seconds(5),
                                                       .timestamp = Timestamp::off,
                                                       .owner = "root"},
                                          .quota_memory = 64_MiB,
                                          .quota_stations = 3},
                                         dir()));
  FactoryOptions options = must(must(Factory::open("f", dir())).options());
  EXPECT_EQ(options.stations.timestamp, Timestamp::off);
  EXPECT_EQ(options.stations.evict_after, std::chrono::seconds(5));
  EXPECT_EQ(options.stations.owner, "root");
  EXPECT_EQ(options.quota_stations, 3u);
  options.quota_memory.reset();
  must(factory.edit(options));
  EXPECT_FALSE(must(factory.options()).quota_memory.has_value());
  EXPECT_EQ(must(Factory::list(dir())), std::vector<std::string>{"f"});
  EXPECT_EQ(code_of(Factory::create("f", {}, dir())), FaultCode::already_exists);
  EXPECT_EQ(code_of(Factory::open("none", dir())), FaultCode::not_found);
}

TEST_F(FactoryOfStations, HoldsItsQuotaAndIsRemoved) {
  const Factory factory = must(Factory::create("f", {.quota_stations = 1}, dir()));
  must(try_create("f/a", {.ring = 64_KiB}));
  EXPECT_EQ(code_of(try_create("f/b", {.ring = 64_KiB})), FaultCode::no_space);
  EXPECT_EQ(must(factory.use()).stations, 1u);
  EXPECT_EQ(code_of(Factory::remove("f", false, dir())), FaultCode::already_exists);
  must(Factory::remove("f", true, dir()));
  EXPECT_EQ(code_of(Station::open("f/a", dir())), FaultCode::not_found);
}

TEST_F(FactoryOfStations, EditedTellsItsNewParametersToHandlesThatWereThere) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  must(producer.publish("one"));
  const StationChange change =
      must(Station::edit("orders", {.ring = 1_MiB, .when_full = WhenFull::reject}, dir()));
  EXPECT_TRUE(change.is_changed);
  EXPECT_EQ(change.messages, 1u);
  EXPECT_EQ(station.ring_bytes(), 1_MiB);
  EXPECT_EQ(station.max_message(), 1_MiB / 8 - 32);
  must(producer.publish(std::string(100'000, 'x')));
  EXPECT_EQ(texts_of(consumer).size(), 2u);
  Result<uint64_t> published = 0;
  while (published) published = producer.publish(std::string(100'000, 'x'));
  EXPECT_EQ(published.fault().code(), FaultCode::full) << "it waited before, and rejects now";
  EXPECT_EQ(code_of(Station::edit("orders", {.partitions = 2}, dir())), FaultCode::unsupported);
}

TEST_F(FactoryOfStations, PurgedGoesOnCounting) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  must(producer.publish("one"));
  EXPECT_EQ(must(Station::purge("orders", dir())).messages, 1u);
  EXPECT_EQ(must(producer.publish("two")), 3u);
  Consumer late = must(station.consumer({.from = From::earliest}));
  EXPECT_EQ(texts_of(late), texts("two"));
}

TEST_F(FactoryOfStations, IsEditedAndPurgedFromC) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  ll_station_options options = LL_STATION_OPTIONS;
  options.ring = 128_KiB;
  ll_error error;
  ASSERT_EQ(ll_station_edit("orders", dir().c_str(), &options, &error), LL_OK);
  EXPECT_EQ(station.ring_bytes(), 128_KiB);
  ASSERT_EQ(ll_station_purge("orders", dir().c_str(), &error), LL_OK);
  EXPECT_EQ(ll_station_edit("none", dir().c_str(), &options, &error), LL_NOT_FOUND);
  EXPECT_EQ(ll_station_purge(nullptr, nullptr, &error), LL_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace loopline
