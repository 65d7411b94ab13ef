// ControlClient: connects, says a line, and takes a line, all before a deadline.
#include "control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "shm/base/clock.h"

namespace loopline::broker {
namespace {

constexpr useconds_t look_us = 1000;

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& folder, uint64_t deadline_ns) {
  LL_TRY(address, ControlAddress::of(folder));
  shm::File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.fd() < 0) return fault_from_errno(errno, "cannot make a socket");
  const std::string what = "cannot speak to the broker at " + control_path(folder);
  while (::connect(socket.fd(), address.get(), address.size()) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) {
      return Fault(FaultCode::not_found, "no broker listens at " + control_path(folder));
    }
    if (errno != EAGAIN && errno != EINTR) return fault_from_errno(errno, what);
    if (monotonic_ns() >= deadline_ns) return Fault(FaultCode::timed_out, what + ": it is busy");
    ::usleep(look_us);
  }
  return ControlClient(std::move(socket), folder, deadline_ns);
}

Status ControlClient::wait_for(short events, uint64_t deadline_ns) const {
  for (;;) {
    const uint64_t now_ns = monotonic_ns();
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    pollfd ready{socket_.fd(), events, 0};
    if (::poll(&ready, 1, static_cast<int>((left_ns + 999'999) / 1'000'000)) > 0) return ok();
    if (left_ns == 0) {
      return Fault(FaultCode::timed_out,
                   "the broker at " + control_path(folder_) + " does not answer in time");
    }
  }
}

Result<std::string> ControlClient::ask(const std::string& request) {
  const std::string line = "v" + std::to_string(control_protocol) + " " + request + "\n";
  // A line fits into an empty socket at once. A server that has closed may have said why.
  const bool was_sent = ::send(socket_.fd(), line.data(), line.size(), MSG_NOSIGNAL) ==
                        static_cast<ssize_t>(line.size());
  std::string reply;
  char bytes[65536];
  for (;;) {
    LL_TRY_STATUS(wait_for(POLLIN, deadline_ns_));
    const ssize_t size = ::recv(socket_.fd(), bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) {
      return Fault(FaultCode::closed,
                   "the broker at " + control_path(folder_) +
                       (was_sent ? " ended before it answered" : " takes no request"));
    }
    const size_t before = reply.size();
    reply.append(bytes, static_cast<size_t>(size));
    const size_t end = reply.find('\n', before);
    if (end != std::string::npos) return reply.substr(0, end);
    if (reply.size() > reply_bytes_max) {
      return Fault(FaultCode::too_large, "what listens at " + control_path(folder_) +
                                             " answers without end: it is no broker");
    }
  }
}

Status ControlClient::wait_for_end(uint64_t deadline_ns) {
  for (;;) {
    LL_TRY_STATUS(wait_for(POLLIN, deadline_ns));
    char bytes[256];
    const ssize_t size = ::recv(socket_.fd(), bytes, sizeof bytes, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return ok();
  }
}

}  // namespace loopline::broker
