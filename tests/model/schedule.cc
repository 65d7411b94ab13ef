// Schedule: whose step is next, which states were seen before, and the way back to a choice.
#include "engine.h"

namespace loopline::model {

namespace {

// Of a step in the script; locations keep their numbers for a whole pass.
unsigned step_signature(const Operation& operation) {
  return static_cast<unsigned>(operation.kind) << 8 | operation.location;
}

template <class Visit>
void for_each_watched(const uint64_t* watched, size_t word_count, Visit visit) {
  for (size_t index = 0; index < word_count; ++index) {
    for (uint64_t word = watched[index]; word != 0; word &= word - 1) {
      visit(static_cast<unsigned>(64 * index) + static_cast<unsigned>(__builtin_ctzll(word)));
    }
  }
}

}  // namespace

// Runs steps, of whichever threads, until control belongs to one; returns when it is the caller's.
void Engine::schedule() {
  const unsigned self = running_;
  for (;;) {
    if (mode_ == Mode::explore && memory_.learned() != Learned::nothing) stop(Outcome::learned);
    const unsigned resumable = find_resumable();
    if (resumable < threads_.size()) {
      change(resumable).status = Status::ready;
      if (resumable != self) switch_to(resumable);
      return;
    }
    const Option option = decide();
    if (!apply(option)) continue;
    last_ = option.thread;
    if (option.thread != self) switch_to(option.thread);
    return;
  }
}

unsigned Engine::find_resumable() const {
  const auto nobody = static_cast<unsigned>(threads_.size());
  const auto resumes = [&](unsigned number) {
    const Progress& progress = threads_[number]->progress;
    if (progress.status == Status::paused) return can_resume(progress);
    return progress.status == Status::fresh;
  };
  if (mode_ == Mode::replay && script_.is_replaying()) {  // the seed says when
    const unsigned number = script_.peek().thread;
    return number < nobody && resumes(number) ? number : nobody;
  }
  unsigned number = 0;
  while (number < nobody && !resumes(number)) ++number;
  return number;
}

bool Engine::can_resume(const Progress& progress) const {
  bool found = false;
  for_each_watched(progress.watched, std::size(progress.watched), [&](unsigned location) {
    found = found || memory_.differs_later(location, progress.read_index[location]);
  });
  return found;
}

Option Engine::decide() {
  if (script_.is_replaying()) return take_next();
  list_options();
  if (options_.empty()) {
    const std::string stuck = describe_stuck();
    if (!stuck.empty()) fail("nobody can go on: " + stuck);
    stop(Outcome::completed);
  }
  if (mode_ == Mode::explore && options_.size() > 1 && !is_new_state()) stop(Outcome::pruned);
  return take_new(options_, false);
}

Option Engine::take_next() {
  begin_step();
  return script_.next();
}

Option Engine::take_new(const std::vector<Option>& options, bool alone) {
  if (mode_ == Mode::walk) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return options[(random_ >> 20) % options.size()];
  }
  begin_step();
  const Option option = script_.push(options, alone);
  ++transitions_;
  if (script_.depth() > depth_max_) depth_max_ = script_.depth();
  if (script_.depth() > limits_.steps_max) fail("too many steps: a loop without end?");
  if (visited_.count() > limits_.states_max) fail("too many states: explored only in part");
  return option;
}

void Engine::list_options() {
  options_.clear();
  add_options_of(last_);  // staying on a thread first gives findings that are easier to read
  for (unsigned number = 0; number < threads_.size(); ++number) {
    if (number != last_) add_options_of(number);
  }
}

void Engine::add_options_of(unsigned number) {
  const Thread& thread = *threads_[number];
  const auto self = static_cast<uint8_t>(number);
  if (thread.progress.status == Status::ready) {
    memory_.list_choices(number, *thread.pending, backs_);
    for (const uint8_t back : backs_) options_.push_back({self, back});
  }
  if (thread.progress.status == Status::asleep && time_outs_ < limits_.time_outs) {
    options_.push_back({self, back_times_out});
  }
}

bool Engine::is_new_state() {
  if (!limits_.prunes) return true;
  Hash state = memory_.hash();
  mix(state, time_outs_);
  for (const auto& thread : threads_) {
    const Progress& progress = thread->progress;
    mix(state, progress.history.a);
    mix(state, progress.history.b ^ static_cast<uint64_t>(progress.status));
    mix(state, progress.watched_hash.a);
  }
  return visited_.insert(state);
}

// False when the step left its thread without control: asleep, or just woken.
bool Engine::apply(Option option) {
  if (option.thread >= threads_.size()) fail("the seed does not fit this scenario");
  Thread& thread = *threads_[option.thread];
  if (option.back == back_times_out) {
    ++time_outs_;
    Progress& progress = change(option.thread);
    progress.status = Status::fresh;
    mix(progress.history, back_times_out);
    if (is_showing()) trace_.add(option, "times out");
    return false;
  }
  if (thread.progress.status != Status::ready) fail("the seed does not fit this scenario");
  Operation& operation = *thread.pending;
  if (mode_ != Mode::walk && !script_.matches(step_signature(operation))) {
    fail(hidden_input);
  }
  run(option.thread, operation, option.back);
  if (operation.kind == OperationKind::futex_wake) wake_sleepers(operation.location);
  if (operation.kind != OperationKind::futex_wait) return true;
  Progress& progress = change(option.thread);
  forget_iteration(progress);
  if (operation.done) progress.status = Status::asleep;
  return !operation.done;
}

void Engine::wake_sleepers(unsigned location) {
  for (unsigned number = 0; number < threads_.size(); ++number) {
    const Thread& thread = *threads_[number];
    if (thread.progress.status != Status::asleep) continue;
    if (thread.pending->location != location) continue;
    Progress& progress = change(number);
    progress.status = Status::fresh;
    mix(progress.history, 2);
  }
}

std::string Engine::describe_stuck() const {
  std::string text;
  for (unsigned number = 0; number < threads_.size(); ++number) {
    const Thread& thread = *threads_[number];
    if (thread.progress.status == Status::ended) continue;
    if (!text.empty()) text += ", ";
    text += "t" + std::to_string(number);
    if (thread.progress.status == Status::asleep) {
      text += " sleeps on " + trace_.name_of(memory_.address_of(thread.pending->location));
      continue;
    }
    text += " spins on";
    for_each_watched(
        thread.progress.watched, std::size(thread.progress.watched),
        [&](unsigned location) { text += " " + trace_.name_of(memory_.address_of(location)); });
  }
  return text;
}

// --- Going back ---

Engine::Progress& Engine::change(unsigned number) {
  Thread& thread = *threads_[number];
  if (thread.saved != step_) {
    saved_.push_back({number, thread.progress});
    thread.saved = step_;
  }
  return thread.progress;
}

void Engine::begin_step() {
  if (mode_ != Mode::explore) return;
  const unsigned step = script_.depth();
  memory_.begin_step(step);
  marks_.resize(step);
  marks_.push_back({saved_.size(), unmodelled_.size(), operations_, time_outs_, last_});
  step_ = ++step_serial_;
}

void Engine::undo_to(unsigned step) {
  memory_.undo_to(step);
  const Mark mark = marks_[step];
  while (saved_.size() > mark.saved_count) {
    threads_[saved_.back().first]->progress = saved_.back().second;
    saved_.pop_back();
  }
  for (auto& thread : threads_) {
    thread->log.resize(thread->progress.log_size);
    thread->saved = 0;
  }
  marks_.resize(step);
  unmodelled_.resize(mark.unmodelled_count);
  operations_ = mark.operations;
  time_outs_ = mark.time_outs;
  last_ = mark.last;
}

// Each thread runs on its log up to the call that comes next, and leaves again.
void Engine::restore_threads() {
  restoring_ = true;
  for (unsigned number = 0; number < threads_.size(); ++number) {
    if (threads_[number]->progress.started) switch_to(number);
  }
  restoring_ = false;
  for (auto& operation : unmodelled_) memory_.execute_directly(operation);
}

}  // namespace loopline::model
