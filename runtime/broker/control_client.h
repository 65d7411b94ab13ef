// ControlClient: asks the broker of a folder one thing; see control.h.
//
//   LL_TRY(client, ControlClient::connect(folder, deadline_ns));
//   LL_TRY(json, client.ask("status"));
#pragma once

#include "control.h"

namespace loopline::broker {

class ControlClient {
 public:
  // Until the deadline, monotonic. Faults: not_found (nobody listens), no_permission, timed_out.
  static Result<ControlClient> connect(const std::string& folder, uint64_t deadline_ns);
  // Once. The reply's line, which may be anything. Faults: timed_out, too_large, closed (the broker
  // ended meanwhile).
  Result<std::string> ask(const std::string& request);
  // After `stop`: until the broker is gone. Faults: timed_out.
  Status wait_for_end(uint64_t deadline_ns);

 private:
  ControlClient(shm::File socket, std::string folder, uint64_t deadline_ns)
      : socket_(std::move(socket)), folder_(std::move(folder)), deadline_ns_(deadline_ns) {}
  Status wait_for(short events, uint64_t deadline_ns) const;

  shm::File socket_;
  std::string folder_;
  uint64_t deadline_ns_;
};

}  // namespace loopline::broker
