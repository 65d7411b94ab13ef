// Zero copy: a struct is made in the ring and read in the ring, and never anywhere else.
//
//   zero_copy [FOLDER]   the instance; LOOPLINE_DIR and its kin if none is named
#include <loopline/loopline.h>

#include <cstring>
#include <iostream>
#include <new>
#include <type_traits>

using namespace loopline::literals;

namespace {

// Other processes read its bytes: fixed widths, no pointers.
struct Frame {
  uint32_t width;
  uint32_t height;
  uint8_t pixels[64 * 48];
};
static_assert(std::is_trivially_copyable_v<Frame> && alignof(Frame) <= 16);

loopline::Status draw(loopline::Producer& producer, int shade) {
  LL_TRY(slot, producer.claim(sizeof(Frame)));
  // Aligned to 16 bytes, in shared memory; whoever dies here leaves a gap, never half a frame.
  auto* frame = new (slot.bytes().data()) Frame;
  frame->width = 64;
  frame->height = 48;
  std::memset(frame->pixels, shade, sizeof frame->pixels);
  return slot.commit();
}

void look(const loopline::Message& message) {
  if (message.payload().size() != sizeof(Frame)) return;  // somebody else's message
  const auto* frame = reinterpret_cast<const Frame*>(message.payload().data());
  uint64_t sum = 0;
  for (const uint8_t pixel : frame->pixels) sum += pixel;
  std::cout << "frame " << message.sequence() << ": " << frame->width << " x " << frame->height
            << ", mean shade " << sum / sizeof frame->pixels << "\n";
}

loopline::Status show(const char* dir) {
  LL_TRY(station, loopline::Station::open_or_create("camera", {.ring = 64_KiB}, dir));
  LL_TRY(consumer, station.consumer());
  LL_TRY(producer, station.producer());
  for (const int shade : {10, 20, 30}) LL_TRY_STATUS(draw(producer, shade));

  // A slot that is given up leaves its sequence without a message.
  LL_TRY(abandoned, producer.claim(sizeof(Frame)));
  LL_TRY_STATUS(abandoned.abort());
  LL_TRY_STATUS(draw(producer, 50));

  LL_TRY_STATUS(consumer.poll(look));
  return loopline::Station::remove("camera", dir);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = show(argc > 1 ? argv[1] : "");
  if (done) return 0;
  std::cerr << done.fault().message() << "\n";
  return 1;
}
