// Format: a station as a stream of bytes, block by block: what `station export` writes and `station
// import` reads. The README beside this file has a worked example.
//
//   begin │ messages │ messages │ gap │ messages │ ... │ end
//
// Each block is a head of 96 bytes and a body. Little-endian; places by offset:
//
//   +0  u64 magic "LOOPXFER"       +40 u64 bytes of the body         +64 u64 first sequence
//   +8  u64 XXH3 of +16..+96       +48 u32 number, from 0            +72 u64 last sequence
//   +16 u64 XXH3 of the body       +52 u16 version                   +80 u64 sequence before
//   +24 u64 +8 of the block before +54 u16 kind                      +88 u64 zero
//   +32 u64 id of the stream       +56 u32 messages  +60 u32 partition
//
// Magic, the hash at +8 and the version stay where they are in every version to come.
//
// Invariants
//   T1  A bit that flips anywhere is told: each head vouches for itself and for its body.
//   T2  A block that is gone, doubled, moved or of another stream is told: by number, chain and id.
//   T3  Of each partition it is known what a lost block held: the next one says which sequence came
//       before it, and the end which came last. Only numbers without a message are no loss.
//   T4  A stream without its end block was cut off: the end is written last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::cli {

constexpr uint64_t transfer_magic = 0x52454658504f4f4c;  // "LOOPXFER" in bytes
constexpr uint16_t transfer_version = 1;
constexpr size_t transfer_head_size = 96;
constexpr size_t transfer_record_size = 24;
// A block is closed when it has so many bytes; a message that is larger has one of its own.
constexpr size_t transfer_block_bytes = 64 << 10;
// More than any message: frames count their bytes with 32 bits.
constexpr uint64_t transfer_body_bytes_max = (1ull << 32) + (1 << 20);
constexpr uint32_t transfer_partitions_max = 256;
constexpr size_t transfer_text_bytes_max = 8192;  // of the parameters

enum class TransferKind : uint16_t { begin = 1, messages = 2, gap = 3, end = 4 };

struct TransferHead {
  uint64_t hash = 0;  // +8; when it is encoded, what it came to
  uint64_t body_hash = 0;
  uint64_t chain = 0;
  uint64_t stream = 0;
  uint64_t body_bytes = 0;
  uint32_t number = 0;
  uint16_t version = transfer_version;
  TransferKind kind = TransferKind::messages;
  uint32_t items = 0;
  uint32_t partition = 0;
  uint64_t first = 0, last = 0, before = 0;
};

// What the first block says.
struct TransferBegin {
  // From the first sequence that is wanted to the one to stop before. What is in front of `begins`
  // was gone already.
  struct Range {
    uint64_t first = 1;
    uint64_t begins = 1;
    uint64_t until = 1;
  };
  std::string station;  // factory/station
  bool is_file = false;
  uint64_t taken_ns = 0;  // UTC
  std::string
      parameters;  // the lines of its station.conf, or of a factory's file for one in memory
  std::vector<Range> partitions;
};

// What the last block says.
struct TransferEnd {
  struct Partition {
    uint64_t last = 0;  // sequence; what `before` of one more block would say
    uint64_t messages = 0;
  };
  uint64_t messages = 0;
  uint64_t payload_bytes = 0;
  uint64_t gaps = 0;
  uint64_t missing = 0;  // sequences in the gaps
  std::vector<Partition> partitions;
};

// One message; views.
struct TransferMessage {
  uint32_t partition = 0;
  uint64_t sequence = 0;
  uint64_t timestamp_ns = 0;
  std::span<const std::byte> extension;  // as in shm/extension.h; empty: it has none
  std::span<const std::byte> payload;
  // Both, which stand side by side: the body of its frame.
  std::span<const std::byte> body() const {
    return {extension.data(), extension.size() + payload.size()};
  }
};

// Writes transfer_head_size bytes and sets head.hash. `head.body_hash` is that of its body.
void encode_head(TransferHead& head, std::byte* to);
// How 96 bytes are judged.
enum class HeadState { good, no_magic, damaged, other_version, senseless };
HeadState decode_head(std::span<const std::byte> bytes, TransferHead& head);

void encode_begin(const TransferBegin& begin, std::vector<std::byte>& to);
std::optional<TransferBegin> decode_begin(std::span<const std::byte> body);
void encode_end(const TransferEnd& end, std::vector<std::byte>& to);
std::optional<TransferEnd> decode_end(std::span<const std::byte> body, size_t partitions);
void encode_record(const TransferMessage& message, std::vector<std::byte>& to);
// Takes the next message off `body`. nullopt: it is none of ours, whatever its checksum says.
std::optional<TransferMessage> decode_record(std::span<const std::byte>& body);

}  // namespace loopline::cli
