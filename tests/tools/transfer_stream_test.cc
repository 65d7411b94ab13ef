// The stream of an export, in memory: cut at every byte, bent at every bit, patched together; what
// is handed out is what was put in, and what is lost is told.
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shm/extension.h"
#include "tests/support/must.h"
#include "tools/loopline/transfer/reader.h"
#include "tools/loopline/transfer/writer.h"

namespace loopline::test {
namespace {

using cli::TransferBegin;
using cli::TransferDamage;
using cli::TransferHead;
using cli::TransferItem;
using cli::TransferMessage;
using cli::TransferReader;
using cli::TransferWriter;
using ::testing::HasSubstr;

using Stream = std::vector<std::byte>;

struct Sent {
  uint32_t partition;  // all of 0 are sent before those of 1
  uint64_t sequence;
  std::string payload;
  bool operator==(const Sent&) const = default;
};

// Two partitions, a gap, numbers without a message, and a block for every few messages.
struct Written {
  Stream bytes;
  std::vector<Sent> sent;
  std::vector<size_t> blocks;  // where each begins
};

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

Written write_stream(uint64_t stream_id, size_t payload_bytes = 20'000) {
  Written written;
  TransferWriter writer(
      [&](std::span<const std::byte> block) {
        written.blocks.push_back(written.bytes.size());
        written.bytes.insert(written.bytes.end(), block.begin(), block.end());
        return ok();
      },
      stream_id);
  must(writer.begin(
      {"main/orders", false, 1, "ring = 64KiB\npartitions = 2\n", {{5, 5, 12}, {1, 2, 35}}}));
  const auto send = [&](uint32_t partition, uint64_t sequence) {
    const std::string payload = std::to_string(partition) + ":" + std::to_string(sequence) +
                                std::string(payload_bytes, 'x');
    std::vector<std::byte> extension;
    if (sequence % 3 == 0) {
      const shm::ExtensionFields fields{.id = "an id", .key = "key"};
      extension.resize(must(shm::extension_size(fields)));
      shm::write_extension(fields, static_cast<uint32_t>(extension.size()), extension.data());
    }
    must(writer.add({partition, sequence, 1000 + sequence, extension, bytes_of(payload)}));
    written.sent.push_back({partition, sequence, payload});
  };
  for (uint64_t sequence = 5; sequence < 12; ++sequence) send(0, sequence);
  for (uint64_t sequence = 2; sequence < 20; sequence += 2) send(1, sequence);
  must(writer.gap(1, 21, 29));
  for (uint64_t sequence = 30; sequence < 35; ++sequence) send(1, sequence);
  must(writer.end());
  EXPECT_EQ(writer.totals().missing, 9);
  return written;
}

struct Got {
  std::vector<Sent> messages;
  std::vector<TransferDamage> damages;
  uint64_t gap_sequences = 0;
  bool is_whole = false;
  std::optional<Fault> refused;

  bool tells_loss_of(const Sent& message) const {
    return std::any_of(damages.begin(), damages.end(), [&](const TransferDamage& damage) {
      return damage.first != 0 && damage.partition == message.partition &&
             damage.first <= message.sequence && message.sequence <= damage.last;
    });
  }
  std::string words() const {
    std::string all;
    for (const auto& damage : damages) {
      all += damage.why + " [" + std::to_string(damage.partition) + ": " +
             std::to_string(damage.first) + "-" + std::to_string(damage.last) + "]\n";
    }
    return all;
  }
};

// In reads of `share` bytes.
Got read_stream(std::span<const std::byte> bytes, size_t share = 1 << 20) {
  TransferReader reader(
      [&](void* to, size_t size) {
        const size_t count = std::min({size, share, bytes.size()});
        std::memcpy(to, bytes.data(), count);
        bytes = bytes.subspan(count);
        return static_cast<ssize_t>(count);
      },
      "FILE");
  Got got;
  const Status opened = reader.open();
  if (!opened) {
    got.refused = opened.fault();
    return got;
  }
  for (;;) {
    const TransferItem item = must(reader.next());
    if (item.kind == TransferItem::Kind::end) break;
    if (item.kind == TransferItem::Kind::gap) got.gap_sequences += item.last - item.first + 1;
    if (item.kind == TransferItem::Kind::damage) got.damages.push_back(item.damage);
    if (item.kind != TransferItem::Kind::message) continue;
    const auto& message = item.message;
    EXPECT_EQ(message.timestamp_ns, 1000 + message.sequence);
    EXPECT_EQ(message.extension.empty(), message.sequence % 3 != 0);
    got.messages.push_back(
        {message.partition,
         message.sequence,
         {reinterpret_cast<const char*>(message.payload.data()), message.payload.size()}});
  }
  // Between partitions there is no order.
  std::stable_sort(
      got.messages.begin(), got.messages.end(),
      [](const Sent& one, const Sent& other) { return one.partition < other.partition; });
  got.is_whole = reader.is_whole();
  EXPECT_EQ(reader.messages(), got.messages.size());
  return got;
}

// What is there was sent, in its order; what is not is told.
void expect_honest(const Got& got, const Written& written, const std::string& what) {
  if (got.refused) return;
  EXPECT_FALSE(got.is_whole) << what;
  auto next = got.messages.begin();
  for (const Sent& sent : written.sent) {
    if (next != got.messages.end() && *next == sent) {
      ++next;
    } else {
      EXPECT_TRUE(got.tells_loss_of(sent))
          << what << ": " << sent.partition << " " << sent.sequence << "\n"
          << got.words();
    }
  }
  EXPECT_EQ(next, got.messages.end()) << what;
}

// What is there was sent, in its order: who forges a head may lie about what is lost.
void expect_nothing_false(const Got& got, const Written& written, const std::string& what) {
  EXPECT_FALSE(got.is_whole) << what;
  auto next = got.messages.begin();
  for (const Sent& sent : written.sent) {
    if (next != got.messages.end() && *next == sent) ++next;
  }
  EXPECT_EQ(next, got.messages.end()) << what;
}

// A block's head written again with `change` in it, its checksum right.
void forge(Stream& bytes, size_t at, const std::function<void(TransferHead&)>& change) {
  TransferHead head;
  ASSERT_EQ(cli::decode_head(std::span(bytes).subspan(at, cli::transfer_head_size), head),
            cli::HeadState::good);
  change(head);
  cli::encode_head(head, bytes.data() + at);
}

TEST(TransferStream, ComesOutAsItWentIn) {
  const Written written = write_stream(7);
  for (const size_t share : {size_t{1} << 20, size_t{1000}, size_t{7}}) {
    const Got got = read_stream(written.bytes, share);
    EXPECT_TRUE(got.is_whole) << got.words();
    EXPECT_EQ(got.messages, written.sent);
    EXPECT_EQ(got.gap_sequences, 9);
  }
  EXPECT_GT(written.blocks.size(), 8);  // begin, five of messages at least, gap, end
}

TEST(TransferStream, TellsWhereItWasCutOffAndWhatIsLost) {
  const Written written = write_stream(7, 20);
  const std::span<const std::byte> bytes(written.bytes);
  for (size_t length = 0; length < bytes.size(); ++length) {
    const Got got = read_stream(bytes.first(length));
    EXPECT_EQ(got.refused.has_value(), length < written.blocks[1]) << length;
    expect_honest(got, written, "cut at " + std::to_string(length));
  }
  const Written large = write_stream(7);
  for (const size_t block : large.blocks) {
    expect_honest(read_stream(std::span<const std::byte>(large.bytes).first(block)), large,
                  "cut before the block at " + std::to_string(block));
  }
}

TEST(TransferStream, TellsEveryBitThatFlips) {
  Written written = write_stream(7, 5);
  for (size_t bit = 0; bit < written.bytes.size() * 8; ++bit) {
    written.bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const Got got = read_stream(written.bytes);
    EXPECT_EQ(got.refused.has_value(), bit / 8 < written.blocks[1]) << bit;
    expect_honest(got, written, "bit " + std::to_string(bit));
    written.bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST(TransferStream, LosesOneBlockForOneThatIsDamaged) {
  Written written = write_stream(7);
  for (size_t block = 1; block + 1 < written.blocks.size(); ++block) {
    Stream bytes = written.bytes;
    bytes[written.blocks[block] + cli::transfer_head_size - 1] ^= std::byte{1};  // of its head
    const Got got = read_stream(bytes);
    expect_honest(got, written, "block " + std::to_string(block));
    EXPECT_GE(got.messages.size() + 3, written.sent.size());
  }
}

TEST(TransferStream, TellsBlocksThatAreGoneDoubledMovedOrAnothers) {
  const Written written = write_stream(7), other = write_stream(8, 19'000);
  const auto block = [](const Written& of, size_t index) {
    const size_t end = index + 1 < of.blocks.size() ? of.blocks[index + 1] : of.bytes.size();
    return Stream(of.bytes.begin() + static_cast<ptrdiff_t>(of.blocks[index]),
                  of.bytes.begin() + static_cast<ptrdiff_t>(end));
  };
  const auto joined = [&](const std::vector<Stream>& parts) {
    Stream all;
    for (const Stream& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  std::vector<Stream> whole;
  for (size_t index = 0; index < written.blocks.size(); ++index) {
    whole.push_back(block(written, index));
  }
  for (size_t index = 1; index < whole.size(); ++index) {
    const std::string at = " " + std::to_string(index);
    auto parts = whole;
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(index));
    expect_honest(read_stream(joined(parts)), written, "gone" + at);
    parts = whole;
    parts.insert(parts.begin() + static_cast<ptrdiff_t>(index), whole[index]);
    expect_honest(read_stream(joined(parts)), written, "doubled" + at);
    parts = whole;
    parts[index] = block(other, index);
    expect_honest(read_stream(joined(parts)), written, "another's" + at);
    if (index + 1 == whole.size()) continue;
    parts = whole;
    std::swap(parts[index], parts[index + 1]);
    expect_honest(read_stream(joined(parts)), written, "moved" + at);
  }
}

TEST(TransferStream, RefusesOtherVersionsAndWhatIsNone) {
  Written written = write_stream(7, 5);
  forge(written.bytes, 0, [](TransferHead& head) { head.version = 2; });
  EXPECT_THAT(read_stream(written.bytes).refused.value().message(), HasSubstr("of version 2"));
  EXPECT_EQ(read_stream(written.bytes).refused->code(), FaultCode::version_mismatch);
  const auto text = bytes_of(
      "a text that is longer than a head would be, and none of ours at all; "
      "it goes on for a while, until it is more than 96 bytes long");
  EXPECT_THAT(read_stream(text).refused.value().message(), HasSubstr("does not begin as"));
  EXPECT_THAT(read_stream({}).refused.value().message(), HasSubstr("is empty"));
}

// Checksums that are right prove nothing of who wrote them.
TEST(TransferStream, BelievesNoForgedHead) {
  const Written written = write_stream(7, 5);
  const size_t at = written.blocks[1];
  const std::vector<std::function<void(TransferHead&)>> forgeries = {
      [](TransferHead& head) { head.body_bytes = cli::transfer_body_bytes_max; },
      [](TransferHead& head) { head.body_bytes = ~0ull; },
      [](TransferHead& head) { head.items = 1; },
      [](TransferHead& head) { head.items = 1000; },
      [](TransferHead& head) { head.partition = 9; },
      [](TransferHead& head) { head.last = ~0ull - 1; },
      [](TransferHead& head) { head.first = 1; },
      [](TransferHead& head) { head.before = head.first - 1, head.first += 1; },
      [](TransferHead& head) { head.number = ~0u; },
      [](TransferHead& head) { head.chain ^= 1; },
      [](TransferHead& head) { head.kind = cli::TransferKind::end, head.items = 0; },
      [](TransferHead& head) { head.kind = cli::TransferKind::begin; },
  };
  for (size_t index = 0; index < forgeries.size(); ++index) {
    Written forged = written;
    forge(forged.bytes, at, forgeries[index]);
    expect_nothing_false(read_stream(forged.bytes), written, "forgery " + std::to_string(index));
  }
}

TEST(TransferStream, CarriesAMessageLargerThanAnyBlock) {
  const Written written = write_stream(7, 1 << 20);
  const Got got = read_stream(written.bytes, 4096);
  EXPECT_TRUE(got.is_whole);
  EXPECT_EQ(got.messages, written.sent);
}

TEST(TransferStream, TellsWhatStandsBehindItsEnd) {
  Written written = write_stream(7, 5);
  written.bytes.push_back(std::byte{0});
  const Got got = read_stream(written.bytes);
  EXPECT_FALSE(got.is_whole);
  EXPECT_EQ(got.messages, written.sent);
}

}  // namespace
}  // namespace loopline::test
