// Records fuzz: any bytes as the input of `produce`, in reads of any length.
//
// An input is  u8 [1:0] lines, file, length-prefixed  [2] ends with an error
//   u16 the largest message;  u8 how many lengths, each a u16: what the reads give in turn
//   the bytes. What comes out is what a reader who has all of them would cut them into.
#include <cerrno>
#include <string>
#include <vector>

#include "input.h"
#include "shm/base/check.h"
#include "tools/loopline/records.h"

namespace loopline::fuzz {
namespace {

using cli::RecordKind;

// The records, and how they ended: nothing, or the code of a fault.
struct Cut {
  std::vector<std::string> records;
  std::optional<FaultCode> fault;
  bool operator==(const Cut&) const = default;
};

Cut cut_lines(std::string_view text, size_t size_max) {
  Cut cut;
  while (!text.empty()) {
    const size_t length = std::min(text.find('\n'), text.size());
    if (length > size_max) return {cut.records, FaultCode::too_large};
    cut.records.emplace_back(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return cut;
}

Cut cut_prefixed(std::string_view bytes, size_t size_max) {
  Cut cut;
  while (!bytes.empty()) {
    uint32_t size = 0;
    if (bytes.size() < sizeof size) return {cut.records, FaultCode::corrupted};
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size > size_max) return {cut.records, FaultCode::too_large};
    if (bytes.size() - sizeof size < size) return {cut.records, FaultCode::corrupted};
    cut.records.emplace_back(bytes.substr(sizeof size, size));
    bytes.remove_prefix(sizeof size + size);
  }
  return cut;
}

Cut expected(RecordKind kind, std::string_view bytes, size_t size_max) {
  if (kind == RecordKind::lines) return cut_lines(bytes, size_max);
  if (kind == RecordKind::length_prefixed) return cut_prefixed(bytes, size_max);
  if (bytes.size() > size_max) return {{}, FaultCode::too_large};
  return {{std::string(bytes)}, {}};
}

// Gives the bytes in the lengths of `shares`, and then their end or an error.
class Source {
 public:
  Source(std::string_view bytes, std::vector<uint16_t> shares, bool ends_badly)
      : bytes_(bytes), shares_(std::move(shares)), ends_badly_(ends_badly) {}

  ssize_t read(void* into, size_t size) {
    const size_t share = shares_.empty() ? size : size_t{1} + shares_[turn_++ % shares_.size()];
    const size_t count = std::min({size, share, bytes_.size()});
    if (count == 0 && ends_badly_) {
      errno = EIO;
      return -1;
    }
    std::memcpy(into, bytes_.data(), count);
    bytes_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }

 private:
  std::string_view bytes_;
  std::vector<uint16_t> shares_;
  size_t turn_ = 0;
  bool ends_badly_;
};

Cut read_all(RecordKind kind, size_t size_max, Source& source) {
  cli::RecordReader reader([&source](void* into, size_t size) { return source.read(into, size); },
                           kind, size_max, "fuzz");
  Cut cut;
  for (;;) {
    const auto record = reader.next();
    if (!record) {
      cut.fault = record.fault().code();
      return cut;
    }
    if (!*record) return cut;
    LL_CHECK((*record)->size() <= size_max);
    cut.records.emplace_back(**record);
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  Input input(data, size);
  const uint8_t mode = input.byte();
  const auto kind = static_cast<RecordKind>((mode & 3) % 3);
  const bool ends_badly = (mode & 4) != 0;
  const size_t size_max = input.take<uint16_t>();
  std::vector<uint16_t> shares(input.below(8));
  for (uint16_t& share : shares) share = input.take<uint16_t>();
  const std::string bytes(input.text(size));
  Source source(bytes, std::move(shares), ends_badly);
  const Cut cut = read_all(kind, size_max, source);
  const Cut whole = expected(kind, bytes, size_max);
  if (!ends_badly) {
    LL_CHECK(cut == whole);
    return 0;
  }
  LL_CHECK(cut.fault.has_value());
  LL_CHECK(cut.records.size() <= whole.records.size());
  for (size_t index = 0; index < cut.records.size(); ++index) {
    LL_CHECK(cut.records[index] == whole.records[index]);
  }
  return 0;
}
