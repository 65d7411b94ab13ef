// Settings: what may be said in the file and on the command line, and every way to say it wrongly.
#include "runtime/broker/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/broker/looplined.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline::broker {
namespace {

using testing::HasSubstr;

std::string wrong_with(const std::string& text, const std::vector<std::string>& sets = {}) {
  const Fault fault = test::fault_of(parse_settings(text, "x.toml", sets));
  EXPECT_EQ(fault.code(), FaultCode::invalid_argument);
  return fault.message();
}

TEST(BrokerSettings, HaveDefaults) {
  const Settings settings = test::must(parse_settings("", "x.toml", {}));
  EXPECT_EQ(settings.storage, "auto");
  EXPECT_EQ(settings.wait, "adaptive");
  EXPECT_EQ(settings.look_ns, 5'000'000'000u);
  EXPECT_EQ(settings.log.level, LogLevel::info);
  EXPECT_EQ(settings.dir + settings.log.file, "");
}

TEST(BrokerSettings, AreReadWhole) {
  const Settings settings = test::must(
      parse_settings("dir = '/d'\nstorage = 'posix'\nwait = 'park'\nlook = '250ms'\ndrain = '0s'\n"
                     "[log]\nlevel = 'debug'\nfile = '/l'\n",
                     "x.toml", {}));
  EXPECT_EQ(settings.dir, "/d");
  EXPECT_EQ(settings.storage, "posix");
  EXPECT_EQ(settings.wait, "park");
  EXPECT_EQ(settings.look_ns, 250'000'000u);
  EXPECT_EQ(settings.drain_ns, 0u);
  EXPECT_EQ(settings.log.level, LogLevel::debug);
  EXPECT_EQ(settings.log.file, "/l");
}

TEST(BrokerSettings, OfTheCommandLineWin) {
  const Settings settings =
      test::must(parse_settings("storage = 'posix'\nlog.level = 'info'\n", "x.toml",
                                {"storage=io_uring", "log.level=error"}));
  EXPECT_EQ(settings.storage, "io_uring");
  EXPECT_EQ(settings.log.level, LogLevel::error);
}

TEST(BrokerSettings, NameFileLineKeyAndRemedyOfEachMistake) {
  const std::string wrong = wrong_with(
      "storage = 'uring'\n"
      "waitt = 'spin'\n"
      "look = 5\n"
      "drain = '2h'\n"
      "log.file = 'relative'\n"
      "log.levl = 'info'\n"
      "dir = ''\n",
      {"log.level=warn", "nothing", "=x"});
  for (const char* line :
       {"x.toml:1: storage is \"uring\"; it takes auto, io_uring or posix",
        "x.toml:2: unknown key waitt; did you mean wait?",
        "x.toml:3: look has a value of another kind (integer); write it in quotes",
        "x.toml:4: drain is 2h; it takes a time from 0s to 1h",
        "x.toml:5: log.file is \"relative\"; it takes a path that begins with /",
        "x.toml:6: unknown key log.levl; did you mean log.level?", "x.toml:7: dir is empty",
        "--set log.level=warn: log.level is \"warn\"; it takes debug, info, warning or error",
        "--set nothing: say KEY=VALUE", "--set =x: say KEY=VALUE"}) {
    EXPECT_THAT(wrong, HasSubstr(line));
  }
}

TEST(BrokerSettings, OfAnotherKindAreRefused) {
  EXPECT_THAT(wrong_with("log = 'info'\n"), HasSubstr("x.toml:1: unknown key log"));
  EXPECT_THAT(wrong_with("log = 3\n"), HasSubstr("x.toml:1: log is no value"));
  EXPECT_THAT(wrong_with("storage = ['auto']\n"), HasSubstr("of another kind (array)"));
  EXPECT_THAT(wrong_with("[storage]\na = 'b'\n"), HasSubstr("of another kind (table)"));
  EXPECT_THAT(wrong_with("[factory]\na = 'b'\n"), HasSubstr("unknown key factory"));
  EXPECT_THAT(wrong_with("look = '5'\n"), HasSubstr("look is \"5\"; it takes a time"));
}

TEST(BrokerSettings, ThatAreNoTomlAreNamedByPlace) {
  EXPECT_THAT(wrong_with("storage = \n"), HasSubstr("x.toml:1:"));
  EXPECT_THAT(wrong_with("storage = \n"), HasSubstr("this is no TOML"));
  EXPECT_THAT(wrong_with("a = 'b'\na = 'c'\n"), HasSubstr("x.toml:2:"));
  EXPECT_THAT(wrong_with(std::string("\0\1\377", 3)), HasSubstr("this is no TOML"));
  EXPECT_THAT(wrong_with(std::string(3000, '[')), HasSubstr("this is no TOML"));
}

TEST(BrokerSettings, ComeFromAFileThatCanBeRead) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/l.toml";
  EXPECT_EQ(test::code_of(read_settings(path, {})), FaultCode::not_found);
  EXPECT_EQ(test::code_of(read_settings(folder.path(), {})), FaultCode::invalid_argument);
  std::ofstream(path) << "wait = 'spin'\n";
  EXPECT_EQ(test::must(read_settings(path, {})).wait, "spin");
  std::ofstream(path) << std::string(settings_file_bytes_max + 1, '#');
  EXPECT_THAT(test::fault_of(read_settings(path, {})).message(), HasSubstr("no settings"));
}

TEST(LooplinedCommand, IsReadOrRefusedWithAHint) {
  const Command command = test::must(parse_command(
      {"--config", "/c", "--set=a=b", "--dir", "/d", "--background", "--check", "--ready-fd=1"}));
  EXPECT_EQ(command.config, "/c");
  EXPECT_THAT(command.sets, testing::ElementsAre("a=b", "dir=/d"));
  EXPECT_TRUE(command.is_background && command.is_check);
  EXPECT_EQ(command.ready_fd, 1);
  const auto refused = [](const std::vector<std::string>& words) {
    return test::fault_of(parse_command(words)).message();
  };
  EXPECT_THAT(refused({"--backgruond"}), HasSubstr("did you mean --background?"));
  EXPECT_THAT(refused({"--config"}), HasSubstr("wants a value"));
  EXPECT_THAT(refused({"--ready-fd", "99"}), HasSubstr("no open descriptor"));
  EXPECT_THAT(refused({"--ready-fd", "1x"}), HasSubstr("no open descriptor"));
}

}  // namespace
}  // namespace loopline::broker
