// Looplined: the daemon among those who start and stop daemons: signals, and systemd.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "broker_fixture.h"
#include "tests/support/program.h"

namespace loopline::broker {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// A service manager, as far as a daemon sees one.
class Manager {
 public:
  // `path` begins with /, or with @ (an abstract one).
  explicit Manager(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    const timeval soon{30, 0};  // only a failure takes as long
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    if (::bind(socket_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
      ADD_FAILURE() << "no socket " << path;
    }
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  // The next word of the daemon; empty: none came.
  std::string hear() const {
    char bytes[256];
    const ssize_t size = ::recv(socket_.fd(), bytes, sizeof bytes, 0);
    return {bytes, size > 0 ? static_cast<size_t>(size) : 0};
  }
  // All that it has said, and was not heard yet.
  std::vector<std::string> rest() const {
    std::vector<std::string> words;
    char bytes[256];
    for (;;) {
      const ssize_t size = ::recv(socket_.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (size <= 0) return words;
      words.emplace_back(bytes, static_cast<size_t>(size));
    }
  }

 private:
  shm::File socket_;
};

class LooplinedTest : public BrokerFixture {
 protected:
  void run(std::vector<std::string> more = {}) {
    std::vector<std::string> words{
        LL_BUILD_BIN_DIR "/looplined", "--dir",      folder(), "--config", config(), "--set",
        "log.file=" + log_file(),      "--ready-fd", "1"};
    words.insert(words.end(), more.begin(), more.end());
    if (::access(config().c_str(), F_OK) != 0) configure("look = '50ms'\n");
    daemon_ = std::make_unique<test::Program>(words);
    ASSERT_TRUE(daemon_->says("ready\n")) << logged();
  }
  void configure(const std::string& text) const { std::ofstream(config()) << text; }
  std::string config() const { return folder() + "/looplined.toml"; }
  std::string log_file() const { return folder() + "/looplined.log"; }
  std::string logged() const {
    std::ifstream file(log_file());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool comes_to_say(const std::string& words) const {
    return wait_until([&] { return logged().find(words) != std::string::npos; });
  }

  std::unique_ptr<test::Program> daemon_;
};

TEST_F(LooplinedTest, TellsSystemdThatItIsReadyWellAndStopping) {
  for (const std::string& path : {folder() + "/notify", "@loopline-test-" + folder()}) {
    const Manager manager(path);
    ::setenv("WATCHDOG_USEC", "20000", 1);
    run();
    EXPECT_EQ(manager.hear(), "READY=1");
    for (int count = 0; count < 3; ++count) EXPECT_EQ(manager.hear(), "WATCHDOG=1");
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->end().status, 0);
    EXPECT_THAT(manager.rest(), Contains("STOPPING=1"));
  }
}

TEST_F(LooplinedTest, FeedsNoWatchdogThatIsAnothers) {
  const Manager manager(folder() + "/notify");
  ::setenv("WATCHDOG_USEC", "2000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  run();
  EXPECT_EQ(manager.hear(), "READY=1");
  daemon_->send(SIGTERM);
  EXPECT_EQ(manager.hear(), "STOPPING=1");
  EXPECT_EQ(daemon_->end().status, 0);
}

TEST_F(LooplinedTest, DoesWithoutAManagerThatIsNotThere) {
  for (const char* path : {"/nowhere/notify", "relative", "@", ""}) {
    ::setenv("NOTIFY_SOCKET", path, 1);
    run();
    ::unsetenv("NOTIFY_SOCKET");
    daemon_->send(SIGINT);
    EXPECT_EQ(daemon_->end().status, 0) << path;
  }
}

TEST_F(LooplinedTest, BringsWhatIsThereToDiskWhenItIsToldToEnd) {
  const Station orders = add("orders");
  run();
  auto producer = must(orders.producer());
  auto last = must(producer.publish_async("first"));
  for (int count = 0; count < 200; ++count) last = must(producer.publish_async("x"));
  daemon_->send(SIGTERM);
  EXPECT_EQ(daemon_->end().status, 0);
  EXPECT_EQ(last.level(), Ack::committed);  // durable, on the only host
  EXPECT_NE(::access(control_path(folder()).c_str(), F_OK), 0);
  EXPECT_FALSE(must(SoleBroker::look(folder())));
  EXPECT_THAT(logged(), HasSubstr("stopped"));
  EXPECT_THAT(logged(), Not(HasSubstr("not everything")));
}

TEST_F(LooplinedTest, KeepsWhatChangesWithoutALook) {
  run({"--set", "look=1h"});
  auto producer = must(add("orders").producer());
  const auto ticket = must(producer.publish_async("one"));
  must(producer.wait(ticket, Ack::durable, std::chrono::seconds(30)));
  must(Station::edit("orders", {.retention_messages = 5}, folder()));
  EXPECT_TRUE(comes_to_say("\"main/orders\" has other parameters")) << logged();
}

TEST_F(LooplinedTest, OpensAgainWhatFailedAtAHangup) {
  add("orders");
  const std::string log = io::log_folder(data(), {"main", "orders"}, 0);
  std::filesystem::remove_all(log);
  std::ofstream(log) << "no folder";
  run({"--set", "look=1h"});
  EXPECT_TRUE(comes_to_say("is not kept"));
  std::filesystem::remove(log);
  daemon_->send(SIGHUP);
  EXPECT_TRUE(comes_to_say("told to look again (SIGHUP)")) << logged();
  EXPECT_TRUE(comes_to_say("\"main/orders\" is kept")) << logged();
  EXPECT_THAT(logged(), Not(HasSubstr("settings")));
}

TEST_F(LooplinedTest, SaysAtAHangupWhatBecameOfTheSettings) {
  run();
  configure("look = '1s'\n");
  daemon_->send(SIGHUP);
  EXPECT_TRUE(comes_to_say("they count from the next start; for it: loopline down")) << logged();
  configure("lok = '1s'\n");
  daemon_->send(SIGHUP);
  EXPECT_TRUE(comes_to_say("looplined.toml:1: unknown key lok; did you mean look?")) << logged();
  EXPECT_TRUE(comes_to_say("goes on with those it was started with")) << logged();
  daemon_->send(SIGTERM);
  EXPECT_EQ(daemon_->end().status, 0);
}

// The unit as it is installed, but for where its program lies.
std::string unit() {
  std::ifstream file(LL_BUILD_BIN_DIR "/../looplined.service");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string start = "ExecStart=";
  const size_t at = text.find(start) + start.size();
  return text.replace(at, text.find(' ', at) - at, LL_BUILD_BIN_DIR "/looplined");
}

TEST(LooplinedUnit, IsWhatSystemdTakes) {
  const std::string verifier = "/usr/bin/systemd-analyze";
  if (::access(verifier.c_str(), X_OK) != 0) GTEST_SKIP() << "there is no systemd-analyze";
  const test::TempFolder folder;
  const std::string path = folder.path() + "/looplined.service";
  std::ofstream(path) << unit();
  const test::Outcome outcome = test::run({verifier, "verify", "--man=no", path});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");  // it is satisfied with a warning, we are not
}

// Where there is no systemd: each line is a comment, a section or KEY=VALUE, and says what the
// daemon counts on.
TEST(LooplinedUnit, SaysWhatTheDaemonCountsOn) {
  std::istringstream lines(unit());
  std::map<std::string, std::string> values;
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      section = line;
      continue;
    }
    const size_t equals = line.find('=');
    ASSERT_NE(equals, std::string::npos) << line;
    values[section + line.substr(0, equals)] = line.substr(equals + 1);
  }
  EXPECT_EQ(values["[Service]Type"], "notify");
  EXPECT_EQ(values["[Service]ExecReload"], "/bin/kill -HUP $MAINPID");
  EXPECT_EQ(values["[Service]RuntimeDirectoryPreserve"], "yes");
  EXPECT_NE(values["[Service]WatchdogSec"], "");
  EXPECT_THAT(values["[Service]ExecStart"], HasSubstr("--dir /run/loopline"));
  EXPECT_EQ(values["[Install]WantedBy"], "multi-user.target");
}

}  // namespace
}  // namespace loopline::broker
