// Extension: the optional part between a frame's header and its payload: key, headers, id,
// producer.
//
//   +0 u32 size of the extension, a multiple of 16, this field included
//   +4 u32 which fields follow, in this order
//   [1]  producer  u64 id, u64 sequence, u32 epoch, u32 zero
//   [2]  deliver   u64 UTC nanoseconds before which nobody gets the message
//   [4]  id        u16 size, bytes
//   [8]  key       u16 size, bytes
//   [16] headers   u16 count, then for each: u16 name size, u32 value size, name, value
//   zero padding
//
// Little-endian, unaligned inside. Its size is fixed at claim; the frame's flag_extension announces
// it. Bytes that come out of a ring are foreign: parse() checks every length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/header.h"
#include "base/result.h"

namespace loopline::shm {

constexpr uint64_t extension_alignment = 16;
constexpr size_t extension_text_max = 65535;  // of a key, an id, a header's name
constexpr size_t extension_headers_max = 1024;

struct ProducerStamp {
  uint64_t id = 0;
  uint64_t sequence = 0;
  uint32_t epoch = 0;
};

// What to put into an extension; empty views are left out.
struct ExtensionFields {
  std::optional<ProducerStamp> producer;
  std::optional<uint64_t> deliver_at_ns;
  std::string_view id;
  std::string_view key;
  std::span<const Header> headers;
  bool empty() const {
    return !producer && !deliver_at_ns && id.empty() && key.empty() && headers.empty();
  }
};

// Bytes the extension takes in the frame, 0 for none. Faults: invalid_argument for texts too long.
Result<uint32_t> extension_size(const ExtensionFields& fields);
// Writes exactly extension_size(fields) bytes.
void write_extension(const ExtensionFields& fields, uint32_t size, std::byte* to);
// Over the producer of an extension that was written with one.
void write_stamp(const ProducerStamp& stamp, std::byte* extension);

// The fields of a frame's extension, as views into it.
class ExtensionView {
 public:
  // nullopt: the bytes are no extension of a body of this size.
  static std::optional<ExtensionView> parse(std::span<const std::byte> body);
  uint32_t size() const { return size_; }
  std::optional<ProducerStamp> producer() const { return producer_; }
  std::optional<uint64_t> deliver_at_ns() const { return deliver_at_ns_; }
  std::string_view id() const { return id_; }
  std::string_view key() const { return key_; }
  uint32_t header_count() const { return header_count_; }
  // Header by index; empty views past the end.
  Header header(uint32_t index) const;

 private:
  uint32_t size_ = 0;
  std::optional<ProducerStamp> producer_;
  std::optional<uint64_t> deliver_at_ns_;
  std::string_view id_, key_;
  uint32_t header_count_ = 0;
  std::span<const std::byte> headers_;
};

}  // namespace loopline::shm
