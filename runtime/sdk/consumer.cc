// Consumer: runs of frames as messages.
#include "loopline/consumer.h"

#include <array>
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
  const auto& sources = state_->sources;
  if (sources.size() == 1 && sources[0].ring.is_idle()) {
    return std::span<const Message>(run.first(0));
  }
  LL_TRY(count, read(run));
  return std::span<const Message>(run.first(count));
}

Result<size_t> Consumer::read(std::span<Message> run) {
  auto count = read_any(run);
  if (!count || *count != 0 || !state_->readiness) [[likely]]
    return count;
  if (!run.empty()) LL_TRY_STATUS(rest());
  return count;
}

Result<size_t> Consumer::read_any(std::span<Message> run) {
  if (has_many()) return read_many(run);
  return read_ring(0, run);
}

// The next partition that has something, beginning behind the one that was read last.
Result<size_t> Consumer::read_many(std::span<Message> run) {
  auto& sources = state_->sources;
  if (state_->has_run) LL_TRY_STATUS(release());
  const uint32_t begin = state_->last + 1;
  size_t ended_count = 0;
  for (uint32_t step = 0; step < sources.size(); ++step) {
    const auto index = static_cast<uint32_t>((begin + step) % sources.size());
    auto& source = sources[index];
    ended_count += source.is_ended ? 1 : 0;
    if (source.is_ended || source.ring.is_idle()) continue;
    state_->last = index;
    auto count = read_ring(index, run);
    if (count && *count == 0) continue;
    const bool is_closed = !count && count.fault().code() == FaultCode::closed;
    state_->has_run = !is_closed;
    if (!is_closed) return count;
    source.is_ended = true;  // the others are read to their ends first
    if (++ended_count == sources.size()) return count;
    if (state_->readiness) state_->readiness->forget(source.ring);
  }
  if (ended_count != sources.size()) return size_t{0};
  return Fault(FaultCode::closed,
               "station \"" + sources[0].ring.attached()->name() + "\" was removed");
}

bool Consumer::has_many() const { return state_->sources.size() > 1; }

namespace {

constexpr int laps_max = 8;

}  // namespace

// From the ring; from the log what the ring has lost. 0 only when neither has a message.
Result<size_t> ConsumerState::Source::read(std::span<shm::FrameView> into) {
  for (int laps = 0; laps < laps_max; ++laps) {
    if (is_behind()) {
      auto count = log->read(into, ring);
      if (!count || *count != 0 || log->is_active()) return count;
    }
    auto count = ring.read(into);
    if (!log || !count) return count;
    const shm::Gap gap = ring.take_gap();
    if (gap.count == 0) return count;
    // With a log, what was just read comes again: the ring goes on where the log has brought us.
    LL_TRY(is_behind_now, log->begin_behind(gap));
    if (!is_behind_now) return count;
  }
  return size_t{0};  // producers lap us again and again; the next call goes on
}

Result<size_t> Consumer::read_ring(uint32_t index, std::span<Message> run) {
  shm::FrameView* const views = state_->views;
  auto& source = state_->sources[index];
  auto count = source.read({views, std::min(run.size(), run_max)});
  if (!count) return count;
  for (size_t place = 0; place < *count; ++place) {
    const shm::FrameView& view = views[place];
    Message& message = run[place];
    message.sequence_ = view.sequence;
    message.timestamp_ns_ = view.timestamp;
    message.position_ = view.position;
    message.partition_ = source.partition;
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

Result<std::optional<Message>> Consumer::take(std::chrono::nanoseconds timeout) {
  std::optional<Message> taken(std::in_place);
  for (const uint64_t deadline = deadline_after(timeout);;) {
    LL_TRY(count, read({&*taken, 1}));
    if (count != 0) return taken;
    LL_TRY(has_news, wait_until(deadline));
    if (!has_news) return std::optional<Message>();
  }
}

Status Consumer::release() {
  state_->has_run = false;
  return state_->sources[state_->last].ring.release();
}

namespace {

// The rings that are not read to their ends.
class LiveRings {
 public:
  explicit LiveRings(std::vector<ConsumerState::Source>& sources) {
    for (auto& source : sources) {
      if (!source.is_ended) rings_[count_++] = &source.ring;
    }
  }
  std::span<shm::Consumer* const> all() const { return std::span(rings_).first(count_); }

 private:
  std::array<shm::Consumer*, shm::partitions_max> rings_;
  size_t count_ = 0;
};

}  // namespace

Result<bool> Consumer::wait(std::chrono::nanoseconds timeout) {
  return wait_until(deadline_after(timeout));
}

Result<bool> Consumer::wait_until(uint64_t deadline_ns) {
  auto& sources = state_->sources;
  for (const auto& source : sources) {
    if (source.is_behind()) return true;
  }
  if (!has_many()) return sources[0].ring.wait(deadline_ns);
  const LiveRings rings(sources);
  if (rings.all().empty()) return true;  // the next poll tells that it is closed
  return shm::Consumer::wait_any(rings.all(), deadline_ns);
}

Status Consumer::rest() { return state_->readiness->rest(LiveRings(state_->sources).all()); }

Result<int> Consumer::fd() {
  auto& state = *state_;
  LL_TRY_STATUS(state.sources[0].ring.ensure_here());
  if (state.readiness) return state.readiness->fd();
  LL_TRY(made, shm::Readiness::make());
  state.readiness = std::move(made);
  const Status resting = rest();
  if (resting) return state.readiness->fd();
  for (auto& source : state.sources) state.readiness->forget(source.ring);
  state.readiness.reset();
  return resting.fault();
}

Gap Consumer::gap() {
  auto& source = state_->sources[state_->last];
  const shm::Gap gap = source.log ? source.log->take_gap() : source.ring.take_gap();
  return {gap.first, gap.count, source.partition};
}

bool Consumer::lossy() const { return state_->sources[0].ring.lossy(); }

uint64_t Consumer::next_sequence(uint32_t partition) const {
  for (const auto& source : state_->sources) {
    if (source.partition != partition) continue;
    return source.is_behind() ? source.log->next_sequence() : source.ring.at().second;
  }
  return 0;
}

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
