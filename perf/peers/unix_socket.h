// UnixSocket: a pair of connected Unix sockets, the way most programs on one host talk.
//
// Used at its best: the largest buffers the kernel gives, no wait where the bench spins. A stream
// with a length before each message, because one read then brings many; SOCK_SEQPACKET, which keeps
// messages apart itself, was 0 to 20 % slower, even with 64 of them in one recvmmsg.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "perf/harness/subject.h"

namespace loopline::perf {

class UnixSocket {
  static constexpr size_t prefix_size = 8;
  static constexpr size_t read_bytes = 256 << 10;

 public:
  static constexpr const char* name = "unix-socket";
  static constexpr bool sleeps = true;
  // The kernel's, for the socket is.
  static std::string version();
  static Result<std::unique_ptr<UnixSocket>> make(const Shape& shape);
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  class Sender {
   public:
    Sender(int fd, uint64_t size) : fd_(fd), frame_(prefix_size + size) {}

    // The kernel takes a message of less than half its buffer whole or not at all, so that two
    // producers may share the socket.
    template <class Fill>
    void send(size_t size, Fill&& fill) {
      const uint64_t length = size;
      std::memcpy(frame_.data(), &length, prefix_size);
      fill(frame_.data() + prefix_size);
      Backoff backoff;
      while (::send(fd_, frame_.data(), prefix_size + size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN) return;  // the receiver counts what is missing
        backoff.wait();
      }
    }

   private:
    int fd_;
    std::vector<std::byte> frame_;
  };

  class Receiver {
   public:
    Receiver(int fd, uint64_t size) : fd_(fd), buffer_(read_bytes + prefix_size + size) {}

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      size_t count = show(handle, max);
      if (count > 0 || !read_more()) return count;
      return show(handle, max);
    }

    void sleep(uint64_t timeout_ns) {
      pollfd readable{fd_, POLLIN, 0};
      ::poll(&readable, 1, static_cast<int>(timeout_ns / 1'000'000));
    }

   private:
    // Hands out the whole messages that are in the buffer.
    template <class Handle>
    size_t show(Handle&& handle, size_t max) {
      size_t count = 0;
      while (count < max && end_ - begin_ >= prefix_size) {
        uint64_t length;
        std::memcpy(&length, buffer_.data() + begin_, prefix_size);
        if (end_ - begin_ - prefix_size < length) break;
        handle(buffer_.data() + begin_ + prefix_size, length);
        begin_ += prefix_size + length;
        ++count;
      }
      return count;
    }

    bool read_more() {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      const ssize_t count = ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, MSG_DONTWAIT);
      if (count <= 0) return false;
      end_ += static_cast<size_t>(count);
      return true;
    }

    int fd_;
    std::vector<std::byte> buffer_;
    size_t begin_ = 0;  // of what is not handed out yet
    size_t end_ = 0;
  };

  Result<Sender> sender() { return Sender(fds_[0], message_bytes_); }
  Result<Receiver> receiver() { return Receiver(fds_[1], message_bytes_); }

 private:
  explicit UnixSocket(uint64_t message_bytes) : message_bytes_(message_bytes) {}

  int fds_[2] = {-1, -1};
  uint64_t message_bytes_;
};

}  // namespace loopline::perf
