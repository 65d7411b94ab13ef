// Message: what a consumer is handed, a view that copies nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "shm/base/header.h"
#include "shm/base/visibility.h"

namespace loopline {

// What a handler answers for a message. A handler that returns nothing acknowledges.
enum class Verdict { ack };
inline constexpr Verdict ack = Verdict::ack;

// Who published a message, when its producer was opened with `.identified`.
struct ProducerIdentity {
  uint64_t id = 0;
  uint64_t sequence = 0;  // from 1, per producer and epoch
  uint32_t epoch = 0;
};

// Valid until its consumer is polled, waited for, moved or closed. Thread-safe to read.
class LL_EXPORT Message {
 public:
  // Dense from 1 per partition; numbers without a message belong to aborted or interrupted ones.
  uint64_t sequence() const { return sequence_; }
  // UTC nanoseconds at claim; 0 when the station keeps none.
  uint64_t timestamp_ns() const { return timestamp_ns_; }
  // Bytes in the log before this message: grows with sequence.
  uint64_t position() const { return position_; }
  uint32_t partition() const { return partition_; }
  std::span<const std::byte> payload() const { return payload_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }

  // Parsed at each call; empty when the message carries none.
  std::string_view key() const;
  std::string_view id() const;
  uint32_t header_count() const;
  Header header(uint32_t index) const;
  std::optional<ProducerIdentity> producer() const;

 private:
  friend class Consumer;
  uint64_t sequence_ = 0;
  uint64_t timestamp_ns_ = 0;
  uint64_t position_ = 0;
  uint32_t partition_ = 0;
  std::span<const std::byte> payload_;
  std::span<const std::byte> extension_;
};

}  // namespace loopline
