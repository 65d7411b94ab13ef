// up, down, status: the broker as people start it, end it, kill it, and are told about it.
#include <gmock/gmock.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "runtime/broker/control.h"
#include "tests/support/must.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using testing::HasSubstr;

class BrokerTool : public ToolFixture {
 protected:
  void add(const std::string& name) {
    told({"station", "add", name, "--storage=file", "--ring=64KiB", "--segment=64KiB", "--quiet"});
  }
  static nlohmann::json status() { return json_told({"status", "--json"}); }
  static pid_t pid() { return status()["broker"]["pid"].get<pid_t>(); }
  // Until nobody holds its lock: a killed process is gone only some time later.
  void kill_broker() {
    ::kill(pid(), SIGKILL);
    ASSERT_TRUE(wait_until([&] { return !must(broker::SoleBroker::look(instance_.folder())); }));
  }
  static uint64_t durable(const nlohmann::json& status, const std::string& name) {
    for (const auto& log : status["stations"]) {
      if (log["station"] == "main/" + name) return log["durable_sequence"];
    }
    return 0;
  }
  // Something else that listens where a broker would.
  void pretend(const std::string& answer) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = must(broker::ControlAddress::of(instance_.folder()));
    ASSERT_EQ(::bind(listener_, address.get(), address.size()), 0);
    ASSERT_EQ(::listen(listener_, 8), 0);
    liar_ = std::thread([this, answer] {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      char bytes[512];
      (void)!::recv(client, bytes, sizeof bytes, 0);
      (void)!::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(client);
    });
  }
  void end_pretence() {
    liar_.join();
    ::close(listener_);
    ::unlink(broker::control_path(instance_.folder()).c_str());
  }

  int listener_ = -1;
  std::thread liar_;
};

TEST_F(BrokerTool, ComesUpAndGoesDown) {
  add("ledger");
  EXPECT_THAT(refused(3, {"status"}), HasSubstr("start it: loopline up"));
  EXPECT_THAT(told({"up"}), HasSubstr("main/ledger"));
  const auto seen = status();
  EXPECT_TRUE(seen["running"].get<bool>());
  EXPECT_EQ(seen["stations"][0]["state"], "flushing");
  const Outcome again = loopline({"up"});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("runs already, process " + std::to_string(pid())));
  EXPECT_EQ(pid(), seen["broker"]["pid"].get<pid_t>());
  EXPECT_THAT(told({"status"}), HasSubstr("DURABLE"));
  EXPECT_THAT(told({"down"}), HasSubstr("has ended"));
  EXPECT_THAT(loopline({"down"}).err, HasSubstr("nothing to stop"));
  const Outcome none = loopline({"status", "--json"});
  EXPECT_EQ(none.status, 3);
  EXPECT_FALSE(nlohmann::json::parse(none.out)["running"].get<bool>());
}

TEST_F(BrokerTool, MakesMessagesDurableThatAnyoneProduces) {
  told({"up", "--quiet"});
  add("ledger");  // while it runs
  told({"produce", "ledger", "--ack=durable", "--quiet"}, "one\ntwo\n");
  EXPECT_EQ(durable(status(), "ledger"), 2u);
  told({"down", "--quiet"});
  EXPECT_THAT(told({"station", "verify", "ledger"}), HasSubstr("2"));
}

TEST_F(BrokerTool, KilledUnderTrafficIsNoticedOnlyWhenTheRingIsFull) {
  add("ledger");
  told({"up", "--quiet"});
  const Station station = must(Station::open("ledger", instance_.folder()));
  Producer producer = must(station.producer());
  uint64_t count = 0;
  const auto publish = [&](Ack ack) {
    PublishOptions options;
    options.ack = ack;
    const auto published = producer.publish("message " + std::to_string(++count), options);
    ASSERT_TRUE(published) << published.fault().message();
    EXPECT_EQ(*published, count);
  };
  for (int round = 0; round < 3; ++round) {
    for (int message = 0; message < 50; ++message) publish(Ack::durable);
    kill_broker();
    for (int message = 0; message < 50; ++message) publish(Ack::visible);
    told({"up", "--quiet"});
  }
  publish(Ack::durable);
  EXPECT_EQ(durable(status(), "ledger"), count);
  // Without a broker the ring takes what it has room for, and says who is missing.
  kill_broker();
  PublishOptions impatient;
  impatient.ack = Ack::visible;
  impatient.timeout = std::chrono::milliseconds(1);
  const std::string body(1000, 'x');
  Result<uint64_t> published = producer.publish(body, impatient);
  for (; published; published = producer.publish(body, impatient)) ++count;
  EXPECT_THAT(published.fault().message(), HasSubstr("is full"));
  EXPECT_THAT(published.fault().message(), HasSubstr("start the broker: loopline up"));
  told({"up", "--quiet"});
  publish(Ack::durable);
  const std::string all = told({"consume", "ledger"});
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), static_cast<long>(count));
  told({"down", "--quiet"});
  told({"station", "verify", "ledger"});
}

TEST_F(BrokerTool, SaysWhatIsWrongWithItsSettings) {
  const std::string file = instance_.folder() + "/l.toml";
  std::ofstream(file) << "storage = 'posix'\nlok = '1s'\n";
  const std::string said = refused(2, {"up", "--config", file});
  EXPECT_THAT(said, HasSubstr(file + ":2: unknown key lok; did you mean look?"));
  std::ofstream(file, std::ios::trunc) << "storage = 'posix'\n";
  told({"up", "--config", file, "--quiet"});
  EXPECT_EQ(status()["broker"]["storage"], "posix");
}

TEST_F(BrokerTool, RunsInTheForegroundUntilItIsInterrupted) {
  Program program(tool_words({"up", "--foreground", "--set=storage=posix"}));
  ASSERT_TRUE(program.says("by posix"));
  ASSERT_TRUE(wait_until([] { return loopline({"status"}).status == 0; }));
  program.send(SIGINT);
  const Outcome outcome = program.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("stopped"));
}

TEST_F(BrokerTool, AnotherFlusherIsToldThatTheBrokerHoldsTheLog) {
  add("ledger");
  told({"up", "--quiet"});
  const std::string said = refused(1, {"flush", "ledger", "--once"});
  EXPECT_THAT(said, HasSubstr("by the broker, process " + std::to_string(pid())));
  EXPECT_THAT(said, HasSubstr("loopline status"));
}

TEST_F(BrokerTool, OpensAgainWhatWasMended) {
  add("ledger");
  const std::string conf = instance_.folder() + "/data/stations/main@ledger/station.conf";
  std::ifstream before(conf);
  const std::string good((std::istreambuf_iterator<char>(before)), {});
  std::ofstream(conf, std::ios::trunc) << "nonsense\n";
  EXPECT_THAT(told({"up"}), HasSubstr("not_open"));
  EXPECT_THAT(told({"doctor"}), HasSubstr("1 of them in trouble"));
  std::ofstream(conf, std::ios::trunc) << good;
  EXPECT_THAT(loopline({"up"}).err, HasSubstr("opened again"));
  EXPECT_TRUE(wait_until([] { return status()["stations"][0]["state"] == "flushing"; }));
}

TEST_F(BrokerTool, WhoeverAnswersInItsPlaceIsNotBelieved) {
  const std::string other = R"({"protocol":2,"version":"9.9.9","pid":1,"news":[]})"
                            "\n";
  const std::pair<std::string, const char*> answers[] = {
      {other, "looplined 9.9.9 in process 1, speaks control protocol 2"},
      {"hello\n", "no JSON object"},
      {"{}\n", "an answer without protocol"},
      {R"({"protocol":1,"version":"0.1.0","pid":-1})"
       "\n",
       "without pid"},
      {R"({"error":{"code":"no_permission","message":"go away"}})"
       "\n",
       "go away"},
      {"", "does not answer"},
  };
  for (const auto& [answer, words] : answers) {
    pretend(answer);
    const Outcome outcome = loopline({"status"});
    EXPECT_NE(outcome.status, 0) << answer;
    EXPECT_THAT(outcome.err, HasSubstr(answer.empty() ? "loopline" : words));
    end_pretence();
  }
}

TEST_F(BrokerTool, OneThatDoesNotListenIsEndedByASignal) {
  told({"up", "--quiet"});
  std::filesystem::remove(broker::control_path(instance_.folder()));
  EXPECT_EQ(loopline({"status"}).status, 4);
  EXPECT_THAT(told({"down"}), HasSubstr("has ended"));
}

TEST_F(BrokerTool, OneThatIsStoppedIsWaitedForNoLongerThanAsked) {
  told({"up", "--quiet"});
  const pid_t broker = pid();
  ::kill(broker, SIGSTOP);
  EXPECT_THAT(refused(4, {"down", "--timeout=0.05s"}), HasSubstr("has not ended within"));
  ::kill(broker, SIGCONT);
  EXPECT_EQ(loopline({"down"}).status, 0);  // it has heard the first one, too
}

}  // namespace
}  // namespace loopline::test
