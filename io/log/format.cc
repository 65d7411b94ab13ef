// Format: writing and believing the structures on disk; nothing else decides what is valid.
#include "format.h"

#include <cstring>
#include <vector>

#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace loopline::io {
namespace {

// Each structure's hash is that of its bytes with the hash field zero.
template <class Structure>
uint64_t hash_of(Structure structure) {
  structure.hash = 0;
  return hash64(&structure, sizeof structure);
}

template <class Structure>
Structure load(std::span<const std::byte> bytes) {
  Structure structure{};
  std::memcpy(&structure, bytes.data(), sizeof structure);
  return structure;
}

// Magic and hash, which every structure has.
template <class Structure>
std::optional<Structure> load_whole(std::span<const std::byte> bytes, uint64_t magic,
                                    std::string& why) {
  why = "it is too short";
  if (bytes.size() < sizeof(Structure)) return {};
  const auto structure = load<Structure>(bytes);
  why = "there is none";
  if (structure.magic != magic) return {};
  why = "its checksum is wrong";
  if (structure.hash != hash_of(structure)) return {};
  return structure;
}

bool is_text(const char (&text)[64]) { return std::memchr(text, 0, sizeof text) != nullptr; }

bool is_place(LogPlace place) {
  return place.position >= shm::unit_size && place.position % shm::unit_size == 0 &&
         place.position <= 2 * shm::position_max && place.sequence != 0;
}

std::string version_text(uint32_t version) {
  return "it is of version " + std::to_string(version) + ", this program reads version " +
         std::to_string(log_version);
}

uint64_t footer_hash(SegmentFooter footer, std::span<const IndexEntry> entries) {
  footer.hash = 0;
  return hash64(entries.data(), entries.size_bytes(), hash64(&footer, sizeof footer));
}

}  // namespace

LogId log_of_partition(const LogId& station, uint32_t partition) {
  if (partition == 0) return station;
  const uint64_t words[] = {station.words[0], station.words[1], partition};
  return {{station.words[0], hash64(words, sizeof words)}};
}

void seal_bytes(SegmentHeader& header) { header.hash = hash_of(header); }
void seal_bytes(BatchRecord& record) { record.hash = hash_of(record); }
void seal_bytes(Manifest& manifest) { manifest.hash = hash_of(manifest); }
void seal_bytes(PurgeMark& mark) { mark.hash = hash_of(mark); }

void write_footer(SegmentFooter footer, std::span<const IndexEntry> entries,
                  std::span<std::byte> block) {
  footer.magic = footer_magic;
  footer.entry_count = static_cast<uint32_t>(entries.size());
  footer.hash = footer_hash(footer, entries);
  LL_CHECK(sizeof footer + entries.size_bytes() <= block.size());
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), &footer, sizeof footer);
  if (entries.empty()) return;
  std::memcpy(block.data() + sizeof footer, entries.data(), entries.size_bytes());
}

std::optional<SegmentHeader> read_header(std::span<const std::byte> block, std::string& why) {
  const auto header = load_whole<SegmentHeader>(block, segment_magic, why);
  if (!header) return {};
  why = version_text(header->version);
  if (header->version != log_version) return {};
  why = "its numbers make no sense";
  if (!is_segment_size(header->segment_bytes) || !is_place(header->start)) return {};
  if (!is_place(header->durable) || header->durable.position > header->start.position) return {};
  if (header->number == 0 || header->epoch == 0 || header->partition >= shm::partitions_max)
    return {};
  if (!is_text(header->factory) || !is_text(header->station)) return {};
  why.clear();
  return header;
}

std::optional<BatchRecord> read_record(std::span<const std::byte> block,
                                       const SegmentHeader& segment, uint64_t at,
                                       std::string& why) {
  const auto record = load_whole<BatchRecord>(block, batch_magic, why);
  if (!record) return {};
  why = "it belongs to another log, segment or place";
  if (record->log != segment.log || record->number != segment.number || record->offset != at) {
    return {};
  }
  if (record->epoch < segment.epoch) return {};
  why = "its numbers make no sense";
  if (record->kind != BatchKind::frames || !is_place(record->start)) return {};
  if (!is_place(record->durable) || record->durable.position > record->start.position) return {};
  if (record->bytes == 0 || record->bytes % shm::unit_size != 0 || record->count == 0) return {};
  if (at < batches_offset || at % block_size != 0) return {};
  const uint64_t end = footer_offset(segment.segment_bytes);
  if (at > end || record->bytes > end - at || batch_bytes(record->bytes) > end - at) return {};
  if (record->count > record->bytes / shm::unit_size) return {};
  why.clear();
  return record;
}

std::optional<Manifest> read_manifest(std::span<const std::byte> block, std::string& why) {
  const auto manifest = load_whole<Manifest>(block, manifest_magic, why);
  if (!manifest) return {};
  why = version_text(manifest->version);
  if (manifest->version != log_version) return {};
  why = "its numbers make no sense";
  if (!is_segment_size(manifest->segment_bytes) || manifest->epoch == 0) return {};
  if (!is_place(manifest->first) || !is_place(manifest->durable)) return {};
  if (manifest->first.position > manifest->durable.position || manifest->first_number == 0)
    return {};
  why.clear();
  return manifest;
}

std::optional<PurgeMark> read_purge_mark(std::span<const std::byte> block, std::string& why) {
  const auto mark = load_whole<PurgeMark>(block, purge_magic, why);
  if (!mark) return {};
  why = version_text(mark->version);
  if (mark->version != log_version) return {};
  why = "its numbers make no sense";
  if (!is_place(mark->place)) return {};
  why.clear();
  return mark;
}

std::optional<Index> read_footer(std::span<const std::byte> blocks, const SegmentHeader& segment,
                                 std::string& why) {
  why = "it is too short";
  if (blocks.size() < sizeof(SegmentFooter)) return {};
  Index index;
  index.footer = load<SegmentFooter>(blocks);
  const SegmentFooter& footer = index.footer;
  why = "there is none";
  if (footer.magic != footer_magic) return {};
  why = "it belongs to another log or segment";
  if (footer.log != segment.log || footer.number != segment.number) return {};
  why = "its checksum is wrong";
  if (footer.entry_count > (blocks.size() - sizeof footer) / sizeof(IndexEntry)) return {};
  index.entries.resize(footer.entry_count);
  if (footer.entry_count != 0) {
    std::memcpy(index.entries.data(), blocks.data() + sizeof footer,
                footer.entry_count * sizeof(IndexEntry));
  }
  if (footer.hash != footer_hash(footer, index.entries)) return {};
  why = "its numbers make no sense";
  if (!is_place(footer.end) || footer.end.position < segment.start.position) return {};
  if (footer.end.sequence < segment.start.sequence || footer.epoch < segment.epoch) return {};
  if (footer.end_offset < batches_offset || footer.end_offset % block_size != 0) return {};
  if (footer.end_offset > footer_offset(segment.segment_bytes)) return {};
  uint64_t before = 0;
  for (const IndexEntry& entry : index.entries) {
    if (entry.offset <= before || entry.offset >= footer.end_offset) return {};
    if (entry.offset % block_size != 0 || !is_place(entry.start)) return {};
    before = entry.offset;
  }
  why.clear();
  return index;
}

std::optional<FrameOnDisk> read_frame(std::span<const std::byte> bytes, LogPlace at) {
  if (bytes.size() < shm::frame_header_size) return {};
  uint64_t fields[4];  // as in shm::FrameHeader
  std::memcpy(fields, bytes.data(), sizeof fields);
  FrameOnDisk frame;
  frame.at = at;
  frame.word = fields[0];
  frame.meta = fields[1];
  frame.timestamp = fields[3];
  frame.bytes = shm::frame_size(shm::meta_body(frame.meta));
  frame.body = bytes.data() + shm::frame_header_size;
  if (!shm::carries_tag(frame.word, at.position) || fields[2] != at.sequence) return {};
  if (frame.bytes > bytes.size()) return {};
  return frame;
}

bool make_chain(std::span<const std::byte> frames, LogPlace start, uint32_t count) {
  LogPlace at = start;
  for (uint32_t index = 0; index < count; ++index) {
    const auto frame = read_frame(frames.subspan(at.position - start.position), at);
    if (!frame) return false;
    at = {at.position + frame->bytes, at.sequence + 1};
  }
  return at.position - start.position == frames.size();
}

std::string check_frames(const BatchRecord& record, std::span<const std::byte> frames) {
  if (frames.size() != record.bytes) return "it is cut short";
  if (hash64(frames) != record.frames_hash) return "the checksum of its frames is wrong";
  if (!make_chain(frames, record.start, record.count)) return "its frames make no chain";
  return {};
}

}  // namespace loopline::io
