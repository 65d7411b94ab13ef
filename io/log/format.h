// Format: the bytes of a log on disk: segment, batch, footer, manifest, purge; all little-endian.
//
//   a segment, `segment_bytes` long, in blocks of 4 KiB
//   +----------+----------+---------+---------+--- - - ---+------------------------+
//   | header   | header   | batch   | batch   |           | footer: sparse index,  |
//   |          | again    |         |         |           | once it is sealed      |
//   +----------+----------+---------+---------+--- - - ---+------------------------+
//   0          4096       8192                            segment_bytes - footer_bytes
//
//   a batch, whole blocks:  | BatchRecord, 192 | frames as they stood in the ring | zeros |
//
// A batch is what one synced write makes durable. Its record stands in front, so that a reader
// knows after one block how much follows; it holds a hash of its frames, and one of itself that the
// next record repeats (a chain). The first write of a segment carries the header with it.
//
// What tells a batch of now from one that stood here before: the log's uuid, the segment's number
// (never used twice by one epoch) and the epoch (one more at each opening of the log for writing).
//
// Invariants
//   F1  A segment's batches follow each other by position, sequence and chain, from its header's.
//   F2  Where the positions of two segments overlap, the one with the higher number is right: a
//       recovery that cut the log began it.
//   F3  `durable` of whatever was written is a place up to which the log was durable before that
//       was issued: it proves that what is missing in front of it was once there.
//   F4  `time_mark` is the newest time stamp of the log up to here: it never falls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/bits.h"
#include "shm/layout.h"

namespace loopline::io {

constexpr uint32_t log_version = 1;
constexpr uint64_t block_size = 4096;
constexpr uint64_t segment_magic = 0x4d474553'504f4f4c;   // "LOOPSEGM" as bytes
constexpr uint64_t batch_magic = 0x48435442'504f4f4c;     // "LOOPBTCH"
constexpr uint64_t footer_magic = 0x544f4f46'504f4f4c;    // "LOOPFOOT"
constexpr uint64_t manifest_magic = 0x494e414d'504f4f4c;  // "LOOPMANI"
constexpr uint64_t purge_magic = 0x47525550'504f4f4c;     // "LOOPPURG"

constexpr uint64_t segment_bytes_min = 64u << 10;
constexpr uint64_t segment_bytes_max = 1u << 30;
constexpr uint64_t index_step = 64u << 10;  // an entry of the index for so many bytes at the most

// Where a frame begins: its position in the log (and in the ring), and its number.
struct LogPlace {
  uint64_t position = 0;
  uint64_t sequence = 0;
  bool operator==(const LogPlace&) const = default;
};

// Which log this is, whatever its files are called.
struct LogId {
  uint64_t words[2] = {0, 0};
  bool operator==(const LogId&) const = default;
};
// That of a partition: of the first the station's own, of each other one made from it. A file that
// was a segment of one becomes a segment of another (spares), and is not to be taken for one before
// it is begun anew.
LogId log_of_partition(const LogId& station, uint32_t partition);

struct SegmentHeader {
  uint64_t magic;
  uint64_t hash;  // XXH3 of this struct with this field zero; so in all of them
  uint32_t version;
  uint32_t partition;
  LogId log;
  uint64_t number;
  uint64_t epoch;
  uint64_t segment_bytes;
  LogPlace start;      // of the first frame
  uint64_t chain;      // the hash of the record before; 0: none
  uint64_t time_mark;  // F4
  LogPlace durable;    // F3
  uint64_t begun_ns;   // UTC
  char factory[64];
  char station[64];
};
static_assert(sizeof(SegmentHeader) == 248 && sizeof(SegmentHeader) <= block_size);

enum class BatchKind : uint32_t { frames = 1 };

struct BatchRecord {
  uint64_t magic;
  uint64_t hash;         // of this record: the next one's `chain`
  uint64_t frames_hash;  // XXH3 of the frames
  uint64_t chain;
  LogId log;
  uint64_t number;
  uint64_t epoch;
  uint64_t offset;  // in the segment, of this record: a batch written elsewhere is none
  LogPlace start;
  uint64_t bytes;  // of the frames
  uint32_t count;  // of the frames
  BatchKind kind;
  uint64_t ring;           // which ring they come from: the first half of its uuid
  LogPlace durable;        // F3
  uint64_t timestamp_min;  // of its messages, 0: none has one
  uint64_t timestamp_max;
  uint64_t time_mark;
  uint64_t issued_ns;  // UTC
  uint64_t reserved[4];
};
static_assert(sizeof(BatchRecord) == 192 && sizeof(BatchRecord) % shm::unit_size == 0);

// One step of the sparse index: a batch, and the time mark in front of it.
struct IndexEntry {
  uint64_t offset = 0;
  LogPlace start;
  uint64_t time_mark = 0;
};
static_assert(sizeof(IndexEntry) == 32);

struct SegmentFooter {
  uint64_t magic;
  uint64_t hash;  // of this struct and the entries behind it
  LogId log;
  uint64_t number;
  uint64_t epoch;
  uint64_t end_offset;  // behind the last batch
  LogPlace end;
  uint64_t chain;  // the last record's hash
  uint64_t timestamp_min;
  uint64_t timestamp_max;
  uint64_t time_mark;
  uint64_t sealed_ns;  // UTC
  uint64_t ring;       // of the last batch
  uint32_t batch_count;
  uint32_t entry_count;
};
static_assert(sizeof(SegmentFooter) == 128);

// What must be known of a log before its segments are looked at. Two blocks in a file of its own,
// written in turn, so that one of them is always whole.
struct Manifest {
  uint64_t magic;
  uint64_t hash;
  uint32_t version;
  uint32_t is_closed;  // nothing was in flight: the last segment goes on at `end_offset`
  LogId log;
  uint64_t counter;  // the higher one is the newer
  uint64_t epoch;    // of who writes, or wrote last
  uint64_t segment_bytes;
  uint64_t first_number;  // segments with a smaller number were dropped by retention
  LogPlace first;         // where the log begins now
  LogPlace durable;       // of the log when this was written
  uint64_t last_number;   // of the segment that holds its end; 0: none yet
  uint64_t end_offset;    // there; 0: its footer says
  uint64_t chain;
  uint64_t time_mark;
  uint64_t written_ns;  // UTC
};
static_assert(sizeof(Manifest) == 144);

// The station was purged: what stands before `place` counts as dropped. A file of its own.
struct PurgeMark {
  uint64_t magic;
  uint64_t hash;
  uint32_t version;
  uint32_t unused;  // 0
  LogId log;
  LogPlace place;
  uint64_t purged_ns;  // UTC
};
static_assert(sizeof(PurgeMark) == 64);

constexpr uint64_t batches_offset = 2 * block_size;
constexpr uint64_t index_entries_max(uint64_t segment_bytes) {
  return segment_bytes / index_step + 1;
}
constexpr uint64_t footer_bytes(uint64_t segment_bytes) {
  return round_up(sizeof(SegmentFooter) + index_entries_max(segment_bytes) * sizeof(IndexEntry),
                  block_size);
}
constexpr uint64_t footer_offset(uint64_t segment_bytes) {
  return segment_bytes - footer_bytes(segment_bytes);
}
// On disk, of a batch with so many bytes of frames.
constexpr uint64_t batch_bytes(uint64_t frames) {
  return round_up(sizeof(BatchRecord) + frames, block_size);
}
// The largest frame a segment has room for, and the body of a message in it.
constexpr uint64_t frame_bytes_max(uint64_t segment_bytes) {
  return footer_offset(segment_bytes) - batches_offset - sizeof(BatchRecord);
}
constexpr uint64_t body_bytes_max(uint64_t segment_bytes) {
  return (frame_bytes_max(segment_bytes) & ~(shm::unit_size - 1)) - shm::frame_header_size;
}
constexpr bool is_segment_size(uint64_t bytes) {
  return bytes >= segment_bytes_min && bytes <= segment_bytes_max && bytes % block_size == 0;
}

// Fill in the hash, once all else is there.
void seal_bytes(SegmentHeader& header);
void seal_bytes(BatchRecord& record);
void seal_bytes(Manifest& manifest);
void seal_bytes(PurgeMark& mark);
// `footer` with `entries` behind it into `block`, which holds footer_bytes().
void write_footer(SegmentFooter footer, std::span<const IndexEntry> entries,
                  std::span<std::byte> block);

// What the bytes hold, if they are whole: magic, version, hash, and every number within its bounds.
// `why` says what is wrong with them otherwise.
std::optional<SegmentHeader> read_header(std::span<const std::byte> block, std::string& why);
// `at` is the offset they were read from. Only the record; its frames: check_frames().
std::optional<BatchRecord> read_record(std::span<const std::byte> block,
                                       const SegmentHeader& segment, uint64_t at, std::string& why);
std::optional<Manifest> read_manifest(std::span<const std::byte> block, std::string& why);
std::optional<PurgeMark> read_purge_mark(std::span<const std::byte> block, std::string& why);
struct Index {
  SegmentFooter footer{};
  std::vector<IndexEntry> entries;
};
std::optional<Index> read_footer(std::span<const std::byte> blocks, const SegmentHeader& segment,
                                 std::string& why);

// One frame in a batch's bytes.
struct FrameOnDisk {
  LogPlace at;
  uint64_t bytes = 0;  // of the whole frame
  uint64_t word = 0;
  uint64_t meta = 0;
  uint64_t timestamp = 0;
  const std::byte* body = nullptr;
};
// The frame at the beginning of `bytes`, if it is the one that stands at `at`.
std::optional<FrameOnDisk> read_frame(std::span<const std::byte> bytes, LogPlace at);
// Whether these bytes are `count` frames back to back, the first of which stands at `start`.
bool make_chain(std::span<const std::byte> frames, LogPlace start, uint32_t count);
// Hash and chain of frames; what is wrong with them, empty: nothing.
std::string check_frames(const BatchRecord& record, std::span<const std::byte> frames);

}  // namespace loopline::io
