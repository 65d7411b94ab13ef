// TransferReader: a stream read block by block, however it was cut, bent or patched together: its
// messages in order, and for each thing that is wrong where it is and which messages that costs.
//
//   TransferReader reader([fd](void* to, size_t size) { return ::read(fd, to, size); }, "FILE");
//   LL_TRY_STATUS(reader.open());        what it is an export of: reader.begin()
//   for (;;) { LL_TRY(item, reader.next()); ... until item.kind == Kind::end }
//
// What is damaged is passed over to the next block that is whole; the messages of a block are
// handed out only when all of it is right. Bytes are foreign: nothing is believed unchecked, and
// memory is taken as bytes arrive, not as lengths promise.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>

#include "format.h"

namespace loopline::cli {

struct TransferDamage {
  std::string why;      // a sentence without its subject: "block 3 has other bytes than ..."
  uint64_t offset = 0;  // where in the stream
  // Messages that this costs, all of [first, last] that have one; first 0: the blocks to come say
  // what was lost.
  uint32_t partition = 0;
  uint64_t first = 0, last = 0;
};

struct TransferItem {
  enum class Kind { message, gap, damage, end };
  Kind kind = Kind::end;
  TransferMessage message;  // valid until the next call
  // Of a gap that the export found: sequences [first, last].
  uint32_t partition = 0;
  uint64_t first = 0, last = 0;
  TransferDamage damage;
};

class TransferReader {
 public:
  // As read(2): 0 is the end, -1 sets errno.
  using Read = std::function<ssize_t(void*, size_t)>;
  TransferReader(Read read, std::string name) : read_(std::move(read)), name_(std::move(name)) {}

  // Faults: corrupted (no export, or its first block is damaged), version_mismatch, reading's.
  Status open();
  const TransferBegin& begin() const { return begin_; }
  // Faults: reading's only.
  Result<TransferItem> next();

  // So far; at the end they are all.
  bool is_whole() const { return damages_ == 0; }
  uint64_t messages() const { return messages_; }
  uint64_t offset() const { return base_ + at_; }
  // How many messages the stream had when it was written; nothing: its end is lost.
  std::optional<uint64_t> messages_written() const;
  uint64_t digest() const { return chain_; }

 private:
  struct Partition {
    uint64_t last = 0;  // the sequence that was handed out, or told as lost, last
    uint64_t messages = 0;
  };
  Result<bool> fill(size_t size);
  std::span<const std::byte> held() const {
    return std::span<const std::byte>(buffer_).subspan(at_, end_ - at_);
  }
  Status read_block();
  Result<bool> find_head();
  bool is_ours(const TransferHead& head);
  void take_block(const TransferHead& head, std::span<const std::byte> body, uint64_t offset);
  void take_messages(const TransferHead& head, std::span<const std::byte> body, uint64_t offset);
  void take_end(std::span<const std::byte> body, uint64_t offset);
  bool follows(const TransferHead& head, uint64_t offset);
  void cut_off(const char* why);
  void lost_block(const TransferHead& head, uint64_t offset, const char* why);
  Status look_behind_the_end();
  void damage(uint64_t offset, std::string why);
  void lost(uint64_t offset, std::string why, uint32_t partition, uint64_t first, uint64_t last);

  Read read_;
  std::string name_;
  TransferBegin begin_;
  std::optional<TransferEnd> written_;
  std::vector<std::byte> buffer_;  // [at_, end_) was read and not taken yet
  size_t at_ = 0, end_ = 0;
  uint64_t base_ = 0;  // of buffer_'s first byte in the stream
  uint64_t stream_ = 0;
  uint32_t number_ = 1;  // that comes next
  uint64_t chain_ = 0;   // of the block before
  bool is_chain_known_ = true;
  bool is_over_ = false;
  std::vector<Partition> partitions_;
  std::span<const std::byte> records_;  // of the block at hand
  uint32_t partition_ = 0;
  std::deque<TransferItem> found_;  // to be handed out first
  uint64_t messages_ = 0;
  uint64_t damages_ = 0;
};

}  // namespace loopline::cli
