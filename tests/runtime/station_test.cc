// Station: opening, creating, differing parameters, removing.
#include "loopline/station.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "station_fixture.h"

namespace loopline {
namespace {

class StationOpening : public StationTest {};

TEST_F(StationOpening, FindsWhatWasCreated) {
  const Station made = must(Station::create("billing/orders", {.ring = 1_MiB}, dir()));
  EXPECT_EQ(made.name(), "billing/orders");
  EXPECT_EQ(made.ring_bytes(), 1_MiB);
  EXPECT_EQ(made.max_message(), 1_MiB / 8 - 32);
  const Station found = must(Station::open("billing/orders", dir()));
  EXPECT_EQ(found.ring_bytes(), 1_MiB);
}

TEST_F(StationOpening, PutsABareNameIntoTheMainFactory) {
  EXPECT_EQ(open_or_create("orders").name(), "main/orders");
  EXPECT_TRUE(Station::open("main/orders", dir()));
}

TEST_F(StationOpening, KeepsFactoriesApart) {
  Producer producer = must(open_or_create("a/orders").producer());
  Consumer consumer = must(open_or_create("b/orders").consumer({.from = From::earliest}));
  must(producer.publish("x"));
  EXPECT_TRUE(texts_of(consumer).empty());
}

TEST_F(StationOpening, CreatesWithTheDefaultsThatAreWrittenDown) {
  const Station station = open_or_create("orders");
  EXPECT_EQ(station.ring_bytes(), 8_MiB);
  EXPECT_EQ(station.max_message(), 1_MiB - 32);
  struct stat status;
  ASSERT_EQ(::stat(ring_file("orders").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(StationOpening, MakesTheFileWithTheModeThatIsAsked) {
  open_or_create("orders", {.mode = 0600});
  struct stat status;
  ASSERT_EQ(::stat(ring_file("orders").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(StationOpening, RefusesToCreateWhatIsThere) {
  open_or_create("orders");
  const auto again = Station::create("orders", {}, dir());
  ASSERT_EQ(code_of(again), FaultCode::already_exists);
  EXPECT_TRUE(contains(again.fault(), "main/orders"));
}

TEST_F(StationOpening, TakesAnExistingOneWhateverWasNotAsked) {
  open_or_create("orders", {.ring = 64_KiB, .exclusive = true, .timestamp = Timestamp::off});
  EXPECT_EQ(open_or_create("orders").ring_bytes(), 64_KiB);
  EXPECT_EQ(open_or_create("orders", {.exclusive = true}).ring_bytes(), 64_KiB);
}

TEST_F(StationOpening, ReportsEveryParameterThatDiffers) {
  open_or_create("orders", {.ring = 64_KiB, .max_message = 1000});
  const auto refused = Station::open_or_create("orders",
                                               {.ring = 128_KiB,
                                                .max_message = 2000,
                                                .exclusive = true,
                                                .when_full = WhenFull::reject,
                                                .timestamp = Timestamp::coarse},
                                               dir());
  ASSERT_EQ(code_of(refused), FaultCode::already_exists);
  for (const char* words :
       {"ring is 64KiB, not 128KiB", "max-message is 1000B, not 2000B", "exclusive is off, not on",
        "when-full is block, not reject", "timestamp is precise, not coarse"}) {
    EXPECT_TRUE(contains(refused.fault(), words)) << refused.fault().message();
  }
}

TEST_F(StationOpening, ReportsOnlyWhatDiffers) {
  open_or_create("orders", {.ring = 64_KiB, .when_full = WhenFull::reject});
  const auto refused =
      Station::open_or_create("orders", {.ring = 1_MiB, .when_full = WhenFull::reject}, dir());
  ASSERT_EQ(code_of(refused), FaultCode::already_exists);
  EXPECT_FALSE(contains(refused.fault(), "when-full"));
}

TEST_F(StationOpening, SettlesARaceOfManyWhoOpenOrCreate) {
  std::vector<std::thread> threads;
  std::optional<Station> stations[6];
  for (std::optional<Station>& station : stations) {
    threads.emplace_back([&] { station = open_or_create("orders", {.ring = 64_KiB}); });
  }
  for (std::thread& thread : threads) thread.join();
  Consumer consumer = must(stations[0]->consumer());
  for (int index = 1; index < 6; ++index) {
    Producer producer = must(stations[index]->producer());
    must(producer.publish(std::to_string(index)));
  }
  EXPECT_EQ(texts_of(consumer), texts("1", "2", "3", "4", "5"));
}

TEST_F(StationOpening, IsCheapToCopy) {
  const Station station = open_or_create("orders");
  const Station copy = station;  // NOLINT: what is tested
  Consumer consumer = must(copy.consumer());
  must(must(station.producer()).publish("x"));
  EXPECT_EQ(texts_of(consumer), texts("x"));
}

TEST_F(StationOpening, MayBeForgottenWhileItsHandlesWork) {
  Producer producer = must(open_or_create("orders").producer());
  Consumer consumer = must(open_or_create("orders").consumer());
  must(producer.publish("x"));
  EXPECT_EQ(texts_of(consumer), texts("x"));
}

// ---- options that cannot be ------------------------------------------------

TEST_F(StationOpening, RefusesBadNamesAndNamesTheCharacter) {
  for (const char* name :
       {"", "Orders", "or ders", "-x", ".x", "a/b/c", "/x", "x/", "ordérs", "a@b"}) {
    const auto refused = try_create(name, {});
    EXPECT_EQ(code_of(refused), FaultCode::invalid_argument) << name;
  }
  EXPECT_TRUE(contains(fault_of(try_create("Orders", {})), "'O'"));
  EXPECT_EQ(code_of(try_create(std::string(64, 'a'), {})), FaultCode::invalid_argument);
  EXPECT_TRUE(try_create(std::string(63, 'a'), {.ring = 64_KiB}));
}

TEST_F(StationOpening, RefusesRingsOfBadSizes) {
  for (const uint64_t ring : {uint64_t{0}, uint64_t{1}, 32_KiB, 96_KiB, 64_KiB + 1, 128_GiB}) {
    const auto refused = try_create("orders", {.ring = ring});
    ASSERT_EQ(code_of(refused), FaultCode::invalid_argument) << ring;
    EXPECT_TRUE(contains(refused.fault(), "64KiB to 64GiB")) << refused.fault().message();
  }
}

TEST_F(StationOpening, RefusesMessagesThatDoNotFitIntoTheRing) {
  const uint64_t most = 64_KiB / 8 - 32;
  EXPECT_EQ(code_of(try_create("orders", {.ring = 64_KiB, .max_message = most + 1})),
            FaultCode::invalid_argument);
  EXPECT_EQ(code_of(try_create("orders", {.max_message = 0})), FaultCode::invalid_argument);
  EXPECT_TRUE(try_create("orders", {.ring = 64_KiB, .max_message = most}));
}

TEST_F(StationOpening, RefusesModesThatAreNone) {
  EXPECT_EQ(code_of(try_create("orders", {.mode = 01777})), FaultCode::invalid_argument);
}

TEST_F(StationOpening, MakesNothingWhenItRefuses) {
  (void)try_create("orders", {.ring = 1000});
  EXPECT_EQ(code_of(Station::open("orders", dir())), FaultCode::not_found);
}

// ---- removal ---------------------------------------------------------------

class StationRemoval : public StationTest {};

TEST_F(StationRemoval, TellsProducersAndReadersThatAreThrough) {
  const Station station = open_or_create("orders");
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  must(producer.publish("before"));
  must(Station::remove("orders", dir()));
  EXPECT_EQ(texts_until_closed(consumer), texts("before"));
  EXPECT_EQ(code_of(producer.publish("after")), FaultCode::closed);
  EXPECT_EQ(code_of(producer.claim(1)), FaultCode::closed);
}

TEST_F(StationRemoval, WakesAReaderThatWaits) {
  const Station station = open_or_create("orders");
  Consumer consumer = must(station.consumer({.wait = Wait::park}));
  std::thread remover([&] { must(Station::remove("orders", dir())); });
  EXPECT_TRUE(must(consumer.wait(forever)));
  EXPECT_EQ(code_of(consumer.poll([](const Message&) {})), FaultCode::closed);
  remover.join();
}

TEST_F(StationRemoval, LeavesNoFile) {
  open_or_create("orders");
  must(Station::remove("orders", dir()));
  EXPECT_NE(::access(ring_file("orders").c_str(), F_OK), 0);
  EXPECT_EQ(code_of(Station::open("orders", dir())), FaultCode::not_found);
  EXPECT_EQ(code_of(Station::remove("orders", dir())), FaultCode::not_found);
}

TEST_F(StationRemoval, LetsTheNameBeUsedAnew) {
  const Station old = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(old.producer());
  must(Station::remove("orders", dir()));
  const Station fresh = open_or_create("orders", {.ring = 128_KiB});
  Consumer consumer = must(fresh.consumer({.from = From::earliest}));
  EXPECT_EQ(code_of(producer.publish("into the old one")), FaultCode::closed);
  EXPECT_EQ(must(must(fresh.producer()).publish("x")), 1u);
  EXPECT_EQ(texts_of(consumer), texts("x"));
}

TEST_F(StationRemoval, IsRefusedWhileAnExclusiveProducerLives) {
  const Station station = open_or_create("orders", {.exclusive = true});
  std::thread([&] {
    const Producer producer = must(station.producer());
    std::thread([&] {
      EXPECT_EQ(code_of(Station::remove("orders", dir())), FaultCode::unsupported);
    }).join();
  }).join();
  EXPECT_TRUE(Station::remove("orders", dir()));
}

}  // namespace
}  // namespace loopline
