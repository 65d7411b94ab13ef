// Ledger fuzz: foreign bytes in the tables and the flight of a ledger, which publishers then use.
//
// An input is changes and uses, each u8 kind, then
//   0 mod 4   bytes over the ledger: u8 where (flight, counts, producers, heads, records), u16
//             place, u8 size, bytes
//   1 mod 4   a message is published: u8 of its id
//   2 mod 4   a producer is taken over and publishes: u8 of its identity, u8 of its number
//   3 mod 4   all producers are listed
#include <sys/mman.h>

#include <array>
#include <string>

#include "hostile_ring.h"
#include "input.h"
#include "shm/recorder.h"

namespace loopline::fuzz {
namespace {

constexpr uint64_t entries = shm::dedup_entries_min;

class HostileLedger {
 public:
  HostileLedger() : roster_(must(shm::Roster::create_anonymous())) {
    shm::RingOptions options;
    options.station = "fuzz";
    options.capacity = shm::ring_capacity_min;
    options.dedup_entries = entries;
    attached_ = shm::Attached::make(must(shm::Mapping::create_anonymous(options, roster_->uuid())),
                                    roster_, std::nullopt);
    ledger_ = must(shm::Ledger::create_anonymous(attached_->header()));
    void* const bytes =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, ledger_->fd(), shm::page_size);
    LL_CHECK(bytes != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(bytes);
    producer_.emplace(must(shm::Producer::open(attached_)));
  }

  // All but the mutex, which who may write there is trusted with.
  void restore() const {
    std::memset(bytes_ + sizeof(shm::LockLine), 0, size - sizeof(shm::LockLine));
  }

  void scribble(Input& input) const {
    const uint64_t places[] = {sizeof(shm::LockLine), 2 * sizeof(shm::LockLine),
                               shm::ledger_producers_offset - shm::page_size,
                               shm::ledger_heads_offset - shm::page_size,
                               shm::ledger_records_offset(entries) - shm::page_size};
    const uint64_t from = places[input.below(5)] + input.take<uint16_t>();
    const auto bytes = input.bytes(input.byte());
    if (from + bytes.size() > size || bytes.empty()) return;
    std::memcpy(bytes_ + from, bytes.data(), bytes.size());
  }

  void publish(Input& input) {
    auto recorder = must(shm::Recorder::open(ledger_));
    const std::string id(1, static_cast<char>(input.byte()));
    shm::RecordedMessage message;
    message.fields.id = id;
    check(recorder.publish(*producer_, message, 0));
  }

  void publish_as(Input& input) {
    auto recorder = must(shm::Recorder::open(ledger_));
    if (!recorder.take_over(*attached_, input.byte(), 0)) return;
    shm::RecordedMessage message;
    message.fields.producer = shm::ProducerStamp{0, input.byte(), 0};
    check(recorder.publish(*producer_, message, 0));
  }

  void list() const {
    uint32_t count = 0;
    ledger_->each_producer([&](const shm::KnownProducer& known) {
      LL_CHECK(known.id != 0);
      return ++count < shm::ledger_producers;
    });
  }

 private:
  static constexpr uint64_t size = shm::ledger_bytes(entries) - shm::page_size;
  static void check(const Result<shm::Recorded>& recorded) {
    LL_CHECK(recorded || !recorded.fault().message().empty());
  }
  std::shared_ptr<shm::Roster> roster_;
  std::shared_ptr<shm::Attached> attached_;
  std::shared_ptr<shm::Ledger> ledger_;
  std::optional<shm::Producer> producer_;
  std::byte* bytes_ = nullptr;
};

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  constexpr int uses_max = 200;
  static HostileLedger ledger;
  ledger.restore();
  Input input(data, size);
  for (int use = 0; use < uses_max && !input.empty(); ++use) {
    switch (input.byte() % 4) {
      case 0:
        ledger.scribble(input);
        break;
      case 1:
        ledger.publish(input);
        break;
      case 2:
        ledger.publish_as(input);
        break;
      default:
        ledger.list();
    }
  }
  return 0;
}
