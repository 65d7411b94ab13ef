// The main of a fuzz target without libFuzzer: hands it every file that the arguments name or hold.
//
// This is how a corpus becomes an ordinary test in every build. A path that does not exist is an
// empty corpus.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

void replay(const std::vector<std::uint8_t>& bytes) {
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void replay_file(const fs::path& path) {
  std::printf("%s\n",
              path.filename().c_str());  // the last line printed names the input that failed
  std::fflush(stdout);
  std::ifstream file(path, std::ios::binary);
  replay({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}

std::size_t replay_path(const fs::path& path) {
  if (fs::is_regular_file(path)) {
    replay_file(path);
    return 1;
  }
  if (!fs::is_directory(path)) return 0;
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) continue;
    replay_file(entry.path());
    ++count;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  replay({});
  replay(std::vector<std::uint8_t>(4096, 0));
  replay(std::vector<std::uint8_t>(4096, 0xff));
  std::size_t count = 3;
  for (int i = 1; i < argc; ++i) count += replay_path(argv[i]);
  std::printf("%zu inputs replayed\n", count);
  return 0;
}
