// Program: fork, exec, and three pipes.
#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "shm/base/clock.h"

namespace loopline::test {
namespace {

constexpr uint64_t patience_ns = 60'000'000'000;

std::array<int, 2> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return fds;
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(std::exchange(fd, -1));
}

// What one stream has for us; closes it at its end.
void take_in(int& fd, std::string& text) {
  char bytes[4096];
  const ssize_t got = ::read(fd, bytes, sizeof bytes);
  if (got > 0) text.append(bytes, static_cast<size_t>(got));
  if (got == 0) close_fd(fd);
}

}  // namespace

Program::Program(std::vector<std::string> words) {
  ::signal(SIGPIPE, SIG_IGN);  // a program that does not read its input is its own affair
  const auto in = make_pipe(), out = make_pipe(), err = make_pipe();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::fcntl(in[1], F_SETFL, O_NONBLOCK);  // a program that stops reading does not stop us
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (int* fd : {&in_, &out_, &err_}) close_fd(*fd);
}

void Program::type(const std::string& text) {
  const uint64_t end_ns = monotonic_ns() + patience_ns;
  for (size_t done = 0; done < text.size() && monotonic_ns() < end_ns;) {
    const ssize_t wrote = ::write(in_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno != EAGAIN) return;  // it has closed its input
    if (wrote > 0) done += static_cast<size_t>(wrote);
    listen(wrote < 0 ? 1 : 0);
  }
}

void Program::end_input() { close_fd(in_); }
void Program::stop_listening() { close_fd(out_); }
void Program::send(int signal) const { ::kill(pid_, signal); }

bool Program::listen(int timeout_ms) {
  pollfd streams[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if (out_ < 0 && err_ < 0) return false;
  ::poll(streams, 2, timeout_ms);
  if (streams[0].revents != 0) take_in(out_, outcome_.out);
  if (streams[1].revents != 0) take_in(err_, outcome_.err);
  return true;
}

bool Program::says(const std::string& text) {
  const uint64_t end_ns = monotonic_ns() + patience_ns;
  for (;;) {
    const bool is_said = outcome_.out.find(text) != std::string::npos ||
                         outcome_.err.find(text) != std::string::npos;
    if (is_said) return true;
    if (monotonic_ns() > end_ns || !listen(100)) return false;
  }
}

Outcome Program::end() {
  end_input();
  const uint64_t end_ns = monotonic_ns() + patience_ns;
  while (listen(100)) {
    if (monotonic_ns() > end_ns) ::kill(pid_, SIGKILL);
  }
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  outcome_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome_;
}

Outcome run(std::vector<std::string> words, const std::string& input) {
  Program program(std::move(words));
  program.type(input);
  return program.end();
}

}  // namespace loopline::test
