// station export, station import: a station is the same afterwards, or nothing is there and what
// stood in the way is told.
#include <gmock/gmock.h>
#include <loopline/station.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/must.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class Transfer : public ToolFixture {
 protected:
  std::string path(const std::string& name) const { return instance_.folder() + "/" + name; }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void put_content(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  // A station's export, as its bytes; the file is there too.
  std::string exported(const std::string& station) {
    told({"station", "export", station, "--output", path(station + ".x"), "--overwrite"});
    return content(path(station + ".x"));
  }
  // Its messages, all but where they lie in the log, by partition.
  static std::vector<std::string> messages(const std::string& station) {
    std::vector<std::string> lines;
    std::istringstream out(told({"consume", station, "--json"}));
    for (std::string line; std::getline(out, line);) {
      auto message = nlohmann::json::parse(line);
      message.erase("position");
      lines.push_back(message.dump());
    }
    std::stable_sort(lines.begin(), lines.end());
    return lines;
  }
  static nlohmann::json parameters(const std::string& station) {
    return json_told({"station", "info", station, "--json"})["parameters"];
  }
  void expect_gone(const std::string& station) {
    EXPECT_EQ(loopline({"station", "info", station}).status, 3);
    EXPECT_FALSE(fs::exists(path("data/stations/main@" + station)));
    EXPECT_FALSE(fs::exists(path("imports/main@" + station)));
  }
  // Sixty thousand bytes of messages, in several blocks.
  static void fill(const std::string& station, int count = 60) {
    std::string lines;
    for (int line = 0; line < count; ++line) {
      lines += std::to_string(line) + std::string(3000, 'x') + "\n";
    }
    told({"produce", station, "--quiet", "--ack=visible"}, lines);
  }
};

TEST_F(Transfer, KeepsEveryFieldOfEveryMessage) {
  told({"station", "add", "orders", "--ring=64KiB", "--partitions=3", "--dedup-window=off",
        "--when-full=reject", "--timestamp=coarse", "--mode=0640", "--max-message=5000"});
  const Station orders = must(Station::open("orders", instance_.folder()));
  Producer plain = must(orders.producer());
  Producer named = must(orders.producer({.identified = true, .id = 77}));
  Producer drawn = must(orders.producer({.identified = true}));
  const Header headers[] = {{"a", "b"}, {"a", ""}, {"", std::string_view("\0\xff", 2)}};
  must(plain.publish(""));
  must(plain.publish(std::string_view("\0\xff\n", 3),
                     {.key = "\xfe", .id = "i", .headers = headers}));
  must(must(plain.claim(10)).abort());
  must(named.publish("of one with a name", {.key = "k"}));
  must(drawn.publish("of one who was drawn", {.headers = headers}));
  must(plain.publish(std::string(5000 - 48, 'l'), {.key = "the largest"}));
  exported("orders");
  told({"station", "import", "copy", "--input", path("orders.x")});
  EXPECT_EQ(messages("copy"), messages("orders"));
  EXPECT_EQ(messages("copy").size(), 5);
  EXPECT_EQ(parameters("copy"), parameters("orders"));
  EXPECT_EQ(fs::status(path("orders.x.partial")).type(), fs::file_type::not_found);
  const std::string again = exported("copy");
  EXPECT_EQ(again.size() - std::string("main/copy").size(),
            content(path("orders.x")).size() - std::string("main/orders").size());
}

TEST_F(Transfer, KeepsTheSequencesOfAStationOnDiskWhichBeginsLate) {
  told({"station", "add", "kept", "--ring=64KiB", "--storage=file", "--segment=64KiB",
        "--partitions=2", "--retention-age=off", "--flush=2ms"});
  told({"produce", "kept", "--ack=visible"}, "1\n2\n3\n4\n5\n6\n");
  told({"flush", "kept", "--once"});
  told({"station", "purge", "kept", "--yes"});
  told({"produce", "kept", "--ack=visible"}, "7\n8\n9\n");
  EXPECT_THAT(loopline({"station", "export", "kept", "--output", path("kept.x")}).err,
              HasSubstr("3 messages of main/kept exported"));
  EXPECT_THAT(told({"station", "import", "copy", "--input", path("kept.x")}),
              HasSubstr("all of it durable"));
  EXPECT_EQ(messages("copy"), messages("kept"));
  EXPECT_EQ(parameters("copy"), parameters("kept"));
  EXPECT_THAT(told({"station", "verify", "copy"}), HasSubstr(": whole"));
  // As a reboot does it: rings and all, from the disk.
  for (const auto& file : fs::directory_iterator(instance_.paths().shm)) {
    if (file.path().filename().string().starts_with("main@copy@")) fs::remove(file.path());
  }
  EXPECT_EQ(messages("copy"), messages("kept"));
  told({"produce", "copy", "--ack=visible", "--key=k"}, "more\n");
  EXPECT_EQ(messages("copy").size(), 4);
  EXPECT_THAT(told({"station", "verify", "copy"}), HasSubstr(": whole"));
}

TEST_F(Transfer, MovesBetweenMemoryAndDiskAndNumbersAnewWhenAsked) {
  told({"station", "add", "orders", "--ring=64KiB"});
  fill("orders");  // the ring keeps the newest of them
  const auto first = json_told({"consume", "orders", "--count=1", "--json"});
  EXPECT_GT(first["sequence"], 10);
  exported("orders");
  told({"station", "import", "same", "--input", path("orders.x")});
  EXPECT_EQ(messages("same"), messages("orders"));
  told({"station", "import", "disk", "--input", path("orders.x"), "--storage=file",
        "--segment=1MiB", "--retention-age=off", "--renumber"});
  EXPECT_EQ(json_told({"consume", "disk", "--count=1", "--json"})["sequence"], 1);
  EXPECT_EQ(messages("disk").size(), messages("orders").size());
  exported("disk");
  told({"station", "import", "back", "--input", path("disk.x"), "--storage=memory"});
  EXPECT_EQ(messages("back"), messages("disk"));
}

TEST_F(Transfer, BringsMoreThanARingToDiskByItselfAndByTheBroker) {
  told({"station", "add", "kept", "--ring=64KiB", "--storage=file", "--segment=64KiB"});
  told({"up"});
  fill("kept", 100);
  exported("kept");
  told({"station", "import", "by-broker", "--input", path("kept.x")});
  EXPECT_EQ(messages("by-broker"), messages("kept"));
  told({"down"});
  told({"station", "import", "alone", "--input", path("kept.x")});
  EXPECT_EQ(messages("alone").size(), 100);
  EXPECT_EQ(messages("alone"), messages("kept"));
  EXPECT_THAT(told({"station", "verify", "alone"}), HasSubstr("messages 1 to 100 in"));
}

TEST_F(Transfer, KnowsImportedIdsAndProducersAgain) {
  told({"station", "add", "orders", "--ring=64KiB"});
  told({"produce", "orders", "--id=id%n"}, "one\ntwo\n");
  told({"produce", "orders", "--producer=me"}, "three\nfour\n");
  exported("orders");
  told({"station", "import", "copy", "--input", path("orders.x")});
  EXPECT_EQ(json_told({"produce", "copy", "--id=id%n", "--json"}, "one\ntwo\nnew\n")["duplicates"],
            2);
  EXPECT_THAT(loopline({"produce", "copy", "--producer=me"}, "five\n").err,
              HasSubstr("1 record were there already"));
}

TEST_F(Transfer, TellsGapsAndRecordsThem) {
  told({"station", "add", "orders", "--ring=64KiB"});
  fill("orders");
  const Outcome outcome = loopline(
      {"station", "export", "orders", "--from=seq:3", "--output", path("gap.x"), "--json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("gap: messages 3 to "));
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["gaps"][0]["first_sequence"], 3);
  const auto imported =
      json_told({"station", "import", "copy", "--input", path("gap.x"), "--json"});
  EXPECT_EQ(imported["missing_messages"], report["missing_messages"]);
  EXPECT_EQ(messages("copy"), messages("orders"));
}

TEST_F(Transfer, ExportsWhatIsAskedFor) {
  told({"station", "add", "orders", "--ring=64KiB"});
  told({"produce", "orders"}, "one\ntwo\nthree\nfour\n");
  const std::string stream = told({"station", "export", "orders", "--from=seq:2", "--to=seq:3"});
  told({"station", "import", "copy"}, stream);
  EXPECT_EQ(told({"consume", "copy", "--template=%s %p\\n"}), "2 two\n3 three\n");
  told({"station", "import", "new"}, told({"station", "export", "orders", "--from=last:1"}));
  EXPECT_EQ(told({"consume", "new", "--template=%s %p\\n"}), "4 four\n");
  told({"station", "import", "none"}, told({"station", "export", "orders", "--from=latest"}));
  EXPECT_EQ(told({"consume", "none"}), "");
  EXPECT_THAT(refused(2, {"station", "export", "orders", "--json"}), HasSubstr("--output"));
  refused(3, {"station", "export", "missing"});
}

TEST_F(Transfer, ReplacesNoFileUnasked) {
  told({"station", "add", "orders", "--ring=64KiB"});
  put_content(path("taken"), "precious");
  put_content(path("taken.partial"), "of an export that was killed");
  EXPECT_THAT(refused(1, {"station", "export", "orders", "--output", path("taken")}),
              HasSubstr("--overwrite"));
  EXPECT_EQ(content(path("taken")), "precious");
  told({"station", "export", "orders", "--output", path("taken"), "--overwrite"});
  EXPECT_THAT(content(path("taken")), HasSubstr("main/orders"));
  EXPECT_FALSE(fs::exists(path("taken.partial")));
}

TEST_F(Transfer, LeavesAFileThatIsWholeOrNoneWhenItIsKilled) {
  told({"station", "add", "orders", "--ring=1MiB"});
  fill("orders", 200);
  const auto expected = messages("orders");
  int kept = 0;
  for (useconds_t round = 0; round < 16; ++round) {
    fs::remove(path("killed.x"));
    Program program(tool_words({"station", "export", "orders", "--output", path("killed.x")}));
    const pid_t pid = program.pid();
    ::usleep(round * 700);  // anywhere between its start and its end
    ::kill(pid, SIGKILL);
    program.end();
    if (!fs::exists(path("killed.x"))) continue;
    told({"station", "import", "copy" + std::to_string(++kept), "--input", path("killed.x")});
    EXPECT_EQ(messages("copy" + std::to_string(kept)), expected);
  }
  exported("orders");
  told({"station", "export", "orders", "--output", path("killed.x"), "--overwrite"});
  EXPECT_FALSE(fs::exists(path("killed.x.partial")));
}

TEST_F(Transfer, TellsWhatIsDamagedOnDisk) {
  told({"station", "add", "kept", "--ring=64KiB", "--storage=file", "--segment=64KiB"});
  for (const char* line : {"one\n", "two\n", "three\n"}) {
    told({"produce", "kept", "--ack=visible"}, line);
    told({"flush", "kept", "--once"});
  }
  for (const auto& file : fs::directory_iterator(path("data/stations/main@kept/0"))) {
    if (file.path().extension() != ".segment") continue;
    std::string bytes = content(file.path());
    if (bytes.find("two") == std::string::npos) continue;
    bytes[bytes.find("two")] ^= 1;
    put_content(file.path(), bytes);
  }
  fs::remove(ring_path("kept"));  // as a reboot does
  const Outcome outcome = loopline({"station", "export", "kept", "--output", path("kept.x")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("gap: messages 2 to 2 of partition 0"),
                                 HasSubstr("2 messages of main/kept exported")));
  EXPECT_THAT(loopline({"station", "import", "copy", "--input", path("kept.x")}).err,
              HasSubstr("messages 2 to 2 of partition 0 were missing when it was exported"));
  EXPECT_EQ(told({"consume", "copy", "--template=%s %p\\n"}), "1 one\n3 three\n");
}

// What the shell's `ulimit -f` counts is 512 bytes.
Words under_limit(int blocks, const std::string& words) {
  return {"/bin/sh", "-c",
          "ulimit -f " + std::to_string(blocks) + "; exec " LL_BUILD_BIN_DIR "/loopline " + words};
}

TEST_F(Transfer, LeavesNothingOnADiskThatIsFull) {
  told({"station", "add", "orders", "--ring=64KiB"});
  fill("orders");
  const Outcome outcome = run(under_limit(16, "station export orders --output " + path("full.x")));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write all of the export"));
  EXPECT_FALSE(fs::exists(path("full.x")));
  EXPECT_FALSE(fs::exists(path("full.x.partial")));
  exported("orders");
  const Outcome imported =
      run(under_limit(1000, "station import full --storage file --input " + path("orders.x")));
  EXPECT_EQ(imported.status, 1) << imported.err;
  EXPECT_THAT(imported.err, HasSubstr("taken away again"));
  expect_gone("full");
}

TEST_F(Transfer, MakesNothingOutOfADamagedExport) {
  told({"station", "add", "orders", "--ring=256KiB"});
  fill("orders");
  const std::string whole = exported("orders");
  std::string damaged = whole;
  damaged[whole.size() / 2] ^= 1;
  put_content(path("damaged"), damaged);
  const Outcome outcome = loopline({"station", "import", "copy", "--input", path("damaged")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("has other bytes than were written: messages "),
                                 HasSubstr(" of 60 messages are lost"), HasSubstr("--salvage")));
  expect_gone("copy");
  EXPECT_THAT(refused(1, {"station", "import", "copy"}, damaged),
              HasSubstr("nothing was imported"));
  expect_gone("copy");
  for (const size_t length : {whole.size() - 1, whole.size() / 2, size_t{500}}) {
    EXPECT_THAT(refused(1, {"station", "import", "copy"}, whole.substr(0, length)),
                HasSubstr("the stream ends here without its last block"));
    expect_gone("copy");
  }
  EXPECT_THAT(refused(1, {"station", "import", "copy"}, "one\ntwo\n"), HasSubstr("does not begin"));
  EXPECT_THAT(refused(1, {"station", "import", "copy"}), HasSubstr("is empty"));
  EXPECT_EQ(loopline({"station", "import", "copy", "--input", path("none")}).status, 3);
}

TEST_F(Transfer, SalvagesWhatIsWhole) {
  told({"station", "add", "orders", "--ring=256KiB"});
  fill("orders");
  std::string damaged = exported("orders");
  damaged[damaged.size() / 2] ^= 1;
  const Outcome outcome = loopline({"station", "import", "copy", "--salvage", "--json"}, damaged);
  EXPECT_EQ(outcome.status, 1);
  const auto report = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(report["damage_count"], 1);
  const auto& lost = report["damages"][0];
  const uint64_t first = lost["first_sequence"], last = lost["last_sequence"];
  EXPECT_EQ(report["messages"], 60 - (last - first + 1));
  std::vector<std::string> expected;
  for (const std::string& message : messages("orders")) {
    const uint64_t sequence = nlohmann::json::parse(message)["sequence"];
    if (sequence < first || sequence > last) expected.push_back(message);
  }
  EXPECT_EQ(messages("copy"), expected);
  EXPECT_EQ(loopline({"station", "info", "copy"}).err, "");
}

TEST_F(Transfer, RefusesNamesAndRingsThatDoNotFit) {
  told({"station", "add", "orders", "--ring=256KiB"});
  fill("orders");
  exported("orders");
  EXPECT_THAT(refused(1, {"station", "import", "--input", path("orders.x")}),
              AllOf(HasSubstr("\"main/orders\" exists"), HasSubstr("station rm main/orders")));
  EXPECT_FALSE(fs::exists(path("imports/main@orders")));
  EXPECT_THAT(
      refused(1, {"station", "import", "small", "--ring=64KiB", "--input", path("orders.x")}),
      HasSubstr("a ring of 64KiB does not hold all messages"));
  expect_gone("small");
  EXPECT_THAT(
      refused(1, {"station", "import", "small", "--max-message=2KiB", "--input", path("orders.x")}),
      HasSubstr("import with a larger --max-message"));
  expect_gone("small");
  refused(2, {"station", "import", "new", "--partitions=2", "--input", path("orders.x")});
  refused(2, {"station", "import", "new", "--segment=1MiB", "--input", path("orders.x")});
  refused(2, {"station", "import", "Bad Name", "--input", path("orders.x")});
}

class HalfImported : public Transfer {
 protected:
  HalfImported() {
    told({"station", "add", "orders", "--ring=256KiB"});
    fill("orders");
    whole_ = exported("orders");
  }
  // Begins to import; half of the stream is on its way.
  void begin(Program& program) {
    const auto has_mark = [&] {
      return content(path("imports/main@copy")).find("\nstation=") != std::string::npos;
    };
    program.type(whole_.substr(0, 30'000));
    EXPECT_TRUE(wait_until(has_mark));
  }
  std::string whole_;
};

TEST_F(HalfImported, SaysSoWhileItGoesOnAndAfterAKill) {
  Program program(tool_words({"station", "import", "copy"}));
  begin(program);
  EXPECT_THAT(loopline({"station", "info", "copy"}).err, HasSubstr("is being imported"));
  EXPECT_THAT(refused(1, {"station", "import", "copy"}, whole_), HasSubstr("is being imported"));
  program.send(SIGKILL);
  program.end();
  const std::string part = "holds a part only: its import out of stdin (main/orders)";
  EXPECT_THAT(loopline({"station", "info", "copy"}).err, HasSubstr(part));
  EXPECT_THAT(refused(1, {"station", "import", "copy"}, whole_), HasSubstr(part));
  told({"station", "rm", "copy", "--yes"});
  expect_gone("copy");
  told({"station", "import", "copy"}, whole_);
  EXPECT_EQ(messages("copy"), messages("orders"));
  EXPECT_EQ(loopline({"station", "info", "copy"}).err, "");
}

TEST_F(HalfImported, DoesNotSuspectAStationMadeAnew) {
  Program program(tool_words({"station", "import", "copy"}));
  begin(program);
  program.send(SIGKILL);
  program.end();
  must(Station::remove("copy", instance_.folder()));  // which leaves the mark
  told({"station", "add", "copy", "--ring=64KiB"});
  EXPECT_EQ(loopline({"station", "info", "copy"}).err, "");
  EXPECT_THAT(refused(1, {"station", "import", "copy"}, whole_), HasSubstr("\"main/copy\" exists"));
}

TEST_F(HalfImported, IsTakenAwayWhenItIsInterrupted) {
  Program program(tool_words({"station", "import", "copy"}));
  begin(program);
  program.send(SIGINT);
  const Outcome outcome = program.end();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("interrupted; station \"main/copy\" was taken away again"));
  expect_gone("copy");
}

TEST_F(HalfImported, EndsWhenSomebodyElsePublishesIntoIt) {
  Program program(tool_words({"station", "import", "copy"}));
  begin(program);
  told({"produce", "copy"}, "mine\n");
  program.type(whole_.substr(30'000, 60'000));
  program.type(whole_.substr(90'000));
  const Outcome outcome = program.end();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("somebody else publishes"),
                                 HasSubstr("loopline station rm main/copy")));
  EXPECT_THAT(told({"consume", "copy"}), HasSubstr("mine"));
}

}  // namespace
}  // namespace loopline::test
