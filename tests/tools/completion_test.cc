// completion: scripts that their shells accept, and that complete what the command line knows.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class Completion : public ToolFixture {
 protected:
  std::string script(const std::string& shell) const {
    std::string path = instance_.folder() + "/completion." + shell;
    std::ofstream(path) << told({"completion", shell});
    return path;
  }
  // What bash offers for these words, the last of which is being typed.
  std::vector<std::string> offered(const Words& words) const {
    std::string array = "(";
    for (const std::string& word : words) array += "'" + word + "' ";
    const std::string commands = "source '" + script("bash") + "'; COMP_WORDS=" + array +
                                 "); COMP_CWORD=" + std::to_string(words.size() - 1) +
                                 "; _loopline; printf '%s\\n' \"${COMPREPLY[@]}\"";
    const Outcome outcome = run({"/bin/bash", "--norc", "-c", commands});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    std::vector<std::string> lines;
    std::istringstream stream(outcome.out);
    for (std::string line; std::getline(stream, line);) {
      if (!line.empty()) lines.push_back(line);
    }
    return lines;
  }
  static const char* program() { return LL_BUILD_BIN_DIR "/loopline"; }
};

TEST_F(Completion, ShellsAcceptTheirScripts) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string file = script(shell);
    for (const std::string folder : {"/bin/", "/usr/bin/"}) {
      if (::access((folder + shell).c_str(), X_OK) != 0) continue;
      const Outcome outcome = run({folder + shell, "-n", file});
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(outcome.err, "");
    }
  }
  EXPECT_THAT(refused(2, {"completion", "tcsh"}), HasSubstr("tcsh"));
  EXPECT_THAT(refused(2, {"completion"}), HasSubstr("SHELL is required"));
}

TEST_F(Completion, OffersEveryNounAndVerbThatTheCommandLineHas) {
  const std::string nouns = refused(2, {});  // "... needs one of: demo, station, ...; see"
  const auto offers = offered({program(), ""});
  ASSERT_FALSE(offers.empty());
  for (const std::string& noun : offers) EXPECT_THAT(nouns, HasSubstr(noun));
  for (const char* noun : {"station", "produce", "ring", "doctor", "why", "completion"}) {
    EXPECT_THAT(offers, Contains(noun));
  }
  EXPECT_EQ(offered({program(), "stat"}), (Words{"status", "station"}));
  EXPECT_EQ(offered({program(), "ring", ""}), (Words{"show", "dump", "watch"}));
  EXPECT_EQ(offered({program(), "--quiet", "--format", "json", "ring", "d"}), (Words{"dump"}));
}

TEST_F(Completion, OffersOptionsAndTheirWords) {
  const auto options = offered({program(), "ring", "dump", "--"});
  EXPECT_THAT(options, Contains("--limit"));
  EXPECT_THAT(options, Contains("--json"));
  EXPECT_THAT(options, Not(Contains("--ring")));
  EXPECT_EQ(offered({program(), "station", "ls", "--format", ""}), (Words{"text", "wide", "json"}));
  EXPECT_EQ(offered({program(), "station", "ls", "--format", "=", "w"}), (Words{"wide"}));
  EXPECT_EQ(offered({program(), "check", "shm", "--format", ""}),
            (Words{"text", "wide", "json", "prometheus"}));
  EXPECT_EQ(offered({program(), "station", "add", "--when-full", ""}),
            (Words{"block", "reject", "drop-oldest"}));
  EXPECT_EQ(offered({program(), "consume", "--records", ""}), (Words{"lines", "length-prefixed"}));
  EXPECT_EQ(offered({program(), "completion", ""}), (Words{"bash", "zsh", "fish"}));
  EXPECT_TRUE(offered({program(), "station", "add", "--ring", ""}).empty());
}

TEST_F(Completion, OffersStationsWhereOneIsWanted) {
  told({"station", "add", "orders"});
  told({"station", "add", "billing/refunds"});
  const Words both = {"billing/refunds", "orders"};
  EXPECT_EQ(offered({program(), "ring", "show", ""}), both);
  EXPECT_EQ(offered({program(), "why", "or"}), (Words{"orders"}));
  EXPECT_EQ(offered({program(), "station", "rm", ""}), both);
  EXPECT_EQ(offered({program(), "consume", "--from", "latest", ""}), both);
  EXPECT_TRUE(offered({program(), "station", "add", ""}).empty());
  ::unsetenv("LOOPLINE_DIR");
  EXPECT_EQ(offered({program(), "--dir", instance_.folder(), "why", "or"}), (Words{"orders"}));
}

TEST_F(Completion, KeepsItsMachineryOutOfSight) {
  EXPECT_THAT(told({"--help"}), Not(HasSubstr("__stations")));
  EXPECT_THAT(refused(2, {}), Not(HasSubstr("__stations")));
  EXPECT_THAT(told({"completion", "zsh"}), HasSubstr("'dump:every frame in it"));
  EXPECT_THAT(told({"completion", "fish"}), HasSubstr("-a dump -d 'every frame in it"));
}

}  // namespace
}  // namespace loopline::test
