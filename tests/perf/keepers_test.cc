// Keepers: each acknowledges what it was given, is set up as its row says, and leaves nothing.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>

#include "perf/durable/disk.h"
#include "perf/durable/drive.h"
#include "perf/durable/temp_disk_folder.h"
#include "perf/peers/durable_peers.h"
#include "perf/peers/server.h"
#include "tests/support/must.h"

namespace loopline::perf {
namespace {

using test::must;
using testing::HasSubstr;

constexpr Load few{256, 8};

TempDiskFolder make_folder() { return must(TempDiskFolder::make(testing::TempDir())); }

Result<std::unique_ptr<Keeper>> start_raw(const std::string& folder, const Load&) {
  LL_TRY_STATUS(write_big_file(folder + "/big-file", 1 << 20));
  return start_raw_write(folder + "/big-file", 1 << 20);
}

struct Named {
  const char* name;
  StartKeeper start;
  const char* settings;  // what it must say about itself
  bool has_server;
};

Named redis(const char* name, RedisSync sync, const char* settings) {
  const auto start = [sync](const std::string& folder, const Load& load) {
    return start_redis(folder, load, sync);
  };
  return {name, start, settings, true};
}

void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }

class KeeperTest : public testing::TestWithParam<Named> {
 protected:
  std::unique_ptr<Keeper> start(const Load& load) {
    return must(GetParam().start(folder_.path(), load));
  }

  TempDiskFolder folder_ = make_folder();
};

TEST_P(KeeperTest, AcknowledgesEachMessageAndNoMore) {
  const auto keeper = start(few);
  const std::vector<std::byte> message(few.message_bytes, std::byte{7});
  uint64_t acknowledged = 0;
  for (uint64_t sent = 0; sent < 100;) {
    for (; sent - acknowledged < few.in_flight; ++sent) must(keeper->submit(message));
    const uint64_t now = must(keeper->wait(acknowledged));
    EXPECT_GT(now, acknowledged);
    EXPECT_LE(now, sent);
    acknowledged = now;
  }
}

TEST_P(KeeperTest, IsSetUpAsItsRowSays) {
  const auto keeper = start(few);
  must(keeper->submit(std::vector<std::byte>(few.message_bytes)));
  EXPECT_EQ(must(keeper->wait(0)), 1u);
  EXPECT_THAT(must(keeper->settings()), HasSubstr(GetParam().settings));
  EXPECT_NE(keeper->version(), "");
}

TEST_P(KeeperTest, IsDrivenWithManyInFlight) {
  const Load many{256, 300};
  const auto keeper = start(many);
  const Figures figures = must(drive(*keeper, many, {0, 1'000'000}));
  EXPECT_GE(figures.message_count, 1u);
  EXPECT_GE(figures.latency_ns->count(), figures.message_count);
  EXPECT_GT(figures.rate_per_s, 0);
}

TEST_P(KeeperTest, EndsItsServer) {
  auto keeper = start(few);
  const pid_t server = keeper->server();
  EXPECT_EQ(server != 0, GetParam().has_server);
  keeper.reset();
  if (server == 0) return;
  EXPECT_EQ(::kill(server, 0), -1);
}

INSTANTIATE_TEST_SUITE_P(
    All, KeeperTest,
    testing::Values(Named{"RawWrite", start_raw, "fdatasync", false},
                    redis("RedisAlways", RedisSync::always, "appendonly yes, appendfsync always"),
                    redis("RedisEverySecond", RedisSync::every_second, "appendfsync everysec"),
                    Named{"RocksDb", start_rocksdb, "sync=true", false},
                    Named{"Sqlite", start_sqlite, "journal_mode wal, synchronous 2", false},
                    Named{"Nats", start_nats, "file storage", true}),
    [](const auto& of) { return std::string(of.param.name); });

TEST(Server, NamesAProgramThatIsNotThere) {
  const auto server = Server::start({"no-such-server"}, testing::TempDir());
  ASSERT_FALSE(server);
  EXPECT_EQ(server.fault().code(), FaultCode::unsupported);
  EXPECT_THAT(server.fault().message(), HasSubstr("no-such-server is not installed"));
}

TEST(Server, TellsWhatOneThatEndedSaidLast) {
  const TempDiskFolder folder = make_folder();
  Server server = must(Server::start({"sh", "-c", "echo first; echo out of luck"}, folder.path()));
  const Status status = server.wait_until("it listened", [] { return false; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.fault().message(),
            "sh ended before it listened; the last it said: \"out of luck\"");
}

TEST(Disk, FindsFilesInMemory) {
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "there is no /dev/shm";
  EXPECT_TRUE(must(is_in_memory("/dev/shm")));
  EXPECT_FALSE(must(is_in_memory("/proc")));
}

TEST(Disk, TheYardsticksOfBandwidthBringFigures) {
  const TempDiskFolder folder = make_folder();
  const Site site{folder.path(), folder.path() + "/big-file", 4 << 20, 0, 20'000'000};
  must(write_big_file(site.big_file, site.big_file_bytes));
  EXPECT_GT(must(read_raw(site)).bytes_per_s, 0);
  const Figures fio = must(write_with_fio(site));
  EXPECT_GT(fio.bytes_per_s, 0);
  EXPECT_THAT(fio.version, HasSubstr("fio-"));
  EXPECT_EQ(std::filesystem::file_size(site.big_file), site.big_file_bytes);
}

}  // namespace
}  // namespace loopline::perf
