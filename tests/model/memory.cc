// Memory: locations and their layout, what may be read, and the effect of each operation on the
// views.
#include "memory.h"

#include <algorithm>

namespace loopline::model {

namespace {

using Kind = OperationKind;

constexpr size_t slot_count = 1 << 14;

bool acquires(std::memory_order order) {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}
bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
bool is_total(std::memory_order order) { return order == std::memory_order_seq_cst; }

Pair extract(const Pair& from, unsigned offset, unsigned size) {
  const char* bytes = reinterpret_cast<const char*>(&from) + offset;
  uint64_t words[2] = {};
  if (size == 8) {
    std::memcpy(words, bytes, 8);
  } else {
    std::memcpy(words, bytes, size);
  }
  return {words[0], words[1]};
}

Pair combine(Pair into, const Pair& value, unsigned offset, unsigned size) {
  std::memcpy(reinterpret_cast<char*>(&into) + offset, &value, size);
  return into;
}

// The new value of a read-modify-write; a compare_exchange is known to succeed.
Pair changed(const Operation& operation, const Pair& old) {
  switch (operation.kind) {
    case Kind::add:
      return {old.first + operation.value.first, 0};
    case Kind::bit_or:
      return {old.first | operation.value.first, 0};
    case Kind::bit_and:
      return {old.first & operation.value.first, 0};
    default:
      return operation.value;
  }
}

bool is_change(Kind kind) {
  return kind == Kind::exchange || kind == Kind::add || kind == Kind::bit_or ||
         kind == Kind::bit_and || kind == Kind::compare_exchange;
}

}  // namespace

void Memory::add_mirror(uintptr_t base, size_t size) {
  for (const auto& mirror : mirrors_) {
    if (mirror.base == base) return;
  }
  mirrors_.push_back({base, size});
}

void Memory::start_pass() {
  slots_.assign(slot_count, {});
  locations_.clear();
  locations_.reserve(location_count_max);
  touched_.clear();
  chunk_count_ = 1;
  execution_ = 0;
  for (auto& thread : threads_) thread = {};
  learned_ = Learned::nothing;
}

void Memory::start_execution(unsigned thread_count) {
  ++execution_;
  touched_.clear();
  thread_count_ = thread_count;
  for (auto& thread : threads_) {
    assign(thread.now, {}, chunk_count_);
    assign(thread.acquired, {}, chunk_count_);
    assign(thread.released, {}, chunk_count_);
    thread.has_acquired = thread.has_released = thread.retired = thread.hashed = false;
    thread.reads = {};
    thread.saved = 0;
  }
  step_ = 0;
  marks_.clear();
  undo_.clear();
  saved_.clear();
  learned_ = Learned::nothing;
  exhausted_ = nullptr;
}

void Memory::begin_step(unsigned step) {
  static_assert(sizeof(Undo) <= 8);
  marks_.resize(step);
  marks_.push_back({undo_.size(), saved_.size()});
  ++step_serial_;
  step_ = step_serial_;
}

void Memory::undo_to(unsigned step) {
  const Mark mark = marks_[step];
  while (undo_.size() > mark.undo_count) {
    const Undo undo = undo_.back();
    undo_.pop_back();
    Location& location = locations_[undo.location];
    switch (undo.change) {
      case Change::store:
        location.hashed = std::min(location.hashed, location.newest);
        --location.newest;
        break;
      case Change::woken:
        location.woken = undo.old;
        break;
      case Change::read_clock:
        location.read_clock[undo.thread] = undo.old;
        break;
    }
  }
  while (saved_.size() > mark.saved_count) {
    threads_[saved_.back().number] = saved_.back().thread;
    saved_.pop_back();
  }
  marks_.resize(step);
}

void Memory::write_back() const {
  for (const unsigned number : touched_) {
    const Location& location = locations_[number];
    if (location.newest == 0) continue;
    std::memcpy(reinterpret_cast<void*>(location.address), &location.stores[location.newest].value,
                location.size);
  }
}

Memory::Thread& Memory::change(unsigned number) {
  Thread& thread = threads_[number];
  if (thread.saved != step_) {
    saved_.push_back({number, thread});
    thread.saved = step_;
  }
  return thread;
}

void Memory::remember(Undo undo) {
  if (step_ != 0) undo_.push_back(undo);
}

Memory::Slot& Memory::slot_of(uintptr_t word) {
  size_t index = (word >> 3) * 0x9e3779b97f4a7c15 >> 50;
  static_assert(slot_count == size_t{1} << 14);
  while (slots_[index].word != word) {
    if (slots_[index].word == 0) {
      slots_[index].word = word;
      break;
    }
    index = (index + 1) % slot_count;
  }
  return slots_[index];
}

bool Memory::widen(uintptr_t word, uint8_t size) {
  if (size == 16) {
    sizes_[word & ~uintptr_t{15}] = size;
    sizes_[word | 8] = size;
  } else {
    sizes_[word] = size;
  }
  learned_ = Learned::layout;
  return false;
}

uint16_t Memory::add_location(uintptr_t address, uint8_t size) {
  if (locations_.size() == location_count_max) {
    exhausted_ = "too many locations: leave out payload words (Limits::payload_words)";
    return 0;
  }
  Location location;
  location.address = address;
  location.size = size;
  if (const auto known = knowledge_.find(address); known != knowledge_.end()) {
    location.racy = known->second.racy;
    location.contended = known->second.contended;
    location.writers = known->second.writers;
  }
  locations_.push_back(std::move(location));
  // Chunks that come into use were never written in this pass: zero in every view.
  const auto used = static_cast<unsigned>(thread_count_max + locations_.size());
  chunk_count_ = (used + chunk_size - 1) / chunk_size;
  return static_cast<uint16_t>(locations_.size() - 1);
}

bool Memory::locate(Operation& operation) {
  const uintptr_t address = canonical(operation.address);
  const uintptr_t word = address & ~uintptr_t{7};
  const unsigned half = (address >> 2) & 1;
  const unsigned size = operation.size;
  Slot* slot = &slot_of(word);
  if (slot->skipped) {
    modelled_.insert(word);
    learned_ = Learned::layout;
    return false;
  }
  if (slot->size == 0) {
    const auto known = sizes_.find(word);
    const uint8_t wanted = size == 16 ? 16 : size == 4 ? 4 : 8;
    slot->size = known == sizes_.end() ? wanted : std::max(known->second, wanted);
    slot->locations[0] = slot->locations[1] = UINT16_MAX;
    if (slot->size == 16) {
      const uintptr_t base = word & ~uintptr_t{15};
      const uintptr_t other = word ^ 8;
      if (slot_of(other).size != 0 || slot_of(other).skipped) return widen(word, 16);
      Slot& second = slot_of(other);
      second.size = 16;
      second.locations[0] = slot->locations[0] = add_location(base, 16);
    } else if (slot->size == 8) {
      slot->locations[0] = add_location(word, 8);
    }
  }
  const bool fits_half = (address & 3) + size <= 4;
  if (size == 16 ? slot->size < 16 : slot->size == 4 && !fits_half) {
    return widen(word, size == 16 ? 16 : 8);
  }
  const unsigned part = slot->size == 4 ? half : 0;
  if (slot->locations[part] == UINT16_MAX) {
    slot->locations[part] = add_location(word + 4 * half, 4);
  }
  operation.location = slot->locations[part];
  operation.offset = static_cast<uint8_t>(address - locations_[operation.location].address);
  return true;
}

bool Memory::may_skip(uintptr_t word) {
  Slot& slot = slot_of(word);
  if (slot.size != 0 || modelled_.contains(word)) return false;
  slot.skipped = true;
  return true;
}

Memory::Location& Memory::touch(unsigned number) {
  Location& location = locations_[number];
  if (location.execution == execution_) return location;
  location.execution = execution_;
  location.newest = location.hashed = location.woken = 0;
  std::fill_n(location.read_clock, thread_count_max, uint8_t{0});
  if (location.stores.empty()) location.stores.resize(4);
  // Stores are kept here until write_back, so what is there now is what set-up left.
  Store& first = location.stores[0];
  first.value = {};
  std::memcpy(&first.value, reinterpret_cast<const void*>(location.address), location.size);
  first.has_view = false;
  touched_.push_back(static_cast<uint16_t>(number));
  return location;
}

void Memory::learn(Location& location) {
  knowledge_[location.address] = {location.racy, location.contended, location.writers};
  if (learned_ == Learned::nothing) learned_ = Learned::order;
}

bool Memory::is_local(unsigned thread, const Operation& operation) const {
  if (is_total(operation.order) || is_total(operation.failure)) return false;
  if (operation.kind == Kind::fence) return true;
  if (operation.kind == Kind::futex_wait || operation.kind == Kind::futex_wake) return false;
  const Location& location = locations_[operation.location];
  const bool reads_alone = !location.racy || (location.writers & ~(1u << thread)) == 0;
  if (operation.kind == Kind::load) return reads_alone;
  if (operation.kind == Kind::compare_exchange && !reads_alone) return false;
  return !location.contended;
}

unsigned Memory::lowest(unsigned thread, const Operation& operation,
                        const Location& location) const {
  const unsigned number = thread_count_max + operation.location;
  unsigned low = threads_[thread].now.at[number];
  const bool total = operation.kind == Kind::compare_exchange ? is_total(operation.failure)
                                                              : is_total(operation.order);
  if (total) low = std::max<unsigned>(low, threads_[global_number].now.at[number]);
  if (operation.kind == Kind::futex_wait) low = std::max<unsigned>(low, location.woken);
  return low;
}

void Memory::list_choices(unsigned thread, const Operation& operation,
                          std::vector<uint8_t>& backs) const {
  backs.assign(1, 0);
  const bool compares = operation.kind == Kind::compare_exchange;
  if (operation.kind != Kind::load && operation.kind != Kind::futex_wait && !compares) return;
  const Location& location = locations_[operation.location];
  if (location.execution != execution_) return;
  const unsigned low = lowest(thread, operation, location);
  for (unsigned back = 1; back + low <= location.newest; ++back) {
    // A compare_exchange never fails spuriously, and succeeds only on the newest.
    const Pair& value = location.stores[location.newest - back].value;
    if (compares && extract(value, operation.offset, operation.size) == operation.expected)
      continue;
    backs.push_back(static_cast<uint8_t>(back));
  }
}

void Memory::execute(unsigned thread, Operation& operation, unsigned back) {
  switch (operation.kind) {
    case Kind::fence:
      return run_fence(thread, operation.order);
    case Kind::futex_wake:
      return run_wake(thread, operation);
    case Kind::load:
      return run_load(thread, operation, back, operation.order);
    case Kind::futex_wait:
      run_load(thread, operation, back, operation.order);
      operation.done = operation.result == operation.expected;
      return;
    case Kind::store: {
      note_write(thread, operation.location);
      Location& location = touch(operation.location);
      const Pair old = location.stores[location.newest].value;
      const Pair value = combine(old, operation.value, operation.offset, operation.size);
      operation.changed = !(value == old);
      append(thread, operation, value, false);
      return;
    }
    case Kind::compare_exchange: {
      const Location& location = touch(operation.location);
      const Pair newest =
          extract(location.stores[location.newest].value, operation.offset, operation.size);
      operation.done = back == 0 && newest == operation.expected;
      note_write(thread, operation.location);
      if (!operation.done) return run_load(thread, operation, back, operation.failure);
      return run_change(thread, operation);
    }
    default:
      note_write(thread, operation.location);
      return run_change(thread, operation);
  }
}

void Memory::run_fence(unsigned number, std::memory_order order) {
  Thread& thread = change(number);
  thread.hashed = false;
  if (acquires(order) && thread.has_acquired) {
    join(thread.now, thread.acquired, chunk_count_);
    assign(thread.acquired, {}, chunk_count_);
    thread.has_acquired = false;
  }
  if (is_total(order)) join(thread.now, threads_[global_number].now, chunk_count_);
  if (releases(order)) {
    if (thread.now.at[number] < index_max) ++thread.now.at[number];
    assign(thread.released, thread.now, chunk_count_);
    thread.has_released = true;
  }
  if (is_total(order)) {
    assign(change(global_number).now, thread.now, chunk_count_);
  }
}

void Memory::run_load(unsigned number, Operation& operation, unsigned back,
                      std::memory_order order) {
  Location& location = touch(operation.location);
  Thread& thread = change(number);
  note_read(number, operation.location);
  const unsigned place = thread_count_max + operation.location;
  const auto index = static_cast<uint8_t>(location.newest - back);
  const Store& store = location.stores[index];
  operation.result = extract(store.value, operation.offset, operation.size);
  operation.read_index = index;
  operation.newest_index = location.newest;
  if (index > thread.now.at[place]) {
    thread.now.at[place] = index;
    thread.hashed = false;
  }
  if (is_total(order)) {
    uint8_t& last = change(global_number).now.at[place];
    last = std::max(last, index);
  }
  if (!store.has_view) return;
  thread.hashed = false;
  if (acquires(order)) {
    join(thread.now, store.view, chunk_count_);
  } else {
    join(thread.acquired, store.view, chunk_count_);
    thread.has_acquired = true;
  }
}

void Memory::run_change(unsigned number, Operation& operation) {
  Location& location = touch(operation.location);
  Thread& thread = change(number);
  const Store& store = location.stores[location.newest];
  operation.read_index = operation.newest_index = location.newest;
  operation.result = extract(store.value, operation.offset, operation.size);
  if (store.has_view) {
    if (acquires(operation.order)) {
      join(thread.now, store.view, chunk_count_);
    } else {
      join(thread.acquired, store.view, chunk_count_);
      thread.has_acquired = true;
    }
  }
  const Pair value =
      combine(store.value, changed(operation, operation.result), operation.offset, operation.size);
  operation.changed = !(value == store.value);
  append(number, operation, value, true);
}

void Memory::run_wake(unsigned thread, const Operation& operation) {
  Location& location = touch(operation.location);
  const uint8_t seen = threads_[thread].now.at[thread_count_max + operation.location];
  remember({Change::woken, 0, location.woken, operation.location});
  location.woken = std::max(location.woken, seen);
}

// `continues`: a read-modify-write, which carries on the release sequence of what it read.
void Memory::append(unsigned number, const Operation& operation, Pair value, bool continues) {
  Location& location = locations_[operation.location];
  if (location.newest == index_max) {
    exhausted_ = "more than 254 stores to one location: a loop without end?";
    return;
  }
  Thread& thread = change(number);
  remember({Change::store, 0, 0, operation.location});
  thread.hashed = false;
  const unsigned place = thread_count_max + operation.location;
  const unsigned index = ++location.newest;
  if (location.stores.size() <= index) location.stores.resize(2 * location.stores.size());
  Store& store = location.stores[index];
  const Store& previous = location.stores[index - 1];
  thread.now.at[place] = static_cast<uint8_t>(index);
  store.value = value;
  store.has_view = false;
  if (releases(operation.order)) {
    if (thread.now.at[number] < index_max) ++thread.now.at[number];
    assign(store.view, thread.now, chunk_count_);
    store.has_view = true;
  } else if (thread.has_released) {
    assign(store.view, thread.released, chunk_count_);
    store.has_view = true;
  }
  if (continues && previous.has_view) {
    if (store.has_view) {
      join(store.view, previous.view, chunk_count_);
    } else {
      assign(store.view, previous.view, chunk_count_);
    }
    store.has_view = true;
  }
  if (is_total(operation.order)) {
    change(global_number).now.at[place] = static_cast<uint8_t>(index);
  }
}

// Until the location is known as racy: an older store still visible was not ordered before this
// load, and the clock lets a later store find out whether it is ordered after.
void Memory::note_read(unsigned number, unsigned place) {
  Location& location = locations_[place];
  if (location.racy) return;
  Thread& thread = threads_[number];
  if (thread.now.at[thread_count_max + place] < location.newest) {
    location.racy = true;
    return learn(location);
  }
  const auto clock = static_cast<uint8_t>(thread.now.at[number] + 1);
  uint8_t& noted = location.read_clock[number];
  if (noted == clock) return;
  const auto hash_at = [&](uint8_t value) {
    Hash hash;
    if (value != 0) mix(hash, place << 8 | value);
    return hash;
  };
  subtract(thread.reads, hash_at(noted));
  add(thread.reads, hash_at(clock));
  remember({Change::read_clock, static_cast<uint8_t>(number), noted, static_cast<uint16_t>(place)});
  noted = clock;
}

void Memory::note_write(unsigned number, unsigned place) {
  Location& location = touch(place);
  const Thread& thread = threads_[number];
  const auto writer = static_cast<uint8_t>(1u << number);
  bool news = (location.writers & writer) == 0;
  location.writers |= writer;
  if (!location.contended && thread.now.at[thread_count_max + place] < location.newest) {
    location.contended = news = true;
  }
  for (unsigned other = 0; !location.racy && other < thread_count_; ++other) {
    if (other != number && location.read_clock[other] > thread.now.at[other]) {
      location.racy = news = true;
    }
  }
  if (news) learn(location);
}

void Memory::execute_directly(Operation& operation) const {
  const uintptr_t address = canonical(operation.address);
  void* place = reinterpret_cast<void*>(address);
  if (operation.kind == Kind::fence || operation.kind == Kind::futex_wait ||
      operation.kind == Kind::futex_wake) {
    return;
  }
  std::memcpy(&operation.result, place, operation.size);
  if (operation.kind == Kind::load) return;
  operation.done = operation.result == operation.expected;
  if (operation.kind == Kind::compare_exchange && !operation.done) return;
  const Pair value =
      is_change(operation.kind) ? changed(operation, operation.result) : operation.value;
  std::memcpy(place, &value, operation.size);
}

bool Memory::differs_later(unsigned number, unsigned index) const {
  const Location& location = locations_[number];
  for (unsigned later = index + 1; later <= location.newest; ++later) {
    if (!(location.stores[later].value == location.stores[index].value)) return true;
  }
  return false;
}

void Memory::hash_stores(Location& location, unsigned number) {
  while (location.hashed <= location.newest) {
    const unsigned index = location.hashed++;
    Store& store = location.stores[index];
    Hash hash;
    if (store.has_view) hash = hash_of(store.view, chunk_count_);
    mix(hash, number << 8 | index);
    mix(hash, store.value.first);
    mix(hash, store.value.second);
    if (index != 0) add(hash, location.stores[index - 1].prefix);
    store.prefix = hash;
  }
}

const Hash& Memory::hash_views(Thread& thread) {
  if (thread.hashed) return thread.views;
  Hash hash = hash_of(thread.now, chunk_count_);
  if (thread.has_acquired) {
    join(thread.acquired, thread.now, chunk_count_);
    const Hash acquired = hash_of(thread.acquired, chunk_count_);
    mix(hash, acquired.a);
    mix(hash, acquired.b);
  }
  if (thread.has_released) {
    const Hash released = hash_of(thread.released, chunk_count_);
    mix(hash, ~released.a);
    mix(hash, released.b);
  }
  thread.views = hash;
  thread.hashed = true;
  return thread.views;
}

Hash Memory::hash() {
  Hash sum;
  View oldest;
  bool first = true;
  for (unsigned index = 0; index < thread_count_; ++index) {
    Thread& thread = threads_[index];
    if (thread.retired) continue;
    Hash hash = hash_views(thread);
    mix(hash, thread.reads.a + index);
    mix(hash, thread.reads.b);
    add(sum, hash);
    if (first) {
      oldest = thread.now;
    } else {
      lower(oldest, thread.now, chunk_count_);
    }
    first = false;
  }
  for (const unsigned number : touched_) {
    Location& location = locations_[number];
    if (location.newest == 0) continue;
    hash_stores(location, number);
    const unsigned low = oldest.at[thread_count_max + number];
    add(sum, location.stores[location.newest].prefix);
    if (low != 0) subtract(sum, location.stores[low - 1].prefix);
    if (location.woken != 0) {
      Hash hash;
      mix(hash, number << 16 | location.woken);
      add(sum, hash);
    }
  }
  Thread& global = threads_[global_number];
  Hash hash = hash_of(global.now, chunk_count_);
  mix(hash, 1);
  add(sum, hash);
  return sum;
}

}  // namespace loopline::model
