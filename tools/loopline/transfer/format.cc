// Format: blocks to bytes and back; whatever the bytes are, each call ends with a value or nothing.
#include "format.h"

#include <cstring>

#include "shm/base/hash.h"
#include "shm/extension.h"
#include "shm/name.h"

namespace loopline::cli {
namespace {

// Little-endian, as this processor keeps them.
template <class Value>
void put(std::byte* to, size_t offset, Value value) {
  std::memcpy(to + offset, &value, sizeof value);
}

template <class Value>
Value get(std::span<const std::byte> bytes, size_t offset) {
  Value value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

constexpr size_t hashed_from = 16;

// Appends `size` zeros and says where they begin.
std::byte* more(std::vector<std::byte>& to, size_t size) {
  to.resize(to.size() + size);
  return to.data() + to.size() - size;
}

bool is_kind(uint16_t kind) { return kind >= 1 && kind <= 4; }

// Whether its fields go together, once the checksum is right.
bool makes_sense(const TransferHead& head) {
  if (head.body_bytes > transfer_body_bytes_max || head.partition >= transfer_partitions_max ||
      head.number == ~0u) {
    return false;
  }
  switch (head.kind) {
    case TransferKind::begin:
      return head.number == 0 && head.chain == 0 && head.items == 0;
    case TransferKind::messages:
      return head.number != 0 && head.items != 0 && head.before < head.first &&
             head.first <= head.last && head.last != ~0ull &&
             head.items - 1 <= head.last - head.first &&
             head.body_bytes / transfer_record_size >= head.items;
    case TransferKind::gap:
      return head.number != 0 && head.items == 0 && head.before < head.first &&
             head.first <= head.last && head.last != ~0ull && head.body_bytes == 0;
    case TransferKind::end:
      return head.number != 0 && head.items == 0;
  }
  return false;
}

constexpr size_t begin_fixed_size = 24;
constexpr size_t begin_range_size = 24;
constexpr size_t end_fixed_size = 32;
constexpr size_t end_partition_size = 16;

}  // namespace

void encode_head(TransferHead& head, std::byte* to) {
  std::memset(to, 0, transfer_head_size);
  put(to, 0, transfer_magic);
  put(to, 16, head.body_hash);
  put(to, 24, head.chain);
  put(to, 32, head.stream);
  put(to, 40, head.body_bytes);
  put(to, 48, head.number);
  put(to, 52, head.version);
  put(to, 54, static_cast<uint16_t>(head.kind));
  put(to, 56, head.items);
  put(to, 60, head.partition);
  put(to, 64, head.first);
  put(to, 72, head.last);
  put(to, 80, head.before);
  head.hash = hash64(to + hashed_from, transfer_head_size - hashed_from);
  put(to, 8, head.hash);
}

HeadState decode_head(std::span<const std::byte> bytes, TransferHead& head) {
  if (get<uint64_t>(bytes, 0) != transfer_magic) return HeadState::no_magic;
  head.hash = get<uint64_t>(bytes, 8);
  if (hash64(bytes.data() + hashed_from, transfer_head_size - hashed_from) != head.hash) {
    return HeadState::damaged;
  }
  head.version = get<uint16_t>(bytes, 52);
  if (head.version != transfer_version) return HeadState::other_version;
  const auto kind = get<uint16_t>(bytes, 54);
  if (!is_kind(kind) || get<uint64_t>(bytes, 88) != 0) return HeadState::senseless;
  head.kind = static_cast<TransferKind>(kind);
  head.body_hash = get<uint64_t>(bytes, 16);
  head.chain = get<uint64_t>(bytes, 24);
  head.stream = get<uint64_t>(bytes, 32);
  head.body_bytes = get<uint64_t>(bytes, 40);
  head.number = get<uint32_t>(bytes, 48);
  head.items = get<uint32_t>(bytes, 56);
  head.partition = get<uint32_t>(bytes, 60);
  head.first = get<uint64_t>(bytes, 64);
  head.last = get<uint64_t>(bytes, 72);
  head.before = get<uint64_t>(bytes, 80);
  return makes_sense(head) ? HeadState::good : HeadState::senseless;
}

// +0 u64 taken, +8 u32 partitions, +12 u32 storage, +16 u32 bytes of the name, +20 u32 of the
// parameters, then u64 {first, begins, until} of each partition, the name, the parameters.
void encode_begin(const TransferBegin& begin, std::vector<std::byte>& to) {
  const size_t ranges = begin.partitions.size() * begin_range_size;
  std::byte* at =
      more(to, begin_fixed_size + ranges + begin.station.size() + begin.parameters.size());
  put(at, 0, begin.taken_ns);
  put(at, 8, static_cast<uint32_t>(begin.partitions.size()));
  put(at, 12, uint32_t{begin.is_file ? 1u : 0u});
  put(at, 16, static_cast<uint32_t>(begin.station.size()));
  put(at, 20, static_cast<uint32_t>(begin.parameters.size()));
  at += begin_fixed_size;
  for (const auto& range : begin.partitions) {
    put(at, 0, range.first);
    put(at, 8, range.begins);
    put(at, 16, range.until);
    at += begin_range_size;
  }
  std::memcpy(at, begin.station.data(), begin.station.size());
  std::memcpy(at + begin.station.size(), begin.parameters.data(), begin.parameters.size());
}

std::optional<TransferBegin> decode_begin(std::span<const std::byte> body) {
  if (body.size() < begin_fixed_size) return {};
  TransferBegin begin;
  begin.taken_ns = get<uint64_t>(body, 0);
  const auto partitions = get<uint32_t>(body, 8);
  const auto storage = get<uint32_t>(body, 12);
  const auto name_bytes = get<uint32_t>(body, 16);
  const auto text_bytes = get<uint32_t>(body, 20);
  if (partitions == 0 || partitions > transfer_partitions_max || storage > 1) return {};
  if (text_bytes > transfer_text_bytes_max || name_bytes > transfer_text_bytes_max) return {};
  const size_t size =
      begin_fixed_size + size_t{partitions} * begin_range_size + name_bytes + text_bytes;
  if (body.size() != size) return {};
  begin.is_file = storage == 1;
  for (uint32_t index = 0; index < partitions; ++index) {
    const size_t at = begin_fixed_size + index * begin_range_size;
    const TransferBegin::Range range{get<uint64_t>(body, at), get<uint64_t>(body, at + 8),
                                     get<uint64_t>(body, at + 16)};
    if (range.first == 0 || range.until == 0 || range.begins == ~0ull) return {};
    if (range.first > range.begins) return {};
    begin.partitions.push_back(range);
  }
  const auto* text = reinterpret_cast<const char*>(body.data() + size - text_bytes - name_bytes);
  begin.station.assign(text, name_bytes);
  begin.parameters.assign(text + name_bytes, text_bytes);
  if (!shm::parse_station_name(begin.station)) return {};
  return begin;
}

void encode_end(const TransferEnd& end, std::vector<std::byte>& to) {
  std::byte* at = more(to, end_fixed_size + end.partitions.size() * end_partition_size);
  put(at, 0, end.messages);
  put(at, 8, end.payload_bytes);
  put(at, 16, end.gaps);
  put(at, 24, end.missing);
  at += end_fixed_size;
  for (const auto& partition : end.partitions) {
    put(at, 0, partition.last);
    put(at, 8, partition.messages);
    at += end_partition_size;
  }
}

std::optional<TransferEnd> decode_end(std::span<const std::byte> body, size_t partitions) {
  if (body.size() != end_fixed_size + partitions * end_partition_size) return {};
  TransferEnd end;
  end.messages = get<uint64_t>(body, 0);
  end.payload_bytes = get<uint64_t>(body, 8);
  end.gaps = get<uint64_t>(body, 16);
  end.missing = get<uint64_t>(body, 24);
  for (size_t at = end_fixed_size; at < body.size(); at += end_partition_size) {
    end.partitions.push_back({get<uint64_t>(body, at), get<uint64_t>(body, at + 8)});
    if (end.partitions.back().last == ~0ull) return {};
  }
  return end;
}

// +0 u64 sequence, +8 u64 time stamp, +16 u32 bytes of the extension, +20 u32 of the payload, both.
void encode_record(const TransferMessage& message, std::vector<std::byte>& to) {
  const size_t extension = message.extension.size(), payload = message.payload.size();
  std::byte* const at = more(to, transfer_record_size + extension + payload);
  put(at, 0, message.sequence);
  put(at, 8, message.timestamp_ns);
  put(at, 16, static_cast<uint32_t>(extension));
  put(at, 20, static_cast<uint32_t>(payload));
  if (extension != 0) {
    std::memcpy(at + transfer_record_size, message.extension.data(), extension);
  }
  if (payload != 0) {
    std::memcpy(at + transfer_record_size + extension, message.payload.data(), payload);
  }
}

std::optional<TransferMessage> decode_record(std::span<const std::byte>& body) {
  if (body.size() < transfer_record_size) return {};
  TransferMessage message;
  message.sequence = get<uint64_t>(body, 0);
  message.timestamp_ns = get<uint64_t>(body, 8);
  const uint64_t extension = get<uint32_t>(body, 16);
  const uint64_t payload = get<uint32_t>(body, 20);
  const auto rest = body.subspan(transfer_record_size);
  if (rest.size() < extension + payload) return {};
  message.extension = rest.first(extension);
  message.payload = rest.subspan(extension, payload);
  if (extension != 0) {
    const auto view = shm::ExtensionView::parse(message.extension);
    if (!view || view->size() != extension) return {};
  }
  body = rest.subspan(extension + payload);
  return message;
}

}  // namespace loopline::cli
