// Demo roles: a producer with a pace and a journal, a consumer with tallies.
#include "demo_roles.h"

#include <loopline/loopline.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "shm/base/clock.h"

namespace loopline::cli {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t tick_ns = 1'000'000;  // producers publish in small bursts, and sleep between
constexpr uint64_t behind_ns_max = 20'000'000;  // what is later than that is not caught up with
constexpr uint64_t read_well_ns = 300'000'000;  // a lossy consumer keeps up for as long, then stops
constexpr uint64_t pause_ns_max = 1'000'000'000;
constexpr auto look_around = milliseconds(50);

void sleep_until(uint64_t when_ns) {
  const timespec until{static_cast<time_t>(when_ns / 1'000'000'000),
                       static_cast<long>(when_ns % 1'000'000'000)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

int give_up(DemoFault& place, const Fault& fault) {
  const size_t size = std::min(fault.message().size(), sizeof place.text - 1);
  std::memcpy(place.text, fault.message().data(), size);
  return 1;
}

class DemoProducer {
 public:
  DemoProducer(const DemoStage& stage, uint32_t index)
      : stage_(stage),
        board_(stage.memory->board()),
        mine_(board_.producers[index]),
        journal_(stage.memory->journal(index)),
        index_(index) {}

  Status run() {
    LL_TRY(station, Station::open(stage_.station, stage_.dir));
    ProducerOptions options;
    options.identified = true;
    options.id = demo_producer_id(index_);
    options.first_sequence = written() + 1;
    LL_TRY(producer, station.producer(options));
    uint64_t tick = monotonic_ns();
    double due = 0;
    while (!is_over()) {
      due += stage_.rate * static_cast<double>(tick_ns) / 1e9;
      for (; due >= 1 && !is_over(); due -= 1) LL_TRY_STATUS(publish_next(producer));
      tick += tick_ns;
      const uint64_t now = monotonic_ns();
      if (now > tick + behind_ns_max) tick = now;
      if (now < tick) sleep_until(tick);
    }
    return ok();
  }

 private:
  uint64_t written() const {
    return mine_.count.load(std::memory_order_relaxed);  // relaxed: only we store it
  }
  bool is_over() const {
    return board_.stop.load(std::memory_order_relaxed) != 0 ||  // relaxed: [order], sooner or later
           written() == journal_.size();
  }

  Status publish_next(Producer& producer) {
    const auto& records = stage_.records->records;
    const auto record = records[(written() * demo_producer_count + index_) % records.size()];
    PublishOptions options;
    options.key = package_of(record);
    LL_TRY(slot, producer.claim(record.size(), options));
    const size_t half = record.size() / 2;
    std::memcpy(slot.bytes().data(), record.data(), half);
    if (mine_.die.load(std::memory_order_acquire) != 0) wait_for_death(slot);  // acquire [order]
    std::memcpy(slot.bytes().data() + half, record.data() + half, record.size() - half);
    const uint64_t sequence = slot.sequence();
    LL_TRY_STATUS(slot.commit());
    write_down({sequence, hash64(record.data(), record.size()), record.size()});
    return ok();
  }

  // The one place where the director kills us: claimed, half filled, not committed. Whatever was
  // committed before is in the journal, and what is open here is not.
  [[noreturn]] void wait_for_death(const Slot& slot) {
    mine_.open_sequence.store(slot.sequence(), std::memory_order_release);  // release [inside]
    for (;;) ::pause();
  }

  void write_down(const JournalEntry& entry) {
    const uint64_t count = written();
    journal_[count] = entry;
    mine_.bytes.fetch_add(entry.size, std::memory_order_relaxed);  // relaxed: a live figure
    mine_.count.store(count + 1, std::memory_order_release);       // release [journal]
  }

  const DemoStage& stage_;
  DemoBoard& board_;
  ProducerBoard& mine_;
  std::span<JournalEntry> journal_;
  const uint32_t index_;
};

class DemoConsumer {
 public:
  DemoConsumer(const DemoStage& stage, uint32_t index, bool is_lossy)
      : stage_(stage),
        board_(stage.memory->board()),
        mine_(board_.consumers[index]),
        is_lossy_(is_lossy) {}

  Status run() {
    LL_TRY(station, Station::open(stage_.station, stage_.dir));
    ConsumerOptions options;
    options.from = From::earliest;
    options.lossy = is_lossy_;
    LL_TRY(consumer, station.consumer(options));
    mine_.is_ready.store(1, std::memory_order_release);  // release [told]
    uint64_t pause_at_ns = monotonic_ns() + read_well_ns;
    while (!is_at_end(consumer)) {
      LL_TRY(count, read_run(consumer));
      if (is_lossy_ && monotonic_ns() >= pause_at_ns) {
        fall_behind();
        pause_at_ns = monotonic_ns() + read_well_ns;
      }
      if (count != 0) continue;
      LL_TRY(ready, consumer.wait(look_around));
      static_cast<void>(ready);  // either way we look again
    }
    mine_.is_done.store(1, std::memory_order_release);  // release [told]
    return ok();
  }

 private:
  bool is_at_end(const Consumer& consumer) const {
    const uint64_t end = board_.end_sequence.load(std::memory_order_acquire);  // acquire [order]
    return end != 0 && consumer.next_sequence() > end;
  }

  Result<size_t> read_run(Consumer& consumer) {
    Message run[Consumer::run_max];
    LL_TRY(count, consumer.read(run));
    if (const Gap gap = consumer.gap(); gap.count != 0) note(gap);
    for (size_t index = 0; index < count; ++index) handle(run[index]);
    if (count != 0) LL_TRY_STATUS(consumer.release());
    mine_.messages.fetch_add(count, std::memory_order_relaxed);  // relaxed: a live figure
    return count;
  }

  void handle(const Message& message) {
    const uint64_t now = utc_ns();
    const uint64_t claimed = message.timestamp_ns();
    mine_.latency_ns.record(now > claimed ? now - claimed : 0);
    if (is_first_)
      mine_.first_sequence.store(message.sequence(),
                                 std::memory_order_relaxed);  // relaxed: read after [told]
    is_first_ = false;
    notice_recovery(message.sequence());
    const auto producer = message.producer();
    if (!producer || producer->id == 0 || producer->id > demo_producer_count) {
      ++mine_.strangers;
      return;
    }
    Tally& tally = mine_.tallies[producer->id - 1];
    const auto payload = message.payload();
    tally.add({message.sequence(), hash64(payload), payload.size()});
    const bool may_jump = is_lossy_ || tally.messages == 1;
    const bool is_in_order =
        may_jump ? producer->sequence > tally.last_own : producer->sequence == tally.last_own + 1;
    if (!is_in_order) ++tally.order_errors;
    tally.last_own = producer->sequence;
  }

  // The first message from behind the killed claim: we go on.
  void notice_recovery(uint64_t sequence) {
    if (has_resumed_) return;
    const uint64_t hole = board_.hole_sequence.load(std::memory_order_relaxed);  // relaxed: a time
    if (hole == 0 || sequence < hole) return;
    has_resumed_ = true;
    mine_.resumed_ns.store(monotonic_ns(), std::memory_order_relaxed);  // relaxed: a time
  }

  void note(const Gap& gap) {
    mine_.missed.fetch_add(gap.count, std::memory_order_relaxed);  // relaxed: a live figure
    if (mine_.gap_count < demo_gaps_max) mine_.gaps[mine_.gap_count] = {gap.first, gap.count};
    ++mine_.gap_count;
  }

  uint64_t published_bytes() const {
    uint64_t sum = 0;
    for (const auto& producer : board_.producers) {
      sum += producer.bytes.load(std::memory_order_relaxed);  // relaxed: a live figure
    }
    return sum;
  }

  // On purpose: sleeps until more than a whole ring was published, so that messages are lost to us.
  void fall_behind() {
    const uint64_t enough = published_bytes() + stage_.ring_bytes + stage_.ring_bytes / 4;
    const uint64_t end_ns = monotonic_ns() + pause_ns_max;
    while (published_bytes() < enough && monotonic_ns() < end_ns &&
           board_.stop.load(std::memory_order_relaxed) == 0) {  // relaxed: [order], sooner or later
      ::usleep(1000);
    }
  }

  const DemoStage& stage_;
  DemoBoard& board_;
  ConsumerBoard& mine_;
  const bool is_lossy_;
  bool is_first_ = true;
  bool has_resumed_ = false;
};

}  // namespace

int run_demo_producer(const DemoStage& stage, uint32_t index) {
  const Status status = DemoProducer(stage, index).run();
  return status ? 0 : give_up(stage.memory->board().producers[index].fault, status.fault());
}

int run_demo_consumer(const DemoStage& stage, uint32_t index, bool is_lossy) {
  const Status status = DemoConsumer(stage, index, is_lossy).run();
  return status ? 0 : give_up(stage.memory->board().consumers[index].fault, status.fault());
}

}  // namespace loopline::cli
