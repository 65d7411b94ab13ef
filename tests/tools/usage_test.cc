// The command line itself: help, hints, global options, JSON on errors.
#include <gmock/gmock.h>
#include <signal.h>

#include <sstream>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Usage : public ToolFixture {};

TEST_F(Usage, HelpNamesEveryCommandAndExitStatus) {
  const std::string help = told({"--help"});
  for (const char* word : {"station", "produce", "consume", "ring", "bench", "demo", "process",
                           "why", "doctor", "completion", "--json", "--no-color", "4 timed out"}) {
    EXPECT_THAT(help, HasSubstr(word));
  }
  EXPECT_THAT(told({"produce", "--help"}), HasSubstr("--records"));
  EXPECT_THAT(told({"--version"}), HasSubstr("loopline 0."));
}

TEST_F(Usage, AWrongWordGetsAHint) {
  EXPECT_THAT(refused(2, {}), HasSubstr("needs one of: "));
  EXPECT_THAT(refused(2, {"station"}),
              HasSubstr("needs one of: add, ls, info, edit, purge, verify, export, import, rm"));
  EXPECT_THAT(refused(2, {"sttion", "ls"}), HasSubstr("did you mean station?"));
  EXPECT_THAT(refused(2, {"station", "remove"}),
              HasSubstr("it has: add, ls, info, edit, purge, verify, export, import, rm"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--rng", "1MiB"}),
              HasSubstr("did you mean --ring?"));
  EXPECT_THAT(refused(2, {"station", "info"}), HasSubstr("NAME is required"));
  EXPECT_THAT(refused(2, {"ring", "show", "a", "b"}),
              HasSubstr("does not know what to do with \"b\""));
  EXPECT_THAT(refused(2, {"station", "ls", "--format", "xml"}), HasSubstr("xml"));
}

TEST_F(Usage, HelpGivesAnExampleOfEveryVerbAndFitsTheTerminal) {
  for (const Words& verb : {Words{"station", "add"},
                            {"station", "ls"},
                            {"station", "info"},
                            {"station", "rm"},
                            {"produce"},
                            {"consume"},
                            {"ring", "show"},
                            {"ring", "dump"},
                            {"ring", "watch"},
                            {"process", "ls"},
                            {"why"},
                            {"check", "station"},
                            {"check", "broker"},
                            {"check", "disk"},
                            {"check", "shm"},
                            {"doctor"},
                            {"bench", "rtt"},
                            {"bench", "pub"},
                            {"demo"},
                            {"completion"}}) {
    Words words = verb;
    words.push_back("--help");
    for (const char* columns : {"80", "60"}) {
      ::setenv("COLUMNS", columns, 1);
      std::istringstream help(told(words));
      EXPECT_THAT(help.str(), HasSubstr("\nExample"));
      for (std::string line; std::getline(help, line);) {
        const bool is_example = line.starts_with("  ") && line.find("loopline ") != line.npos;
        EXPECT_TRUE(is_example || line.size() <= std::stoul(columns)) << line;
      }
    }
  }
  ::unsetenv("COLUMNS");
}

TEST_F(Usage, ValuesAreRefusedInWordsThatSayWhatToWrite) {
  EXPECT_THAT(refused(2, {"consume", "x", "--count", "0"}), HasSubstr("whole number from 1"));
  EXPECT_THAT(refused(2, {"ring", "show", "x", "--partition", "-1"}),
              HasSubstr("whole number from 0"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--ring"}), HasSubstr("--ring needs its SIZE"));
  EXPECT_THAT(refused(2, {"station", "ls", "--format", "xml"}), HasSubstr("text, wide, json"));
  EXPECT_THAT(refused(2, {"completion", "tcsh"}), HasSubstr("bash, zsh, fish"));
}

TEST_F(Usage, AnOutputThatCannotBeWrittenIsAFailure) {
  told({"station", "add", "orders"});
  told({"produce", "orders"}, "one\n");
  told({"produce", "orders", "--records", "file"}, std::string(100'000, 'x'));
  const std::string tool = LL_BUILD_BIN_DIR "/loopline ";
  for (const char* command : {"station ls --json", "consume orders --json", "consume orders",
                              "consume orders --from last:1"}) {
    const Outcome outcome = run({"/bin/sh", "-c", tool + command + " > /dev/full"});
    EXPECT_EQ(outcome.status, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("cannot write all of it to stdout: No space left"));
  }
  const Outcome closed = run({"/bin/sh", "-c", tool + "station ls --json >&-"});
  EXPECT_EQ(closed.status, 1);
  EXPECT_EQ(nlohmann::json::parse(closed.err)["error"]["code"], "io_error");
}

TEST_F(Usage, VerbsThatAreNotThereAreSaidToBeUnknown) {
  for (const char* noun : {"group", "dls", "cluster", "top", "record"}) {
    EXPECT_THAT(refused(2, {noun}), HasSubstr(std::string("has no \"") + noun + "\""));
  }
}

TEST_F(Usage, AnErrorBeginsWithTheProgramsNameOnce) {
  EXPECT_THAT(refused(2, {}), StartsWith("loopline: needs one of: demo, "));
  EXPECT_THAT(refused(2, {"station", "add"}), StartsWith("loopline: station add: NAME"));
  EXPECT_THAT(refused(2, {"consume", "a", "b"}), StartsWith("loopline: consume does not know"));
}

TEST_F(Usage, AnErrorIsJsonWhereJsonWasAskedFor) {
  const auto unknown = nlohmann::json::parse(refused(2, {"--json", "sttion"}));
  EXPECT_EQ(unknown["error"]["code"], "invalid_argument");
  const auto missing = nlohmann::json::parse(refused(3, {"station", "info", "x", "--json"}));
  EXPECT_EQ(missing["error"]["code"], "not_found");
  EXPECT_THAT(missing["error"]["message"], HasSubstr("loopline station add"));
}

TEST_F(Usage, GlobalOptionsMayStandAnywhere) {
  told({"station", "add", "orders"});
  EXPECT_EQ(json_told({"--json", "station", "info", "orders"})["station"], "main/orders");
  EXPECT_EQ(json_told({"station", "--json", "info", "orders"})["station"], "main/orders");
  EXPECT_THAT(told({"station", "info", "orders", "--format=wide"}), HasSubstr(ring_path("orders")));
}

TEST_F(Usage, ThereIsNoColourAwayFromATerminal) {
  ::unsetenv("NO_COLOR");
  told({"station", "add", "orders"});
  EXPECT_THAT(told({"ring", "show", "orders"}), Not(HasSubstr("\x1b[")));
}

TEST_F(Usage, QuietSaysNothingThatWasNotAskedFor) {
  EXPECT_EQ(told({"station", "add", "orders", "--quiet"}), "");
  const Outcome outcome = loopline({"produce", "orders", "--quiet"}, "one\n");
  EXPECT_EQ(outcome.out + outcome.err, "");
}

TEST_F(Usage, WatchShowsAgainAndAgainUntilInterrupted) {
  told({"station", "add", "orders"});
  Program watch(tool_words({"station", "ls", "--json", "--watch=1ms"}));
  EXPECT_TRUE(watch.says("}\n{"));
  watch.send(SIGINT);
  EXPECT_EQ(watch.end().status, 0);
  EXPECT_THAT(refused(2, {"produce", "orders", "--watch"}), HasSubstr("--watch is for"));
  EXPECT_THAT(refused(2, {"station", "ls", "--watch=5"}), HasSubstr("5ms"));
}

}  // namespace
}  // namespace loopline::test
