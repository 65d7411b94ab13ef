// ControlServer: one poll over the listener and whoever is connected.
#include "control_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "shm/base/clock.h"

namespace loopline::broker {
namespace {

constexpr int backlog = 64;
constexpr mode_t socket_mode = 0660;
constexpr int crowded_pause_ms = 20;

Status remove_dead_socket(const ControlAddress& address, const std::string& path) {
  struct stat status;
  if (::lstat(address.path(), &status) != 0) {
    return errno == ENOENT ? ok() : Status(fault_from_errno(errno, "cannot examine " + path));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Fault(FaultCode::already_exists, path +
                                                " is no socket; remove it: the broker is "
                                                "spoken to there");
  }
  if (::unlink(address.path()) == 0 || errno == ENOENT) return ok();
  return fault_from_errno(errno, "cannot remove the socket of a dead broker, " + path);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& folder,
                                                            Handler handler,
                                                            const ControlLimits& limits) {
  auto server =
      std::unique_ptr<ControlServer>(new ControlServer(folder, std::move(handler), limits));
  LL_TRY_STATUS(server->listen());
  server->thread_ = std::thread([raw = server.get()] { raw->run(); });
  return server;
}

Status ControlServer::listen() {
  const std::string path = control_path(folder_);
  end_ = shm::File(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  listener_ = shm::File(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (end_.fd() < 0 || listener_.fd() < 0) return fault_from_errno(errno, "cannot make a socket");
  LL_TRY(address, ControlAddress::of(folder_));
  LL_TRY_STATUS(remove_dead_socket(address, path));
  // Never open to more than this, whatever the umask; then open to all of this.
  (void)::fchmod(listener_.fd(), socket_mode);
  if (::bind(listener_.fd(), address.get(), address.size()) != 0) {
    return fault_from_errno(errno, "cannot make the socket " + path);
  }
  // If we die here or later: a socket that refuses, which the next broker replaces.
  (void)::chmod(address.path(), socket_mode);
  if (::listen(listener_.fd(), backlog) != 0) return fault_from_errno(errno, "cannot use " + path);
  struct stat status;
  if (::lstat(address.path(), &status) != 0) return fault_from_errno(errno, "cannot use " + path);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  return ok();
}

bool ControlServer::is_there() const {
  const auto address = ControlAddress::of(folder_);
  struct stat status;
  return address && ::lstat(address->path(), &status) == 0 && status.st_dev == device_ &&
         status.st_ino == inode_;
}

ControlServer::~ControlServer() {
  const uint64_t one = 1;
  (void)!::write(end_.fd(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

void ControlServer::hide() {
  const auto address = ControlAddress::of(folder_);
  if (address) ::unlink(address->path());
}

void ControlServer::run() {
  for (;;) {
    std::vector<pollfd> fds{{end_.fd(), POLLIN, 0}};
    const bool is_full = clients_.size() >= limits_.clients_max;
    fds.push_back({is_full ? -1 : listener_.fd(), POLLIN, 0});
    uint64_t next_ns = ~0ull;
    for (const Client& client : clients_) {
      const short events = client.has_reply && client.sent < client.reply.size() ? POLLOUT : POLLIN;
      fds.push_back({client.socket.fd(), events, 0});
      if (!client.holds) next_ns = std::min(next_ns, client.deadline_ns);
    }
    const uint64_t now_ns = monotonic_ns();
    int timeout_ms = -1;
    if (next_ns != ~0ull) {
      timeout_ms = next_ns <= now_ns ? 0 : static_cast<int>((next_ns - now_ns) / 1'000'000 + 1);
    }
    ::poll(fds.data(), fds.size(), timeout_ms);
    if ((fds[0].revents & POLLIN) != 0) return;
    auto client = clients_.begin();
    for (size_t index = 2; index < fds.size(); ++index) {
      const bool stays = serve(*client, fds[index].revents);
      client = stays ? std::next(client) : clients_.erase(client);
    }
    if ((fds[1].revents & POLLIN) != 0) accept_clients();
  }
}

void ControlServer::accept_clients() {
  while (clients_.size() < limits_.clients_max) {
    shm::File socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.fd() < 0) {
      const bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
      if (is_short) ::poll(nullptr, 0, crowded_pause_ms);  // it stays readable: no busy loop
      return;
    }
    Client client;
    client.socket = std::move(socket);
    client.deadline_ns = monotonic_ns() + limits_.client_ns;
    clients_.push_back(std::move(client));
  }
}

bool ControlServer::serve(Client& client, short events) {
  if (!client.has_reply && events != 0) hear(client);
  if (client.holds && client.sent == client.reply.size()) {
    return (events & (POLLHUP | POLLERR)) == 0;
  }
  if (!client.has_reply && monotonic_ns() >= client.deadline_ns) {
    client.deadline_ns += limits_.client_ns;
    answer(
        client,
        {json_of_fault({FaultCode::timed_out, "no line came in time; say one, such as: status"})});
  }
  if (!client.has_reply) return true;
  if (!send(client)) return false;
  if (client.sent == client.reply.size()) return client.holds;
  return monotonic_ns() < client.deadline_ns;
}

void ControlServer::hear(Client& client) {
  char bytes[request_bytes_max + 1];
  const ssize_t size = ::recv(client.socket.fd(), bytes, sizeof bytes, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const bool is_over = size <= 0;
  if (!is_over) client.request.append(bytes, static_cast<size_t>(size));
  const size_t line = client.request.find('\n');
  const bool is_long = std::min(line, client.request.size()) > request_bytes_max;
  if (is_long) {
    return answer(
        client,
        {json_of_fault({FaultCode::too_large, "a request is a line of at most " +
                                                  std::to_string(request_bytes_max) + " bytes"})});
  }
  if (line == std::string::npos && !is_over) return;
  std::string request = client.request.substr(0, line);
  while (!request.empty() && (request.back() == '\r' || request.back() == ' ')) request.pop_back();
  answer(client, handler_(request));
}

void ControlServer::answer(Client& client, const Reply& reply) {
  client.reply = reply.json + "\n";
  client.holds = reply.holds;
  client.has_reply = true;
}

// False: it takes no more.
bool ControlServer::send(Client& client) {
  while (client.sent < client.reply.size()) {
    const ssize_t size = ::send(client.socket.fd(), client.reply.data() + client.sent,
                                client.reply.size() - client.sent, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    client.sent += static_cast<size_t>(size);
  }
  return true;
}

}  // namespace loopline::broker
