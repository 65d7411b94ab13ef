// Package: what is installed works wherever it is moved, for strangers, in C++ and in C.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/tools/tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string library = LL_BUILD_DIR "/lib/libloopline.so";

// What a command of the shell prints; it must end well.
std::string shell(const std::string& command) {
  const Outcome outcome = run({"/bin/sh", "-c", command});
  if (outcome.status != 0) {
    throw std::runtime_error(command + "\n" + outcome.out + outcome.err);
  }
  return outcome.out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string text_of_file(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(Library, ShowsNoSymbolsButItsOwn) {
  const auto symbols = lines_of(shell("nm -DC --defined-only --format=posix " + library));
  EXPECT_GT(symbols.size(), 50u);
  for (const std::string& symbol : symbols) {
    const bool ours = symbol.starts_with("ll_") || symbol.starts_with("loopline::");
    EXPECT_TRUE(ours || symbol.starts_with("LOOPLINE_")) << symbol;
    EXPECT_THAT(symbol, Not(HasSubstr("loopline::shm::"))) << "internals";
    EXPECT_THAT(symbol, HasSubstr("LOOPLINE_0.1")) << "no version";
  }
}

TEST(Library, ShowsEveryFunctionOfTheCHeader) {
  const std::string symbols = shell("nm -D --defined-only " + library);
  const std::string header = text_of_file(LL_SOURCE_DIR "/runtime/loopline/c.h");
  const std::regex declaration("LL_EXPORT [^(]*?(ll_[a-z_]+)\\(");
  size_t count = 0;
  for (std::sregex_iterator at(header.begin(), header.end(), declaration), end; at != end; ++at) {
    EXPECT_THAT(symbols, HasSubstr(" T " + at->str(1) + "@@LOOPLINE_0.1\n"));
    ++count;
  }
  EXPECT_GT(count, 25u);
}

TEST(Library, NeedsNothingButTheCompilersLibraries) {
  const std::string needed = shell("readelf -d " + library + " | grep NEEDED");
  const std::regex allowed(
      "\\[(libstdc\\+\\+|libm|libgcc_s|libc|ld-linux-x86-64)\\.so\\.[0-9]+\\]");
  for (const std::string& line : lines_of(needed)) {
    EXPECT_TRUE(std::regex_search(line, allowed)) << line;
  }
}

// A package installed in a folder of the test's own, and then moved.
class PackageTest : public ToolFixture {
 protected:
  PackageTest() {
    if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no folder " + folder_);
    shell(LL_CMAKE " --install " LL_BUILD_DIR " --prefix " + folder_ + "/installed");
    std::filesystem::rename(folder_ + "/installed", prefix());
    const std::string found = shell("printf %s $(find " + prefix() + " -name pkgconfig)");
    ::setenv("PKG_CONFIG_PATH", found.c_str(), 1);
  }
  ~PackageTest() override {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  std::string prefix() const { return folder_ + "/moved"; }
  std::string built(const std::string& program) const { return folder_ + "/built/" + program; }
  // The stranger's project, with these options.
  void build_outside(const std::string& options = "") const {
    shell(LL_CMAKE " -G Ninja -S " LL_SOURCE_DIR "/tests/package/outside -B " + folder_ +
          "/built -DCMAKE_PREFIX_PATH=" + prefix() + " " + options);
    shell(LL_CMAKE " --build " + folder_ + "/built");
  }
  // The program reads what the tool wrote, and the tool what the program wrote.
  static void expect_exchange(const std::string& program) {
    told({"produce", "inbound", "--key", "tool"}, "one\ntwo\n");
    EXPECT_EQ(shell(program + " read inbound 2"), "tool:one\ntool:two\n");
    shell(program + " publish outbound three four");
    EXPECT_EQ(told({"consume", "outbound", "--template", "%k:%p\\n"}),
              "outside:three\noutside:four\n");
    told({"station", "rm", "inbound", "--yes"});
    told({"station", "rm", "outbound", "--yes"});
  }

 private:
  std::string folder_ = LL_BUILD_DIR "/package-XXXXXX";
};

TEST_F(PackageTest, IsFoundByProjectsInCAndInCPlusPlus) {
  build_outside();
  for (const char* program : {"exchange_cc", "exchange_c"}) {
    SCOPED_TRACE(program);
    told({"station", "add", "inbound", "--ring", "64KiB"});
    expect_exchange(built(program));
    EXPECT_THAT(shell("ldd " + built(program)), HasSubstr(prefix())) << "linked to another copy";
  }
}

TEST_F(PackageTest, IsFoundByAProjectThatKnowsOnlyC) {
  build_outside("-DONLY_C=ON");
  told({"station", "add", "inbound", "--ring", "64KiB"});
  expect_exchange(built("exchange_c"));
}

TEST_F(PackageTest, IsFoundByPkgConfig) {
  const std::string program = prefix() + "/exchange";
  shell("cc -std=c11 -Wall -Wextra -pedantic -Werror -o " + program +
        " " LL_SOURCE_DIR
        "/tests/package/outside/exchange.c $(pkg-config --cflags --libs loopline)"
        " -Wl,-rpath,$(pkg-config --variable=libdir loopline)");
  told({"station", "add", "inbound", "--ring", "64KiB"});
  expect_exchange(program);
  EXPECT_EQ(shell("pkg-config --modversion loopline"), "0.1.0\n");
}

TEST_F(PackageTest, BringsAToolThatFindsItsLibrary) {
  const std::string tool = prefix() + "/bin/loopline";
  EXPECT_THAT(shell("ldd " + tool), HasSubstr(prefix()));
  shell(tool + " station add orders --ring 64KiB");
  EXPECT_THAT(shell(tool + " station ls"), HasSubstr("orders"));
}

TEST_F(PackageTest, LeadsToNoHeaderOfAnotherPackage) {
  const std::string read =
      shell("c++ -std=c++20 -M " LL_SOURCE_DIR "/tests/package/outside/exchange.cc -I" + prefix() +
            "/include");
  EXPECT_THAT(read, HasSubstr(prefix() + "/include/loopline/shm/base/result.h"));
  EXPECT_THAT(read, Not(HasSubstr(LL_SOURCE_DIR "/runtime")));
  EXPECT_THAT(read, Not(HasSubstr(LL_SOURCE_DIR "/shm")));
  for (const char* package : {"/boost/", "/liburing", "/xxh", "/fmt/"}) {
    EXPECT_THAT(read, Not(HasSubstr(package)));
  }
}

}  // namespace
}  // namespace loopline::test
