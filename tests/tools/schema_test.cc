// --json is a contract: every output of every command is what tools/loopline/schema says.
//
// A new command needs tools/loopline/schema/NOUN-VERB.json and a line in `cases` below; without
// them EveryCommandHasASchemaAndIsTried fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "scene.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* schema_folder = LL_SOURCE_DIR "/tools/loopline/schema";

// A command with its options, and the exit statuses it may end with.
struct Case {
  Words command;  // the path: {"station", "ls"}
  Words more;
  std::set<int> statuses = {0};
  std::string input = "";
};

// What looks at a station, whatever state it is in.
const std::vector<Case>& looks() {
  static const std::vector<Case> all = {
      {{"station", "ls"}, {}},
      {{"station", "info"}, {"orders"}},
      {{"ring", "show"}, {"orders"}},
      {{"ring", "dump"}, {"orders"}, {0, 1}},
      {{"ring", "watch"}, {"orders", "--every=1ms", "--count=3"}},
      {{"process", "ls"}, {}},
      {{"process", "ls"}, {"orders"}},
      {{"why"}, {"orders"}},
      {{"doctor"}, {}, {0, 1}},
      {{"check", "station"}, {"orders"}, {0, 1, 2}},
      {{"check", "shm"}, {}, {0, 1, 2}},
  };
  return all;
}

// What does something, and every exit status.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{"station", "add"}, {"new", "--ring=64KiB", "--when-full=reject", "--timestamp=off"}},
      {{"station", "add"}, {"three", "--ring=64KiB", "--partitions=3", "--exclusive"}},
      {{"station", "info"}, {"three"}},
      {{"station", "ls"}, {"--wide-is-no-option"}, {2}},
      {{"station", "add"}, {"new", "--ring=1MiB"}, {1}},
      {{"station", "add"}, {"Bad Name"}, {2}},
      {{"station", "add"}, {}, {2}},
      {{"station", "info"}, {"missing"}, {3}},
      {{"produce"}, {"new"}, {0}, "one\ntwo\n"},
      {{"produce"}, {"new"}, {0}, ""},
      {{"produce"}, {"new", "--key=k", "--id=i%n", "--header=a=b"}, {0}, "three\n"},
      {{"produce"}, {"new", "--key=\xff", "--header=\xfe=\xfd"}, {0}, "\xff\n"},
      {{"produce"}, {"new"}, {1}, std::string(60'000, 'x')},
      {{"produce"}, {"new", "--rate=fast"}, {2}, "x\n"},
      {{"produce"}, {"missing"}, {3}, "x\n"},
      {{"consume"}, {"new"}},
      {{"consume"}, {"new", "--from=last:1"}},
      {{"consume"}, {"new", "--from=nowhere"}, {2}},
      {{"consume"}, {"new", "--grep=("}, {2}},
      {{"consume"}, {"missing"}, {3}},
      {{"ring", "show"}, {"missing"}, {3}},
      {{"ring", "dump"}, {"new"}},
      {{"ring", "dump"}, {"new", "--from=99"}},
      {{"ring", "watch"}, {"new", "--every=0s"}, {2}},
      {{"process", "ls"}, {"missing"}, {3}},
      {{"why"}, {"missing"}, {3}},
      {{"doctor"}, {"--yes"}, {2}},
      {{"check", "station"}, {"new", "--critical=consumers=1"}, {2}},
      {{"check", "station"}, {"missing"}, {2}},
      {{"check", "station"}, {"new", "--warning=nothing=1"}, {3}},
      {{"check", "broker"}, {}, {2}},
      {{"check", "disk"}, {}, {0, 1}},
      {{"check", "shm"}, {}},
      {{"station", "edit"}, {"three", "--ring=128KiB"}},
      {{"station", "edit"}, {"three"}, {2}},
      {{"station", "purge"}, {"new"}, {2}},
      {{"station", "purge"}, {"new", "--yes"}},
      {{"station", "purge"}, {"missing"}, {3}},
      {{"station", "export"}, {"three", "--output=/dev/null"}},
      {{"station", "export"}, {"three", "--from=seq:1"}, {2}},
      {{"station", "export"}, {"missing"}, {2}},
      {{"station", "import"}, {"other"}, {1}, "no export"},
      {{"station", "import"}, {"other", "--input=/nonexistent"}, {3}},
      {{"factory", "add"}, {"f", "--ring=64KiB", "--timestamp=off", "--quota-stations=1"}},
      {{"factory", "add"}, {"f"}, {1}},
      {{"factory", "edit"}, {"f", "--mode=0640", "--evict-after=5s", "--owner=root"}},
      {{"factory", "edit"}, {"missing", "--mode=0640"}, {3}},
      {{"factory", "ls"}, {}},
      {{"factory", "info"}, {"f"}},
      {{"factory", "info"}, {"main"}},
      {{"factory", "rm"}, {"main"}, {1}},
      {{"factory", "rm"}, {"f"}},
      {{"station", "rm"}, {"three"}, {2}},
      {{"station", "rm"}, {"three", "--yes"}},
      {{"station", "rm"}, {"three", "--yes"}, {3}},
      {{"completion"}, {"bash"}},
      {{"completion"}, {"zsh"}},
      {{"completion"}, {"fish"}},
      {{"completion"}, {"tcsh"}, {2}},
      {{"bench", "rtt"}, {"--seconds=0.05", "--wait=park"}},
      {{"bench", "pub"}, {"--seconds=0.05", "--size=1KiB"}},
      {{"bench", "pub"}, {"--size=much"}, {2}},
      {{"demo"}, {"--seconds=1"}},
      {{"demo"}, {"--input=/nonexistent"}, {3}},
  };
  return all;
}

// The same of stations on disk; behind `cases`, whose station "new" is in memory.
const std::vector<Case>& log_cases() {
  static const std::vector<Case> all = {
      {{"station", "add"}, {"kept", "--ring=64KiB", "--storage=file", "--segment=1MiB"}},
      {{"produce"}, {"kept", "--ack=visible"}, {0}, "one\ntwo\n"},
      {{"produce"}, {"new", "--ack=durable"}, {1}, "x\n"},
      {{"flush"}, {"kept", "--once"}},
      {{"flush"}, {"--once", "--storage=posix"}},
      {{"station", "verify"}, {"kept"}},
      {{"station", "verify"}, {"kept", "--partition=0"}},
      {{"station", "verify"}, {"kept", "--partition=1"}, {3}},
      {{"station", "verify"}, {"new"}, {1}},
      {{"station", "verify"}, {"missing"}, {3}},
      {{"station", "info"}, {"kept"}},
      {{"flush"}, {"new", "--once"}, {1}},
      {{"flush"}, {"missing", "--once"}, {3}},
      {{"flush"}, {"--wait=never", "--once"}, {2}},
      {{"flush"}, {}, {2}},
      {{"consume"}, {"kept"}},
      {{"status"}, {}, {3}},
      {{"down"}, {}},
      {{"up"}, {"--set=storage=tape"}, {2}},
      {{"up"}, {"--set=wait=park"}},
      {{"up"}, {}},
      {{"status"}, {}},
      {{"check", "broker"}, {}},
      {{"check", "station"}, {"kept"}},
      {{"check", "disk"}, {"--no-write"}, {0, 1}},
      {{"why"}, {"kept"}},
      {{"flush"}, {"kept", "--once"}, {1}},
      {{"doctor"}, {}, {0, 1}},
      {{"down"}, {"--timeout=never"}, {2}},
      {{"down"}, {}},
  };
  return all;
}

std::string joined(const Words& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Schema : public ToolFixture {
 protected:
  Schema() : station_(must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()))) {}

  // To be held against the schema, a line each.
  void keep(const std::string& schema, const std::string& line) {
    to_validate_ += schema + "\t" + line + "\n";
  }
  void keep_outcome(const Words& command, const Outcome& outcome) {
    const std::string name = joined(command, "-");
    const bool is_one_object = name != "consume" && name != "ring-dump" && name != "ring-watch";
    const auto lines = lines_of(outcome.out);
    const bool is_check = command.front() == "check";
    for (const std::string& line : lines) keep(name, line);
    EXPECT_TRUE(!is_one_object || outcome.status != 0 || lines.size() == 1) << name;
    const auto notes = lines_of(outcome.err);
    for (const std::string& line : notes) {
      const bool is_error = line.starts_with("{\"error\"");
      EXPECT_EQ(is_error, outcome.status != 0 && &line == &notes.back()) << name << ": " << line;
      keep(is_error ? "error" : line.starts_with("{\"gap\"") ? "gap" : "note", line);
    }
    const bool has_state = is_check && lines.size() == 1;  // which its status is
    EXPECT_TRUE(outcome.status == 0 || has_state || !notes.empty()) << name;
  }
  Outcome try_case(const Case& one) {
    Words words = one.command;
    words.insert(words.end(), one.more.begin(), one.more.end());
    words.push_back("--json");
    const Outcome outcome = loopline(words, one.input);
    EXPECT_THAT(one.statuses, Contains(outcome.status)) << joined(words, " ") << outcome.err;
    keep_outcome(one.command, outcome);
    return outcome;
  }
  void try_looks() {
    for (const Case& one : looks()) try_case(one);
  }
  // What the validator says of everything that was kept.
  std::string complaints() const {
    const Outcome outcome =
        run({"/usr/bin/python3", LL_SOURCE_DIR "/tests/tools/validate.py", schema_folder},
            to_validate_);
    EXPECT_EQ(outcome.err, "") << "is python3-jsonschema installed? see tools/packages";
    return outcome.out == "\n" ? "" : outcome.out;
  }

  Station station_;
  std::string to_validate_;
};

TEST_F(Schema, DescribesWhatEachCommandSaysAndHowItFails) {
  for (const Case& one : cases()) try_case(one);
  for (const Case& one : log_cases()) try_case(one);
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesAnEmptyInstance) {
  told({"station", "rm", "orders", "--yes"});
  for (const Words& command : {Words{"station", "ls"}, {"process", "ls"}}) try_case({command, {}});
  ::setenv("LOOPLINE_DIR", (instance_.folder() + "/none").c_str(), 1);
  for (const Case& one : looks()) try_case({one.command, one.more, {0, 1, 2, 3}});
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesABusyStation) {
  Producer producer = must(station_.producer());
  Consumer consumer = must(station_.consumer());
  Consumer lossy = must(station_.consumer({.lossy = true}));
  for (int count = 0; count < 10; ++count) must(producer.publish("one", {.key = "k"}));
  must(must(producer.claim(10)).abort());
  Slot open = must(producer.claim(10));
  try_looks();
  EXPECT_EQ(complaints(), "");
  EXPECT_THAT(to_validate_, HasSubstr("\"type\":\"open\""));
  must(open.commit());
}

TEST_F(Schema, DescribesAFullStationAndItsReaders) {
  Consumer consumer = must(station_.consumer({.from = From::earliest}));
  Program program(tool_words({"produce", "orders", "--json"}));
  program.type(thousand_byte_lines(60));
  program.type(thousand_byte_lines(60));
  ASSERT_TRUE(program.says("waiting for room"));
  try_looks();
  program.send(SIGINT);
  keep_outcome({"produce"}, program.end());
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesAStationThatRejects) {
  told({"station", "add", "strict", "--ring=64KiB", "--when-full=reject"});
  const Station strict = must(Station::open("strict", instance_.folder()));
  const Consumer consumer = must(strict.consumer({.from = From::earliest}));
  try_case({{"produce"}, {"strict"}, {1}, thousand_byte_lines(200)});
  EXPECT_THAT(to_validate_, HasSubstr("\"code\":\"full\""));
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesSeveralPartitions) {
  told({"station", "rm", "orders", "--yes"});
  told({"station", "add", "orders", "--ring=64KiB", "--partitions=2"});
  told({"produce", "orders"}, "one\ntwo\n");
  try_looks();
  try_case({{"consume"}, {"orders"}});
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesWhatIsOnDiskOnlyAndWhatIsDamagedThere) {
  told({"station", "add", "kept", "--ring=64KiB", "--storage=file", "--segment=64KiB"});
  told({"produce", "kept", "--ack=visible"}, "one\n");
  told({"flush", "kept", "--once"});
  std::filesystem::remove(ring_path("kept"));
  const std::string folder = instance_.folder() + "/data/stations/main@kept";
  const auto look = [&](int verified) {
    try_case({{"station", "ls"}, {}});
    try_case({{"station", "info"}, {"kept"}});
    try_case({{"station", "verify"}, {"kept"}, {verified}});
  };
  look(0);
  for (const auto& file : std::filesystem::directory_iterator(folder + "/0")) {
    if (file.path().extension() == ".segment") scribble(file.path(), 8192, 1);
  }
  look(1);
  EXPECT_THAT(to_validate_, HasSubstr("\"missing_messages\":1"));
  std::filesystem::remove(folder + "/station.conf");
  look(1);
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesTheDead) {
  killed_in_a_claim("orders", instance_.folder());
  try_looks();
  try_case({{"doctor"}, {"--fix"}, {0, 1}});
  try_looks();
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesGarbageAndRingsCutShort) {
  for (uint32_t seed = 1; seed <= 2; ++seed) {
    scribble(ring_path("orders"), shm::page_size, seed);
    try_looks();
  }
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 8192), 0);
  for (const Case& one : looks()) try_case({one.command, one.more, {0, 1, 2, 3}});
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesGapsAndMissingTimestamps) {
  told({"station", "add", "quick", "--ring=64KiB", "--timestamp=off"});
  told({"produce", "quick"}, thousand_byte_lines(100));
  try_case({{"consume"}, {"quick", "--from=seq:2"}});
  try_case({{"ring", "dump"}, {"quick"}});
  EXPECT_THAT(to_validate_, HasSubstr("\"gap\""));
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesExportsAndImportsWholeAndDamaged) {
  told({"station", "add", "quick", "--ring=64KiB"});
  told({"produce", "quick"}, thousand_byte_lines(200));
  const std::string file = instance_.folder() + "/quick.x";
  try_case({{"station", "export"}, {"quick", "--from=seq:2", "--output", file}, {1}});
  try_case({{"station", "import"}, {"copy", "--input", file}});
  scribble(file, 8192, 1);
  try_case({{"station", "import"}, {"other", "--input", file}, {1}});
  try_case({{"station", "import"}, {"other", "--salvage", "--input", file}, {1}});
  EXPECT_EQ(complaints(), "");
  EXPECT_THAT(to_validate_, HasSubstr("\"damage_count\":"));
}

TEST_F(Schema, DescribesTheEndOfAStationThatIsRead) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from=earliest", "--json"}));
  told({"produce", "orders"}, "one\n");
  ASSERT_TRUE(reader.says("one"));
  told({"station", "rm", "orders", "--yes"});
  ASSERT_TRUE(reader.says("read to its end"));
  keep_outcome({"consume"}, reader.end());
  EXPECT_EQ(complaints(), "");
}

TEST_F(Schema, DescribesAReaderWhoseRingIsCutShort) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from=earliest", "--json"}));
  Producer producer = must(station_.producer());
  must(producer.publish("one"));
  ASSERT_TRUE(reader.says("one"));
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 8192), 0);
  const Outcome outcome = reader.end();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cut short"));
  keep_outcome({"consume"}, outcome);
  EXPECT_EQ(complaints(), "");
}

// The commands that completion knows, which are those of the command line.
std::set<std::string> commands_known(const std::string& script) {
  const std::string begin = "    case \"$at $word\" in\n      ";
  const size_t at = script.find(begin) + begin.size();
  std::string paths = script.substr(at, script.find(')', at) - at);
  std::set<std::string> all, nouns;
  for (size_t quote; (quote = paths.find('"')) != std::string::npos;) {
    const size_t end = paths.find('"', quote + 1);
    const std::string path = paths.substr(quote + 1, end - quote - 1);
    all.insert(path.substr(path.find(' ') + 1));  // without "loopline "
    paths.erase(0, end + 1);
  }
  for (const std::string& path : all) nouns.insert(path.substr(0, path.rfind(' ')));
  for (const std::string& path : nouns) {
    if (path.find(' ') == std::string::npos && all.count(path) != 0) {
      const auto next = all.upper_bound(path);
      if (next != all.end() && next->starts_with(path + " ")) all.erase(path);
    }
  }
  return all;
}

TEST_F(Schema, EveryCommandHasASchemaAndIsTried) {
  const auto known = commands_known(told({"completion", "bash"}));
  ASSERT_THAT(known, Contains("station add"));
  ASSERT_THAT(known, Contains("why"));
  std::set<std::string> tried;
  for (const Case& one : cases()) tried.insert(joined(one.command, " "));
  for (const Case& one : log_cases()) tried.insert(joined(one.command, " "));
  EXPECT_EQ(known, tried);
  std::set<std::string> files = {"common", "error", "gap", "note"};
  for (std::string path : known) {
    std::replace(path.begin(), path.end(), ' ', '-');
    files.insert(path);
  }
  std::set<std::string> there;
  for (const auto& file : std::filesystem::directory_iterator(schema_folder)) {
    if (file.path().extension() == ".json") there.insert(file.path().stem());
  }
  EXPECT_EQ(files, there);
}

TEST_F(Schema, RefusesWhatIsMissingUnknownOrOfAnotherType) {
  const auto object = json_told({"station", "info", "orders", "--json"});
  auto missing = object, unknown = object, other = object, deep = object;
  missing.erase("held_bytes");
  unknown["colour"] = "red";
  other["created_ns"] = "yesterday";
  deep["parameters"]["when_full"] = "sometimes";
  keep("station-info", object.dump());
  EXPECT_EQ(complaints(), "");
  for (const auto& wrong : {missing, unknown, other, deep}) keep("station-info", wrong.dump());
  const std::string all = complaints();
  for (const char* word :
       {"'held_bytes' is a required", "'colour' was unexpected", "/created_ns: 'yesterday' is not",
        "/parameters/when_full: 'sometimes'"}) {
    EXPECT_THAT(all, HasSubstr(word));
  }
  to_validate_.clear();
  keep("error", "{\"error\":");
  EXPECT_THAT(complaints(), HasSubstr("no JSON"));
}

}  // namespace
}  // namespace loopline::test
