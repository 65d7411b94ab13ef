// Ring bytes fuzz: foreign bytes where frames and claims are, and everybody who reads them.
//
// An input is read by visit_hostile (visit.h); a change is u8 kind, then
//   0, 1   a side word, a frame's header that almost make sense: forge_side, forge_frame
//   2, 3   bytes over the data, over the side words: u16 place, u8 size, bytes
//   4      bytes anywhere in the file: the same
#include "visit.h"

namespace loopline::fuzz {
namespace {

void forge(Input& input, HostileRing& ring) {
  switch (input.below(5)) {
    case 0:
      return ring.forge_side(input);
    case 1:
      return ring.forge_frame(input);
    case 2:
      return ring.scribble_data(input);
    case 3:
      return ring.scribble_side(input);
    default:
      return ring.scribble(input, 0, ring.size());
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline;
  static const auto roster = fuzz::must(shm::Roster::create_anonymous());
  static fuzz::HostileRing plain(roster, false), exclusive(roster, true);
  fuzz::Input input(data, size);
  const bool is_exclusive = size > 0 && (data[0] & 8) != 0;
  fuzz::visit_hostile(input, is_exclusive ? exclusive : plain, fuzz::forge);
  return 0;
}
