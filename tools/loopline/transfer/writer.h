// TransferWriter: messages and gaps as the blocks of a stream, with their checksums and counts.
//
//   TransferWriter writer(put, random_id);
//   writer.begin(begin);
//   writer.add(message);  writer.gap(partition, first, last);
//   writer.end();         // a stream without it is told to be cut off
//
// Holds a block for each partition and no more. Faults are those of whoever puts the bytes away.
#pragma once

#include <functional>

#include "format.h"

namespace loopline::cli {

class TransferWriter {
 public:
  using Put = std::function<Status(std::span<const std::byte>)>;
  TransferWriter(Put put, uint64_t stream) : put_(std::move(put)), stream_(stream) {}

  Status begin(const TransferBegin& begin);
  // In order within its partition. Faults: corrupted (it is not).
  Status add(const TransferMessage& message);
  // Sequences [first, last] of a partition cannot be had any more.
  Status gap(uint32_t partition, uint64_t first, uint64_t last);
  Status end();

  const TransferEnd& totals() const { return totals_; }
  uint64_t bytes() const { return bytes_; }
  // The checksum of the last block, which stands for the whole stream.
  uint64_t digest() const { return chain_; }

 private:
  struct Open {
    std::vector<std::byte> bytes;  // room for the head, then its messages
    uint64_t first = 0, last = 0, before = 0;
    uint32_t items = 0;
  };
  Status check_order(uint32_t partition, uint64_t first) const;
  Status close(uint32_t partition);
  Status put_block(TransferHead& head, std::vector<std::byte>& block);

  Put put_;
  const uint64_t stream_;
  std::vector<Open> open_;  // by partition
  TransferEnd totals_;
  uint32_t number_ = 0;
  uint64_t chain_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace loopline::cli
