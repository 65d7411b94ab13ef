// UnixSocket: a socketpair that the children inherit, with the largest buffers there are.
#include "unix_socket.h"

#include <unistd.h>

#include "peer_names.h"
#include "peers.h"
#include "perf/harness/loops.h"

namespace loopline::perf {
namespace {

// The kernel takes what net.core.wmem_max allows of it.
constexpr int buffer_bytes = 4 << 20;

}  // namespace

std::string UnixSocket::version() { return kernel_version(); }

Result<std::unique_ptr<UnixSocket>> UnixSocket::make(const Shape& shape) {
  std::unique_ptr<UnixSocket> made(new UnixSocket(shape.message_bytes));
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made->fds_) != 0) {
    return fault_from_errno(errno, "cannot make a pair of Unix sockets");
  }
  for (const int option : {SO_SNDBUF, SO_RCVBUF}) {
    for (const int fd : made->fds_) {
      if (::setsockopt(fd, SOL_SOCKET, option, &buffer_bytes, sizeof buffer_bytes) != 0) {
        return fault_from_errno(errno, "cannot enlarge a Unix socket's buffer");
      }
    }
  }
  return made;
}

UnixSocket::~UnixSocket() {
  for (const int fd : fds_) {
    if (fd >= 0) ::close(fd);
  }
}

void add_unix_socket(Cases& cases) { add_message_cases<UnixSocket>(cases); }

}  // namespace loopline::perf
