// Visit: everything that may be done to a ring, done to one that foreign bytes were written over.
//
// A step is one call of a handle's; which ones, and in which order, an input says. Whatever the
// bytes are, each call comes back with a value or a fault, and what it hands out can be read.
#pragma once

#include <sanitizer/asan_interface.h>

#include <array>
#include <optional>

#include "hostile_ring.h"
#include "input.h"
#include "shm/base/clock.h"
#include "shm/base/hash.h"
#include "shm/consumer.h"
#include "shm/flush_cursor.h"
#include "shm/inspect.h"
#include "shm/producer.h"
#include "walk.h"

namespace loopline::fuzz {

// What tools do: they read the file and map it, but never write.
inline void look_at(int fd, const shm::Roster& roster) {
  for (const bool walk : {true, false}) {
    shm::InspectOptions options;
    options.walk = walk;
    const auto snapshot = shm::inspect(shm::File(::dup(fd)), "hostile", &roster, options);
    if (!snapshot) continue;
    LL_CHECK(snapshot->open_claims.size() <= snapshot->open_claim_count);
    LL_CHECK(snapshot->producers.size() <= snapshot->header.producer_slots);
    LL_CHECK(snapshot->cursors.size() <= snapshot->header.cursor_slots);
  }
}

// What a reader of these bytes finds, from where the ring says that it begins, or might.
inline void read_over(const shm::Ring& ring) {
  const Pair oldest = ring.window_start();
  for (const Pair from : {oldest, ring.control->hint.pair.load(std::memory_order_relaxed),
                          ring.control->start.pair.load(std::memory_order_relaxed)}) {
    read_all(ring, from);
    copy_all(ring, from);
  }
}

// The room that the last pages of control and side words leave behind them, forbidden: an index
// that was not validated meets it before it meets the end of the mapping. Without ASan, nothing.
class Fences {
 public:
  explicit Fences(const shm::Ring& ring) {
    const auto* control = reinterpret_cast<const std::byte*>(ring.control);
    const auto* cursors_end = reinterpret_cast<const std::byte*>(ring.cursors + ring.cursor_slots);
    const auto* side = reinterpret_cast<const std::byte*>(ring.side_words);
    put_up(control, static_cast<uint64_t>(cursors_end - control));
    put_up(side, ring.capacity / shm::unit_size * sizeof(uint64_t));
  }
  Fences(const Fences&) = delete;
  Fences& operator=(const Fences&) = delete;
  ~Fences() {
    for (const auto fence : fences_) ASAN_UNPOISON_MEMORY_REGION(fence.data(), fence.size());
  }

 private:
  void put_up(const std::byte* from, uint64_t used) {
    const std::span fence(from + used, round_up(used, shm::page_size) - used);
    ASAN_POISON_MEMORY_REGION(fence.data(), fence.size());
    fences_.push_back(fence);
  }
  std::vector<std::span<const std::byte>> fences_;
};

// The handles of one process on one ring.
class Visit {
 public:
  explicit Visit(std::shared_ptr<shm::Attached> attached)
      : attached_(std::move(attached)), fences_(attached_->ring()) {}

  void open_producer() { keep(producer_, shm::Producer::open(attached_)); }
  void open_consumer(bool lossy, From from) {
    keep(lossy ? lossy_ : lossless_,
         shm::Consumer::open(attached_, {.lossy = lossy, .from = from}));
  }
  // What a process opens that comes fresh. A lossy consumer costs more than all the rest, by the
  // memory it takes for its copies.
  void open_all(bool with_lossy) {
    open_producer();
    open_consumer(false, From::earliest);
    if (with_lossy) open_consumer(true, From::latest);
  }

  static constexpr uint32_t step_count = 22;
  void step(Input& input) {
    const uint32_t which = input.below(step_count);
    switch (which) {
      case 0:
      case 1:
        return read_some(which == 0 ? lossless_ : lossy_);
      case 2:
        if (lossless_) (void)lossless_->release();
        return;
      case 3:
      case 4: {
        auto& consumer = which == 3 ? lossless_ : lossy_;
        if (consumer) (void)consumer->wait(0);
        return;
      }
      case 5:
        return open_frame(input.take<uint16_t>(), 0);
      case 6:
        if (producer_) (void)producer_->commit(frame_, input.byte() & 1);
        return;
      case 7:
        if (producer_) (void)producer_->abort(frame_);
        return;
      case 8:
        (void)attached_->janitor().sweep();
        return;
      case 9:
        (void)shm::advance(attached_->ring(), attached_->ring().limit_now() + input.byte());
        return;
      case 10:
      case 11:
        return open_consumer(which == 10, some_place(input));
      case 12:
        return open_producer();
      case 13:
        (void)attached_->successor();
        return;
      case 14:
        (void)attached_->lift_gate();
        return;
      case 15:
        return sleep_a_moment();
      default:
        return flush_step(which - 16, input);
    }
  }

  // The one who brings it to disk.
  void flush_step(uint32_t which, Input& input) {
    switch (which) {
      case 0:
        return keep(flush_, shm::FlushCursor::open(attached_));
      case 1:
        return (void)flush_run(input.take<uint16_t>());
      case 2:
        if (flush_) (void)flush_->clean_up_ahead();
        return;
      case 3:
        if (flush_) (void)flush_->finish();
        return;
      case 4: {
        const auto state = static_cast<shm::LogState>(input.byte() % 4);
        if (flush_) flush_->set_state(state, input.byte());
        (void)attached_->log_facts();
        return;
      }
      default:
        return skip_some(input.take<uint16_t>());
    }
  }

  // What a ring goes through after all: more than a lap is written while nobody gates, then it is
  // read to its end, filled behind a reader, swept and sealed; a file station's goes to disk.
  void everything(bool with_lossy) {
    if (with_lossy) open_consumer(true, From::latest);
    open_producer();
    keep(flush_, shm::FlushCursor::open(attached_));
    flush_all();
    write_a_lap();
    flush_all();
    read_to_end(lossy_);
    open_consumer(false, From::earliest);
    read_to_end(lossless_);
    write_a_lap();
    if (lossless_) (void)lossless_->wait(0);
    if (lossless_) (void)lossless_->release();
    attached_->janitor().sweep();
    (void)attached_->lift_gate();
    (void)attached_->seal_for_good();
    open_frame(1, 0);
    read_to_end(lossless_);
    flush_all();
    if (flush_) (void)flush_->finish();
  }

 private:
  static constexpr uint64_t laps_max = 16;
  static constexpr uint64_t late_ns = 1;  // a deadline that may be waited for, and has passed
  using Views = std::array<shm::FrameView, 16>;

  static From some_place(Input& input) {
    switch (input.below(5)) {
      case 0:
        return From::earliest;
      case 1:
        return From::latest;
      case 2:
        return From::sequence(input.take<uint16_t>());
      case 3:
        return From::time(input.take<uint64_t>());
      default:
        return From::last(input.byte());
    }
  }

  template <class Handle>
  static void keep(std::optional<Handle>& place, Result<Handle> opened) {
    if (opened) {
      place.emplace(std::move(*opened));
    } else {
      place.reset();
    }
  }

  void check_views(const shm::Consumer& consumer, std::span<const shm::FrameView> views) const {
    for (const shm::FrameView& view : views) {
      if (!consumer.lossy()) LL_CHECK(lies_in_data(view, consumer.attached()->ring()));
      read_frame(view);
    }
  }

  size_t read_once(std::optional<shm::Consumer>& consumer) {
    if (!consumer) return 0;
    Views views;
    const auto count = consumer->read(views);
    if (!count) return 0;
    LL_CHECK(*count <= views.size());
    check_views(*consumer, std::span(views).first(*count));
    return *count;
  }
  void read_some(std::optional<shm::Consumer>& consumer) { (void)read_once(consumer); }

  // Nobody writes meanwhile: what is there is at most a lap, for a lossy one a lap behind a gap,
  // and the same in each successor.
  void read_to_end(std::optional<shm::Consumer>& consumer) {
    uint64_t count = 0;
    while (const size_t run = read_once(consumer)) {
      count += run;
      LL_CHECK(count <= laps_max * frames_max(attached_->ring()));
    }
  }

  void write_a_lap() {
    for (uint32_t body = 480, left = 10; left > 0; --left, body = body * 7 % 481) {
      open_frame(body, late_ns);
      if (producer_) (void)producer_->commit(frame_, 0);
    }
  }

  void open_frame(uint32_t body, uint64_t deadline_ns) {
    if (!producer_) return;
    if (frame_.is_open()) (void)producer_->abort(frame_);
    frame_ = {};
    if (!producer_->claim(body, deadline_ns, frame_)) return;
    const shm::Ring& ring = producer_->attached()->ring();
    LL_CHECK(frame_.body >= ring.data && frame_.body_size == body);
    LL_CHECK(frame_.body + body <= ring.data + 2 * ring.capacity);
    std::memset(frame_.body, 'y', body);
  }

  // Whatever it is handed lies in the ring, in one piece.
  uint64_t flush_run(uint64_t bytes_max) {
    if (!flush_) return 0;
    const auto run = flush_->next(bytes_max);
    if (!run) return 0;
    const shm::Ring& ring = flush_->attached()->ring();
    LL_CHECK(run->bytes <= ring.capacity && run->count <= frames_max(ring));
    (void)hash64(flush_->data(run->at.first), run->bytes);
    flush_->set_durable(run->end());
    if (producer_) (void)producer_->wait_durable(run->end().first, late_ns);
    return run->bytes;
  }
  void flush_all() {
    uint64_t bytes = 0;
    while (const uint64_t run = flush_run(1024)) {
      bytes += run;
      LL_CHECK(bytes <= laps_max * attached_->ring().capacity);
    }
    if (flush_) (void)flush_->clean_up_ahead();
  }
  void skip_some(uint64_t bytes) {
    if (!flush_) return;
    const Pair at = flush_->at();
    (void)flush_->skip_to({at.first + bytes, at.second + 1});
  }

  void sleep_a_moment() {
    constexpr uint64_t moment_ns = 20'000;
    if (!producer_) return;
    producer_->wait_kind = shm::WaitKind::park;
    open_frame(480, monotonic_ns() + moment_ns);
    if (lossy_) (void)lossy_->wait(monotonic_ns() + moment_ns);
  }

  std::shared_ptr<shm::Attached> attached_;
  Fences fences_;
  std::optional<shm::Producer> producer_;
  std::optional<shm::Consumer> lossless_, lossy_;
  std::optional<shm::FlushCursor> flush_;
  shm::OpenFrame frame_;
};

// One input: a mood, handles that were there before the vandal came or not, his changes, and then
// steps with more changes between them.
//
//   u8 [2:0] mood  [3] exclusive ring  [4] live handles  [6:5] how the file is mapped afterwards
//      [7] lossy consumers too
//   u8 changes, each one as `forge` reads it;  u8 steps, each one u8 which (0xff: one more change)
template <class Forge>
void visit_hostile(Input& input, HostileRing& ring, Forge&& forge) {
  constexpr uint32_t changes_max = 12, steps_max = 16;
  const uint8_t mode = input.byte();
  const bool with_lossy = (mode & 128) != 0;
  ring.restore(mode & 7);
  Visit resident(ring.attached());
  if ((mode & 16) != 0) resident.open_all(with_lossy);
  for (uint32_t left = input.below(changes_max + 1); left > 0; --left) forge(input, ring);
  ring.calm_lock();
  look_at(ring.attached()->mapping().fd(), *ring.roster());
  for (uint32_t left = input.below(steps_max + 1); left > 0; --left) {
    if (input.byte() == 0xff) {
      forge(input, ring);
      ring.calm_lock();
    } else {
      resident.step(input);
    }
  }
  constexpr shm::Access accesses[] = {shm::Access::look, shm::Access::consume, shm::Access::produce,
                                      shm::Access::produce};
  auto mapping = shm::Mapping::attach_fd(ring.attached()->mapping().fd(), "hostile",
                                         accesses[(mode >> 5) & 3]);
  if (!mapping) return;
  const auto fresh = shm::Attached::make(std::move(*mapping), ring.roster(), std::nullopt);
  read_over(fresh->ring());
  Visit(fresh).everything(with_lossy);
}

}  // namespace loopline::fuzz
