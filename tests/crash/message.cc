// Message: writing one with forgeries in it, and telling whether one is whole.
#include "message.h"

#include <cstring>

#include "shm/base/hash.h"
#include "step.h"

namespace loopline::crash {
namespace {

uint64_t checksum_of(const std::byte* body, const MessageHead& head) {
  const uint64_t seed =
      head.number * 0x9e3779b97f4a7c15 ^ head.writer ^ static_cast<uint64_t>(head.size) << 32;
  return hash64(body + message_size_min, head.size - message_size_min, seed);
}

// A frame header as the writer of `position` would commit it in a lap to come, or in this one.
void forge_header(std::byte* at, uint64_t position, const Place& place, Random& random) {
  const uint64_t dice = random();
  const uint64_t laps_ahead = (dice & 7) < 5 ? 1 : dice & 3;
  const uint64_t claimed = position + laps_ahead * place.capacity;
  uint64_t words[4];
  words[0] = shm::word_tag(claimed) | ((dice >> 8) & shm::word_flags);
  const auto type = static_cast<shm::FrameType>(1 + ((dice >> 16) & 3));
  words[1] = shm::pack_meta(static_cast<uint32_t>((dice >> 20) & 255), type, 0);
  words[2] = place.sequence + ((dice >> 28) & 1023);
  words[3] = dice;
  std::memcpy(at, words, sizeof words);
}

}  // namespace

void write_message(std::byte* body, MessageHead head, const Place& place, bool forge,
                   Random& random) {
  const uint32_t size = head.size;
  for (uint32_t offset = message_size_min; offset < size; offset += 32) {
    const bool at_boundary = (offset / 32) % 2 == 1;
    const uint32_t left = size - offset;
    if (at_boundary) step();
    if (forge && at_boundary && left >= shm::frame_header_size) {
      forge_header(body + offset, place.position + shm::frame_header_size + offset, place, random);
      continue;
    }
    const uint64_t pattern[4] = {head.number, head.writer, offset, place.position};
    std::memcpy(body + offset, pattern, left < 32 ? left : 32);
  }
  head.checksum = checksum_of(body, head);
  step();
  std::memcpy(body, &head, sizeof head);
}

bool read_message(const std::byte* body, uint32_t size, MessageHead& head) {
  if (size < sizeof head) return false;
  std::memcpy(&head, body, sizeof head);
  return head.size == size && head.checksum == checksum_of(body, head);
}

}  // namespace loopline::crash
