// Segment fuzz: foreign bytes in the files of a log, and everybody who examines and reads it.
//
// An input changes a log of three segments (64 KiB each, the last one not sealed) and is read back:
//   u8 flags: [0] in the end all checksums are made right again  [1] the chain of the batches too
//             [2] examined only as opening does,  u8 changes, each one
//   u8 kind  0  bytes       u8 file, u8 block, u16 place, u8 size, bytes
//            1  a word      u8 file, u8 block, u8 which, u64 value
//            2  a word more u8 file, u8 block, u8 which, i8 how much
//            3  a cut       u8 file, u32 size
//            4  a rename    u8 file, name      5  a copy     u8 file, name
//            6  a block     u8 file, u8 block, to u8 file, u8 block
//            7  a new file  name, u8 size, bytes
//   a name is u8 form: 0 text, u8 size and bytes;  1 a number;  else number, position, sequence
//   u64 sequence and u64 time to seek
#include <algorithm>

#include "input.h"
#include "io/log/log_reader.h"
#include "io/log/paths.h"
#include "shm/base/check.h"
#include "shm/base/hash.h"
#include "tests/sim/log_maker.h"
#include "tests/sim/log_reading.h"
#include "tests/sim/sim_disk.h"

namespace loopline::fuzz {
namespace {

using namespace io;

constexpr uint64_t changes_max = 16;

sim::LogMaker make_log() {
  sim::LogMaker maker;
  maker.batch(3, 100).batch(1, 9000).batch(40, 10).batch(2, 4000).seal();
  maker.batch(1, 100).batch(5, 1000).batch(1, 6000).seal();
  maker.batch(2, 100).batch(1, 5000).batch(1, 0).batch(7, 64);
  return maker;
}

class Forger {
 public:
  Forger(const sim::Image& image, const std::string& folder) : image_(image), folder_(folder) {}

  void change(Input& input) {
    const uint32_t kind = input.below(8);
    switch (kind) {
      case 0: {
        const Spot spot = take_spot(input);
        const uint64_t place = input.take<uint16_t>() % block_size;
        return write(spot.path, spot.offset + place, input.bytes(input.byte()));
      }
      case 1: {
        const Spot spot = take_spot(input);
        const uint64_t at = spot.offset + input.byte() * sizeof(uint64_t);
        return store(spot.path, at, input.take<uint64_t>());
      }
      case 2: {
        const Spot spot = take_spot(input);
        const uint64_t at = spot.offset + input.byte() * sizeof(uint64_t);
        const auto more = static_cast<uint64_t>(int64_t{input.take<int8_t>()});
        return store(spot.path, at, load<uint64_t>(spot.path, at) + more);
      }
      case 3: {
        const std::string path = take_path(input);
        return path.empty() ? void() : image_.cut(path, input.take<uint32_t>());
      }
      case 6: {
        const Spot from = take_spot(input), to = take_spot(input);
        return store(to.path, to.offset, load<Block>(from.path, from.offset));
      }
      case 7: {
        const std::string name = take_name(input);
        return name.empty() ? void() : image_.put(name, input.bytes(input.byte()));
      }
      default:
        return move(input, kind == 5);
    }
  }

  // What somebody would do who knows the format and wishes us ill.
  void mend(bool with_chain) {
    uint64_t chain = 0;
    for (const std::string& path : paths()) {
      for (uint64_t at = 0; at + block_size <= image_.size(path); at += block_size) {
        switch (load<uint64_t>(path, at)) {
          case segment_magic:
            mend_header(path, at, with_chain, chain);
            break;
          case batch_magic:
            chain = mend_record(path, at, with_chain, chain);
            break;
          case footer_magic:
            mend_footer(path, at, with_chain, chain);
            break;
          case manifest_magic:
            seal<Manifest>(path, at);
            break;
        }
      }
    }
  }

  const sim::Image& image() const { return image_; }

 private:
  struct Block {
    std::byte bytes[block_size];
  };
  struct Spot {
    std::string path;
    uint64_t offset = 0;
  };

  std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const auto& [path, content] : image_.files) paths.push_back(path);
    return paths;
  }
  std::string take_path(Input& input) const {
    const auto all = paths();
    return all.empty() ? "" : all[input.byte() % all.size()];
  }
  Spot take_spot(Input& input) const {
    const std::string path = take_path(input);
    if (path.empty()) return {};
    const uint64_t blocks = std::max<uint64_t>(1, image_.size(path) / block_size);
    return {path, input.byte() % blocks * block_size};
  }
  std::string take_name(Input& input) const {
    const uint32_t form = input.below(4);
    if (form == 0) {
      std::string text(input.text(input.byte()));
      std::erase_if(text, [](char letter) { return letter == '/' || letter == 0; });
      return text.empty() ? "" : folder_ + "/" + text;
    }
    SegmentName name{input.byte(), {}};
    if (form == 2) name.start = LogPlace{input.take<uint16_t>() * 32ull, input.byte()};
    if (form == 3) name.start = LogPlace{input.take<uint64_t>(), input.take<uint64_t>()};
    return folder_ + "/" + segment_file_name(name);
  }

  template <class T>
  T load(const std::string& path, uint64_t at) const {
    T value{};
    if (image_.has(path) && at + sizeof value <= image_.size(path)) {
      image_.files.at(path)->read(at, {reinterpret_cast<std::byte*>(&value), sizeof value});
    }
    return value;
  }
  void write(const std::string& path, uint64_t at, std::span<const std::byte> bytes) {
    const uint64_t size = image_.has(path) ? image_.size(path) : 0;
    if (at >= size) return;
    image_.overwrite(path, at, bytes.first(std::min<uint64_t>(bytes.size(), size - at)));
  }
  template <class T>
  void store(const std::string& path, uint64_t at, const T& value) {
    write(path, at, std::as_bytes(std::span(&value, 1)));
  }

  void move(Input& input, bool is_copy) {
    const std::string from = take_path(input);
    const std::string to = take_name(input);
    if (from.empty() || to.empty() || from == to) return;
    if (is_copy) {
      image_.files[to] = image_.files.at(from);
    } else {
      image_.rename(from, to);
    }
  }

  template <class Structure>
  uint64_t seal(const std::string& path, uint64_t at) {
    auto structure = load<Structure>(path, at);
    seal_bytes(structure);
    store(path, at, structure);
    return structure.hash;
  }
  void mend_header(const std::string& path, uint64_t at, bool with_chain, uint64_t chain) {
    if (with_chain) store(path, at + offsetof(SegmentHeader, chain), chain);
    seal<SegmentHeader>(path, at);
  }
  uint64_t mend_record(const std::string& path, uint64_t at, bool with_chain, uint64_t chain) {
    auto record = load<BatchRecord>(path, at);
    const uint64_t from = at + sizeof record;
    if (from + record.bytes <= image_.size(path) && record.bytes <= segment_bytes_max) {
      std::vector<std::byte> frames(record.bytes);
      image_.files.at(path)->read(from, frames);
      record.frames_hash = hash64(frames);
    }
    if (with_chain) record.chain = chain;
    seal_bytes(record);
    store(path, at, record);
    return record.hash;
  }
  void mend_footer(const std::string& path, uint64_t at, bool with_chain, uint64_t chain) {
    auto footer = load<SegmentFooter>(path, at);
    Block block = load<Block>(path, at);
    constexpr uint64_t most = (block_size - sizeof footer) / sizeof(IndexEntry);
    std::vector<IndexEntry> entries(std::min<uint64_t>(footer.entry_count, most));
    for (size_t index = 0; index < entries.size(); ++index) {
      const std::byte* const from = block.bytes + sizeof footer + index * sizeof(IndexEntry);
      std::memcpy(static_cast<void*>(&entries[index]), from, sizeof(IndexEntry));
    }
    if (with_chain) footer.chain = chain;
    write_footer(footer, entries, block.bytes);
    store(path, at, block);
  }

  sim::Image image_;
  std::string folder_;
};

// Reads to the end, which comes: each step goes forward, and no block is handed out twice.
void read_to_end(LogReader& reader, LogPlace upto, const sim::Image& image) {
  uint64_t steps_left = 8;
  for (const auto& [path, content] : image.files) steps_left += 4 + content->size / block_size * 2;
  for (;;) {
    const LogPlace before = reader.at();
    const auto step = reader.next(upto);
    if (!step || step->kind == LogReader::Step::Kind::end) return;
    LL_CHECK(step->kind != LogReader::Step::Kind::later);  // nobody moves files
    LL_CHECK(reader.at().position > before.position);
    LL_CHECK(steps_left-- > 0);
    if (step->kind == LogReader::Step::Kind::gap) {
      LL_CHECK(step->gap.from == before && step->gap.to == reader.at() && !step->gap.why.empty());
      continue;
    }
    LL_CHECK(step->record.start.position <= before.position);  // one may stand inside of a batch
    LL_CHECK(reader.at().position <= upto.position);
    LL_CHECK(check_frames(step->record, step->frames).empty());
  }
}

void check_facts(const LogFacts& facts) {
  uint64_t before = 0;
  for (const LogGap& gap : facts.gaps) {
    LL_CHECK(gap.from.position >= before && gap.to.position > gap.from.position);
    LL_CHECK(!gap.why.empty());
    before = gap.to.position;
  }
  LL_CHECK(facts.end.position >= before);
}

void visit(const sim::Image& image, const std::string& folder, bool only_opened, Input& input) {
  sim::SimDisk disk(image);
  LogPlace end{~0ull, ~0ull};
  if (only_opened) {
    const auto facts = examine(disk, folder, {});
    if (facts) end = facts->end;
  } else {
    const auto log = sim::read_log(disk, folder);
    end = log.facts.end;
    check_facts(log.facts);
  }
  auto reader = LogReader::open(disk, folder);
  if (!reader) return;
  read_to_end(*reader, end, image);
  if (reader->seek(input.take<uint64_t>())) read_to_end(*reader, {~0ull, ~0ull}, image);
  if (reader->seek_time(input.take<uint64_t>())) read_to_end(*reader, end, image);
  reader->seek_place({input.take<uint16_t>() * 32ull, input.byte()});
  read_to_end(*reader, end, image);
  LL_CHECK(disk.events().empty());  // whoever reads changes nothing
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  static const std::string folder = make_log().options().folder;
  static const auto image = make_log().image();
  Input input(data, size);
  const uint8_t flags = input.byte();
  Forger forger(image, folder);
  for (uint64_t left = input.byte() % (changes_max + 1); left > 0; --left) forger.change(input);
  if ((flags & 1) != 0) forger.mend((flags & 2) != 0);
  visit(forger.image(), folder, (flags & 4) != 0, input);
  return 0;
}
