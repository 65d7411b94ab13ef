// ZeroMq: PUSH and PULL sockets over ipc, the messaging library many programs begin with.
//
// Used at its best: an abstract socket name (no file), a message filled where it is sent from and
// read where it arrived, queues as deep as the ring. Each side has one I/O thread, as ZeroMQ says
// is enough below a gigabyte a second; it shares its processor with the side it serves, so an idle
// receiver gives way to it at every poll (to block there takes twice as long a round trip).
//
// Happens-before edges
//   [received]  receiver stores is_received -> sender loads it     its socket may be closed
#pragma once

#include <sched.h>
#include <zmq.h>

#include <memory>
#include <string>

#include "perf/harness/shared_block.h"
#include "perf/harness/subject.h"

namespace loopline::perf {

class ZeroMq {
  using Owned = std::unique_ptr<void, int (*)(void*)>;
  // A context and the one socket in it; the socket goes first.
  struct Endpoint {
    Owned context;
    Owned socket;
  };
  // Says that the receiver has all it wanted. A sender that closes earlier may lose its last
  // messages, whatever its linger: those that left the queue and wait for room in the socket.
  struct Ending {
    Atomic<uint32_t> is_received;
  };

 public:
  static constexpr const char* name = "zeromq";
  static constexpr bool sleeps = true;
  static std::string version();
  static Result<std::unique_ptr<ZeroMq>> make(const Shape& shape);

  class Sender {
   public:
    Sender(Endpoint endpoint, const Ending& ending)
        : endpoint_(std::move(endpoint)), ending_(ending) {}
    Sender(Sender&&) = default;
    ~Sender() {
      if (endpoint_.socket) wait_for_receiver(ending_);
    }

    template <class Fill>
    void send(size_t size, Fill&& fill) {
      zmq_msg_t message;
      if (::zmq_msg_init_size(&message, size) != 0) return;  // the receiver counts what is missing
      fill(static_cast<std::byte*>(::zmq_msg_data(&message)));
      // Blocks while the queue is full: the I/O thread needs this processor to empty it.
      if (::zmq_msg_send(&message, endpoint_.socket.get(), 0) < 0) ::zmq_msg_close(&message);
    }

   private:
    Endpoint endpoint_;
    const Ending& ending_;
  };

  class Receiver {
   public:
    Receiver(Endpoint endpoint, Ending& ending) : endpoint_(std::move(endpoint)), ending_(ending) {}
    Receiver(Receiver&&) = default;
    ~Receiver() {
      if (endpoint_.socket) ending_.is_received.store(1, std::memory_order_release);  // [received]
    }

    template <class Handle>
    size_t poll(Handle&& handle, size_t max) {
      size_t count = 0;
      zmq_msg_t message;
      ::zmq_msg_init(&message);
      while (count < max && ::zmq_msg_recv(&message, endpoint_.socket.get(), ZMQ_DONTWAIT) >= 0) {
        handle(static_cast<const std::byte*>(::zmq_msg_data(&message)), ::zmq_msg_size(&message));
        ++count;
      }
      ::zmq_msg_close(&message);
      if (count == 0) ::sched_yield();
      return count;
    }

    void sleep(uint64_t timeout_ns) {
      zmq_pollitem_t item{endpoint_.socket.get(), 0, ZMQ_POLLIN, 0};
      ::zmq_poll(&item, 1, static_cast<long>(timeout_ns / 1'000'000));
    }

   private:
    Endpoint endpoint_;
    Ending& ending_;
  };

  Result<Sender> sender();
  Result<Receiver> receiver();

 private:
  ZeroMq(SharedBlock block, std::string address, int depth)
      : block_(std::move(block)), address_(std::move(address)), depth_(depth) {}
  Result<Endpoint> open(int type) const;
  // Up to a bound, in case there is none.
  static void wait_for_receiver(const Ending& ending);

  SharedBlock block_;
  std::string address_;
  int depth_;  // messages that each side may hold
};

}  // namespace loopline::perf
