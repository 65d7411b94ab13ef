// Consumer: runs of frames as messages.
#include "loopline/consumer.h"

#include <utility>

#include "shm/extension.h"
#include "state.h"

namespace loopline {

Consumer::Consumer(std::unique_ptr<ConsumerState> state) : state_(std::move(state)) {}
Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&&) noexcept = default;
Consumer::~Consumer() = default;

Result<std::span<const Message>> Consumer::next_run(size_t max) {
  const std::span<Message> run(state_->messages, max);
  if (state_->ring.is_idle()) return std::span<const Message>(run.first(0));
  LL_TRY(count, read(run));
  return std::span<const Message>(run.first(count));
}

Result<size_t> Consumer::read(std::span<Message> run) {
  shm::FrameView* const views = state_->views;
  auto count = state_->ring.read({views, std::min(run.size(), run_max)});
  if (!count) return count;
  for (size_t index = 0; index < *count; ++index) {
    const shm::FrameView& view = views[index];
    Message& message = run[index];
    message.sequence_ = view.sequence;
    message.timestamp_ns_ = view.timestamp;
    message.position_ = view.position;
    message.payload_ = {view.body, view.body_size};
    message.extension_ = {};
    if ((view.flags & shm::flag_extension) != 0) LL_TRY_STATUS(split(message));
  }
  return count;
}

// The extension apart from the payload behind it.
Status Consumer::split(Message& message) {
  const auto extension = shm::ExtensionView::parse(message.payload_);
  if (!extension) {
    return Fault(FaultCode::corrupted, "message " + std::to_string(message.sequence_) +
                                           " has an extension that makes no sense");
  }
  message.extension_ = message.payload_.first(extension->size());
  message.payload_ = message.payload_.subspan(extension->size());
  return ok();
}

Status Consumer::release() { return state_->ring.release(); }

Result<bool> Consumer::wait(std::chrono::nanoseconds timeout) {
  return state_->ring.wait(deadline_after(timeout));
}

Gap Consumer::gap() {
  const shm::Gap gap = state_->ring.take_gap();
  return {gap.first, gap.count};
}

bool Consumer::lossy() const { return state_->ring.lossy(); }

uint64_t Consumer::next_sequence() const { return state_->ring.at().second; }

namespace {

// Parsed again at each question: most consumers ask for one field of few messages.
std::optional<shm::ExtensionView> parsed(std::span<const std::byte> extension) {
  if (extension.empty()) return std::nullopt;
  return shm::ExtensionView::parse(extension);
}

}  // namespace

std::string_view Message::key() const {
  const auto view = parsed(extension_);
  return view ? view->key() : std::string_view{};
}

std::string_view Message::id() const {
  const auto view = parsed(extension_);
  return view ? view->id() : std::string_view{};
}

uint32_t Message::header_count() const {
  const auto view = parsed(extension_);
  return view ? view->header_count() : 0;
}

Header Message::header(uint32_t index) const {
  const auto view = parsed(extension_);
  return view ? view->header(index) : Header{};
}

std::optional<ProducerIdentity> Message::producer() const {
  const auto view = parsed(extension_);
  if (!view || !view->producer()) return std::nullopt;
  return ProducerIdentity{view->producer()->id, view->producer()->sequence,
                          view->producer()->epoch};
}

}  // namespace loopline
