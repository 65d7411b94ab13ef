// check: each state made for real: its exit status, its line, its measures, in all three forms.
#include <gmock/gmock.h>
#include <linux/magic.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <sys/vfs.h>

#include <filesystem>
#include <regex>

#include "prometheus_text.h"
#include "scene.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CheckTool : public ToolFixture {
 protected:
  void add(const std::string& name) {
    told({"station", "add", name, "--storage=file", "--ring=64KiB", "--segment=64KiB", "--quiet"});
  }
  static pid_t broker_pid() {
    return json_told({"status", "--json"})["broker"]["pid"].get<pid_t>();
  }
  void kill_broker() {
    ::kill(broker_pid(), SIGKILL);
    ASSERT_TRUE(wait_until([&] { return !must(broker::SoleBroker::look(instance_.folder())); }));
  }
  // The same check in all its forms: they agree, and each keeps its own rules.
  static nlohmann::json checked(int status, Words words) {
    words.insert(words.begin(), "check");
    const std::string kind = words[1];
    const auto in_form = [&](const char* form) {
      Words all = words;
      all.push_back(form);
      const Outcome outcome = loopline(all);
      EXPECT_EQ(outcome.status, status)
          << kind << " " << form << ": " << outcome.out << outcome.err;
      EXPECT_EQ(outcome.err, "");
      return outcome.out;
    };
    const auto json = nlohmann::json::parse(in_form("--json"));
    const char* const states[] = {"ok", "warning", "critical", "unknown"};
    EXPECT_EQ(json["check"], kind);
    EXPECT_EQ(json["state"], states[status]);
    EXPECT_EQ(json["status"], status);
    expect_plugin_line(in_form("--format=text"), json);
    expect_samples(in_form("--format=prometheus"), json);
    return json;
  }
  // In one form, where what was said decides.
  static nlohmann::json checked_once(int status, Words words) {
    words.insert(words.begin(), "check");
    words.push_back("--json");
    const Outcome outcome = loopline(words);
    EXPECT_EQ(outcome.status, status) << outcome.out << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  // KIND STATE - words | label=value[UOM];warning;critical;min[;max] ...
  static void expect_plugin_line(const std::string& text, const nlohmann::json& json) {
    std::string kind = json["check"], state = json["state"];
    for (std::string* word : {&kind, &state}) {
      for (char& letter : *word) letter = static_cast<char>(std::toupper(letter));
    }
    EXPECT_THAT(text, StartsWith(kind + " " + state + " - "));
    const std::string line = text.substr(0, text.find('\n'));
    EXPECT_EQ(std::count(text.begin(), text.end(), '|'), json["measures"].empty() ? 0 : 1) << text;
    if (json["measures"].empty()) return;
    const std::string range = "(-?[0-9.]+:?)?";
    const std::regex one("[a-z-]+=[0-9.]+(B|s|%)?;" + range + ";" + range + ";0(;[0-9.]+)?");
    std::istringstream figures(line.substr(line.find('|') + 1));
    size_t count = 0;
    for (std::string figure; figures >> figure; ++count) {
      EXPECT_TRUE(std::regex_match(figure, one)) << figure;
    }
    EXPECT_EQ(count, json["measures"].size());
  }
  static void expect_samples(const std::string& text, const nlohmann::json& json) {
    const auto samples = read_prometheus(text);
    const std::string kind = json["check"], subject = json["subject"];
    const std::string which = (kind == "station" ? "station=" : "folder=") + subject;
    const std::string state = "loopline_check_state{check=" + kind + "," + which + "}";
    ASSERT_EQ(samples.count(state), 1u) << text;
    EXPECT_EQ(samples.at(state), json["status"].get<double>());
    size_t measures = 0;
    for (const auto& [name, value] : samples) {
      measures += name.starts_with("loopline_" + kind + "_") && name.ends_with("{" + which + "}");
    }
    EXPECT_EQ(measures, json["measures"].size()) << text;
  }
  // As `check disk` says of it: a warning, since it does not survive a reboot.
  int instance_is_in_memory() const {
    struct statfs facts {};
    return ::statfs(instance_.folder().c_str(), &facts) == 0 && facts.f_type == TMPFS_MAGIC ? 1 : 0;
  }
  static nlohmann::json finding(const nlohmann::json& json, const std::string& code) {
    for (const auto& one : json["findings"]) {
      if (one["code"] == code) return one;
    }
    ADD_FAILURE() << "no " << code << " in " << json.dump();
    return {};
  }
  static double value(const nlohmann::json& json, const std::string& name) {
    for (const auto& one : json["measures"]) {
      if (one["name"] == name) return one["value"];
    }
    ADD_FAILURE() << "no " << name << " in " << json.dump();
    return -1;
  }
  static bool has(const nlohmann::json& json, const std::string& name) {
    return std::any_of(json["measures"].begin(), json["measures"].end(),
                       [&](const auto& one) { return one["name"] == name; });
  }
};

TEST_F(CheckTool, WrongUsageIsUnknownAsPluginsHaveIt) {
  told({"station", "add", "orders"});
  EXPECT_THAT(refused(3, {"check"}), HasSubstr("needs one of: station, broker, disk, shm"));
  EXPECT_THAT(refused(3, {"check", "station"}), HasSubstr("STATION is required"));
  EXPECT_THAT(refused(3, {"check", "group", "x"}), HasSubstr("has no \"group\""));
  const auto said = [&](const Words& limits) {
    Words words = {"check", "station", "orders"};
    words.insert(words.end(), limits.begin(), limits.end());
    return refused(3, words);
  };
  EXPECT_THAT(said({"--warning", "lags=1"}), HasSubstr("did you mean lag?; they are fill, "));
  EXPECT_THAT(said({"--warning", "lag"}), HasSubstr("lag needs a limit, such as --warning lag="));
  EXPECT_THAT(said({"--warning", "lag-time=5"}), HasSubstr("write it like lag-time=5s"));
  EXPECT_THAT(said({"--critical", "fill=2"}), HasSubstr("write it like fill=80%"));
  EXPECT_THAT(said({"--critical", "fill=101%"}), HasSubstr("is no limit"));
  EXPECT_THAT(said({"--critical", "lag-bytes=-1"}), HasSubstr("write it like lag-bytes=64MiB"));
  EXPECT_THAT(said({"--warning", "lag=10", "--critical", "lag=9"}),
              HasSubstr("lag would be critical at 9 before it is a warning at 10"));
  EXPECT_THAT(said({"--critical", "lag-time=1s"}), HasSubstr("before it is a warning at 1m"));
  EXPECT_THAT(said({"--warning", "producers=1", "--critical", "producers=2"}),
              HasSubstr("critical at 2 before"));
  EXPECT_THAT(refused(3, {"check", "disk", "--timeout", "never"}), HasSubstr("no number of sec"));
  const auto json = nlohmann::json::parse(refused(3, {"check", "station", "Bad Name", "--json"}));
  EXPECT_EQ(json["error"]["code"], "invalid_argument");
  EXPECT_THAT(refused(2, {"station", "ls", "--format", "prometheus"}),
              HasSubstr("for loopline ch"));
}

TEST_F(CheckTool, AStationThatIsWellHasItsFigures) {
  const Station station = must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()));
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  for (int count = 0; count < 3; ++count) must(producer.publish("one"));
  const auto json = checked(0, {"station", "orders"});
  EXPECT_EQ(json["subject"], "main/orders");
  EXPECT_EQ(value(json, "lag"), 3);
  EXPECT_EQ(value(json, "producers"), 1);
  EXPECT_EQ(value(json, "consumers"), 1);
  EXPECT_GT(value(json, "lag-bytes"), 0);
  EXPECT_GT(value(json, "lag-time"), 0);
  EXPECT_FALSE(has(json, "not-durable"));
  EXPECT_THAT(told({"check", "station", "orders"}),
              HasSubstr("full, 0/s in, 1 producer, 1 consumer | fill="));
}

TEST_F(CheckTool, LimitsDecide) {
  const Station station = must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()));
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  for (int count = 0; count < 3; ++count) must(producer.publish("one"));
  checked_once(0, {"station", "orders", "--warning=lag=3", "--critical=producers=1"});
  const auto json = checked_once(2, {"station", "orders", "--warning=lag=1", "--critical=lag=2"});
  EXPECT_EQ(finding(json, "lag")["text"],
            "messages that the slowest consumer has to read: 3, above the limit of 2");
  checked_once(1, {"station", "orders", "--warning=lag-time=1ns"});
  const auto few = checked_once(2, {"station", "orders", "--critical=producers=2"});
  EXPECT_THAT(std::string(finding(few, "producers")["text"]), HasSubstr("1, below the limit of 2"));
  EXPECT_THAT(loopline({"check", "station", "orders", "--warning=producers=2"}).out,
              HasSubstr(" producers=1;2:;;0 "));
}

TEST_F(CheckTool, AStationThatIsNotThereIsCritical) {
  EXPECT_THAT(finding(checked(2, {"station", "orders"}), "missing-station")["text"],
              HasSubstr("it is not there: "));
  told({"station", "add", "other"});
  checked(2, {"station", "orders"});
  add("kept");
  std::filesystem::remove(ring_path("kept"));
  EXPECT_EQ(finding(checked(1, {"station", "kept"}), "on-disk")["remedy"],
            "start the broker: loopline up");
  std::filesystem::remove(instance_.folder() + "/data/stations/main@kept/station.conf");
  checked(2, {"station", "kept"});
}

TEST_F(CheckTool, AReaderThatIsStoppedIsNamed) {
  told({"station", "add", "orders", "--ring=64KiB"});
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  told({"produce", "orders"}, "ready\n");
  ASSERT_TRUE(reader.says("ready"));
  reader.send(SIGSTOP);
  Program program(tool_words({"produce", "orders"}));
  program.type(thousand_byte_lines(60));
  program.type(thousand_byte_lines(60));
  ASSERT_TRUE(program.says("waiting for room"));
  const auto json = checked(2, {"station", "orders"});
  EXPECT_EQ(finding(json, "full")["who"]["pid"], reader.pid());
  EXPECT_GT(value(json, "fill"), 0.8);
  EXPECT_THAT(loopline({"check", "station", "orders"}).out,
              HasSubstr("kill -CONT " + std::to_string(reader.pid())));
  reader.send(SIGKILL);
  reader.end();
  program.end();
}

TEST_F(CheckTool, DamageAndGarbageAreCriticalAndNoMore) {
  told({"station", "add", "orders", "--ring=64KiB"});
  scribble(ring_path("orders"), shm::page_size, 3);
  EXPECT_FALSE(has(checked(2, {"station", "orders"}), "lag"));
  const int status = loopline({"check", "shm"}).status;
  EXPECT_EQ(status, 2);
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 100), 0);
  EXPECT_GE(loopline({"check", "station", "orders"}).status, 2);
}

TEST_F(CheckTool, ABrokerThatDiedWithProducersWaitingIsTold) {
  add("ledger");
  EXPECT_EQ(finding(checked_once(1, {"station", "ledger"}), "not-flushed")["level"], "warning");
  const auto none = checked(2, {"broker"});
  EXPECT_EQ(finding(none, "none")["remedy"], "loopline up");
  told({"up", "--quiet"});
  const auto well = checked(0, {"broker"});
  EXPECT_EQ(value(well, "logs"), 1);
  EXPECT_EQ(value(well, "failed"), 0);
  EXPECT_TRUE(has(well, "last-round"));
  EXPECT_TRUE(has(well, "write-time"));
  checked(1, {"broker", "--warning=uptime=1h"});
  kill_broker();
  Program producer(tool_words({"produce", "ledger", "--ack=durable"}));
  producer.type("one\n");
  producer.end_input();
  ASSERT_TRUE(wait_until([] {
    const auto json = nlohmann::json::parse(loopline({"why", "ledger", "--json"}).out);
    return json["findings"][0]["code"] == "not-flushed" &&
           std::string(json["findings"][0]["text"]).find("waits") != std::string::npos;
  }));
  const auto dead = checked_once(2, {"station", "ledger", "--warning=not-durable-time=1ns"});
  const auto why = finding(dead, "not-flushed");
  EXPECT_THAT(why["text"], HasSubstr("1 message (64B) not on disk, the oldest for "));
  EXPECT_THAT(why["text"], HasSubstr("nobody flushes the station"));
  EXPECT_EQ(why["remedy"], "start the broker: loopline up");
  EXPECT_EQ(value(dead, "not-durable"), 1);
  finding(dead, "not-durable-time");
  told({"up", "--quiet"});
  EXPECT_EQ(producer.end().status, 0);
  checked_once(0, {"station", "ledger"});
}

TEST_F(CheckTool, ABrokerThatIsStoppedIsTold) {
  add("ledger");
  told({"up", "--quiet"});
  const pid_t broker = broker_pid();
  told({"produce", "ledger", "--ack=durable"}, "one\n");
  ::kill(broker, SIGSTOP);
  const Outcome quick = loopline({"check", "broker", "--timeout=0.05s", "--json"});
  EXPECT_EQ(quick.status, 2);
  finding(nlohmann::json::parse(quick.out), "no-answer");
  told({"produce", "ledger", "--ack=visible"}, "two\n");
  const auto why = json_told({"why", "ledger", "--json"});
  const auto stopped = finding(why, "flusher-stopped");
  EXPECT_EQ(why["worst"], "critical");
  EXPECT_EQ(stopped["who"]["pid"], broker);
  EXPECT_THAT(stopped["text"], HasSubstr("(looplined), which flushes the station, is stopped"));
  EXPECT_THAT(stopped["remedy"], HasSubstr("kill -CONT " + std::to_string(broker)));
  ::kill(broker, SIGCONT);
  EXPECT_TRUE(wait_until([] { return loopline({"check", "station", "ledger"}).status == 0; }));
}

TEST_F(CheckTool, ALogThatIsNotOpenIsTold) {
  add("ledger");
  const std::string conf = instance_.folder() + "/data/stations/main@ledger/station.conf";
  std::filesystem::resize_file(conf, 3);
  told({"up", "--quiet"});
  const auto json = checked(2, {"broker"});
  EXPECT_EQ(value(json, "failed"), 1);
  EXPECT_THAT(finding(json, "log")["text"], HasSubstr("main/ledger: "));
  checked(1, {"broker", "--critical=failed=off"});
}

TEST_F(CheckTool, TheDiskIsWrittenToAndNothingStays) {
  const auto before = checked(instance_is_in_memory(), {"disk"});
  EXPECT_FALSE(has(before, "write-time"));
  add("ledger");
  const std::string data = instance_.folder() + "/data";
  const auto names = [&] {
    std::set<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(data)) all.insert(entry.path());
    return all;
  };
  const auto there = names();
  const auto json = checked(instance_is_in_memory(), {"disk"});
  EXPECT_EQ(json["subject"], data);
  EXPECT_GT(value(json, "write-time"), 0);
  EXPECT_GT(value(json, "free"), 0);
  EXPECT_FALSE(has(checked(instance_is_in_memory(), {"disk", "--no-write"}), "write-time"));
  EXPECT_EQ(names(), there);
  checked(2, {"disk", "--warning=free=off", "--critical=free=1024GiB"});
  told({"up", "--quiet"});
  EXPECT_THAT(loopline({"check", "disk"}).out + json_told({"status", "--json"}).dump(),
              HasSubstr("io_uring"));
}

TEST_F(CheckTool, SharedMemoryHasItsFiguresAndWhatTheDeadLeft) {
  told({"station", "add", "orders", "--ring=64KiB"});
  const auto well = checked(0, {"shm"});
  EXPECT_EQ(value(well, "rings"), 1);
  EXPECT_GE(value(well, "ring-bytes"), 65536);
  killed_in_a_claim("orders", instance_.folder());
  const auto dead = checked(1, {"shm"});
  EXPECT_THAT(finding(dead, "stale-ring")["text"], HasSubstr("main/orders: 1 place left"));
  told({"doctor", "--fix"});
  checked(0, {"shm"});
}

TEST_F(CheckTool, LabelsAreEscaped) {
  const std::string folder = instance_.folder() + "/a\"b\\c";
  std::filesystem::create_directory(folder);
  const auto samples =
      read_prometheus(loopline({"check", "broker", "--dir", folder, "--format", "prometheus"}).out);
  EXPECT_EQ(samples.at("loopline_check_state{check=broker,folder=" + folder + "}"), 2);
}

}  // namespace
}  // namespace loopline::test
