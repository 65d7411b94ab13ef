// The command line itself: help, hints, global options, JSON on errors.
#include <gmock/gmock.h>
#include <signal.h>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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
  EXPECT_THAT(refused(2, {"station"}), HasSubstr("needs one of: add, ls, info, edit, purge, rm"));
  EXPECT_THAT(refused(2, {"sttion", "ls"}), HasSubstr("did you mean station?"));
  EXPECT_THAT(refused(2, {"station", "remove"}), HasSubstr("it has: add, ls, info, edit, purge, rm"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--rng", "1MiB"}),
              HasSubstr("did you mean --ring?"));
  EXPECT_THAT(refused(2, {"station", "info"}), HasSubstr("NAME is required"));
  EXPECT_THAT(refused(2, {"ring", "show", "a", "b"}),
              HasSubstr("does not know what to do with \"b\""));
  EXPECT_THAT(refused(2, {"station", "ls", "--format", "xml"}), HasSubstr("xml"));
}

TEST_F(Usage, VerbsThatAreNotThereAreSaidToBeUnknown) {
  for (const char* noun : {"group", "dls", "cluster", "top", "up"}) {
    EXPECT_THAT(refused(2, {noun}), HasSubstr(std::string("has no \"") + noun + "\""));
  }
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
