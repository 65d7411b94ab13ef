// LogMaker: frames, batches, headers, footers and manifests, put where the format says.
#include "log_maker.h"

#include <algorithm>
#include <cstring>

#include "random.h"
#include "shm/base/check.h"
#include "shm/base/hash.h"

namespace loopline::sim {
namespace {

template <class Structure>
void put(std::vector<std::byte>& bytes, uint64_t offset, const Structure& structure) {
  LL_CHECK(offset + sizeof structure <= bytes.size());
  std::memcpy(bytes.data() + offset, &structure, sizeof structure);
}

template <class Structure>
Structure get(const std::vector<std::byte>& bytes, uint64_t offset) {
  Structure structure{};
  std::memcpy(&structure, bytes.data() + offset, sizeof structure);
  return structure;
}

}  // namespace

std::vector<std::byte> make_frame(io::LogPlace at, uint64_t body_bytes, uint64_t timestamp,
                                  uint64_t flavour) {
  std::vector<std::byte> frame(shm::frame_size(body_bytes));
  const uint64_t fields[4] = {
      shm::word_tag(at.position),
      shm::pack_meta(static_cast<uint32_t>(body_bytes), shm::FrameType::message, 0), at.sequence,
      timestamp};
  std::memcpy(frame.data(), fields, sizeof fields);
  Random random(at.sequence * 1000003 + flavour);
  std::byte* const body = frame.data() + sizeof fields;
  for (uint64_t done = 0; done < body_bytes; done += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(body + done, &word, std::min<uint64_t>(sizeof word, body_bytes - done));
  }
  return frame;
}

LogMaker::LogMaker(Options options) : options_(std::move(options)), at_(options_.start) {
  manifest_.magic = io::manifest_magic;
  manifest_.version = io::log_version;
  manifest_.log = options_.id;
  manifest_.segment_bytes = options_.segment_bytes;
  manifest_.first_number = options_.number;
  manifest_.first = at_;
  manifest(at_);
}

std::string LogMaker::path(size_t segment) const {
  const io::SegmentHeader& header = segments_.at(segment).header;
  return options_.folder + "/" + std::to_string(header.number) + "@" +
         std::to_string(header.start.position) + "@" + std::to_string(header.start.sequence) +
         ".segment";
}

io::LogPlace LogMaker::durable_now() const {
  if (durable_) return *durable_;
  if (batches_.size() < options_.in_flight) return options_.start;
  return batches_[batches_.size() - options_.in_flight].end;
}

void LogMaker::begin_segment() {
  Segment segment;
  segment.bytes.resize(options_.segment_bytes);
  io::SegmentHeader& header = segment.header;
  header.magic = io::segment_magic;
  header.version = io::log_version;
  header.log = options_.id;
  header.number = options_.number++;
  header.epoch = options_.epoch;
  header.segment_bytes = options_.segment_bytes;
  header.start = at_;
  header.chain = chain_;
  header.time_mark = time_mark_;
  header.durable = durable_now();
  header.begun_ns = clock_ns_;
  std::strcpy(header.factory, "main");
  std::strcpy(header.station, "orders");
  io::seal_bytes(header);
  put(segment.bytes, 0, header);
  put(segment.bytes, io::block_size, header);
  segments_.push_back(std::move(segment));
  is_begun_ = true;
}

LogMaker& LogMaker::batch(uint32_t count, uint64_t body_bytes) {
  return add(count, body_bytes, true);
}
LogMaker& LogMaker::hole(uint32_t count, uint64_t body_bytes) {
  return add(count, body_bytes, false);
}

LogMaker& LogMaker::add(uint32_t count, uint64_t body_bytes, bool is_written) {
  const uint64_t bytes = count * shm::frame_size(body_bytes);
  LL_CHECK(bytes <= io::frame_bytes_max(options_.segment_bytes));
  const uint64_t end = io::footer_offset(options_.segment_bytes);
  if (is_begun_ && segments_.back().offset + io::batch_bytes(bytes) > end) seal();
  if (!is_begun_) begin_segment();
  Segment& segment = segments_.back();

  io::BatchRecord record{};
  record.magic = io::batch_magic;
  record.chain = chain_;
  record.log = options_.id;
  record.number = segment.header.number;
  record.epoch = options_.epoch;
  record.offset = segment.offset;
  record.start = at_;
  record.bytes = bytes;
  record.count = count;
  record.kind = io::BatchKind::frames;
  record.durable = durable_now();
  record.issued_ns = clock_ns_;
  std::vector<std::byte> frames;
  for (uint32_t index = 0; index < count; ++index) {
    clock_ns_ += 1000;
    const auto frame = make_frame(at_, body_bytes, clock_ns_, options_.flavour);
    messages_.push_back({at_, frame.size(), hash64(frame)});
    frames.insert(frames.end(), frame.begin(), frame.end());
    at_ = {at_.position + frame.size(), at_.sequence + 1};
  }
  record.frames_hash = hash64(frames);
  record.timestamp_min = clock_ns_ - (count - 1) * 1000;
  record.timestamp_max = clock_ns_;
  const uint64_t time_mark_before = time_mark_;
  time_mark_ = std::max(time_mark_, clock_ns_);
  record.time_mark = time_mark_;
  io::seal_bytes(record);
  chain_ = record.hash;
  if (is_written) {
    put(segment.bytes, segment.offset, record);
    std::memcpy(segment.bytes.data() + segment.offset + sizeof record, frames.data(), bytes);
  }
  const auto& index = segment.index;
  if (index.empty() || segment.offset - index.back().offset >= io::index_step) {
    segment.index.push_back({segment.offset, record.start, time_mark_before});
  }
  ++segment.batch_count;
  batches_.push_back({segments_.size() - 1, segment.offset, record.start, at_, bytes, record.hash});
  segment.offset += io::batch_bytes(bytes);
  durable_.reset();
  return *this;
}

LogMaker& LogMaker::seal() {
  Segment& segment = segments_.back();
  io::SegmentFooter footer{};
  footer.log = options_.id;
  footer.number = segment.header.number;
  footer.epoch = options_.epoch;
  footer.end_offset = segment.offset;
  footer.end = at_;
  footer.chain = chain_;
  footer.timestamp_min = segment.header.begun_ns + 1000;
  footer.timestamp_max = clock_ns_;
  footer.time_mark = time_mark_;
  footer.sealed_ns = clock_ns_;
  footer.batch_count = segment.batch_count;
  const uint64_t at = io::footer_offset(options_.segment_bytes);
  io::write_footer(footer, segment.index, std::span(segment.bytes).subspan(at));
  is_begun_ = false;
  return *this;
}

LogMaker& LogMaker::recover_at(size_t index) {
  const Batch& cut = batches_.at(index);
  at_ = cut.start;
  chain_ = index == 0 ? 0 : batches_[index - 1].hash;
  durable_ = at_;
  std::erase_if(messages_, [&](const MessageBytes& message) {
    return message.at.position >= cut.start.position;
  });
  batches_.resize(index);
  ++options_.epoch;
  ++options_.flavour;
  is_begun_ = false;
  return *this;
}

LogMaker& LogMaker::manifest(io::LogPlace durable, bool is_closed) {
  manifest_.counter += 2;
  manifest_.epoch = options_.epoch;
  manifest_.durable = durable;
  manifest_.is_closed = is_closed ? 1 : 0;
  manifest_.last_number = segments_.empty() ? 0 : segments_.back().header.number;
  manifest_.end_offset = segments_.empty() ? 0 : segments_.back().offset;
  manifest_.chain = chain_;
  manifest_.time_mark = time_mark_;
  manifest_.written_ns = clock_ns_;
  return *this;
}

LogMaker& LogMaker::durable_is(io::LogPlace place) {
  durable_ = place;
  return *this;
}

void LogMaker::change_header(size_t segment, void (*change)(io::SegmentHeader&)) {
  Segment& there = segments_.at(segment);
  change(there.header);
  io::seal_bytes(there.header);
  put(there.bytes, 0, there.header);
  put(there.bytes, io::block_size, there.header);
}

void LogMaker::change_record(size_t batch, void (*change)(io::BatchRecord&)) {
  const Batch& where = batches_.at(batch);
  auto record = get<io::BatchRecord>(segments_[where.segment].bytes, where.offset);
  change(record);
  io::seal_bytes(record);
  put(segments_[where.segment].bytes, where.offset, record);
}

Image LogMaker::image() const {
  Image image;
  for (size_t index = 0; index < segments_.size(); ++index) {
    image.put(path(index), segments_[index].bytes);
  }
  std::vector<std::byte> blocks(2 * io::block_size);
  io::Manifest manifest = manifest_;
  for (uint64_t turn = 0; turn < 2; ++turn) {
    manifest.counter = manifest_.counter - 1 + turn;
    io::seal_bytes(manifest);
    put(blocks, manifest.counter % 2 * io::block_size, manifest);
  }
  image.put(manifest_path(), blocks);
  return image;
}

}  // namespace loopline::sim
