// Producer: slots over open frames of the ring, extensions written at claim.
#include "loopline/producer.h"

#include <algorithm>
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

Status open_extended(ProducerState& state, size_t payload_bytes, const PublishOptions& options,
                     Opened& opened) {
  shm::ExtensionFields fields;
  fields.key = options.key;
  fields.id = options.id;
  fields.headers = options.headers;
  if (state.identified) fields.producer = {state.id, state.next_sequence, state.epoch};
  LL_TRY(size, shm::extension_size(fields));
  // A sum that wraps is refused like any other that is too large.
  const uint64_t body_size = std::max<uint64_t>(payload_bytes, size + payload_bytes);
  LL_TRY_STATUS(opened.ring->claim(body_size, deadline_of(options), opened.frame));
  shm::write_extension(fields, size, opened.frame.body);
  opened.payload = opened.frame.body + size;
  opened.flags = shm::flag_extension;
  if (state.identified) ++state.next_sequence;
  return ok();
}

inline Status open_frame(ProducerState& state, size_t payload_bytes, const PublishOptions& options,
                         Opened& opened) {
  if (options.ack && !has_level(state, *options.ack)) [[unlikely]]
    return no_such_level(state);
  opened.partition = state.rings.size() == 1 ? 0 : state.partition_for(options.key);
  opened.ring = &state.rings[opened.partition];
  const bool plain =
      !state.identified && options.key.empty() && options.id.empty() && options.headers.empty();
  if (!plain) return open_extended(state, payload_bytes, options, opened);
  LL_TRY_STATUS(opened.ring->claim(payload_bytes, deadline_of(options), opened.frame));
  opened.payload = opened.frame.body;
  return ok();
}

inline Status publish_frame(ProducerState& state, std::span<const std::byte> payload,
                            const PublishOptions& options, Opened& opened) {
  LL_TRY_STATUS(open_frame(state, payload.size(), options, opened));
  if (!payload.empty()) copy_to_shared(opened.payload, payload.data(), payload.size());
  return opened.ring->commit(opened.frame, opened.flags);
}

}  // namespace

uint32_t partition_of_key(std::string_view key, size_t partitions) {
  return static_cast<uint32_t>(hash64(key.data(), key.size()) % partitions);
}

uint32_t ProducerState::partition_for(std::string_view key) {
  if (!key.empty()) return partition_of_key(key, rings.size());
  const uint32_t partition = turn;
  turn = turn + 1 == rings.size() ? 0 : turn + 1;
  return partition;
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

Status Slot::commit() {
  if (producer_ == nullptr) return closed_slot();
  return std::exchange(producer_, nullptr)->commit(frame_in(frame_), flags_);
}

Status Slot::abort() {
  if (producer_ == nullptr) return closed_slot();
  return std::exchange(producer_, nullptr)->abort(frame_in(frame_));
}

Producer::Producer(std::unique_ptr<ProducerState> state) : state_(std::move(state)) {}
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&&) noexcept = default;
Producer::~Producer() = default;

inline Status Producer::open(Slot& slot, size_t payload_bytes, const PublishOptions& options) {
  Opened opened{frame_in(slot.frame_)};
  LL_TRY_STATUS(open_frame(*state_, payload_bytes, options, opened));
  slot.producer_ = opened.ring;
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
                state_->is_on_disk ? opened.ring : nullptr);
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

}  // namespace loopline
