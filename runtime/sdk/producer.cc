// Producer: slots over open frames of the ring, extensions written at claim.
#include "loopline/producer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "shm/base/clock.h"
#include "shm/extension.h"
#include "state.h"

namespace loopline {

namespace {

// A frame with its extension written: what remains is the payload.
struct Opened {
  shm::OpenFrame frame;
  std::byte* payload = nullptr;
  uint16_t flags = 0;
};

uint64_t deadline_of(const ProducerState& state, const PublishOptions& options) {
  if (options.timeout) return deadline_after(*options.timeout);
  return state.reject ? 0 : shm::wait_for_ever;
}

Status open_frame(ProducerState& state, size_t payload_bytes, const PublishOptions& options,
                  Opened& opened) {
  const bool plain =
      !state.identified && options.key.empty() && options.id.empty() && options.headers.empty();
  if (plain) {
    LL_TRY_STATUS(state.ring.claim(payload_bytes, deadline_of(state, options), opened.frame));
    opened.payload = opened.frame.body;
    return ok();
  }
  shm::ExtensionFields fields;
  fields.key = options.key;
  fields.id = options.id;
  fields.headers = options.headers;
  if (state.identified) fields.producer = {state.id, state.next_sequence, state.epoch};
  LL_TRY(size, shm::extension_size(fields));
  // A sum that wraps is refused like any other that is too large.
  const uint64_t body_size = std::max<uint64_t>(payload_bytes, size + payload_bytes);
  LL_TRY_STATUS(state.ring.claim(body_size, deadline_of(state, options), opened.frame));
  shm::write_extension(fields, size, opened.frame.body);
  opened.payload = opened.frame.body + size;
  opened.flags = shm::flag_extension;
  if (state.identified) ++state.next_sequence;
  return ok();
}

}  // namespace

uint64_t deadline_after(std::chrono::nanoseconds timeout) {
  if (timeout == forever) return shm::wait_for_ever;
  if (timeout.count() <= 0) return 0;
  return monotonic_ns() + static_cast<uint64_t>(timeout.count());
}

Slot::Slot(Slot&& other) noexcept { *this = std::move(other); }

Slot& Slot::operator=(Slot&& other) noexcept {
  if (this == &other) return *this;
  if (producer_ != nullptr) (void)abort();
  producer_ = std::exchange(other.producer_, nullptr);
  payload_ = other.payload_;
  payload_size_ = other.payload_size_;
  flags_ = other.flags_;
  state_ = other.state_;
  return *this;
}

Slot::~Slot() {
  if (producer_ != nullptr) (void)abort();
}

uint64_t Slot::sequence() const { return std::bit_cast<shm::OpenFrame>(state_).claim.sequence; }

Status Slot::commit() {
  auto frame = std::bit_cast<shm::OpenFrame>(state_);
  if (producer_ == nullptr) {
    return Fault(FaultCode::invalid_argument, "this message was committed or aborted already");
  }
  return std::exchange(producer_, nullptr)->ring.commit(frame, flags_);
}

Status Slot::abort() {
  auto frame = std::bit_cast<shm::OpenFrame>(state_);
  if (producer_ == nullptr) {
    return Fault(FaultCode::invalid_argument, "this message was committed or aborted already");
  }
  return std::exchange(producer_, nullptr)->ring.abort(frame);
}

Producer::Producer(std::unique_ptr<ProducerState> state) : state_(std::move(state)) {}
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&&) noexcept = default;
Producer::~Producer() = default;

Result<Slot> Producer::claim(size_t payload_bytes, const PublishOptions& options) {
  Opened opened;
  LL_TRY_STATUS(open_frame(*state_, payload_bytes, options, opened));
  Slot slot;
  slot.producer_ = state_.get();
  slot.payload_ = opened.payload;
  slot.payload_size_ = payload_bytes;
  slot.flags_ = opened.flags;
  slot.state_ = std::bit_cast<Slot::State>(opened.frame);
  return slot;
}

Result<uint64_t> Producer::publish(std::span<const std::byte> payload,
                                   const PublishOptions& options) {
  Opened opened;
  LL_TRY_STATUS(open_frame(*state_, payload.size(), options, opened));
  if (!payload.empty()) copy_to_shared(opened.payload, payload.data(), payload.size());
  LL_TRY_STATUS(state_->ring.commit(opened.frame, opened.flags));
  return opened.frame.claim.sequence;
}

uint64_t Producer::id() const { return state_->id; }

}  // namespace loopline
