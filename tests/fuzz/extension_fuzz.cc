// Extension fuzz: any bytes as a frame's extension, and any fields written and read again.
//
// An input is  u8 mode, then
//   0 mod 2   the body of a frame, extension first
//   1 mod 2   fields: u8 which, then each one that is there: producer 20 bytes, deliver 8 bytes,
//             id and key u16 size and bytes, headers u8 count, each u8 and u16 size and bytes
#include <optional>
#include <vector>

#include "input.h"
#include "walk.h"

namespace loopline::fuzz {
namespace {

constexpr uint32_t headers_max = 20;  // reading one by its index walks over those before it

struct Fields {
  shm::ExtensionFields view;
  std::vector<Header> headers;
};

void take_fields(Input& input, Fields& fields) {
  const uint8_t present = input.byte();
  if ((present & 1) != 0) {
    shm::ProducerStamp stamp;
    stamp.id = input.take<uint64_t>();
    stamp.sequence = input.take<uint64_t>();
    stamp.epoch = input.take<uint32_t>();
    fields.view.producer = stamp;
  }
  if ((present & 2) != 0) fields.view.deliver_at_ns = input.take<uint64_t>();
  if ((present & 4) != 0) fields.view.id = input.text(input.take<uint16_t>());
  if ((present & 8) != 0) fields.view.key = input.text(input.take<uint16_t>());
  if ((present & 16) != 0) {
    fields.headers.resize(input.below(headers_max + 1));
    for (Header& header : fields.headers) {
      header.name = input.text(input.byte());
      header.value = input.text(input.take<uint16_t>());
    }
    fields.view.headers = fields.headers;
  }
}

// What is put in comes out, whatever stands behind it.
void write_and_read(const shm::ExtensionFields& fields) {
  const auto size = shm::extension_size(fields);
  if (!size) return;
  LL_CHECK((*size == 0) == fields.empty());
  if (*size == 0) return;
  constexpr size_t payload_size = 5;
  std::vector<std::byte> body(*size + payload_size, std::byte{0xa5});
  shm::write_extension(fields, *size, body.data());
  for (size_t at = *size; at < body.size(); ++at) LL_CHECK(body[at] == std::byte{0xa5});
  read_extension(body);
  const auto view = shm::ExtensionView::parse(body);
  LL_CHECK(view.has_value());
  LL_CHECK(view->size() == *size);
  LL_CHECK(view->id() == fields.id && view->key() == fields.key);
  LL_CHECK(view->deliver_at_ns() == fields.deliver_at_ns);
  LL_CHECK(view->producer().has_value() == fields.producer.has_value());
  if (fields.producer) {
    LL_CHECK(view->producer()->id == fields.producer->id);
    LL_CHECK(view->producer()->sequence == fields.producer->sequence);
    LL_CHECK(view->producer()->epoch == fields.producer->epoch);
  }
  LL_CHECK(view->header_count() == fields.headers.size());
  for (uint32_t index = 0; index < view->header_count(); ++index) {
    LL_CHECK(view->header(index).name == fields.headers[index].name);
    LL_CHECK(view->header(index).value == fields.headers[index].value);
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  Input input(data, size);
  if (input.byte() % 2 == 0) {
    const auto body = input.bytes(size);
    read_extension(std::vector<std::byte>(body.begin(), body.end()));
    return 0;
  }
  Fields fields;
  take_fields(input, fields);
  write_and_read(fields.view);
  return 0;
}
