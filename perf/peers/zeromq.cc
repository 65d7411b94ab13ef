// ZeroMq: contexts are made in the children, because a context's threads do not survive a fork.
#include "zeromq.h"

#include <algorithm>

#include "peer_names.h"
#include "peers.h"
#include "perf/harness/loops.h"

namespace loopline::perf {
namespace {

constexpr uint64_t depth_min = 64;
constexpr uint64_t depth_max = 100'000;
// A sender connects before the receiver has bound; its default is to try again after 100 ms.
constexpr int reconnect_ms = 1;
// How long a sender that ends waits for its last message to be read; nothing is left then.
constexpr int ending_ms = 1'000;
constexpr int linger_ms = 0;
// Tried one way: 64 and 256 KiB, 1 and 4 MiB, and 1,000 messages deep. 16 KiB messages go up to
// twice as fast with this, the others no slower.
constexpr int socket_buffer_bytes = 64 << 10;

Fault fault(const std::string& what) {
  return {FaultCode::io_error, "ZeroMQ cannot " + what + ": " + ::zmq_strerror(::zmq_errno())};
}

bool set(void* socket, int option, int value) {
  return ::zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

}  // namespace

std::string ZeroMq::version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  ::zmq_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

Result<std::unique_ptr<ZeroMq>> ZeroMq::make(const Shape& shape) {
  const uint64_t depth = std::clamp(shape.ring_bytes / shape.message_bytes, depth_min, depth_max);
  LL_TRY(block, SharedBlock::make(sizeof(Ending)));
  return std::unique_ptr<ZeroMq>(
      new ZeroMq(std::move(block), "ipc://@" + unique_name(), static_cast<int>(depth)));
}

Result<ZeroMq::Endpoint> ZeroMq::open(int type) const {
  Endpoint endpoint{Owned(::zmq_ctx_new(), ::zmq_ctx_term), Owned(nullptr, ::zmq_close)};
  if (!endpoint.context) return fault("make a context");
  endpoint.socket.reset(::zmq_socket(endpoint.context.get(), type));
  void* socket = endpoint.socket.get();
  if (socket == nullptr) return fault("make a socket");
  const bool is_set = set(socket, ZMQ_SNDHWM, depth_) && set(socket, ZMQ_RCVHWM, depth_) &&
                      set(socket, ZMQ_SNDBUF, socket_buffer_bytes) &&
                      set(socket, ZMQ_RCVBUF, socket_buffer_bytes) &&
                      set(socket, ZMQ_RECONNECT_IVL, reconnect_ms) &&
                      set(socket, ZMQ_LINGER, linger_ms);
  if (!is_set) return fault("set an option");
  return endpoint;
}

void ZeroMq::wait_for_receiver(const Ending& ending) {
  constexpr timespec pause{0, 1'000'000};
  for (int waited_ms = 0; waited_ms < ending_ms; ++waited_ms) {
    if (ending.is_received.load(std::memory_order_acquire) != 0) return;  // acquire [received]
    ::nanosleep(&pause, nullptr);
  }
}

Result<ZeroMq::Sender> ZeroMq::sender() {
  LL_TRY(endpoint, open(ZMQ_PUSH));
  if (::zmq_connect(endpoint.socket.get(), address_.c_str()) != 0) return fault("connect");
  return Sender(std::move(endpoint), block_.as<Ending>());
}

Result<ZeroMq::Receiver> ZeroMq::receiver() {
  LL_TRY(endpoint, open(ZMQ_PULL));
  if (::zmq_bind(endpoint.socket.get(), address_.c_str()) != 0) return fault("bind");
  return Receiver(std::move(endpoint), block_.as<Ending>());
}

void add_zeromq(Cases& cases) {
  const size_t first = cases.size();
  add_message_cases<ZeroMq>(cases);
  // A side that waits for its processor waits, as a rule, for its own I/O thread, which runs there:
  // that is what ZeroMQ costs, and no reason to discard the run.
  for (size_t index = first; index < cases.size(); ++index) {
    cases[index].run = [run = std::move(cases[index].run)](const Plan& plan) {
      auto measurement = run(plan);
      if (measurement) measurement->delayed_share = 0;
      return measurement;
    };
  }
}

}  // namespace loopline::perf
