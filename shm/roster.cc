// Roster: takes seats, gives them back, and tells from two words whether a seat's thread lives.
//
// A seat's life: free; try_lock; state {g+1, tid, dead}; who it is; state {g+1, tid}; the thread
// ends: state {g+1, tid, dead}; unlock. A kill anywhere leaves the mutex OWNER_DIED (the kernel's
// doing); whoever next looks for a seat marks the old state dead and takes the entry over.
//
// Happens-before edges
//   [seat]   the holder's state -> describe(), alive(), try_entry()   who it is, and that it locked
//   [death]  mark_dead()'s dead bit -> whoever reads the state        A2: dead stays dead
//   [taken]  the fence before try_lock -> alive(), after the word     A2: a new holder with the old
//            one's tid (another pid namespace) is seen only together with the dead bit
//   [named]  the fence after the first state -> describe()'s fence    a name is one person's
#include "roster.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "base/clock.h"
#include "base/units.h"
#include "lock.h"
#include "roster_state.h"

namespace loopline::shm {
namespace {

constexpr uint64_t dead_bit = 1;
constexpr int generation_shift = 31;
constexpr uint64_t tid_mask = (1u << 30) - 1;
constexpr uint64_t generation_max = (1ull << 33) - 1;

constexpr uint64_t pack_state(uint64_t generation, uint32_t tid) {
  return generation << generation_shift | static_cast<uint64_t>(tid) << 1;
}
constexpr uint64_t generation_of(uint64_t state) { return state >> generation_shift; }
constexpr uint32_t tid_of(uint64_t state) { return static_cast<uint32_t>((state >> 1) & tid_mask); }

// Sets the dead bit while `state` still is the one of that generation.
void mark_generation_dead(RosterEntry& entry, uint64_t generation) {
  uint64_t state = entry.state.load(std::memory_order_relaxed);  // relaxed: the CAS decides
  while (generation_of(state) == generation && (state & dead_bit) == 0) {
    if (entry.state.compare_exchange(state, state | dead_bit,
                                     std::memory_order_release,     // release [death]
                                     std::memory_order_relaxed)) {  // relaxed: looked at again
      return;
    }
  }
}

bool is_held(const RosterEntry& entry) {
  const Holder holder = holder_of(entry.mutex);
  return holder.tid != 0 && !holder.died;
}

// The words about a person are read by tools while the next one may write them: word by word.
void store_word(uint32_t& word, uint32_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);  // relaxed: [named] and [seat] order it
}
uint32_t load_word(const uint32_t& word) {
  return __atomic_load_n(&word, __ATOMIC_RELAXED);  // relaxed: [named] and [seat] order it
}
void store_command(RosterEntry& entry, const char* name) {
  for (size_t index = 0; index < sizeof entry.command; ++index) {
    const char letter = *name == 0 ? '\0' : *name++;
    __atomic_store_n(&entry.command[index], letter, __ATOMIC_RELAXED);  // relaxed: as store_word
  }
}
std::string load_command(const RosterEntry& entry) {
  std::string name;
  for (const char& place : entry.command) {
    const char letter = __atomic_load_n(&place, __ATOMIC_RELAXED);  // relaxed: as load_word
    if (letter == 0) break;
    name += letter >= ' ' && letter <= '~' ? letter : '?';  // it may be printed on a terminal
  }
  return name;
}

// The name of this program as `ps` shows it; empty where there is no /proc.
struct CommandName {
  char text[32] = {};
  CommandName() {
    const int fd = ::open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    text[size > 0 ? size - 1 : 0] = 0;  // ends in a newline
  }
};

// We hold the entry's mutex: puts our name on it. If we die here: the mutex says OWNER_DIED, and
// the generation we used up is dead from its first store to its last.
SeatId sit_down(RosterEntry& entry, uint32_t index) {
  const uint64_t old = entry.state.load(std::memory_order_relaxed);  // relaxed: we hold the mutex
  const uint64_t generation = generation_of(old) + 1;
  const uint64_t state = pack_state(generation, holder_of(entry.mutex).tid);
  entry.state.store(state | dead_bit, std::memory_order_relaxed);  // relaxed: the fence follows
  fence(std::memory_order_release);                                // release [named]
  const CommandName command;
  store_word(entry.pid, static_cast<uint32_t>(::getpid()));
  store_word(entry.uid, static_cast<uint32_t>(::geteuid()));
  store_command(entry, command.text);
  entry.state.store(state, std::memory_order_release);  // release [seat]
  return make_seat(index, generation);
}

// Takes one entry if nobody alive holds it and its generations are not used up.
SeatId try_entry(RosterEntry& entry, uint32_t index) {
  // The state before the word: whoever published it locked the mutex first, so a word that is free
  // or died afterwards means that exactly this generation is gone.
  const uint64_t state = entry.state.load(std::memory_order_acquire);  // acquire [seat]
  if (is_held(entry) || generation_of(state) >= generation_max) return nobody;
  // Before the mutex changes hands, the old generation must be dead for everyone, since the new
  // holder's tid may be the same number in another pid namespace (A2).
  mark_generation_dead(entry, generation_of(state));
  fence(std::memory_order_release);  // release [taken]
  const LockOutcome outcome = try_lock(entry.mutex);
  if (outcome != LockOutcome::taken && outcome != LockOutcome::inherited) return nobody;
  // Somebody may have sat here and left, or died, between our look and the lock.
  const uint64_t now = entry.state.load(std::memory_order_acquire);  // acquire [seat]
  mark_generation_dead(entry, generation_of(now));
  if (generation_of(now) >= generation_max) {
    unlock(entry.mutex);
    return nobody;
  }
  return sit_down(entry, index);
}

}  // namespace

void Roster::State::leave(SeatId seat) {
  RosterEntry& entry = entries()[seat_entry(seat)];
  mark_generation_dead(entry, seat_generation(seat));
  // If we die here: OWNER_DIED with the dead bit set already, like any death.
  unlock(entry.mutex);
}

bool Roster::State::is_mine(SeatId seat) const {
  const RosterEntry& entry = entries()[seat_entry(seat)];
  const uint64_t state = entry.state.load(std::memory_order_relaxed);  // relaxed: our own store
  return generation_of(state) == seat_generation(seat) && (state & dead_bit) == 0;
}

// pread does not promise in which order it copies. Two equal images in a row were read one after
// the other, and a state never comes back: so the word stood beside that state, as alive() asks.
const RosterEntry* Roster::State::entry(uint32_t index) {
  if (file.fd() < 0) return &entries()[index];
  constexpr int tries_max = 64;
  constexpr size_t size = sizeof(RosterEntry);
  const auto place = static_cast<off_t>(page_size + index * size);
  std::byte before[size] = {};
  for (int count = 0; count < tries_max; ++count) {
    if (::pread(file.fd(), image, size, place) != static_cast<ssize_t>(size)) return nullptr;
    if (count != 0 && std::memcmp(before, image, size) == 0) break;
    std::memcpy(before, image, size);
  }
  return reinterpret_cast<const RosterEntry*>(image);
}

Result<SeatId> Roster::State::take_seat() {
  // Threads begin at different entries, so that a crowd which starts together does not queue.
  const uint64_t here[2] = {thread_key(), monotonic_ns()};
  const auto first = static_cast<uint32_t>(hash64(here, sizeof here) % header.entry_count);
  for (uint32_t count = 0; count < header.entry_count; ++count) {
    const uint32_t index = (first + count) % header.entry_count;
    const SeatId seat = try_entry(entries()[index], index);
    if (seat != nobody) return seat;
  }
  return Fault(FaultCode::too_many,
               "all " + format_count(header.entry_count) + " seats of roster " + name +
                   " are held by living threads: end some of them; see: loopline process ls");
}

Result<SeatId> Roster::my_seat() {
  if (state_->look) {
    return Fault(FaultCode::no_permission,
                 "roster " + state_->name + " was opened only to look: no seat can be taken in it");
  }
  LL_TRY(seats, seats_of_this_thread());
  for (HeldSeat& held : seats->held) {
    if (held.roster != state_.get()) continue;
    if (state_->is_mine(held.seat)) return held.seat;
    // Declared dead although we live (only a mistaken or hostile process does that): it stays dead.
    state_->leave(held.seat);
    held = seats->held.back();
    seats->held.pop_back();
    break;
  }
  seats->held.reserve(seats->held.size() + 1);  // nothing may fail once we hold the seat
  LL_TRY(seat, state_->take_seat());
  seats->held.push_back({state_.get(), seat});
  return seat;
}

bool Roster::alive(SeatId seat) const {
  if ((seat & repairing_bit) != 0 || seat_entry(seat) >= state_->header.entry_count) return false;
  const RosterEntry* found = state_->entry(seat_entry(seat));
  if (found == nullptr) return false;
  const RosterEntry& entry = *found;
  // The state before the word: a generation that is there has locked the mutex [seat]. And after
  // it: a word that another one took over comes with the dead bit [taken].
  const uint64_t state = entry.state.load(std::memory_order_acquire);  // acquire [seat]
  if ((state & dead_bit) != 0 || generation_of(state) != seat_generation(seat)) return false;
  const Holder holder = holder_of(entry.mutex);
  if (holder.tid == 0 || holder.died || holder.tid != tid_of(state)) return false;
  return entry.state.load(std::memory_order_acquire) == state &&  // acquire [death, taken]
         generation_of(state) != 0;
}

void Roster::mark_dead(SeatId seat) {
  if (state_->look || seat_entry(seat) >= state_->header.entry_count) return;
  mark_generation_dead(state_->entries()[seat_entry(seat)], seat_generation(seat));
}

uint32_t* Roster::futex_word(SeatId seat) {
  if (state_->file.fd() >= 0 || !alive(seat)) return nullptr;
  return futex_word_of(state_->entries()[seat_entry(seat)].mutex);
}

SeatId Roster::seat_of(uint32_t entry) const {
  if (entry >= state_->header.entry_count) return nobody;
  const RosterEntry* found = state_->entry(entry);
  if (found == nullptr) return nobody;
  const uint64_t state = found->state.load(std::memory_order_acquire);  // acquire [seat]
  return generation_of(state) == 0 ? nobody : make_seat(entry, generation_of(state));
}

Roster::Person Roster::describe(SeatId seat) const {
  Person person;
  person.entry = seat_entry(seat);
  person.generation = seat_generation(seat);
  if (person.entry >= state_->header.entry_count) return person;
  person.alive = alive(seat);
  const RosterEntry* found = state_->entry(person.entry);
  person.is_known = found != nullptr;
  if (found == nullptr) return person;
  const RosterEntry& entry = *found;
  const uint64_t before = entry.state.load(std::memory_order_acquire);  // acquire [seat]
  if (generation_of(before) != person.generation) return person;
  const uint32_t pid = load_word(entry.pid);
  const uint32_t uid = load_word(entry.uid);
  std::string command = load_command(entry);
  fence(std::memory_order_acquire);  // acquire [named]
  const uint64_t after =
      entry.state.load(std::memory_order_relaxed);  // relaxed: the fence orders it
  if (generation_of(after) != person.generation) return person;
  person.pid = pid;
  person.uid = uid;
  person.tid = tid_of(after);
  person.command = std::move(command);
  return person;
}

const uint64_t* Roster::uuid() const { return state_->header.uuid; }
uint32_t Roster::entry_count() const { return state_->header.entry_count; }

}  // namespace loopline::shm
