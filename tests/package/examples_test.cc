// Examples: each prints what their README shows, and leaves nothing behind.
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/tools/tool_fixture.h"

namespace loopline::test {
namespace {

// By program, what the README shows behind "$ program".
std::map<std::string, std::string> shown() {
  std::ifstream readme(LL_SOURCE_DIR "/runtime/examples/README.md");
  std::map<std::string, std::string> outputs;
  std::string program;
  bool fenced = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("```")) {
      fenced = !fenced;
    } else if (fenced && line.starts_with("$ ")) {
      program = line.substr(2);
      outputs[program];
    } else if (fenced) {
      outputs[program] += line + "\n";
    }
  }
  return outputs;
}

// The program of a source file: example_hello_c of hello.c.
std::string program_of(const std::filesystem::path& source) {
  return "example_" + source.stem().string() + (source.extension() == ".c" ? "_c" : "");
}

class Examples : public ToolFixture {
 protected:
  // Runs it twice: what one run leaves must not show in the next.
  static void expect_as_shown(const std::string& program) {
    const auto outputs = shown();
    ASSERT_TRUE(outputs.contains(program)) << "runtime/examples/README.md does not show it";
    for (int count = 0; count < 2; ++count) {
      const Outcome outcome = run({LL_BUILD_BIN_DIR "/" + program});
      EXPECT_EQ(outcome.out, outputs.at(program));
      EXPECT_EQ(outcome.err, "");
      EXPECT_EQ(outcome.status, 0);
    }
    EXPECT_EQ(json_told({"station", "ls", "--json"})["stations"], nlohmann::json::array());
  }
};

TEST_F(Examples, AreAllShown) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LL_SOURCE_DIR "/runtime/examples")) {
    if (entry.path().extension() == ".md") continue;
    EXPECT_TRUE(shown().contains(program_of(entry.path()))) << entry.path();
    ++count;
  }
  EXPECT_EQ(shown().size(), count);
}

TEST_F(Examples, Hello) { expect_as_shown("example_hello"); }
TEST_F(Examples, HelloInC) { expect_as_shown("example_hello_c"); }
TEST_F(Examples, ZeroCopy) { expect_as_shown("example_zero_copy"); }
TEST_F(Examples, MarketData) { expect_as_shown("example_market_data"); }
TEST_F(Examples, EpollLoop) { expect_as_shown("example_epoll_loop"); }
TEST_F(Examples, RequestReply) { expect_as_shown("example_request_reply"); }

TEST_F(Examples, TakeTheInstanceAsTheirArgument) {
  const TempInstance other;
  ::setenv("LOOPLINE_DIR", "/nowhere/at/all", 1);
  const Outcome outcome = run({LL_BUILD_BIN_DIR "/example_hello", other.folder()});
  EXPECT_EQ(outcome.out, shown().at("example_hello"));
}

TEST_F(Examples, SayWhatStandsInTheirWay) {
  for (const char* program : {"example_hello", "example_hello_c"}) {
    told({"station", "add", "hello", "--ring", "128KiB"});
    const Outcome outcome = run({LL_BUILD_BIN_DIR "/" + std::string(program)});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.err.find("hello"), std::string::npos) << outcome.err;
    told({"station", "rm", "hello", "--yes"});
  }
}

}  // namespace
}  // namespace loopline::test
