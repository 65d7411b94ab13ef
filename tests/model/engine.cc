// Engine: how one execution runs, and what a thread's calls do; the order of steps is in
// schedule.cc.
#include "engine.h"

#include <cstdlib>

namespace loopline::model {

namespace {

bool is_read(OperationKind kind) {
  return kind != OperationKind::store && kind != OperationKind::fence &&
         kind != OperationKind::futex_wake;
}

}  // namespace

Engine* Engine::current_engine = nullptr;

// --- One execution ---

Engine::Outcome Engine::run_execution() {
  memory_.start_execution(static_cast<unsigned>(threads_.size()));
  script_.rewind();
  trace_.start();
  operations_ = time_outs_ = last_ = 0;
  step_ = 0;
  marks_.clear();
  saved_.clear();
  unmodelled_.clear();
  for (auto& thread : threads_) {
    thread->progress = {};
    thread->saved = 0;
    thread->log.clear();
  }
  set_up();
  dispatch();
  return finish_execution();
}

// From the choice to which the script has gone back.
Engine::Outcome Engine::continue_execution() {
  undo_to(script_.depth());
  set_up();
  restore_threads();
  if (script_.is_alone()) {
    switch_to(script_.peek().thread);
  } else {
    dispatch();
  }
  return finish_execution();
}

void Engine::set_up() {
  ++executions_;
  failure_.clear();
  outcome_ = Outcome::completed;
  for (const auto& kept : kept_) std::memcpy(kept.base, kept.image.data(), kept.image.size());
  if (scenario_.set_up) scenario_.set_up();
  for (auto& thread : threads_) {
    thread->dying = false;
    thread->position = 0;
    thread->stack = thread->fiber.start(&Engine::enter);
  }
}

Engine::Outcome Engine::finish_execution() {
  if (outcome_ == Outcome::completed && scenario_.check) {
    memory_.write_back();
    scenario_.check();
  }
  const Learned learned = memory_.learned();
  if (learned == Learned::layout) outcome_ = Outcome::learned;
  if (learned == Learned::order && mode_ == Mode::explore) outcome_ = Outcome::learned;
  return outcome_;
}

void Engine::enter() { current_engine->run_thread(); }

void Engine::dispatch() {
  dispatcher_stack_ = dispatcher_.start(&Engine::enter_dispatcher);
  switch_to(dispatcher_number);
}

void Engine::enter_dispatcher() {
  current_engine->schedule();
  std::abort();  // control belongs to a thread from here on
}

void Engine::run_thread() {
  const unsigned number = running_;
  Thread& thread = *threads_[number];
  if (!restoring_) change(number).started = true;
  if (!thread.dying) {
    scenario_.threads[number]();
  } else if (scenario_.on_death) {
    scenario_.on_death(number);
  }
  if (restoring_) switch_to(main_number);
  change(number).status = Status::ended;
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
  StackPointer& from = stack_of(running_);
  running_ = number;
  loopline_model_switch(&from, stack_of(number));
}

StackPointer& Engine::stack_of(unsigned number) {
  if (number == main_number) return main_stack_;
  if (number == dispatcher_number) return dispatcher_stack_;
  return threads_[number]->stack;
}

void Engine::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
  outcome_ = Outcome::failed;
  if (in_thread()) stop(Outcome::failed);
}

// --- Calls of the running thread ---

void Engine::perform_new(Thread& thread, Operation& operation, uint32_t signature) {
  if (operation.kind != OperationKind::fence && !memory_.locate(operation)) stop(Outcome::learned);
  if (memory_.exhausted() != nullptr) fail(memory_.exhausted());
  thread.pending = &operation;
  if (restoring_) {
    switch_to(main_number);
  } else if (limits_.reduces && mode_ != Mode::replay && memory_.is_local(running_, operation)) {
    run(running_, operation, 0);
  } else {
    change(running_).status = Status::ready;
    schedule();
  }
  add_entry({operation.result, signature, operation.done});
}

void Engine::perform_unmodelled(Operation& operation) {
  const uint32_t signature = signature_of(operation);
  if (const Entry* entry = next_entry(*threads_[running_], signature)) {
    operation.result = entry->result;
    return;
  }
  memory_.execute_directly(operation);
  if (mode_ == Mode::explore && operation.kind == OperationKind::store) {
    unmodelled_.push_back(operation);
  }
  add_entry({operation.result, signature, false});
}

void Engine::run(unsigned number, Operation& operation, unsigned back) {
  ++operations_all_;
  if (++operations_ > limits_.operations_max) fail("too many accesses: a loop without end?");
  memory_.execute(number, operation, back);
  if (memory_.exhausted() != nullptr) fail(memory_.exhausted());
  remember(change(number), operation);
  if (is_showing()) {
    const bool placed = operation.kind != OperationKind::fence;
    const uintptr_t address = placed ? memory_.address_of(operation.location) : 0;
    trace_.add({static_cast<uint8_t>(number), static_cast<uint8_t>(back)},
               trace_.describe(operation, address));
  }
}

void Engine::remember(Progress& progress, const Operation& operation) {
  if (operation.changed) progress.wrote = true;
  if (!is_read(operation.kind)) {
    mix(progress.history, 1);
    return;
  }
  const uint64_t word = operation.result.first + (operation.done ? uint64_t{1} << 63 : 0);
  const unsigned location = operation.location;
  mix(progress.history, word);
  mix(progress.iteration, word ^ uint64_t{location} << 48);
  if (operation.size == 16) {
    mix(progress.history, operation.result.second);
    mix(progress.iteration, operation.result.second);
  }
  mix(progress.watched_hash, location << 8 | operation.read_index);
  progress.read_index[location] = operation.read_index;
  progress.watched[location / 64] |= uint64_t{1} << location % 64;
}

void Engine::forget_iteration(Progress& progress) {
  for (auto& word : progress.watched) word = 0;
  progress.watched_hash = {};
  progress.iteration = {};
  progress.wrote = false;
}

// A spin iteration that read what the last one read changes nothing: its reads are taken back from
// the history, and the thread waits until one of them could give something else.
void Engine::pause() {
  const unsigned number = running_;
  die_perhaps();
  if (!limits_.pause_waits) return;
  if (next_entry(*threads_[number], signature_of_pause) != nullptr) return;
  if (restoring_) {
    switch_to(main_number);
  } else {
    Progress& progress = change(number);
    if (!progress.wrote && progress.iteration == progress.last_iteration) {
      progress.history = progress.history_at_pause;
    }
    progress.history_at_pause = progress.history;
    progress.last_iteration = progress.iteration;
    progress.status = Status::paused;
    if (progress.watched_hash == Hash{} || can_resume(progress)) {
      progress.status = Status::ready;
    } else {
      schedule();
    }
  }
  forget_iteration(change(number));
  add_entry({{}, signature_of_pause, false});
}

unsigned Engine::choose(unsigned count) {
  std::vector<Option> options;
  for (unsigned index = 0; index < count; ++index) {
    options.push_back({static_cast<uint8_t>(running_), static_cast<uint8_t>(index)});
  }
  return choose_alone(options);
}

// A choice that is nobody else's business: no other thread need run in between.
unsigned Engine::choose_alone(const std::vector<Option>& options) {
  if (const Entry* entry = next_entry(*threads_[running_], signature_of_choice)) {
    return static_cast<unsigned>(entry->result.first);
  }
  if (restoring_) switch_to(main_number);
  if (mode_ == Mode::replay) {  // the seed says when
    while (script_.is_replaying() && script_.peek().thread != running_) {
      change(running_).status = Status::fresh;
      schedule();
    }
  }
  const Option option = script_.is_replaying() ? take_next() : take_new(options, true);
  if (!script_.matches(signature_of_choice) && mode_ != Mode::walk) fail(hidden_input);
  mix(change(running_).history, option.back);
  if (is_showing()) {
    const bool dies = option.back == back_dies;
    trace_.add(option, dies ? "is killed" : "chooses " + std::to_string(option.back));
  }
  add_entry({{option.back, 0}, signature_of_choice, false});
  return option.back;
}

void Engine::die_perhaps() {
  const unsigned number = running_;
  Thread& thread = *threads_[number];
  if (!thread.mortal || thread.dying) return;
  const auto self = static_cast<uint8_t>(number);
  if (choose_alone({{self, 0}, {self, back_dies}}) != back_dies) return;
  thread.dying = true;
  if (!restoring_) forget_iteration(change(number));
  thread.stack = thread.fiber.start(&Engine::enter);
  StackPointer abandoned;
  loopline_model_switch(&abandoned, thread.stack);
}

void Engine::remember_only(std::initializer_list<uint64_t> words) {
  if (restoring_) return;
  Progress& progress = change(running_);
  progress.history = progress.history_at_pause = progress.last_iteration = {};
  for (const uint64_t word : words) mix(progress.history, word);
  forget_iteration(progress);
}

void Engine::note(const char* what, uint64_t value) {
  if (!is_showing()) return;
  trace_.remark(running_, std::string("# ") + what + " " + std::to_string(value));
}

void Engine::add_entry(const Entry& entry) {
  if (mode_ != Mode::explore) return;
  Thread& thread = *threads_[running_];
  thread.log.push_back(entry);
  change(running_).log_size = static_cast<uint32_t>(++thread.position);
}

// --- What alias.h calls ---

void perform(Operation& operation) {
  Engine* engine = Engine::current();
  if (engine == nullptr) {
    static const Memory plain;
    plain.execute_directly(operation);
  } else if (engine->in_thread()) {
    engine->perform(operation);
  } else {
    engine->memory().execute_directly(operation);
  }
}

void pause() {
  Engine* engine = Engine::current();
  if (engine != nullptr && engine->in_thread()) engine->pause();
}

}  // namespace loopline::model
