// Producer: slots over open frames of the ring, extensions written at claim.
#include "loopline/producer.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <utility>

#include "shm/base/clock.h"
#include "shm/base/hash.h"
#include "shm/extension.h"
#include "state.h"

namespace loopline {

namespace {

uint64_t deadline_of(const PublishOptions& options) {
  return options.timeout ? deadline_after(*options.timeout) : shm::wait_as_station_says;
}

// A frame with its extension written: what remains is the payload, at `payload`.
struct Opened {
  shm::OpenFrame& frame;
  shm::Producer* ring = nullptr;
  uint32_t partition = 0;
  std::byte* payload = nullptr;
  uint16_t flags = 0;
  bool is_recorded = false;
  bool is_duplicate = false;
};

Fault no_such_level(const ProducerState& state) {
  return {FaultCode::unsupported, "station \"" + state.rings[0].attached()->name() +
                                      "\" keeps its messages in memory: they become visible, "
                                      "never durable or committed"};
}

// Without replicas this host is the majority: what is durable is committed.
bool has_level(const ProducerState& state, Ack level) {
  return level == Ack::visible || state.is_on_disk;
}

shm::ExtensionFields fields_of(const ProducerState& state, const PublishOptions& options) {
  shm::ExtensionFields fields;
  fields.key = options.key;
  fields.id = options.id;
  fields.headers = options.headers;
  if (state.identified) fields.producer = {state.id, state.next_sequence, 0};
  return fields;
}

// Whether its ledger must know of it.
bool is_recorded(const ProducerState& state, const PublishOptions& options, const Opened& opened) {
  return state.is_checked ||
         (!options.id.empty() && opened.ring->attached()->header().dedup_window_ns != 0);
}

Status open_extended(ProducerState& state, size_t payload_bytes, const PublishOptions& options,
                     Opened& opened) {
  const shm::ExtensionFields fields = fields_of(state, options);
  LL_TRY(size, shm::extension_size(fields));
  // A sum that wraps is refused like any other that is too large.
  const uint64_t body_size = std::max<uint64_t>(payload_bytes, size + payload_bytes);
  LL_TRY_STATUS(opened.ring->claim(body_size, deadline_of(options), opened.frame));
  shm::write_extension(fields, size, opened.frame.body);
  opened.payload = opened.frame.body + size;
  opened.flags = shm::flag_extension;
  if (state.identified && !state.is_checked) ++state.next_sequence;
  return ok();
}

// As if it had been claimed and committed where it stands.
Status publish_recorded(ProducerState& state, std::span<const std::byte> payload,
                        const PublishOptions& options, Opened& opened) {
  const uint64_t deadline_ns = deadline_of(options);
  LL_TRY(recorder, state.recorder(opened.partition, deadline_ns));
  const shm::RecordedMessage message{fields_of(state, options), payload};
  LL_TRY(recorded, recorder->publish(*opened.ring, message, deadline_ns));
  if (state.identified) ++state.next_sequence;
  state.was_duplicate = opened.is_duplicate = recorded.is_duplicate;
  opened.frame.claim.position = recorded.place.end_position;
  opened.frame.claim.sequence = recorded.place.sequence;
  return ok();
}

Status publish_extended(ProducerState& state, std::span<const std::byte> payload,
                        const PublishOptions& options, Opened& opened) {
  if (is_recorded(state, options, opened)) {
    return publish_recorded(state, payload, options, opened);
  }
  LL_TRY_STATUS(open_extended(state, payload.size(), options, opened));
  if (!payload.empty()) copy_to_shared(opened.payload, payload.data(), payload.size());
  return opened.ring->commit(opened.frame, opened.flags);
}

inline Status choose_ring(ProducerState& state, const PublishOptions& options, Opened& opened) {
  if (options.ack && !has_level(state, *options.ack)) [[unlikely]]
    return no_such_level(state);
  opened.partition = state.rings.size() == 1 ? 0 : state.partition_for(options.key);
  opened.ring = &state.rings[opened.partition];
  return ok();
}

inline bool is_plain(const ProducerState& state, const PublishOptions& options) {
  return !state.identified && options.key.empty() && options.id.empty() && options.headers.empty();
}

inline Status open_frame(ProducerState& state, size_t payload_bytes, const PublishOptions& options,
                         Opened& opened) {
  LL_TRY_STATUS(choose_ring(state, options, opened));
  if (!is_plain(state, options)) {
    opened.is_recorded = is_recorded(state, options, opened);
    return open_extended(state, payload_bytes, options, opened);
  }
  LL_TRY_STATUS(opened.ring->claim(payload_bytes, deadline_of(options), opened.frame));
  opened.payload = opened.frame.body;
  return ok();
}

inline Status publish_frame(ProducerState& state, std::span<const std::byte> payload,
                            const PublishOptions& options, Opened& opened) {
  LL_TRY_STATUS(choose_ring(state, options, opened));
  if (!is_plain(state, options)) return publish_extended(state, payload, options, opened);
  LL_TRY_STATUS(opened.ring->claim(payload.size(), deadline_of(options), opened.frame));
  if (!payload.empty()) copy_to_shared(opened.frame.body, payload.data(), payload.size());
  return opened.ring->commit(opened.frame, 0);
}

}  // namespace

uint32_t partition_of_key(std::string_view key, size_t partitions) {
  return static_cast<uint32_t>(hash64(key.data(), key.size()) % partitions);
}

uint64_t producer_id_of(std::string_view name) {
  return std::max<uint64_t>(hash64(name.data(), name.size()), 1);  // 0 is nobody
}

uint32_t ProducerState::partition_for(std::string_view key) {
  if (!key.empty()) return partition_of_key(key, rings.size());
  // The same one again when the message is published again.
  if (is_checked) return static_cast<uint32_t>(next_sequence % rings.size());
  const uint32_t partition = turn;
  turn = turn + 1 == rings.size() ? 0 : turn + 1;
  return partition;
}

Result<shm::Recorder*> ProducerState::recorder(uint32_t partition, uint64_t deadline_ns) {
  if (recorders.empty()) recorders.resize(rings.size());
  auto& recorder = recorders[partition];
  if (recorder) return &*recorder;
  LL_TRY(opened, shm::Recorder::open(rings[partition].attached(), deadline_ns));
  recorder.emplace(std::move(opened));
  return &*recorder;
}

// Published in order, so that all up to the last that any partition has are there.
Status ProducerState::take_over(uint64_t first_sequence) {
  constexpr uint64_t patience_ns = 10'000'000'000;  // for one who publishes, or fills a new ledger
  uint64_t last = 0;
  for (uint32_t partition = 0; partition < rings.size(); ++partition) {
    const uint64_t deadline_ns = monotonic_ns() + patience_ns;
    LL_TRY(recorder, this->recorder(partition, deadline_ns));
    LL_TRY(known, recorder->take_over(*rings[partition].attached(), id, deadline_ns));
    last = std::max(last, known.last);
    epoch = known.epoch;
  }
  last_known = last;
  next_sequence = first_sequence == 0 ? last + 1 : first_sequence;
  return ok();
}

uint64_t deadline_after(std::chrono::nanoseconds timeout) {
  if (timeout == forever) return shm::wait_for_ever;
  if (timeout.count() <= 0) return 0;
  return monotonic_ns() + static_cast<uint64_t>(timeout.count());
}

namespace {

Fault closed_slot() {
  return {FaultCode::invalid_argument, "this message was committed or aborted already"};
}

// The open frame that lives in a slot's bytes.
template <class Bytes>
shm::OpenFrame& frame_in(Bytes& bytes) {
  static_assert(sizeof(Bytes) == sizeof(shm::OpenFrame) &&
                alignof(Bytes) == alignof(shm::OpenFrame));
  return *std::launder(reinterpret_cast<shm::OpenFrame*>(&bytes));
}

}  // namespace

uint64_t Slot::sequence() const { return frame_in(const_cast<Frame&>(frame_)).claim.sequence; }

namespace {

constexpr uintptr_t recorded_mark = 1;

ProducerState* recorded_by(shm::Producer* marked) {
  const auto bits = reinterpret_cast<uintptr_t>(marked);
  if ((bits & recorded_mark) == 0) return nullptr;
  return reinterpret_cast<ProducerState*>(bits - recorded_mark);
}

// One comparison tells a slot that is neither empty nor recorded: the mark becomes the highest bit.
bool is_common(shm::Producer* producer) {
  const auto bits = reinterpret_cast<uintptr_t>(producer);
  return std::rotr(bits, 1) - 1 < std::numeric_limits<uintptr_t>::max() / 2;
}

// The stamp is written now: what is published first gets the lower number.
Status commit_recorded(ProducerState& state, uint32_t partition, shm::OpenFrame& frame) {
  shm::Producer& ring = state.rings[partition];
  LL_TRY(recorder, state.recorder(partition, 0));
  shm::ExtensionFields fields;
  const auto view = shm::ExtensionView::parse({frame.body, frame.body_size});
  if (!view) {
    LL_TRY_STATUS(ring.abort(frame));
    return Fault(FaultCode::invalid_argument,
                 "the bytes in front of this message were written over");
  }
  fields.id = view->id();
  if (state.is_checked) fields.producer = {state.id, state.next_sequence, 0};
  LL_TRY(recorded, recorder->commit(ring, frame, fields));
  if (state.is_checked) ++state.next_sequence;
  state.was_duplicate = recorded.is_duplicate;
  return ok();
}

}  // namespace

Status Slot::end(bool commits) {
  if (producer_ == nullptr) return closed_slot();
  shm::Producer* const producer = std::exchange(producer_, nullptr);
  ProducerState* const state = recorded_by(producer);
  if (state == nullptr) return producer->abort(frame_in(frame_));
  if (!commits) return state->rings[partition_].abort(frame_in(frame_));
  return commit_recorded(*state, partition_, frame_in(frame_));
}

Status Slot::commit() {
  if (!is_common(producer_)) [[unlikely]]
    return end(true);
  return std::exchange(producer_, nullptr)->commit(frame_in(frame_), flags_);
}

Status Slot::abort() { return end(false); }

Producer::Producer(std::unique_ptr<ProducerState> state) : state_(std::move(state)) {}
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&&) noexcept = default;
Producer::~Producer() = default;

inline Status Producer::open(Slot& slot, size_t payload_bytes, const PublishOptions& options) {
  Opened opened{frame_in(slot.frame_)};
  LL_TRY_STATUS(open_frame(*state_, payload_bytes, options, opened));
  slot.producer_ = opened.ring;
  if (opened.is_recorded) [[unlikely]] {
    slot.producer_ =
        reinterpret_cast<shm::Producer*>(reinterpret_cast<uintptr_t>(state_.get()) + recorded_mark);
  }
  slot.partition_ = static_cast<uint16_t>(opened.partition);
  slot.payload_ = {opened.payload, payload_bytes};
  slot.flags_ = opened.flags;
  return ok();
}

// One object on every way out, so that it is made where the caller has it.
Result<Slot> Producer::claim(size_t payload_bytes, const PublishOptions& options) {
  Result<Slot> claimed(std::in_place);
  const Status opened = open(*claimed, payload_bytes, options);
  if (!opened) claimed = opened.fault();
  return claimed;
}

namespace {

uint64_t end_of(const shm::OpenFrame& frame) { return frame.claim.position + frame.claim.bytes; }

// Every message of a station in memory has its level, visible, with its commit.
inline bool must_wait(const ProducerState& state, const PublishOptions& options) {
  return state.is_on_disk && options.ack.value_or(Ack::durable) != Ack::visible;
}

// Until the disk has it: as long as it may wait for room, or for ever.
Status wait_on_disk(shm::Producer& ring, uint64_t end_position, uint64_t deadline_ns) {
  const bool is_set = deadline_ns != shm::wait_as_station_says;
  LL_TRY(is_durable, ring.wait_durable(end_position, is_set ? deadline_ns : shm::wait_for_ever));
  if (is_durable) return ok();
  return Fault(FaultCode::timed_out, "the message is in the ring of station \"" +
                                         ring.attached()->name() + "\", not yet on disk");
}

}  // namespace

Result<uint64_t> Producer::publish(std::span<const std::byte> payload,
                                   const PublishOptions& options) {
  shm::OpenFrame frame;
  Opened opened{frame};
  LL_TRY_STATUS(publish_frame(*state_, payload, options, opened));
  if (must_wait(*state_, options)) [[unlikely]] {
    LL_TRY_STATUS(wait_on_disk(*opened.ring, end_of(frame), deadline_of(options)));
  }
  return frame.claim.sequence;
}

Result<Ticket> Producer::publish_async(std::span<const std::byte> payload,
                                       const PublishOptions& options) {
  shm::OpenFrame frame;
  Opened opened{frame};
  LL_TRY_STATUS(publish_frame(*state_, payload, options, opened));
  return Ticket(frame.claim.sequence, opened.partition, end_of(frame),
                state_->is_on_disk ? opened.ring : nullptr, opened.is_duplicate);
}

Status Producer::wait(const Ticket& ticket, Ack level, std::chrono::nanoseconds timeout) {
  if (!has_level(*state_, level)) return no_such_level(*state_);
  if (ticket.partition_ >= state_->rings.size() ||
      (ticket.end_position_ == 0 && level != Ack::visible)) {
    return Fault(FaultCode::invalid_argument,
                 "the ticket is not one that publish_async of this producer gave");
  }
  if (level == Ack::visible) return ok();
  return wait_on_disk(state_->rings[ticket.partition_], ticket.end_position_,
                      deadline_after(timeout));
}

Ack Ticket::level() const {
  if (producer_ == nullptr) return Ack::visible;
  const auto is_durable = producer_->wait_durable(end_position_, 0);
  return is_durable && *is_durable ? Ack::committed : Ack::visible;
}

uint64_t Producer::id() const { return state_->id; }
uint64_t Producer::last_sequence() const { return state_->last_known; }
uint64_t Producer::next_sequence() const { return state_->next_sequence; }
uint32_t Producer::epoch() const { return state_->epoch; }
bool Producer::was_duplicate() const { return state_->was_duplicate; }

}  // namespace loopline
