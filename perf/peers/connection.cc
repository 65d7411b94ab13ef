// Connection: blocking writes, reads that never block, and poll() before them, asleep or not.
#include "connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "perf/durable/keeper.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr size_t read_bytes = 64 << 10;
constexpr int patience_ms = static_cast<int>(keeper_patience_ns / 1'000'000);

Fault silence() { return {FaultCode::timed_out, "the server said nothing for half a minute"}; }

}  // namespace

Result<Connection> Connection::to_socket(const std::string& folder, const std::string& name) {
  Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int place = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An address holds 107 characters; through the open folder any path is short.
  const std::string path = "/proc/self/fd/" + std::to_string(place) + "/" + name;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int status =
      ::connect(connection.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(place);
  if (status != 0) return fault_from_errno(error, "cannot connect to the socket " + name);
  return connection;
}

Result<Connection> Connection::to_port(uint16_t port) {
  Connection connection(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(connection.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fault_from_errno(errno, "cannot connect to port " + std::to_string(port));
  }
  const int yes = 1;
  ::setsockopt(connection.fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return connection;
}

Connection::Connection(Connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      out_(std::move(other.out_)),
      in_(std::move(other.in_)),
      taken_(other.taken_) {}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

Status Connection::send() {
  for (size_t sent = 0; sent < out_.size();) {
    const ssize_t count = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return fault_from_errno(errno, "cannot write to the server");
    if (count > 0) sent += static_cast<size_t>(count);
  }
  out_.clear();
  return ok();
}

Result<bool> Connection::receive() {
  in_.erase(0, taken_);
  taken_ = 0;
  const size_t before = in_.size();
  in_.resize(before + read_bytes);
  const ssize_t count = ::recv(fd_, in_.data() + before, read_bytes, MSG_DONTWAIT);
  const int error = errno;
  in_.resize(before + (count > 0 ? static_cast<size_t>(count) : 0));
  if (count > 0) return true;
  if (count < 0 && (error == EAGAIN || error == EINTR)) return false;
  return Fault(FaultCode::closed, "the server closed the connection");
}

Status Connection::wait() {
  while (true) {
    LL_TRY(arrived, receive());
    if (arrived) return ok();
    pollfd watched{fd_, POLLIN, 0};
    if (::poll(&watched, 1, patience_ms) == 0) return silence();
  }
}

bool Connection::take_line(std::string& line) {
  const size_t end = received().find("\r\n");
  if (end == std::string_view::npos) return false;
  line = received().substr(0, end);
  take(end + 2);
  return true;
}

Status spin_for_any(const std::vector<Connection>& connections) {
  std::vector<pollfd> watched;
  for (const Connection& connection : connections) watched.push_back({connection.fd(), POLLIN, 0});
  const uint64_t begin_ns = monotonic_ns();
  while (::poll(watched.data(), watched.size(), 0) <= 0) {
    if (monotonic_ns() - begin_ns > keeper_patience_ns) return silence();
  }
  return ok();
}

}  // namespace loopline::perf
