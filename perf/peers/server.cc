// Server: fork, exec and the parent's death signal between them.
#include "server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace loopline::perf {
namespace {

// Debian keeps some servers where an ordinary user's PATH does not look.
constexpr const char* server_folders = ":/usr/local/sbin:/usr/sbin:/sbin";

[[noreturn]] void become(const std::string& path, const std::vector<std::string>& words,
                         const std::string& folder, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const int output =
      ::open((folder + "/output").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (output < 0 || ::chdir(folder.c_str()) != 0) ::_exit(1);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(path.c_str(), arguments.data());
  ::_exit(127);
}

}  // namespace

std::string find_program(const std::string& program) {
  const char* path = std::getenv("PATH");
  const std::string folders = std::string(path == nullptr ? "" : path) + server_folders;
  for (size_t begin = 0; begin < folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string candidate = folders.substr(begin, end - begin) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return "";
}

Result<Server> Server::start(const std::vector<std::string>& words, const std::string& folder) {
  const std::string path = find_program(words[0]);
  if (path.empty()) {
    return Fault(FaultCode::unsupported,
                 words[0] + " is not installed; tools/packages names its package");
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fault_from_errno(errno, "cannot start " + words[0]);
  if (pid == 0) become(path, words, folder, parent);
  return Server(words[0], folder, pid);
}

Server::Server(Server&& other) noexcept
    : name_(std::move(other.name_)),
      folder_(std::move(other.folder_)),
      pid_(std::exchange(other.pid_, 0)) {}

Server::~Server() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Server::has_ended() {
  if (pid_ != 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

Status Server::wait_to_end() {
  constexpr int looks_max = 60'000;
  for (int looks = 0; looks < looks_max; ++looks) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ok();
      return trouble("failed");
    }
    rest();
  }
  return trouble("did not end within a minute");
}

void Server::rest() { ::usleep(1000); }

Fault Server::trouble(const std::string& what) const {
  std::ifstream output(folder_ + "/output");
  std::string last;
  for (std::string line; std::getline(output, line);) {
    if (!line.empty()) last = line;
  }
  return {FaultCode::io_error, name_ + " " + what + "; the last it said: \"" + last + "\""};
}

}  // namespace loopline::perf
