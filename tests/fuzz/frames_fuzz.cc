// Frames fuzz: what `ring dump` walks over, in a ring of any bytes.
//
// An input is  u8 [2:0] mood  [3] the file is cut short, then u16 of how much
//   u8 changes, each one u8 which and what the forger takes for it;  u16 first sequence
//   u8 head bytes;  u8 frames to show. What is told is in order, and comes to an end.
#include "hostile_ring.h"
#include "shm/frames.h"

namespace loopline::fuzz {
namespace {

constexpr uint32_t changes_max = 24;

void forge(Input& input, const HostileRing& ring) {
  switch (input.below(7)) {
    case 0:
      return ring.scribble_data(input);
    case 1:
      return ring.scribble_side(input);
    case 2:
      return ring.scribble_control(input);
    case 3:
      return ring.forge_side(input);
    case 4:
      return ring.forge_frame(input);
    case 5:
      return ring.forge_pair(input);
    default:
      return ring.forge_header(input);
  }
}

void walk(const shm::File& file, const HostileRing& ring, Input& input) {
  shm::FramesOptions options;
  options.first_sequence = input.take<uint16_t>();
  options.head_bytes_max = input.byte();
  const uint32_t shown_max = 1 + input.byte();
  uint32_t shown = 0;
  std::optional<Pair> last;
  const auto end = shm::read_frames(
      file, "hostile", ring.roster().get(), options, [&](const shm::FrameFacts& frame) {
        LL_CHECK(frame.at.first % shm::unit_size == 0 && frame.bytes % shm::unit_size == 0);
        LL_CHECK(!last || (frame.at.first >= last->first && frame.missed == 0));
        LL_CHECK(frame.at.second >= options.first_sequence);
        LL_CHECK(frame.head.size() <= options.head_bytes_max);
        LL_CHECK(frame.head.size() <= frame.payload_bytes);
        LL_CHECK(frame.oddity.empty() ? frame.payload_bytes <= frame.bytes : true);
        last = frame.at;
        return ++shown < shown_max;
      });
  if (!end) return;
  LL_CHECK((end->why == shm::FramesEnd::Why::damaged) == !end->text.empty());
  LL_CHECK(end->why != shm::FramesEnd::Why::enough || shown == shown_max);
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  static HostileRing ring(must(loopline::shm::Roster::create_anonymous()), false);
  Input input(data, size);
  const uint8_t mode = input.byte();
  ring.restore(mode & 7);
  uint64_t bytes = ring.size();
  if ((mode & 8) != 0) bytes -= std::min<uint64_t>(bytes, input.take<uint16_t>());
  for (uint32_t left = input.below(changes_max + 1); left > 0; --left) forge(input, ring);
  const loopline::shm::File file(::memfd_create("frames", MFD_CLOEXEC));
  const auto image = ring.image();
  LL_CHECK(::pwrite(file.fd(), image.data(), bytes, 0) == static_cast<ssize_t>(bytes));
  walk(file, ring, input);
  return 0;
}
