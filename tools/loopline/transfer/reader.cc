// TransferReader: heads found, checked against what came before, and their messages handed out.
#include "reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shm/base/hash.h"

namespace loopline::cli {
namespace {

constexpr size_t transfer_read_bytes = 256 << 10;

std::string block_text(uint32_t number) { return "block " + std::to_string(number); }

// Whether the records are exactly those that the head announces.
bool are_records_of(const TransferHead& head, std::span<const std::byte> body) {
  uint64_t last = head.first - 1;
  for (uint32_t item = 0; item < head.items; ++item) {
    const auto record = decode_record(body);
    if (!record || record->sequence <= last || record->sequence > head.last) return false;
    if (item == 0 && record->sequence != head.first) return false;
    last = record->sequence;
  }
  return body.empty() && last == head.last;
}

}  // namespace

// Until `size` bytes are held; false: the stream ends before.
Result<bool> TransferReader::fill(size_t size) {
  if (end_ - at_ >= size) return true;
  if (at_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
    base_ += at_;
    end_ -= at_;
    at_ = 0;
  }
  while (end_ < size) {
    if (buffer_.size() - end_ < transfer_read_bytes) {
      buffer_.resize(std::max(end_ + transfer_read_bytes, std::min(size, 2 * end_)));
    }
    const ssize_t got = read_(buffer_.data() + end_, buffer_.size() - end_);
    if (got == 0) return false;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fault_from_errno(errno, "cannot read " + name_);
    end_ += static_cast<size_t>(got);
  }
  return true;
}

Status TransferReader::open() {
  LL_TRY(has_head, fill(transfer_head_size));
  TransferHead head;
  uint64_t magic = 0;
  if (end_ >= sizeof magic) std::memcpy(&magic, buffer_.data(), sizeof magic);
  if (magic != transfer_magic) {
    return Fault(FaultCode::corrupted,
                 name_ + (end_ == 0 ? " is empty" : " does not begin as a station's export does") +
                     ": give what loopline station export wrote");
  }
  const std::string torn = name_ + ": the first block, which says what station this is, is ";
  const std::string remedy = "; take another copy of it";
  if (!has_head) return Fault(FaultCode::corrupted, torn + "cut off" + remedy);
  const HeadState state = decode_head(held().first(transfer_head_size), head);
  if (state == HeadState::other_version) {
    return Fault(FaultCode::version_mismatch,
                 name_ + " is an export of version " + std::to_string(head.version) +
                     ", this program reads version " + std::to_string(transfer_version) +
                     ": import it with the Loopline that wrote it, or a newer one");
  }
  if (state != HeadState::good || head.kind != TransferKind::begin ||
      head.body_bytes > 4 * transfer_text_bytes_max) {
    return Fault(FaultCode::corrupted, torn + "damaged" + remedy);
  }
  const size_t size = transfer_head_size + static_cast<size_t>(head.body_bytes);
  LL_TRY(has_body, fill(size));
  if (!has_body) return Fault(FaultCode::corrupted, torn + "cut off" + remedy);
  const auto body = held().subspan(transfer_head_size, head.body_bytes);
  auto begin = hash64(body) == head.body_hash ? decode_begin(body) : std::nullopt;
  if (!begin) return Fault(FaultCode::corrupted, torn + "damaged" + remedy);
  begin_ = std::move(*begin);
  stream_ = head.stream;
  chain_ = head.hash;
  partitions_.resize(begin_.partitions.size());
  for (size_t index = 0; index < partitions_.size(); ++index) {
    partitions_[index].last = begin_.partitions[index].first - 1;
  }
  at_ += size;
  return ok();
}

Result<TransferItem> TransferReader::next() {
  for (;;) {
    if (!found_.empty()) {
      TransferItem item = std::move(found_.front());
      found_.pop_front();
      return item;
    }
    if (!records_.empty()) {
      const auto record = decode_record(records_);
      LL_CHECK(record.has_value());  // all of them were looked at
      TransferItem item;
      item.kind = TransferItem::Kind::message;
      item.message = *record;
      item.message.partition = partition_;
      return item;
    }
    if (is_over_) return TransferItem();
    LL_TRY_STATUS(read_block());
  }
}

Status TransferReader::read_block() {
  LL_TRY(is_found, find_head());
  if (!is_found) return ok();
  const uint64_t offset = this->offset();
  TransferHead head;
  LL_CHECK(decode_head(held().first(transfer_head_size), head) == HeadState::good);
  LL_TRY(has_body, fill(transfer_head_size + static_cast<size_t>(head.body_bytes)));
  if (!follows(head, offset)) {
    at_ = std::min(end_, at_ + transfer_head_size + static_cast<size_t>(head.body_bytes));
    return ok();
  }
  number_ = head.number + 1;
  chain_ = head.hash;
  is_chain_known_ = true;
  if (!has_body) {
    lost_block(head, offset, "is cut off");
    at_ = end_;
    cut_off("the stream ends here without its last block: it was cut off");
    return ok();
  }
  const auto body = held().subspan(transfer_head_size, head.body_bytes);
  if (hash64(body) != head.body_hash) {
    lost_block(head, offset, "has other bytes than were written");
    // All of it: who looked for heads inside would read forged ones over and over.
    at_ += transfer_head_size + static_cast<size_t>(head.body_bytes);
    if (head.kind == TransferKind::end) cut_off("what the last block counted is not known");
    return ok();
  }
  take_block(head, body, offset);
  // The bytes stay where they are until more are asked for.
  at_ += transfer_head_size + static_cast<size_t>(head.body_bytes);
  return is_over_ ? look_behind_the_end() : ok();
}

bool TransferReader::is_ours(const TransferHead& head) {
  return head.stream == stream_ && head.partition < partitions_.size();
}

// The block's head is whole and its body is not.
void TransferReader::lost_block(const TransferHead& head, uint64_t offset, const char* why) {
  const std::string text = block_text(head.number) + " " + why;
  if (head.kind != TransferKind::messages) return damage(offset, text);
  lost(offset, text, head.partition, head.first, head.last);
  partitions_[head.partition].last = head.last;
}

// The next head that is whole. False: there is none, and that is told.
Result<bool> TransferReader::find_head() {
  const uint64_t from = offset();
  bool is_told = false;
  for (;;) {
    LL_TRY(has_head, fill(transfer_head_size));
    TransferHead head;
    const bool is_good =
        has_head && decode_head(held().first(transfer_head_size), head) == HeadState::good;
    if (is_good && is_ours(head)) return true;
    if (!has_head) {
      at_ = end_;
      cut_off("the stream ends here without its last block: it was cut off");
      return false;
    }
    const bool is_anothers = is_good && head.stream != stream_;
    if (!is_told) {
      damage(from, is_anothers ? "bytes of another export stand here"
                               : block_text(number_) + " cannot be told from other bytes");
      is_told = true;
    }
    is_chain_known_ = false;
    const auto bytes = held();
    const auto magic = std::as_bytes(std::span(&transfer_magic, 1));
    const auto found = std::search(bytes.begin() + 1, bytes.end(), magic.begin(), magic.end());
    const size_t skipped = static_cast<size_t>(found - bytes.begin());
    at_ += found == bytes.end() ? bytes.size() - (sizeof transfer_magic - 1) : skipped;
  }
}

// Whether the block is the next one, or at least one behind those we had.
bool TransferReader::follows(const TransferHead& head, uint64_t offset) {
  if (head.number < number_) {
    damage(offset, block_text(head.number) + " is there once more");
    return false;
  }
  if (head.number > number_ && is_chain_known_) {
    const bool is_one = head.number == number_ + 1;
    damage(offset, is_one ? block_text(number_) + " is missing"
                          : "blocks " + std::to_string(number_) + " to " +
                                std::to_string(head.number - 1) + " are missing");
  }
  if (head.number == number_ && is_chain_known_ && head.chain != chain_) {
    damage(offset, block_text(head.number) + " was written behind another block than this one");
  }
  if (head.kind == TransferKind::begin || head.kind == TransferKind::end) return true;
  Partition& partition = partitions_[head.partition];
  if (head.before < partition.last) {
    damage(offset, block_text(head.number) + " begins before the one in front of it ended");
    return false;
  }
  if (head.before > partition.last) {
    lost(offset, "these were lost in front of " + block_text(head.number), head.partition,
         partition.last + 1, head.before);
    partition.last = head.before;
  }
  return true;
}

void TransferReader::take_block(const TransferHead& head, std::span<const std::byte> body,
                                uint64_t offset) {
  if (head.kind == TransferKind::messages) {
    take_messages(head, body, offset);
  } else if (head.kind == TransferKind::end) {
    take_end(body, offset);
  } else if (head.kind == TransferKind::gap) {
    TransferItem item;
    item.kind = TransferItem::Kind::gap;
    item.partition = head.partition;
    item.first = head.first;
    item.last = head.last;
    found_.push_back(std::move(item));
    partitions_[head.partition].last = head.last;
  }
}

void TransferReader::take_messages(const TransferHead& head, std::span<const std::byte> body,
                                   uint64_t offset) {
  Partition& partition = partitions_[head.partition];
  partition.last = head.last;
  if (!are_records_of(head, body)) {
    lost(offset, block_text(head.number) + " holds records that make no sense", head.partition,
         head.first, head.last);
    return;
  }
  records_ = body;
  partition_ = head.partition;
  partition.messages += head.items;
  messages_ += head.items;
}

void TransferReader::take_end(std::span<const std::byte> body, uint64_t offset) {
  auto end = decode_end(body, partitions_.size());
  if (!end) {
    return cut_off("the last block makes no sense");
  }
  const bool was_whole = is_whole();
  bool is_equal = true;
  for (uint32_t index = 0; index < partitions_.size(); ++index) {
    const auto& written = end->partitions[index];
    Partition& partition = partitions_[index];
    is_equal &= written.last == partition.last && written.messages == partition.messages;
    if (written.last <= partition.last) continue;
    lost(offset, "these were lost in front of the last block", index, partition.last + 1,
         written.last);
    partition.last = written.last;
  }
  if (was_whole && is_whole() && !is_equal) {
    damage(offset, "the last block counts other messages than the stream has");
  }
  written_ = std::move(*end);
  is_over_ = true;
}

// Without the last block: what the first one announced and nobody saw.
void TransferReader::cut_off(const char* why) {
  damage(offset(), why);
  for (uint32_t index = 0; index < partitions_.size(); ++index) {
    const uint64_t until = begin_.partitions[index].until;
    Partition& partition = partitions_[index];
    if (until <= partition.last + 1) continue;
    lost(offset(), "these may have been to come", index, partition.last + 1, until - 1);
    partition.last = until - 1;
  }
  is_over_ = true;
}

Status TransferReader::look_behind_the_end() {
  LL_TRY(has_more, fill(1));
  if (has_more) damage(offset(), "more bytes follow behind the last block");
  return ok();
}

void TransferReader::damage(uint64_t offset, std::string why) {
  lost(offset, std::move(why), 0, 0, 0);
}

void TransferReader::lost(uint64_t offset, std::string why, uint32_t partition, uint64_t first,
                          uint64_t last) {
  TransferItem item;
  item.kind = TransferItem::Kind::damage;
  item.damage = {std::move(why), offset, partition, first, last};
  found_.push_back(std::move(item));
  ++damages_;
}

std::optional<uint64_t> TransferReader::messages_written() const {
  if (!written_) return {};
  return written_->messages;
}

}  // namespace loopline::cli
