// Acked: a queue, and a look at its front.
#include "acked.h"

#include <poll.h>

#include <chrono>
#include <cstring>

#include "signals.h"

namespace loopline::cli {
namespace {

constexpr size_t in_flight_max = 65536;
constexpr uint64_t bytes_max = 64u << 20;
constexpr auto ack_slice = std::chrono::milliseconds(2);  // that input may wait while we wait
constexpr int trouble_slice_ms = 100;                     // between two looks at a disk in trouble

}  // namespace

bool Acked::is_full() const { return in_flight_.size() >= in_flight_max || bytes_ >= bytes_max; }

void Acked::add(const Ticket& ticket, std::string_view record) {
  in_flight_.push_back({ticket, std::string(record)});
  bytes_ += record.size();
  settle();
}

void Acked::settle() {
  while (!in_flight_.empty() && in_flight_.front().ticket.level() >= level_) {
    print(in_flight_.front().record);
    bytes_ -= in_flight_.front().record.size();
    in_flight_.pop_front();
  }
}

Status Acked::wait_for_first(std::chrono::nanoseconds timeout) {
  LL_TRY_STATUS(producer_.wait(in_flight_.front().ticket, level_, timeout));
  settle();
  return ok();
}

void Acked::before_read(int fd) {
  settle();
  while (!in_flight_.empty() && !stop_requested()) {
    pollfd input{fd, POLLIN, 0};
    if (::poll(&input, 1, 0) != 0) break;
    out_.flush();
    const Status reached = wait_for_first(ack_slice);
    const bool is_trouble = !reached && reached.fault().code() != FaultCode::timed_out;
    if (is_trouble && ::poll(&input, 1, trouble_slice_ms) != 0) break;
  }
  out_.flush();
}

void Acked::print(std::string_view record) {
  if (kind_ == RecordKind::lines) return out_.line(record);
  if (kind_ == RecordKind::length_prefixed) {
    const auto size = static_cast<uint32_t>(record.size());
    char prefix[sizeof size];
    std::memcpy(prefix, &size, sizeof size);  // x86: little-endian
    out_.write({prefix, sizeof prefix});
  }
  out_.write(record);
}

}  // namespace loopline::cli
