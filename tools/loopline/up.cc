// up: finds looplined, starts it, and returns when it is ready.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "broker.h"
#include "commands.h"
#include "json.h"
#include "runtime/broker/control_client.h"
#include "shm/base/clock.h"
#include "shm/directory.h"

namespace loopline::cli {
namespace {

constexpr const char* program_name = "looplined";
constexpr uint64_t answer_within_ns = 10'000'000'000;

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

// Beside this tool, as built and as installed; then where a shell would look.
Result<std::string> find_looplined() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {"/", "/../sbin/", "/../libexec/loopline/"}) {
    const std::string path = self.string() + place + program_name;
    if (!error && is_program(path)) return path;
  }
  const char* const folders = std::getenv("PATH");
  std::string rest = folders == nullptr ? "" : folders;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string path = rest.substr(0, colon) + "/" + program_name;
    if (path[0] == '/' && is_program(path)) return path;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return Fault(FaultCode::not_found, "looplined is neither beside this tool, in " + self.string() +
                                         ", nor in PATH; install it with the rest of Loopline");
}

std::vector<std::string> words_of(const std::string& program, const std::string& folder,
                                  const UpArguments& arguments) {
  std::vector<std::string> words{program};
  if (!arguments.config.empty()) words.insert(words.end(), {"--config", arguments.config});
  for (const std::string& set : arguments.sets) words.insert(words.end(), {"--set", set});
  // Last, so that it wins: the tool and its broker are of one instance.
  words.insert(words.end(), {"--dir", folder});
  if (!arguments.foreground) words.push_back("--background");
  return words;
}

std::vector<char*> pointers_of(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What it said without its own name before each line.
std::string said(std::string text) {
  const std::string prefix = std::string(program_name) + ": ";
  for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
    text.erase(at, prefix.size());
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Returns when it is ready in the background, or has failed and said why.
Status start(std::vector<std::string> words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fault_from_errno(errno, "cannot make a pipe");
  auto pointers = pointers_of(words);
  const pid_t child = ::fork();
  if (child < 0) return fault_from_errno(errno, "cannot start a process");
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  const shm::File from(ends[0]);
  std::string text;
  char bytes[4096];
  for (;;) {
    const ssize_t size = ::read(from.fd(), bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(bytes, static_cast<size_t>(size));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 0) return ok();
  const std::string why = said(text);
  const FaultCode kind = code == 2 ? FaultCode::invalid_argument : FaultCode::io_error;
  return Fault(kind, why.empty() ? "looplined ended before it was ready (" + words[0] + ")" : why);
}

Status ask_to_reopen(const std::string& folder) {
  LL_TRY(client, broker::ControlClient::connect(folder, monotonic_ns() + answer_within_ns));
  LL_TRY(line, client.ask("reopen"));
  return check_broker_reply(line);
}

bool has_trouble(const BrokerPicture& broker) {
  for (const BrokerLog& log : broker.logs) {
    if (!log.trouble.empty()) return true;
  }
  return false;
}

void tell(Output& out, const BrokerPicture& broker, bool was_running) {
  if (out.is_json()) return out.line(json_of_up(broker, was_running));
  if (!out.is_quiet()) print_broker(out, broker);
}

}  // namespace

Status up(Output& out, const UpArguments& arguments) {
  LL_TRY(paths, shm::find_instance(out.dir()));
  const auto running = look_at_broker(paths.folder, out.dir());
  if (running) {
    out.note("a broker runs already, process " + std::to_string(running->pid) +
             (arguments.config.empty() && arguments.sets.empty()
                  ? ""
                  : "; its settings stay as they are: loopline down first"));
    if (has_trouble(*running)) {
      LL_TRY_STATUS(ask_to_reopen(paths.folder));
      out.note("what is in trouble is opened again; see: loopline status");
    }
    tell(out, *running, true);
    return ok();
  }
  LL_TRY(program, find_looplined());
  auto words = words_of(program, paths.folder, arguments);
  if (arguments.foreground) {
    out.flush();
    auto pointers = pointers_of(words);
    ::execv(pointers[0], pointers.data());
    return fault_from_errno(errno, "cannot run " + program);
  }
  const Status started = start(std::move(words));
  auto broker = look_at_broker(paths.folder, out.dir());
  if (!broker) return started ? Status(broker.fault()) : Status(started.fault());
  // Somebody else started one at the same time: as wanted.
  if (!started) out.note("a broker runs already, process " + std::to_string(broker->pid));
  tell(out, *broker, !started);
  return ok();
}

}  // namespace loopline::cli
