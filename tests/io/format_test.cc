// The bytes on disk: where each field stands, what is believed, and what every field must hold.
#include "io/log/format.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "shm/base/hash.h"
#include "tests/sim/log_maker.h"

namespace loopline::io {
namespace {

using Bytes = std::vector<std::byte>;

template <class Structure>
Bytes block_of(const Structure& structure) {
  Bytes block(block_size);
  std::memcpy(block.data(), &structure, sizeof structure);
  return block;
}

SegmentHeader good_header() {
  SegmentHeader header{};
  header.magic = segment_magic;
  header.version = log_version;
  header.partition = 3;
  header.log = {{1, 2}};
  header.number = 5;
  header.epoch = 7;
  header.segment_bytes = segment_bytes_min;
  header.start = {6400, 40};
  header.durable = {64, 1};
  std::strcpy(header.factory, "main");
  std::strcpy(header.station, "orders");
  seal_bytes(header);
  return header;
}

BatchRecord good_record() {
  BatchRecord record{};
  record.magic = batch_magic;
  record.log = good_header().log;
  record.number = 5;
  record.epoch = 7;
  record.offset = batches_offset;
  record.start = {6400, 40};
  record.bytes = 128;
  record.count = 2;
  record.kind = BatchKind::frames;
  record.durable = {64, 1};
  seal_bytes(record);
  return record;
}

Manifest good_manifest() {
  Manifest manifest{};
  manifest.magic = manifest_magic;
  manifest.version = log_version;
  manifest.epoch = 7;
  manifest.segment_bytes = segment_bytes_min;
  manifest.first_number = 1;
  manifest.first = {64, 1};
  manifest.durable = {6400, 40};
  seal_bytes(manifest);
  return manifest;
}

SegmentFooter good_footer() {
  SegmentFooter footer{};
  footer.log = good_header().log;
  footer.number = 5;
  footer.epoch = 7;
  footer.end_offset = batches_offset + 2 * block_size;
  footer.end = {6528, 42};
  return footer;
}
std::vector<IndexEntry> good_entries() {
  return {{batches_offset, {6400, 40}, 0}, {batches_offset + block_size, {6464, 41}, 0}};
}
Bytes footer_block(const SegmentFooter& footer, const std::vector<IndexEntry>& entries) {
  Bytes block(footer_bytes(segment_bytes_min));
  write_footer(footer, entries, block);
  return block;
}

// What is said of a good structure to which this was done, its checksum right again.
template <class Structure, class Change, class Read>
std::string why_not(Structure structure, Change&& change, Read&& read) {
  change(structure);
  seal_bytes(structure);
  std::string why;
  const bool is_read = read(block_of(structure), why).has_value();
  EXPECT_EQ(is_read, why.empty());
  return why;
}
std::string header_with(void (*change)(SegmentHeader&)) {
  return why_not(good_header(), change, read_header);
}
std::string manifest_with(void (*change)(Manifest&)) {
  return why_not(good_manifest(), change, read_manifest);
}
std::string record_with(void (*change)(BatchRecord&), uint64_t at = batches_offset) {
  return why_not(good_record(), change, [at](const Bytes& block, std::string& why) {
    return read_record(block, good_header(), at, why);
  });
}
std::string footer_with(void (*change)(SegmentFooter&, std::vector<IndexEntry>&)) {
  SegmentFooter footer = good_footer();
  std::vector<IndexEntry> entries = good_entries();
  change(footer, entries);
  std::string why;
  const bool is_read = read_footer(footer_block(footer, entries), good_header(), why).has_value();
  EXPECT_EQ(is_read, why.empty());
  return why;
}

const std::string senseless = "its numbers make no sense";

TEST(Format, StandsWhereItIsDocumented) {
  EXPECT_EQ(std::memcmp(&segment_magic, "LOOPSEGM", 8), 0);
  EXPECT_EQ(std::memcmp(&batch_magic, "LOOPBTCH", 8), 0);
  EXPECT_EQ(std::memcmp(&footer_magic, "LOOPFOOT", 8), 0);
  EXPECT_EQ(std::memcmp(&manifest_magic, "LOOPMANI", 8), 0);
  EXPECT_EQ(offsetof(SegmentHeader, version), 16u);
  EXPECT_EQ(offsetof(SegmentHeader, number), 40u);
  EXPECT_EQ(offsetof(SegmentHeader, start), 64u);
  EXPECT_EQ(offsetof(SegmentHeader, factory), 120u);
  EXPECT_EQ(offsetof(BatchRecord, offset), 64u);
  EXPECT_EQ(offsetof(BatchRecord, bytes), 88u);
  EXPECT_EQ(offsetof(BatchRecord, durable), 112u);
  EXPECT_EQ(offsetof(SegmentFooter, end), 56u);
  EXPECT_EQ(offsetof(SegmentFooter, entry_count), 124u);
  EXPECT_EQ(offsetof(Manifest, first_number), 64u);
  EXPECT_EQ(offsetof(Manifest, durable), 88u);
  EXPECT_EQ(batches_offset, 8192u);
  EXPECT_EQ(footer_offset(64 << 10), (64u << 10) - 4096);
  EXPECT_EQ(batch_bytes(4096 - 192), 4096u);
  EXPECT_EQ(batch_bytes(4096 - 191), 8192u);
  EXPECT_FALSE(is_segment_size((64 << 10) - block_size));
  EXPECT_FALSE(is_segment_size((64 << 10) + 1));
  EXPECT_TRUE(is_segment_size((64 << 10) + block_size));
}

TEST(Format, IsReadAsItWasWritten) {
  EXPECT_EQ(header_with([](SegmentHeader&) {}), "");
  EXPECT_EQ(record_with([](BatchRecord&) {}), "");
  EXPECT_EQ(manifest_with([](Manifest&) {}), "");
  EXPECT_EQ(footer_with([](SegmentFooter&, std::vector<IndexEntry>&) {}), "");
  std::string why;
  const auto header = read_header(block_of(good_header()), why);
  EXPECT_EQ(header->start, (LogPlace{6400, 40}));
  EXPECT_STREQ(header->station, "orders");
  const auto index = read_footer(footer_block(good_footer(), good_entries()), good_header(), why);
  ASSERT_EQ(index->entries.size(), 2u);
  EXPECT_EQ(index->entries[1].start, (LogPlace{6464, 41}));
}

TEST(Format, EachFieldOfAHeaderIsChecked) {
  EXPECT_EQ(header_with([](auto& h) { h.magic = batch_magic; }), "there is none");
  EXPECT_EQ(header_with([](auto& h) { h.version = 9; }),
            "it is of version 9, this program reads version 1");
  EXPECT_EQ(header_with([](auto& h) { h.partition = shm::partitions_max; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.number = 0; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.epoch = 0; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.segment_bytes = 4096; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.segment_bytes = ~0ull & ~4095ull; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.start.position = 65; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.start.position = ~63ull; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.start.sequence = 0; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { h.durable.position = 6464; }), senseless);
  EXPECT_EQ(header_with([](auto& h) { std::memset(h.station, 'x', sizeof h.station); }), senseless);
}

TEST(Format, EachFieldOfARecordIsChecked) {
  const std::string stranger = "it belongs to another log, segment or place";
  EXPECT_EQ(record_with([](auto& r) { r.magic = segment_magic; }), "there is none");
  EXPECT_EQ(record_with([](auto& r) { r.log.words[1] = 3; }), stranger);
  EXPECT_EQ(record_with([](auto& r) { r.number = 6; }), stranger);
  EXPECT_EQ(record_with([](auto& r) { r.epoch = 6; }), stranger);
  EXPECT_EQ(record_with([](auto&) {}, batches_offset + block_size), stranger);
  EXPECT_EQ(record_with([](auto& r) { r.offset = 0; }, 0), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.kind = static_cast<BatchKind>(2); }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.start.position = 0; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.bytes = 0; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.bytes = 129; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.bytes = 64 << 10; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.bytes = ~63ull; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.count = 0; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.count = 1000; }), senseless);
  EXPECT_EQ(record_with([](auto& r) { r.durable.position = 6464; }), senseless);
}

TEST(Format, EachFieldOfAManifestIsChecked) {
  EXPECT_EQ(manifest_with([](auto& m) { m.version = 2; }),
            "it is of version 2, this program reads version 1");
  EXPECT_EQ(manifest_with([](auto& m) { m.segment_bytes = 1; }), senseless);
  EXPECT_EQ(manifest_with([](auto& m) { m.epoch = 0; }), senseless);
  EXPECT_EQ(manifest_with([](auto& m) { m.first_number = 0; }), senseless);
  EXPECT_EQ(manifest_with([](auto& m) { m.first.position = 1; }), senseless);
  EXPECT_EQ(manifest_with([](auto& m) { m.first.position = 12800; }), senseless);
  EXPECT_EQ(manifest_with([](auto& m) { m.durable.sequence = 0; }), senseless);
}

TEST(Format, EachFieldOfAFooterIsChecked) {
  const std::string stranger = "it belongs to another log or segment";
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.log.words[0] = 9; }), stranger);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.number = 6; }), stranger);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.epoch = 6; }), senseless);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.end = {64, 1}; }), senseless);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.end = {6528, 39}; }), senseless);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.end_offset = block_size; }), senseless);
  EXPECT_EQ(footer_with([](auto& f, auto&) { f.end_offset = 64 << 10; }), senseless);
  EXPECT_EQ(footer_with([](auto&, auto& e) { e[1].offset = e[0].offset; }), senseless);
  EXPECT_EQ(footer_with([](auto&, auto& e) { e[1].offset += 8; }), senseless);
  EXPECT_EQ(footer_with([](auto&, auto& e) { e[1].offset = 64 << 10; }), senseless);
  EXPECT_EQ(footer_with([](auto&, auto& e) { e[0].start.position = 1; }), senseless);
}

TEST(Format, NoBitOfAStructureMayDiffer) {
  std::string why;
  const auto flipped = [](Bytes block, size_t bit) {
    block[bit / 8] ^= std::byte{1} << (bit % 8);
    return block;
  };
  for (size_t bit = 0; bit < sizeof(SegmentHeader) * 8; ++bit) {
    ASSERT_FALSE(read_header(flipped(block_of(good_header()), bit), why)) << bit;
  }
  for (size_t bit = 0; bit < sizeof(BatchRecord) * 8; ++bit) {
    const Bytes block = flipped(block_of(good_record()), bit);
    ASSERT_FALSE(read_record(block, good_header(), batches_offset, why)) << bit;
  }
  for (size_t bit = 0; bit < sizeof(Manifest) * 8; ++bit) {
    ASSERT_FALSE(read_manifest(flipped(block_of(good_manifest()), bit), why)) << bit;
  }
  const Bytes footer = footer_block(good_footer(), good_entries());
  for (size_t bit = 0; bit < (sizeof(SegmentFooter) + 2 * sizeof(IndexEntry)) * 8; ++bit) {
    ASSERT_FALSE(read_footer(flipped(footer, bit), good_header(), why)) << bit;
  }
}

TEST(Format, FramesAreAChainOfTheirPlaces) {
  Bytes frames = sim::make_frame({6400, 40}, 10, 0, 0);
  const Bytes second = sim::make_frame({6400 + frames.size(), 41}, 100, 0, 0);
  frames.insert(frames.end(), second.begin(), second.end());
  BatchRecord record = good_record();
  record.bytes = frames.size();
  record.frames_hash = hash64(frames);
  EXPECT_EQ(check_frames(record, frames), "");
  EXPECT_EQ(check_frames(record, std::span(frames).first(64)), "it is cut short");
  const auto with = [&](LogPlace start, uint32_t count) {
    BatchRecord other = record;
    other.start = start;
    other.count = count;
    return check_frames(other, frames);
  };
  const std::string no_chain = "its frames make no chain";
  EXPECT_EQ(with({6400, 40}, 1), no_chain);
  EXPECT_EQ(with({6400, 40}, 3), no_chain);
  EXPECT_EQ(with({6400, 41}, 2), no_chain);
  EXPECT_EQ(with({6464, 40}, 2), no_chain);
  frames[40] ^= std::byte{1};
  EXPECT_EQ(check_frames(record, frames), "the checksum of its frames is wrong");
}

}  // namespace
}  // namespace loopline::io
