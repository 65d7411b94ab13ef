// Transfer fuzz: any bytes as a station's export, and a true export that was cut, bent and forged.
//
// An input is  u8 [0] the bytes are the stream themselves  [1] reads of a few bytes
//   u8 how many blocks the true stream has for its messages, each of up to three
//   then changes until the bytes end, each  u8 what, u16 where, u16 how much:
//     0 a bit flips  1 cut off  2 bytes taken out  3 bytes of it put in once more  4 bytes of the
//     input put in  5 a head's word of 4 bytes set, its checksum made right  6 a body likewise
// Whatever it is: messages come out that were put in, in their order, or the stream is not whole.
#include <cerrno>
#include <string>
#include <vector>

#include "input.h"
#include "shm/base/check.h"
#include "shm/base/hash.h"
#include "tools/loopline/transfer/reader.h"
#include "tools/loopline/transfer/writer.h"

namespace loopline::fuzz {
namespace {

using namespace loopline::cli;

constexpr size_t stream_bytes_max = 1 << 20;

struct Stream {
  std::vector<std::byte> bytes;
  std::vector<size_t> blocks;  // where each begins
};

// Sequences 3, 6, 9, ... of two partitions in turn; each payload says which it is.
Stream true_stream(uint32_t block_count) {
  Stream stream;
  TransferWriter writer(
      [&stream](std::span<const std::byte> block) {
        stream.blocks.push_back(stream.bytes.size());
        stream.bytes.insert(stream.bytes.end(), block.begin(), block.end());
        return ok();
      },
      5);
  const auto check = [](const Status& status) { LL_CHECK(static_cast<bool>(status)); };
  check(writer.begin({"main/s", false, 1, "ring = 64KiB\n", {{1, 1, 100}, {1, 1, 100}}}));
  for (uint64_t block = 1; block <= block_count; ++block) {
    const auto partition = static_cast<uint32_t>(block % 2);
    for (uint64_t item = 0; item < 1 + block % 3; ++item) {
      const uint64_t sequence = block * 10 + item * 3;
      const auto payload = std::as_bytes(std::span(&sequence, 1));
      check(writer.add({partition, sequence, sequence + 7, {}, payload}));
    }
    check(writer.gap(partition, block * 10 + 9, block * 10 + 9));  // which ends the block
  }
  check(writer.end());
  return stream;
}

// A block's checksums made right for what its bytes have become.
void seal_block(std::vector<std::byte>& bytes, size_t at) {
  if (at > bytes.size() || bytes.size() - at < transfer_head_size) return;
  uint64_t body_bytes = 0;
  std::memcpy(&body_bytes, bytes.data() + at + 40, sizeof body_bytes);
  const size_t rest = bytes.size() - at - transfer_head_size;
  if (body_bytes <= rest) {
    const uint64_t hash = hash64(bytes.data() + at + transfer_head_size, body_bytes);
    std::memcpy(bytes.data() + at + 16, &hash, sizeof hash);
  }
  const uint64_t hash = hash64(bytes.data() + at + 16, transfer_head_size - 16);
  std::memcpy(bytes.data() + at + 8, &hash, sizeof hash);
}

// True: with the checksums made right, so that anything may come out.
bool change(Stream& stream, Input& input) {
  auto& bytes = stream.bytes;
  const uint8_t what = input.byte() % 7;
  const size_t where = input.take<uint16_t>() % (bytes.size() + 1);
  const size_t count = input.take<uint16_t>();
  const size_t there = std::min(count % 256, bytes.size() - where);
  const auto at = bytes.begin() + static_cast<ptrdiff_t>(where);
  const size_t block = stream.blocks[where % stream.blocks.size()];
  const auto value = input.below(2) == 0 ? uint32_t{input.byte()} : input.take<uint32_t>();
  if (what == 0 && where < bytes.size()) bytes[where] ^= std::byte{1} << (count % 8);
  if (what == 1) bytes.resize(where);
  if (what == 2) bytes.erase(at, at + static_cast<ptrdiff_t>(there));
  if (what == 3) {
    const std::vector<std::byte> copy(at, at + static_cast<ptrdiff_t>(there));
    const size_t to = count % (bytes.size() + 1);
    bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(to), copy.begin(), copy.end());
  }
  if (what == 4) {
    const auto given = input.bytes(count % 64);
    bytes.insert(at, given.begin(), given.end());
  }
  if (what < 5) return false;
  const size_t word =
      what == 5 ? 16 + count % (transfer_head_size - 20) : transfer_head_size + count % 200;
  if (block + word + sizeof value <= bytes.size()) {
    std::memcpy(bytes.data() + block + word, &value, sizeof value);
  }
  seal_block(bytes, block);
  return true;
}

// Reads it to its end; `is_checked`: nothing may come out that was not put in.
void read_all(std::span<const std::byte> bytes, size_t share, bool is_checked) {
  const size_t size = bytes.size();
  TransferReader reader(
      [&](void* to, size_t room) {
        const size_t count = std::min({room, share, bytes.size()});
        std::memcpy(to, bytes.data(), count);
        bytes = bytes.subspan(count);
        return static_cast<ssize_t>(count);
      },
      "fuzz");
  if (!reader.open()) return;
  std::vector<uint64_t> last(reader.begin().partitions.size(), 0);
  uint64_t messages = 0;
  for (size_t steps = 0;; ++steps) {
    LL_CHECK(steps <= size + 1000);  // it ends
    const auto item = reader.next();
    LL_CHECK(static_cast<bool>(item));
    if (item->kind == TransferItem::Kind::end) break;
    if (item->kind == TransferItem::Kind::damage) LL_CHECK(item->damage.first <= item->damage.last);
    if (item->kind != TransferItem::Kind::message) continue;
    const TransferMessage& message = item->message;
    LL_CHECK(message.partition < last.size());
    LL_CHECK(message.sequence > last[message.partition]);
    last[message.partition] = message.sequence;
    ++messages;
    uint64_t sum = 0;  // every byte can be read
    for (const std::byte byte : message.body()) sum += static_cast<uint64_t>(byte);
    if (!is_checked) continue;
    LL_CHECK(message.timestamp_ns == message.sequence + 7 && message.payload.size() == 8);
    LL_CHECK(std::memcmp(message.payload.data(), &message.sequence, 8) == 0);
    LL_CHECK(sum < 8 * 256);
  }
  LL_CHECK(reader.messages() == messages);
  LL_CHECK(reader.offset() <= size);
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  Input input(data, size);
  const uint8_t mode = input.byte();
  const size_t share = (mode & 2) != 0 ? 7 : 1 << 20;
  if ((mode & 1) != 0) {
    read_all(input.bytes(size), share, false);
    return 0;
  }
  Stream stream = true_stream(input.below(12));
  bool is_forged = false;
  while (!input.empty() && stream.bytes.size() < stream_bytes_max) {
    is_forged |= change(stream, input);
  }
  read_all(stream.bytes, share, !is_forged);
  return 0;
}
