// Tool: spawned with a pipe for what it says.
#include "tool.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "shm/base/clock.h"
#include "shm/instance.h"

extern char** environ;

namespace loopline::perf {
namespace {

constexpr uint64_t block_bytes = 512;  // of st_blocks

std::string beside_us(const char* name) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return program.parent_path() / name;
}

Result<pid_t> spawn(const std::vector<std::string>& words, int out) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fault_from_errno(error, "cannot run " + words[0]);
  return pid;
}

// By its end, not by the pipe's: a broker that it started may keep that open.
std::string listen_until_end(int in, pid_t pid, int& status) {
  std::string said;
  for (bool is_gone = false;;) {
    pollfd input{in, POLLIN, 0};
    const int ready = ::poll(&input, 1, is_gone ? 0 : 1);
    char bytes[4096];
    const ssize_t got = ready > 0 ? ::read(in, bytes, sizeof bytes) : 0;
    if (got > 0) said.append(bytes, static_cast<size_t>(got));
    if (got > 0) continue;
    if (is_gone) return said;
    is_gone = ::waitpid(pid, &status, WNOHANG) == pid;
  }
}

bool is_there(pid_t pid) { return ::kill(pid, 0) == 0; }

void wait_until_gone(pid_t pid) {
  while (is_there(pid)) ::usleep(1000);
}

uint64_t number_after(const std::string& text, const char* word) {
  const size_t at = text.find(word);
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + std::strlen(word), nullptr, 10);
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

Result<std::string> run_tool(const std::vector<std::string>& words, const std::string& dir) {
  std::vector<std::string> all{beside_us("loopline")};
  all.insert(all.end(), words.begin(), words.end());
  all.insert(all.end(), {"--dir", dir});
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fault_from_errno(errno, "no pipe");
  auto pid = spawn(all, pipe[1]);
  ::close(pipe[1]);
  int status = 0;
  std::string said = pid ? listen_until_end(pipe[0], *pid, status) : "";
  ::close(pipe[0]);
  if (!pid) return pid.fault();
  if (status == 0) return said;
  return Fault(FaultCode::io_error, "loopline " + words[0] + ": " + said);
}

Result<BrokerProcess> BrokerProcess::start(const std::string& dir) {
  const uint64_t begin_ns = monotonic_ns();
  LL_TRY_STATUS(run_tool({"up"}, dir));
  const uint64_t took_ns = monotonic_ns() - begin_ns;
  LL_TRY(said, run_tool({"status", "--json"}, dir));
  const auto status = nlohmann::json::parse(said, nullptr, false);
  const auto at = nlohmann::json::json_pointer("/broker/pid");
  if (status.is_discarded() || !status.contains(at) || !status[at].is_number_integer()) {
    return Fault(FaultCode::io_error, "loopline status gives no broker.pid: " + said);
  }
  return BrokerProcess(dir, status[at].get<pid_t>(), took_ns);
}

BrokerProcess::BrokerProcess(BrokerProcess&& other) noexcept
    : dir_(std::move(other.dir_)),
      pid_(std::exchange(other.pid_, 0)),
      started_ns_(other.started_ns_) {}

BrokerProcess::~BrokerProcess() {
  if (pid_ != 0) (void)stop();
}

Status BrokerProcess::stop() {
  const pid_t pid = std::exchange(pid_, 0);
  LL_TRY_STATUS(run_tool({"down"}, dir_));
  wait_until_gone(pid);
  return ok();
}

void BrokerProcess::kill() {
  const pid_t pid = std::exchange(pid_, 0);
  ::kill(pid, SIGKILL);
  wait_until_gone(pid);
}

Result<ProcessCost> cost_of(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  ProcessCost cost;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(proc + "/task", error)) {
    // "cpu_ns waited_ns slices"; see the kernel's scheduler statistics
    cost.cpu_ns += std::strtoull(contents(task.path() / "schedstat").c_str(), nullptr, 10);
    ++cost.threads;
  }
  if (error) return fault_from_errno(error.value(), "the broker is gone");
  const std::string status = contents(proc + "/status");
  cost.anonymous_bytes = number_after(status, "RssAnon:") * 1024;
  cost.shared_bytes = number_after(status, "RssShmem:") * 1024;
  return cost;
}

void forget_rings(const std::string& dir) {
  const auto paths = shm::find_instance(dir);
  std::error_code ignored;
  if (paths) std::filesystem::remove_all(paths->shm, ignored);
}

uint64_t disk_bytes_below(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    struct stat facts {};
    if (::lstat(entry.path().c_str(), &facts) != 0) continue;
    bytes += static_cast<uint64_t>(facts.st_blocks) * block_bytes;
  }
  return bytes;
}

}  // namespace loopline::perf
