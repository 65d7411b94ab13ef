// Control: the socket of a broker, and whoever may speak to it: the slow, the silent, the many.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "broker_fixture.h"
#include "runtime/broker/control_client.h"
#include "runtime/broker/json_text.h"

namespace loopline::broker {
namespace {

using testing::HasSubstr;

constexpr uint64_t soon_ns = 20'000'000'000;

class ControlTest : public testing::Test {
 protected:
  void serve(const ControlLimits& limits = {}) {
    server_ = must(ControlServer::start(
        folder_.path(),
        [](const std::string& request) {
          if (request == "v1 big") return Reply{std::string(4 << 20, 'x')};
          return Reply{"<" + request + ">", request == "v1 hold"};
        },
        limits));
  }
  ControlClient connect() {
    return must(ControlClient::connect(folder_.path(), monotonic_ns() + soon_ns));
  }
  // A client with manners of its own.
  shm::File raw() const {
    shm::File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const ControlAddress address = must(ControlAddress::of(folder_.path()));
    EXPECT_EQ(::connect(socket.fd(), address.get(), address.size()), 0);
    return socket;
  }
  static void say(const shm::File& socket, const std::string& text) {
    (void)!::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  static std::string hear(const shm::File& socket) {
    std::string text;
    char bytes[4096];
    for (;;) {
      const ssize_t size = ::recv(socket.fd(), bytes, sizeof bytes, 0);
      if (size <= 0) return text;
      text.append(bytes, static_cast<size_t>(size));
    }
  }

  test::TempFolder folder_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlTest, AnswersALineWithALine) {
  serve();
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
  const auto socket = raw();
  say(socket, "sta");
  say(socket, "tus  \r\nand more");
  EXPECT_EQ(hear(socket), "<status>\n");
}

TEST_F(ControlTest, TakesTheEndForTheEndOfTheLine) {
  serve();
  const auto socket = raw();
  say(socket, "status");
  ::shutdown(socket.fd(), SHUT_WR);
  EXPECT_EQ(hear(socket), "<status>\n");
}

TEST_F(ControlTest, RefusesLongLinesAndServesTheNext) {
  serve();
  const auto endless = raw();
  say(endless, std::string(100'000, 'x'));
  EXPECT_THAT(hear(endless), HasSubstr("a line of at most 256 bytes"));
  const auto with_end = raw();
  say(with_end, std::string(request_bytes_max + 1, 'x') + "\n");
  EXPECT_THAT(hear(with_end), HasSubstr("too_large"));
  const auto longest = raw();
  say(longest, std::string(request_bytes_max, 'x') + "\n");
  EXPECT_THAT(hear(longest), HasSubstr("xx>"));
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
}

TEST_F(ControlTest, ASilentClientIsToldAndHoldsNobodyUp) {
  serve({.client_ns = 30'000'000, .clients_max = 8});
  const auto silent = raw();
  say(silent, "half a li");
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
  EXPECT_THAT(hear(silent), HasSubstr("no line came in time"));
}

TEST_F(ControlTest, AClientThatTakesNoReplyIsLeft) {
  serve({.client_ns = 30'000'000, .clients_max = 1});
  const auto deaf = raw();
  say(deaf, "v1 big\n");
  // There is room for one: the next is served when the deaf one has been left.
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
}

TEST_F(ControlTest, MoreThanThereIsRoomForWaitTheirTurn) {
  serve({.client_ns = 20'000'000, .clients_max = 2});
  std::vector<shm::File> silent;
  for (int count = 0; count < 6; ++count) silent.push_back(raw());
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
}

TEST_F(ControlTest, LargeRepliesArriveWhole) {
  serve();
  EXPECT_EQ(must(connect().ask("big")).size(), 4u << 20);
}

TEST_F(ControlTest, HeldConnectionsEndWithTheServer) {
  serve();
  ControlClient client = connect();
  EXPECT_EQ(must(client.ask("hold")), "<v1 hold>");
  EXPECT_EQ(code_of(client.wait_for_end(monotonic_ns())), FaultCode::timed_out);
  server_.reset();
  must(client.wait_for_end(monotonic_ns() + soon_ns));
}

TEST_F(ControlTest, ReplacesTheSocketOfADeadBrokerAndNothingElse) {
  serve();
  server_.reset();  // as a death leaves it: the file is there, and refuses
  EXPECT_EQ(code_of(ControlClient::connect(folder_.path(), monotonic_ns() + soon_ns)),
            FaultCode::not_found);
  serve();
  EXPECT_EQ(must(connect().ask("status")), "<v1 status>");
  struct stat status;
  ASSERT_EQ(::stat(control_path(folder_.path()).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  server_->hide();
  EXPECT_NE(::access(control_path(folder_.path()).c_str(), F_OK), 0);
  server_.reset();
  std::ofstream(control_path(folder_.path())) << "mine";
  const auto refused =
      ControlServer::start(folder_.path(), [](const std::string&) { return Reply{}; });
  EXPECT_EQ(code_of(refused), FaultCode::already_exists);
}

TEST_F(ControlTest, FoldersMayHaveLongPaths) {
  std::string path = folder_.path();
  for (int count = 0; count < 5; ++count) path += "/" + std::string(50, 'd');
  std::filesystem::create_directories(path);
  const auto server =
      must(ControlServer::start(path, [](const std::string&) { return Reply{"yes"}; }));
  auto client = must(ControlClient::connect(path, monotonic_ns() + soon_ns));
  EXPECT_EQ(must(client.ask("status")), "yes");
}

TEST_F(ControlTest, WhoListensWithoutAnsweringIsNotWaitedForEndlessly) {
  const shm::File listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const ControlAddress address = must(ControlAddress::of(folder_.path()));
  ASSERT_EQ(::bind(listener.fd(), address.get(), address.size()), 0);
  ASSERT_EQ(::listen(listener.fd(), 1), 0);
  auto client = must(ControlClient::connect(folder_.path(), monotonic_ns() + 20'000'000));
  EXPECT_EQ(code_of(client.ask("status")), FaultCode::timed_out);
}

TEST(JsonText, EscapesWhatMustBeAndReplacesWhatIsNoUtf8) {
  EXPECT_EQ(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
  EXPECT_EQ(quoted("\xc3\xa9"), "\"\xc3\xa9\"");
  for (const char* bad : {"\xff", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80"}) {
    EXPECT_THAT(quoted(bad), HasSubstr("\xef\xbf\xbd")) << bad;
  }
  EXPECT_EQ(JsonObject().add("a", uint64_t{1}).add("b", "two").text(), "{\"a\":1,\"b\":\"two\"}");
}

class BrokerControl : public BrokerFixture {
 protected:
  std::string ask(const std::string& line) {
    const shm::File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const ControlAddress address = must(ControlAddress::of(folder()));
    EXPECT_EQ(::connect(socket.fd(), address.get(), address.size()), 0);
    EXPECT_GT(::send(socket.fd(), line.data(), line.size(), 0), 0);
    char bytes[65536];
    const ssize_t size = ::recv(socket.fd(), bytes, sizeof bytes, 0);
    return {bytes, size > 0 ? static_cast<size_t>(size) : 0};
  }
};

TEST_F(BrokerControl, ComesBackWhenSomebodyTakesItsSocketAway) {
  start();
  const std::string path = control_path(folder());
  std::filesystem::remove(path);
  EXPECT_TRUE(wait_until([&] { return ::access(path.c_str(), F_OK) == 0; }));
  EXPECT_THAT(ask("version\n"), HasSubstr("\"version\":\"0.1.0\""));
  EXPECT_TRUE(wait_until([&] { return log_.count("it is made again") == 1; })) << log_.all();
  std::filesystem::remove(path);
  std::ofstream(path) << "mine";
  EXPECT_TRUE(wait_until([&] { return log_.count("is no socket; remove it") == 1; })) << log_.all();
  std::filesystem::remove(path);
  EXPECT_TRUE(wait_until([&] { return log_.count("it is made again") == 2; })) << log_.all();
  EXPECT_THAT(ask("version\n"), HasSubstr("\"version\":\"0.1.0\""));
}

TEST_F(BrokerControl, SaysWhatItIsAndRefusesWhatItDoesNotKnow) {
  start();
  EXPECT_THAT(ask("version\n"), HasSubstr("\"version\":\"0.1.0\""));
  EXPECT_THAT(ask("v1 status\n"), HasSubstr("\"state\":\"running\""));
  EXPECT_THAT(ask("status\n"), HasSubstr("\"pid\":" + std::to_string(::getpid())));
  EXPECT_THAT(ask("statsu\n"), HasSubstr("did you mean status?"));
  EXPECT_THAT(ask("\n"), HasSubstr("no such request"));
  EXPECT_THAT(ask("v2 status\n"), HasSubstr("version_mismatch"));
  EXPECT_THAT(ask(std::string("\0\xff\x01\n", 4)), HasSubstr("no such request"));
  EXPECT_FALSE(is_stop_wanted_);
  EXPECT_THAT(ask("stop\n"), HasSubstr("\"stopping\":true"));
  EXPECT_TRUE(is_stop_wanted_);
}

}  // namespace
}  // namespace loopline::broker
