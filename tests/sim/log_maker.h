// LogMaker: logs made by hand, byte by byte, for what no writer of ours would leave behind.
//
//   LogMaker maker;
//   maker.batch(3, 100).batch(1, 5000).seal().batch(2, 100).close();
//   SimDisk disk(maker.image());
//
// It knows the format from io/log/format.h alone and shares no code with the real writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image.h"
#include "io/log/format.h"

namespace loopline::sim {

// A message as it stands in a log: all of its frame goes into the hash.
struct MessageBytes {
  io::LogPlace at;
  uint64_t bytes = 0;
  uint64_t hash = 0;
  bool operator==(const MessageBytes&) const = default;
};

// A frame of a message whose body is told by its number and `flavour`.
std::vector<std::byte> make_frame(io::LogPlace at, uint64_t body_bytes, uint64_t timestamp,
                                  uint64_t flavour);

class LogMaker {
 public:
  struct Options {
    std::string folder = "/data/stations/main@orders/0";
    uint64_t segment_bytes = 64u << 10;
    io::LogId id{{0x1122334455667788, 0x99aabbccddeeff00}};
    io::LogPlace start{64, 1};
    uint64_t epoch = 1;
    uint64_t number = 1;
    uint64_t flavour = 0;  // of the bodies
    // How many batches are in flight at a time: F3 says the end of the one before them.
    uint32_t in_flight = 1;
  };
  LogMaker() : LogMaker(Options{}) {}
  explicit LogMaker(Options options);

  struct Batch {
    size_t segment;  // which, from 0
    uint64_t offset;
    io::LogPlace start, end;
    uint64_t bytes;  // of the frames
    uint64_t hash;   // of the record
  };

  // A batch of so many messages; in the next segment when this one has no room.
  LogMaker& batch(uint32_t count, uint64_t body_bytes);
  // The same, but nothing reaches the disk.
  LogMaker& hole(uint32_t count, uint64_t body_bytes);
  // The footer; the next batch begins a segment.
  LogMaker& seal();
  // The next batch begins a segment, as after a cut at the beginning of batch `index`.
  LogMaker& recover_at(size_t index);
  // A manifest that says the log is closed, or that so much was durable.
  LogMaker& close() { return manifest(end(), true); }
  LogMaker& manifest(io::LogPlace durable, bool is_closed = false);
  // A further batch says so of what is durable.
  LogMaker& durable_is(io::LogPlace place);

  Image image() const;
  const Options& options() const { return options_; }
  io::LogPlace end() const { return at_; }
  const std::vector<Batch>& batches() const { return batches_; }
  const std::vector<MessageBytes>& messages() const { return messages_; }
  std::string path(size_t segment) const;
  std::string manifest_path() const { return options_.folder + "/manifest"; }
  size_t segment_count() const { return segments_.size(); }
  std::vector<std::byte>& bytes(size_t segment) { return segments_[segment].bytes; }
  io::LogPlace start_of(size_t segment) const { return segments_[segment].header.start; }
  // Rewrites a structure in place with its checksum right.
  void change_header(size_t segment, void (*change)(io::SegmentHeader&));
  void change_record(size_t batch, void (*change)(io::BatchRecord&));

 private:
  struct Segment {
    io::SegmentHeader header{};
    std::vector<std::byte> bytes;
    std::vector<io::IndexEntry> index;
    uint64_t offset = io::batches_offset;
    uint32_t batch_count = 0;
  };
  LogMaker& add(uint32_t count, uint64_t body_bytes, bool is_written);
  void begin_segment();
  io::LogPlace durable_now() const;

  Options options_;
  io::LogPlace at_;
  uint64_t chain_ = 0;
  uint64_t clock_ns_ = 1'700'000'000'000'000'000;
  uint64_t time_mark_ = 0;
  bool is_begun_ = false;
  std::optional<io::LogPlace> durable_;
  std::vector<Segment> segments_;
  std::vector<Batch> batches_;
  std::vector<MessageBytes> messages_;
  io::Manifest manifest_{};
};

}  // namespace loopline::sim
