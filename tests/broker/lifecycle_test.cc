// Broker: stations that come, go, change, fail and come back while it runs; what others leave.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "broker_fixture.h"
#include "io/flush_sources.h"
#include "shm/inspect.h"

namespace loopline::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BrokerLife : public BrokerFixture {
 protected:
  // All messages, from the first.
  static std::vector<std::string> messages(const Station& station) {
    ConsumerOptions options;
    options.from = From::earliest;
    auto consumer = must(station.consumer(options));
    std::vector<std::string> texts;
    while (
        must(consumer.poll([&](const Message& message) { texts.emplace_back(message.text()); }))) {
    }
    return texts;
  }
  // As a reboot does it.
  void lose_memory() const {
    for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
      if (file.path().extension() == ".ring") std::filesystem::remove(file.path());
    }
  }
  std::string put_aside(const std::string& path) const {
    std::filesystem::rename(path, path + ".aside");
    return path + ".aside";
  }
};

TEST_F(BrokerLife, KeepsTheStationsThatAreThere) {
  const Station orders = add("orders", 2);
  start();
  EXPECT_EQ(look("orders", 0).state, KeptLog::State::flushing);
  EXPECT_EQ(look("orders", 1).state, KeptLog::State::flushing);
  EXPECT_EQ(publish(orders, "one"), 1u);
  stop();
}

TEST_F(BrokerLife, KeepsAStationThatIsMadeMeanwhile) {
  start();
  publish(add("orders"), "one");  // returns when it is durable
  EXPECT_EQ(look("orders").facts.durable.sequence, 2u);
}

TEST_F(BrokerLife, LetsGoOfAStationThatIsRemoved) {
  const Station orders = add("orders");
  start();
  publish(orders, "one");
  remove("orders");
  EXPECT_TRUE(wait_until([&] { return broker_->status().logs.empty(); })) << log_.all();
  EXPECT_EQ(log_.count("was removed"), 1u);
}

TEST_F(BrokerLife, AStationMadeAnewUnderItsNameIsAnotherOne) {
  start();
  for (int round = 0; round < 5; ++round) {
    const Station orders = add("orders");
    EXPECT_EQ(publish(orders, "one"), 1u);
    remove("orders");
  }
}

TEST_F(BrokerLife, BringsWhatIsInTheRingsToDiskBeforeItEnds) {
  const Station orders = add("orders");
  start();
  auto producer = must(orders.producer());
  for (int count = 0; count < 100; ++count) must(producer.publish_async("x"));
  stop();
  EXPECT_EQ(log_.count("not everything"), 0u);
  lose_memory();
  start();
  EXPECT_EQ(messages(open("orders")).size(), 100u);
}

TEST_F(BrokerLife, TheSecondOfAFolderIsToldAboutTheFirst) {
  start();
  const Fault fault = fault_of(try_start());
  EXPECT_EQ(fault.code(), FaultCode::already_exists);
  EXPECT_THAT(fault.message(), HasSubstr("loopline status"));
  stop();
  start();
}

TEST_F(BrokerLife, TheNextOneGoesOnWhereItWas) {
  const Station orders = add("orders");
  start();
  publish(orders, "one");
  stop();
  auto producer = must(orders.producer());
  must(producer.publish_async("two"));  // nobody flushes
  start();
  EXPECT_EQ(must(producer.publish("three")), 3u);
  EXPECT_THAT(messages(orders), ElementsAre("one", "two", "three"));
}

TEST_F(BrokerLife, OneDamagedStationDoesNotStopTheOthers) {
  const Station good = add("good");
  add("no-conf");
  add("bad-conf");
  add("bad-log");
  std::ofstream(conf_of("bad-conf"), std::ios::trunc) << "nonsense\n";
  put_aside(conf_of("no-conf"));
  std::filesystem::create_directory(io::log_folder(data(), {"main", "no-conf"}, 0));
  std::filesystem::remove_all(io::log_folder(data(), {"main", "bad-log"}, 0));
  std::ofstream(io::log_folder(data(), {"main", "bad-log"}, 0)) << "no folder";
  start();
  EXPECT_EQ(publish(good, "one"), 1u);
  EXPECT_THAT(look("bad-conf").trouble, HasSubstr("station.conf"));
  EXPECT_THAT(look("no-conf").trouble, HasSubstr("is missing"));
  EXPECT_EQ(look("bad-log").state, KeptLog::State::not_open);
  EXPECT_NE(look("bad-log").trouble, "");
  // Told once, not at each look.
  const auto later = monotonic_ns() + 100'000'000;
  wait_until([&] { return monotonic_ns() > later; });
  EXPECT_EQ(log_.count("\"main/bad-conf\" is in trouble"), 1u) << log_.all();
}

// Whoever holds the lock of all stations holds up those that are made anew, not those that live.
TEST_F(BrokerLife, OpensStationsWhoseLocksSomebodyHolds) {
  add("orders");
  const shm::File roster(::open((instance_.paths().shm + "/roster").c_str(), O_RDWR | O_CLOEXEC));
  struct flock all {};
  all.l_type = F_WRLCK;
  all.l_whence = SEEK_SET;
  ASSERT_EQ(::fcntl(roster.fd(), F_OFD_SETLK, &all), 0);
  start();
  EXPECT_EQ(look("orders").state, KeptLog::State::flushing) << look("orders").trouble;
}

TEST_F(BrokerLife, CountsNoMorePartitionsThanAStationMayHave) {
  const Station lost = add("lost");
  start();
  publish(lost, "one");
  stop();
  put_aside(conf_of("lost"));
  for (uint32_t partition = 1; partition < 300; ++partition) {
    std::filesystem::create_directory(io::log_folder(data(), {"main", "lost"}, partition));
  }
  const Fault fault = io::conf_missing(data(), {"main", "lost"}, nullptr);
  EXPECT_THAT(fault.message(), HasSubstr("\"partitions = 256\""));
}

TEST_F(BrokerLife, OpensWhatWasMendedAtOnceWhenTold) {
  const Station orders = add("orders");
  const std::string aside = put_aside(conf_of("orders"));
  start();
  EXPECT_EQ(look("orders").state, KeptLog::State::not_open);
  std::filesystem::rename(aside, conf_of("orders"));
  broker_->reopen();
  EXPECT_TRUE(comes_to("orders", KeptLog::State::flushing)) << log_.all();
  publish(orders, "one");
}

TEST_F(BrokerLife, AConfThatGetsLostStopsNobodysMessages) {
  const Station orders = add("orders");
  start();
  publish(orders, "one");
  const std::string aside = put_aside(conf_of("orders"));
  EXPECT_TRUE(wait_until([&] { return !look("orders").trouble.empty(); }));
  ASSERT_EQ(look("orders").state, KeptLog::State::flushing);
  publish(orders, "two");
  std::filesystem::rename(aside, conf_of("orders"));
  EXPECT_TRUE(wait_until([&] { return look("orders").trouble.empty(); }));
}

TEST_F(BrokerLife, AnEditOfWhatTheLogIsToldIsInForceAtOnce) {
  const Station orders = add("orders");
  start();
  publish(orders, "one");
  auto conf = must(io::read_station_conf(data(), {"main", "orders"}));
  conf->retention.messages = 5;
  must(io::write_station_conf(data(), {"main", "orders"}, *conf, false));
  EXPECT_TRUE(wait_until([&] { return log_.count("other parameters") == 1; }));
  publish(orders, "two");
  EXPECT_THAT(messages(orders), ElementsAre("one", "two"));
}

TEST_F(BrokerLife, APurgeGivesItsRoomBack) {
  const Station orders = add("orders");
  start();
  publish(orders, "one");
  must(Station::purge("orders", instance_.folder()));
  EXPECT_TRUE(wait_until([&] { return look("orders").facts.segments == 0; }));
  publish(orders, "two");
  EXPECT_THAT(messages(orders), ElementsAre("two"));
}

// What a ledger knows of before its time it knows from the log (PRODUCT.md: rebuilt from it): ids
// of purged messages are known for as long as the memory lives, and forgotten with it.
TEST_F(BrokerLife, PurgedIdsAreKnownUntilAReboot) {
  const auto is_duplicate = [&](const std::string& id) {
    auto producer = must(open("orders").producer({.identified = true, .id = 7}));
    must(producer.publish("x", {.id = id}));
    return producer.was_duplicate();
  };
  add("orders");
  start();
  EXPECT_FALSE(is_duplicate("purged"));
  must(Station::purge("orders", folder()));
  EXPECT_TRUE(is_duplicate("purged"));
  EXPECT_FALSE(is_duplicate("kept"));
  stop();
  lose_memory();
  for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
    if (file.path().extension() == ".ledger") std::filesystem::remove(file.path());
  }
  start();
  EXPECT_TRUE(is_duplicate("kept"));
  EXPECT_FALSE(is_duplicate("purged"));
  EXPECT_TRUE(is_duplicate("purged"));
}

TEST_F(BrokerLife, AStationThatSomebodyElseFlushesIsTakenOverLater) {
  const Station orders = add("orders");
  auto directory = must(shm::Directory::open(instance_.paths()));
  auto flusher = must(io::Flusher::start({}));
  must(flusher->add(must(io::sources_of(directory, data(), {"main", "orders"})).at(0)));
  start();
  EXPECT_THAT(look("orders").trouble, HasSubstr("flushed by another process"));
  flusher.reset();
  EXPECT_TRUE(comes_to("orders", KeptLog::State::flushing)) << log_.all();
}

TEST_F(BrokerLife, RingsOfStrangersAndGarbageAreNoReasonToEnd) {
  start();
  std::filesystem::create_directories(io::stations_folder(data()) + "/no station");
  std::ofstream(io::stations_folder(data()) + "/main@x") << "a file";
  std::filesystem::create_directories(io::stations_folder(data()) + "/main@empty");
  std::ofstream(instance_.paths().shm + "/main@y@0@1.ring") << "no ring";
  publish(add("orders"), "one");
  stop();
}

TEST_F(BrokerLife, EndsWhenItsFolderWasTakenAway) {
  start();
  std::filesystem::remove(folder() + "/broker.lock");
  EXPECT_TRUE(wait_until([&] { return is_stop_wanted_.load(); }));
  EXPECT_EQ(log_.count("taken away"), 1u);
}

TEST_F(BrokerLife, RingsThatAreCutShortHurtNobodyElse) {
  const Station good = add("good");
  add("bad");
  must(Station::create("ticks", {.ring = 64 << 10}, folder()));
  start();
  for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
    const std::string name = file.path().filename();
    if (name.starts_with("main@bad") || name.starts_with("main@ticks")) {
      ASSERT_EQ(::truncate(file.path().c_str(), 8192), 0);
    }
  }
  const pid_t child = ::fork();  // somebody dies: all rings are looked at
  if (child == 0) {
    const auto station = Station::open("good", folder());
    auto producer = station->producer();
    ::_exit(producer ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(wait_until([&] { return broker_->status().reaped_rings == 1; })) << log_.all();
  publish(good, "one");
  stop();
  start();
  publish(good, "two");
  EXPECT_NE(look("bad").trouble, "");
}

TEST_F(BrokerLife, FreesWhatTheDeadHold) {
  const Station ticks = must(Station::create("ticks", {.ring = 64 << 10}, folder()));
  start();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto station = Station::open("ticks", folder());
    auto producer = station->producer();
    auto consumer = station->consumer();
    (void)producer->publish("one");
    ::_exit(0);  // without closing anything: as a kill
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const auto directory = must(shm::Directory::open(instance_.paths()));
  const auto roster = must(directory.roster_to_look());
  EXPECT_TRUE(wait_until([&] {
    const auto ring =
        must(shm::inspect(directory.ring_path({"main", "ticks"}, 0, 1), roster.get()));
    return ring.producers.empty() && ring.cursors.empty();
  }));
  EXPECT_TRUE(wait_until([&] { return broker_->status().reaped_rings == 1; }));
}

}  // namespace
}  // namespace loopline::broker
