// Engine: how one execution runs; the loops over executions are in explorer.cc.
#include "engine.h"

#include <cstdlib>

namespace loopline::model {

namespace {

constexpr unsigned signature_of_choice = 0x7ffe;

unsigned signature_of(const Operation& operation) {
  return static_cast<unsigned>(operation.kind) << 8 | operation.location;
}

bool is_read(OperationKind kind) {
  return kind != OperationKind::store && kind != OperationKind::fence &&
         kind != OperationKind::futex_wake;
}

}  // namespace

Engine* Engine::current_engine = nullptr;

Engine::Outcome Engine::run_execution() {
  ++executions_;
  for (const auto& kept : kept_) std::memcpy(kept.base, kept.image.data(), kept.image.size());
  memory_.start_execution(static_cast<unsigned>(threads_.size()));
  script_.rewind();
  trace_.start();
  failure_.clear();
  operations_ = time_outs_ = last_ = 0;
  if (scenario_.set_up) scenario_.set_up();
  for (auto& thread : threads_) {
    thread->status = Status::fresh;
    thread->dying = thread->wrote = false;
    thread->history = thread->history_at_pause = thread->last_iteration = {};
    forget_iteration(*thread);
    thread->stack = thread->fiber.start(&Engine::enter);
  }
  outcome_ = Outcome::completed;
  if (!threads_.empty()) schedule();
  if (outcome_ == Outcome::completed && scenario_.check) scenario_.check();
  const Learned learned = memory_.learned();
  if (learned == Learned::layout) outcome_ = Outcome::learned;
  if (learned == Learned::order && mode_ == Mode::explore) outcome_ = Outcome::learned;
  operations_all_ += operations_;
  return outcome_;
}

void Engine::enter() { current_engine->run_thread(); }

void Engine::run_thread() {
  const unsigned number = running_;
  Thread& thread = *threads_[number];
  if (!thread.dying) {
    scenario_.threads[number]();
  } else if (scenario_.on_death) {
    scenario_.on_death(number);
  }
  thread.status = Status::ended;
  memory_.retire(number);
  schedule();
  std::abort();  // an ended thread is never resumed
}

void Engine::stop(Outcome outcome) {
  outcome_ = outcome;
  switch_to(main_number);
  std::abort();  // the stack was abandoned
}

void Engine::switch_to(unsigned number) {
  StackPointer& from = running_ == main_number ? main_stack_ : threads_[running_]->stack;
  StackPointer to = number == main_number ? main_stack_ : threads_[number]->stack;
  running_ = number;
  loopline_model_switch(&from, to);
}

void Engine::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
  outcome_ = Outcome::failed;
  if (in_thread()) stop(Outcome::failed);
}

// --- Operations of the running thread ---

void Engine::perform(Operation& operation) {
  if (operation.kind != OperationKind::fence && !memory_.locate(operation)) stop(Outcome::learned);
  if (memory_.exhausted() != nullptr) fail(memory_.exhausted());
  const bool visible =
      operation.kind != OperationKind::load && operation.kind != OperationKind::fence;
  if (visible) die_perhaps();
  const bool reduces = limits_.reduces && mode_ != Mode::replay;
  if (reduces && memory_.is_local(running_, operation)) {
    return run(running_, operation, 0);
  }
  threads_[running_]->status = Status::ready;
  threads_[running_]->pending = &operation;
  schedule();
}

void Engine::run(unsigned number, Operation& operation, unsigned back) {
  if (++operations_ > limits_.operations_max) fail("too many accesses: a loop without end?");
  memory_.execute(number, operation, back);
  if (memory_.exhausted() != nullptr) fail(memory_.exhausted());
  remember(*threads_[number], operation);
  if (mode_ == Mode::show || mode_ == Mode::replay) {
    const bool placed = operation.kind != OperationKind::fence;
    const uintptr_t address = placed ? memory_.address_of(operation.location) : 0;
    trace_.add({static_cast<uint8_t>(number), static_cast<uint8_t>(back)},
               trace_.describe(operation, address));
  }
}

void Engine::remember(Thread& thread, const Operation& operation) {
  if (operation.changed) thread.wrote = true;
  if (!is_read(operation.kind)) {
    mix(thread.history, 1);
    return;
  }
  const uint64_t word = operation.result.first + (operation.done ? uint64_t{1} << 63 : 0);
  mix(thread.history, word);
  mix(thread.iteration, word);
  if (operation.size == 16) {
    mix(thread.history, operation.result.second);
    mix(thread.iteration, operation.result.second);
  }
  const unsigned location = operation.location;
  mix(thread.iteration, location);
  mix(thread.watched_hash, location << 8 | operation.read_index);
  thread.read_index[location] = operation.read_index;
  if (thread.watch_stamp[location] != thread.stamp) {
    thread.watch_stamp[location] = thread.stamp;
    thread.watched.push_back(static_cast<uint8_t>(location));
  }
}

void Engine::forget_iteration(Thread& thread) {
  ++thread.stamp;
  thread.watched.clear();
  thread.watched_hash = {};
  thread.iteration = {};
  thread.wrote = false;
}

// A spin iteration that read what the last one read changes nothing: its reads are taken back from
// the history, and the thread waits until one of them could give something else.
void Engine::pause() {
  Thread& thread = *threads_[running_];
  die_perhaps();
  if (!limits_.pause_waits || thread.watched.empty()) return;
  if (!thread.wrote && thread.iteration == thread.last_iteration) {
    thread.history = thread.history_at_pause;
  }
  thread.history_at_pause = thread.history;
  thread.last_iteration = thread.iteration;
  thread.status = Status::paused;
  if (!can_resume(thread)) schedule();
  thread.status = Status::ready;
  forget_iteration(thread);
}

unsigned Engine::choose(unsigned count) {
  std::vector<Option> options;
  for (unsigned index = 0; index < count; ++index) {
    options.push_back({static_cast<uint8_t>(running_), static_cast<uint8_t>(index)});
  }
  const unsigned chosen = choose_alone(options);
  mix(threads_[running_]->history, chosen);
  return chosen;
}

// A choice that is nobody else's business: no other thread need run in between.
unsigned Engine::choose_alone(const std::vector<Option>& options) {
  if (mode_ == Mode::replay) {
    while (script_.is_replaying() && script_.peek().thread != running_) {
      threads_[running_]->status = Status::fresh;
      schedule();
    }
  }
  Option option;
  if (script_.is_replaying()) {
    option = script_.next();
    if (!script_.matches(signature_of_choice)) fail("not the same steps again: a hidden input");
  } else {
    option = take_new(options);
  }
  if (mode_ == Mode::show || mode_ == Mode::replay) {
    const bool dies = option.back == back_dies;
    trace_.add(option, dies ? "is killed" : "chooses " + std::to_string(option.back));
  }
  return option.back;
}

void Engine::die_perhaps() {
  const unsigned number = running_;
  Thread& thread = *threads_[number];
  if (!thread.mortal || thread.dying) return;
  const auto self = static_cast<uint8_t>(number);
  if (choose_alone({{self, 0}, {self, back_dies}}) != back_dies) return;
  thread.dying = true;
  mix(thread.history, back_dies);
  forget_iteration(thread);
  thread.stack = thread.fiber.start(&Engine::enter);
  StackPointer abandoned;
  loopline_model_switch(&abandoned, thread.stack);
}

void Engine::remember_only(std::initializer_list<uint64_t> words) {
  Thread& thread = *threads_[running_];
  thread.history = thread.history_at_pause = thread.last_iteration = {};
  for (const uint64_t word : words) mix(thread.history, word);
  forget_iteration(thread);
}

void Engine::note(const char* what, uint64_t value) {
  if (mode_ != Mode::show && mode_ != Mode::replay) return;
  trace_.remark(running_, std::string("# ") + what + " " + std::to_string(value));
}

// --- Scheduling ---

// Runs steps, of whichever threads, until the control belongs to one; returns when it is the
// caller's.
void Engine::schedule() {
  const unsigned self = running_;
  for (;;) {
    if (memory_.learned() != Learned::nothing && mode_ == Mode::explore) stop(Outcome::learned);
    const unsigned resumable = find_resumable();
    if (resumable < threads_.size()) {
      threads_[resumable]->status = Status::ready;
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
  if (mode_ == Mode::replay && script_.is_replaying()) {  // the seed says when
    const unsigned number = script_.peek().thread;
    if (number >= nobody) return nobody;
    const Thread& thread = *threads_[number];
    const bool resumes = thread.status == Status::paused && can_resume(thread);
    return thread.status == Status::fresh || resumes ? number : nobody;
  }
  for (unsigned number = 0; number < threads_.size(); ++number) {
    const Thread& thread = *threads_[number];
    if (thread.status == Status::fresh) return number;
    if (thread.status == Status::paused && can_resume(thread)) return number;
  }
  return nobody;
}

bool Engine::can_resume(const Thread& thread) const {
  for (const unsigned location : thread.watched) {
    if (memory_.differs_later(location, thread.read_index[location])) return true;
  }
  return false;
}

// False when the step left its thread without control: asleep, or just woken.
bool Engine::apply(Option option) {
  if (option.thread >= threads_.size()) fail("the seed does not fit this scenario");
  Thread& thread = *threads_[option.thread];
  if (option.back == back_times_out) {
    ++time_outs_;
    thread.status = Status::fresh;
    mix(thread.history, back_times_out);
    if (mode_ == Mode::show || mode_ == Mode::replay) trace_.add(option, "times out");
    return false;
  }
  if (thread.status != Status::ready) fail("the seed does not fit this scenario");
  Operation& operation = *thread.pending;
  if (mode_ != Mode::walk && !script_.matches(signature_of(operation))) {
    fail("not the same steps again: a hidden input");
  }
  run(option.thread, operation, option.back);
  if (operation.kind == OperationKind::futex_wake) wake_sleepers(operation.location);
  if (operation.kind != OperationKind::futex_wait) return true;
  forget_iteration(thread);
  if (operation.done) thread.status = Status::asleep;
  return !operation.done;
}

void Engine::wake_sleepers(unsigned location) {
  for (auto& thread : threads_) {
    if (thread->status != Status::asleep || thread->pending->location != location) continue;
    thread->status = Status::fresh;
    mix(thread->history, 2);
  }
}

Option Engine::decide() {
  if (script_.is_replaying()) return script_.next();
  list_options();
  if (options_.empty()) {
    const std::string stuck = describe_stuck();
    if (!stuck.empty()) fail("nobody can go on: " + stuck);
    stop(Outcome::completed);
  }
  if (mode_ == Mode::explore && options_.size() > 1 && !is_new_state()) stop(Outcome::pruned);
  return take_new(options_);
}

Option Engine::take_new(const std::vector<Option>& options) {
  if (mode_ == Mode::walk) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return options[(random_ >> 20) % options.size()];
  }
  const Option option = script_.push(options);
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
  if (thread.status == Status::ready) {
    memory_.list_choices(number, *thread.pending, backs_);
    for (const uint8_t back : backs_) options_.push_back({self, back});
  }
  if (thread.status == Status::asleep && time_outs_ < limits_.time_outs) {
    options_.push_back({self, back_times_out});
  }
}

bool Engine::is_new_state() {
  if (!limits_.prunes) return true;
  Hash state = memory_.hash();
  mix(state, time_outs_);
  for (const auto& thread : threads_) {
    mix(state, thread->history.a);
    mix(state, thread->history.b ^ static_cast<uint64_t>(thread->status));
    mix(state, thread->watched_hash.a);
  }
  return visited_.insert(state);
}

std::string Engine::describe_stuck() const {
  std::string text;
  for (unsigned number = 0; number < threads_.size(); ++number) {
    const Thread& thread = *threads_[number];
    if (thread.status == Status::ended) continue;
    if (!text.empty()) text += ", ";
    text += "t" + std::to_string(number);
    if (thread.status == Status::asleep) {
      text += " sleeps on " + trace_.name_of(memory_.address_of(thread.pending->location));
      continue;
    }
    text += " spins on";
    for (const unsigned location : thread.watched) {
      text += " " + trace_.name_of(memory_.address_of(location));
    }
  }
  return text;
}

}  // namespace loopline::model
