// Extension: writing it, and reading it as the foreign bytes it is.
#include "extension.h"

#include <cstring>

#include "base/bits.h"

namespace loopline::shm {

namespace {

enum Field : uint32_t {
  field_producer = 1,
  field_deliver = 2,
  field_id = 4,
  field_key = 8,
  field_headers = 16,
  field_all = 31,
};
constexpr size_t prefix_size = 8;
constexpr size_t producer_size = 24;

// Reads values one after another and remembers whether the bytes sufficed.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  T number() {
    T value{};
    const auto from = take(sizeof value);
    if (ok_) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  std::string_view text(size_t size) {
    const auto from = take(size);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  std::span<const std::byte> rest() const { return bytes_; }
  bool ok() const { return ok_; }

 private:
  std::span<const std::byte> take(size_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(std::byte* to) : to_(to) {}
  template <class T>
  void number(T value) {
    std::memcpy(to_, &value, sizeof value);
    to_ += sizeof value;
  }
  void text(std::string_view text) {
    if (!text.empty()) std::memcpy(to_, text.data(), text.size());
    to_ += text.size();
  }
  const std::byte* at() const { return to_; }

 private:
  std::byte* to_;
};

Fault too_long(const char* what, size_t size) {
  return {FaultCode::invalid_argument, std::string(what) + " of " + std::to_string(size) +
                                           " bytes is too long; at most " +
                                           std::to_string(extension_text_max)};
}

uint32_t fields_present(const ExtensionFields& fields) {
  uint32_t present = 0;
  if (fields.producer) present |= field_producer;
  if (fields.deliver_at_ns) present |= field_deliver;
  if (!fields.id.empty()) present |= field_id;
  if (!fields.key.empty()) present |= field_key;
  if (!fields.headers.empty()) present |= field_headers;
  return present;
}

Header next_header(Cursor& cursor) {
  const auto name_size = cursor.number<uint16_t>();
  const auto value_size = cursor.number<uint32_t>();
  const auto name = cursor.text(name_size);
  return {name, cursor.text(value_size)};
}

}  // namespace

Result<uint32_t> extension_size(const ExtensionFields& fields) {
  if (fields.empty()) return 0u;
  if (fields.key.size() > extension_text_max) return too_long("a key", fields.key.size());
  if (fields.id.size() > extension_text_max) return too_long("a message id", fields.id.size());
  if (fields.headers.size() > extension_headers_max) {
    return Fault(FaultCode::invalid_argument,
                 "a message has " + std::to_string(fields.headers.size()) + " headers; at most " +
                     std::to_string(extension_headers_max));
  }
  uint64_t size = prefix_size;
  if (fields.producer) size += producer_size;
  if (fields.deliver_at_ns) size += 8;
  if (!fields.id.empty()) size += 2 + fields.id.size();
  if (!fields.key.empty()) size += 2 + fields.key.size();
  if (!fields.headers.empty()) size += 2;
  for (const Header& header : fields.headers) {
    if (header.name.size() > extension_text_max) {
      return too_long("a header's name", header.name.size());
    }
    size += 6 + header.name.size() + header.value.size();
  }
  size = round_up(size, extension_alignment);
  if (size > UINT32_MAX) {
    return Fault(FaultCode::invalid_argument, "the headers of a message are over 4 GiB");
  }
  return static_cast<uint32_t>(size);
}

void write_extension(const ExtensionFields& fields, uint32_t size, std::byte* to) {
  Writer writer(to);
  writer.number(size);
  writer.number(fields_present(fields));
  if (fields.producer) {
    writer.number(fields.producer->id);
    writer.number(fields.producer->sequence);
    writer.number(fields.producer->epoch);
    writer.number<uint32_t>(0);
  }
  if (fields.deliver_at_ns) writer.number(*fields.deliver_at_ns);
  for (const std::string_view text : {fields.id, fields.key}) {
    if (text.empty()) continue;
    writer.number(static_cast<uint16_t>(text.size()));
    writer.text(text);
  }
  if (!fields.headers.empty()) writer.number(static_cast<uint16_t>(fields.headers.size()));
  for (const Header& header : fields.headers) {
    writer.number(static_cast<uint16_t>(header.name.size()));
    writer.number(static_cast<uint32_t>(header.value.size()));
    writer.text(header.name);
    writer.text(header.value);
  }
  const auto used = static_cast<size_t>(writer.at() - to);
  std::memset(to + used, 0, size - used);
}

void write_stamp(const ProducerStamp& stamp, std::byte* extension) {
  Writer writer(extension + prefix_size);
  writer.number(stamp.id);
  writer.number(stamp.sequence);
  writer.number(stamp.epoch);
}

std::optional<ExtensionView> ExtensionView::parse(std::span<const std::byte> body) {
  Cursor prefix(body);
  ExtensionView view;
  view.size_ = prefix.number<uint32_t>();
  const auto fields = prefix.number<uint32_t>();
  if (!prefix.ok() || view.size_ < prefix_size || view.size_ > body.size() ||
      view.size_ % extension_alignment != 0 || (fields & ~field_all) != 0) {
    return std::nullopt;
  }
  Cursor cursor(body.subspan(prefix_size, view.size_ - prefix_size));
  if ((fields & field_producer) != 0) {
    ProducerStamp stamp;
    stamp.id = cursor.number<uint64_t>();
    stamp.sequence = cursor.number<uint64_t>();
    stamp.epoch = cursor.number<uint32_t>();
    cursor.number<uint32_t>();
    view.producer_ = stamp;
  }
  if ((fields & field_deliver) != 0) view.deliver_at_ns_ = cursor.number<uint64_t>();
  if ((fields & field_id) != 0) view.id_ = cursor.text(cursor.number<uint16_t>());
  if ((fields & field_key) != 0) view.key_ = cursor.text(cursor.number<uint16_t>());
  if ((fields & field_headers) != 0) {
    view.header_count_ = cursor.number<uint16_t>();
    // No writer of ours puts in more; reading one walks over those before it.
    if (view.header_count_ > extension_headers_max) return std::nullopt;
    view.headers_ = cursor.rest();
    for (uint32_t index = 0; index < view.header_count_ && cursor.ok(); ++index)
      next_header(cursor);
  }
  if (!cursor.ok()) return std::nullopt;
  return view;
}

Header ExtensionView::header(uint32_t index) const {
  if (index >= header_count_) return {};
  Cursor cursor(headers_);
  for (uint32_t skipped = 0; skipped < index; ++skipped) next_header(cursor);
  return next_header(cursor);
}

}  // namespace loopline::shm
