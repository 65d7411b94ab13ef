// TransferWriter: a block is gathered behind room for its head, and goes out in one piece.
#include "writer.h"

#include "shm/base/hash.h"

namespace loopline::cli {

Status TransferWriter::put_block(TransferHead& head, std::vector<std::byte>& block) {
  const auto body = std::span<const std::byte>(block).subspan(transfer_head_size);
  head.body_hash = hash64(body);
  head.body_bytes = body.size();
  head.chain = chain_;
  head.stream = stream_;
  head.number = number_++;
  encode_head(head, block.data());
  chain_ = head.hash;
  bytes_ += block.size();
  return put_(block);
}

Status TransferWriter::begin(const TransferBegin& begin) {
  open_.resize(begin.partitions.size());
  totals_.partitions.resize(begin.partitions.size());
  for (size_t index = 0; index < begin.partitions.size(); ++index) {
    totals_.partitions[index].last = begin.partitions[index].first - 1;
  }
  std::vector<std::byte> block(transfer_head_size);
  encode_begin(begin, block);
  TransferHead head;
  head.kind = TransferKind::begin;
  return put_block(head, block);
}

Status TransferWriter::check_order(uint32_t partition, uint64_t first) const {
  if (first > totals_.partitions[partition].last) return ok();
  return Fault(FaultCode::corrupted, "message " + std::to_string(first) + " of partition " +
                                         std::to_string(partition) + " comes behind message " +
                                         std::to_string(totals_.partitions[partition].last) +
                                         ": its ring is damaged");
}

Status TransferWriter::add(const TransferMessage& message) {
  LL_TRY_STATUS(check_order(message.partition, message.sequence));
  Open& open = open_[message.partition];
  const uint64_t bytes = transfer_record_size + message.extension.size() + message.payload.size();
  const bool is_too_much = open.bytes.size() + bytes > transfer_head_size + transfer_block_bytes;
  if (open.items != 0 && is_too_much) LL_TRY_STATUS(close(message.partition));
  TransferEnd::Partition& totals = totals_.partitions[message.partition];
  if (open.items == 0) {
    open.bytes.resize(transfer_head_size);
    open.first = message.sequence;
    open.before = totals.last;
  }
  encode_record(message, open.bytes);
  ++open.items;
  open.last = totals.last = message.sequence;
  ++totals.messages;
  ++totals_.messages;
  totals_.payload_bytes += message.payload.size();
  return ok();
}

Status TransferWriter::gap(uint32_t partition, uint64_t first, uint64_t last) {
  LL_TRY_STATUS(check_order(partition, first));
  LL_TRY_STATUS(close(partition));
  TransferHead head;
  head.kind = TransferKind::gap;
  head.partition = partition;
  head.first = first;
  head.last = last;
  head.before = totals_.partitions[partition].last;
  totals_.partitions[partition].last = last;
  ++totals_.gaps;
  totals_.missing += last - first + 1;
  std::vector<std::byte> block(transfer_head_size);
  return put_block(head, block);
}

Status TransferWriter::close(uint32_t partition) {
  Open& open = open_[partition];
  if (open.items == 0) return ok();
  TransferHead head;
  head.partition = partition;
  head.items = open.items;
  head.first = open.first;
  head.last = open.last;
  head.before = open.before;
  open.items = 0;
  Status put = put_block(head, open.bytes);
  if (open.bytes.capacity() > 4 * transfer_block_bytes) open.bytes = {};  // a large message's
  return put;
}

Status TransferWriter::end() {
  for (uint32_t partition = 0; partition < open_.size(); ++partition) {
    LL_TRY_STATUS(close(partition));
  }
  std::vector<std::byte> block(transfer_head_size);
  encode_end(totals_, block);
  TransferHead head;
  head.kind = TransferKind::end;
  return put_block(head, block);
}

}  // namespace loopline::cli
