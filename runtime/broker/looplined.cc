// Looplined: options read, forked if asked, then a loop over signals until one says stop.
#include "looplined.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <functional>

#include "broker.h"
#include "hints.h"
#include "systemd.h"

namespace loopline::broker {
namespace {

constexpr const char* help_text =
    "looplined: the broker of a Loopline instance: brings its file stations to disk\n"
    "\n"
    "usage: looplined [options]            (people say: loopline up, down, status)\n"
    "  --config FILE     settings in TOML\n"
    "  --set KEY=VALUE   one of them; wins over the file, may be repeated\n"
    "  --dir FOLDER      the instance, as --set dir=FOLDER\n"
    "  --check           read the settings, say what is wrong with them, end\n"
    "  --background      go on in the background; return when all stations are open\n"
    "  --ready-fd N      a line to this descriptor: \"ready\", or what went wrong\n"
    "  --version, --help\n"
    "\n"
    "settings: dir, storage (auto, io_uring, posix), wait (spin, adaptive, park), look (5s),\n"
    "  drain (5s), log.level (debug, info, warning, error), log.file\n"
    "signals: SIGTERM, SIGINT: stop; SIGHUP: open again what failed, and say in the log what\n"
    "  became of the settings, which count from the next start\n";

constexpr int no_fd = -1;

// As it is meant here, before we leave for the background.
std::string absolute(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::absolute(path, error);
  return error || path.empty() ? path : real.string();
}

void say(const std::string& text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

int refuse(const Fault& fault) {
  std::string text = "looplined: ";
  for (const char letter : fault.message())
    text += letter == '\n' ? "\nlooplined: " : std::string(1, letter);
  say(text + "\n");
  return fault.code() == FaultCode::invalid_argument ? 2 : 1;
}

void tell(int& fd, const std::string& line) {
  if (fd < 0) return;
  const std::string text = line + "\n";
  (void)!::write(fd, text.data(), text.size());
  ::close(fd);
  fd = no_fd;
}

// In the parent: the child's word, and with it our exit status.
int wait_for_child(pid_t child, int fd) {
  std::string text;
  char bytes[512];
  for (;;) {
    const ssize_t size = ::read(fd, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(bytes, static_cast<size_t>(size));
  }
  if (text == "ready\n") return 0;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  return code == 0 ? 1 : code;  // it has said why
}

// What the daemon waits for, blocked in all of its threads.
sigset_t wanted_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// What there is to do at once, and what a change of the settings comes to.
void look_again(Broker& broker, Log& log, const Settings& ours, const Command& command) {
  log.info("told to look again (SIGHUP): what failed is opened again");
  broker.reopen();
  const auto settings = read_settings(command.config, command.sets);
  if (!settings) {
    log.error("the settings are wrong by now, and a broker would not start with them: " +
              settings.fault().message() + "; this one goes on with those it was started with");
  } else if (*settings != ours) {
    log.warning("the settings in " + command.config + " are others by now: they count from the " +
                "next start; for it: loopline down, then loopline up");
  }
}

// Until a signal or `stop_fd` says so.
void serve(Broker& broker, int stop_fd, const std::function<void()>& on_hangup) {
  const sigset_t signals = wanted_signals();
  const shm::File signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  const uint64_t period_ns = watchdog_period_ns();
  for (;;) {
    if (period_ns != 0 && broker.is_well()) notify_manager("WATCHDOG=1");
    pollfd fds[] = {{signal_fd.fd(), POLLIN, 0}, {stop_fd, POLLIN, 0}};
    const int timeout_ms = period_ns == 0 ? -1 : static_cast<int>(period_ns / 1'000'000 + 1);
    ::poll(fds, 2, timeout_ms);
    if ((fds[1].revents & POLLIN) != 0) return;
    signalfd_siginfo info;
    if (::read(signal_fd.fd(), &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo != SIGHUP) return;
    on_hangup();
  }
}

void leave_terminal() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  if (null > STDERR_FILENO) ::close(null);
}

int run_broker(Settings settings, const Command& command) {
  const Settings as_read = settings;
  int ready_fd = command.ready_fd;
  const auto fail = [&](const Fault& fault) {
    const int status = refuse(fault);
    tell(ready_fd, "failed: " + fault.message());
    return status;
  };
  const sigset_t signals = wanted_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is a fault: EFBIG
  if (command.is_background && settings.log.file.empty()) {
    auto paths = shm::find_instance(settings.dir);
    if (!paths) return fail(paths.fault());
    auto made = shm::Directory::open_or_create(*paths);
    if (!made) return fail(made.fault());
    settings.log.file = paths->folder + "/looplined.log";
  }
  auto log = open_log(settings.log);
  if (!log) return fail(log.fault());
  const shm::File stop_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto broker = Broker::start(settings, **log, [&stop_fd] {
    const uint64_t one = 1;
    (void)!::write(stop_fd.fd(), &one, sizeof one);
  });
  if (!broker) {
    // In the log of the one that runs there, this one has nothing to say.
    const bool is_theirs = broker.fault().code() == FaultCode::already_exists;
    if (!settings.log.file.empty() && !is_theirs) (*log)->error(broker.fault().message());
    return fail(broker.fault());
  }
  if (command.is_background) leave_terminal();
  notify_manager("READY=1");
  tell(ready_fd, "ready");
  serve(**broker, stop_fd.fd(), [&] { look_again(**broker, **log, as_read, command); });
  notify_manager("STOPPING=1");
  const Status stopped = (*broker)->stop();
  if (!stopped) (*log)->error(stopped.fault().message());
  return stopped ? 0 : 1;
}

int go_to_background(const Settings& settings, Command command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return refuse(fault_from_errno(errno, "cannot make a pipe"));
  const pid_t child = ::fork();
  if (child < 0) return refuse(fault_from_errno(errno, "cannot start a process"));
  if (child != 0) {
    ::close(ends[1]);
    const int status = wait_for_child(child, ends[0]);
    if (command.ready_fd >= 0) tell(command.ready_fd, status == 0 ? "ready" : "failed");
    return status;
  }
  ::close(ends[0]);
  if (command.ready_fd >= 0) ::close(command.ready_fd);
  command.ready_fd = ends[1];
  ::setsid();
  (void)!::chdir("/");
  return run_broker(settings, command);
}

}  // namespace

Result<Command> parse_command(const std::vector<std::string>& words) {
  const std::vector<std::string> known{"--config",     "--set",      "--dir",     "--check",
                                       "--background", "--ready-fd", "--version", "--help"};
  Command command;
  for (size_t index = 0; index < words.size(); ++index) {
    const size_t equals = words[index].find('=');
    const std::string word = words[index].substr(0, equals);
    if (word == "--check")
      command.is_check = true;
    else if (word == "--background")
      command.is_background = true;
    else if (word == "--version")
      command.is_version = true;
    else if (word == "--help" || word == "-h")
      command.is_help = true;
    else if (word != "--config" && word != "--set" && word != "--dir" && word != "--ready-fd") {
      return Fault(FaultCode::invalid_argument,
                   "no option " + word + near_miss(word, known) + "; see: looplined --help");
    } else if (equals == std::string::npos && index + 1 == words.size()) {
      return Fault(FaultCode::invalid_argument, word + " wants a value; see: looplined --help");
    } else {
      const std::string value =
          equals != std::string::npos ? words[index].substr(equals + 1) : words[++index];
      if (word == "--config") command.config = absolute(value);
      if (word == "--set") command.sets.push_back(value);
      if (word == "--dir") command.sets.push_back("dir=" + absolute(value));
      if (word != "--ready-fd") continue;
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), command.ready_fd);
      const bool is_number = error == std::errc() && end == value.data() + value.size();
      if (!is_number || ::fcntl(command.ready_fd, F_GETFD) < 0) {
        return Fault(FaultCode::invalid_argument,
                     "--ready-fd is \"" + value + "\", which is no open descriptor");
      }
    }
  }
  return command;
}

int looplined(const std::vector<std::string>& words) {
  const auto command = parse_command(words);
  if (!command) return refuse(command.fault());
  if (command->is_help || command->is_version) {
    const std::string version = std::string("looplined ") + broker_version + "\n";
    const std::string text = command->is_help ? help_text : version;
    (void)!::write(STDOUT_FILENO, text.data(), text.size());
    return 0;
  }
  const auto settings = read_settings(command->config, command->sets);
  if (!settings) return refuse(settings.fault());
  if (command->is_check) return 0;
  if (command->ready_fd >= 0) ::fcntl(command->ready_fd, F_SETFD, FD_CLOEXEC);
  return command->is_background ? go_to_background(*settings, *command)
                                : run_broker(*settings, *command);
}

}  // namespace loopline::broker
