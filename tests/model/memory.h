// Memory: all stores a location ever had, and which of them each thread may still read.
//
//   location   s0 <- s1 <- s2 <- s3   modification order; s0 is what set-up left
//                    ^           ^
//            a thread's view   newest        it may read s1, s2 or s3
//
// C++20's release/acquire memory as views: a load returns any store not older than the reader's
// view; an acquire joins the view that the store carries; fences work on views put aside; seq_cst
// goes through one global view. Read-modify-writes read the newest and carry on the release
// sequence. A location is 4, 8 or 16 bytes. Accesses of several sizes to the same bytes share the
// largest.
//
// Reduction. A step need not be interleaved with others (is_local) while no access that conflicts
// with it is unordered with it: a store that comes early leaves the older stores visible, so it
// takes nothing from anybody. Whoever finds such an access by views and clocks notes it
// (`learned`), and the exploration starts over with that location interleaved. What is never found
// in the reduced exploration is in none: up to the first unordered access both have the same steps.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "shm/base/atomic.h"
#include "view.h"

namespace loopline::model {

enum class Learned : uint8_t {
  nothing,
  order,   // an unordered access: what ran stays a valid execution
  layout,  // another size for a location: what ran is void
};

class Memory {
 public:
  // Mirrored memory: [base + size, base + 2 size) is [base, base + size) again.
  void add_mirror(uintptr_t base, size_t size);
  uintptr_t canonical(const void* address) const {
    auto place = reinterpret_cast<uintptr_t>(address);
    for (const auto& mirror : mirrors_) {
      if (place - mirror.base - mirror.size < mirror.size) place -= mirror.size;
    }
    return place;
  }

  void start_pass();  // forgets every location but what was learned about it
  void start_execution(unsigned thread_count);
  // From begin_step(n) on, changes can be taken back: undo_to(n) is what was before it.
  void begin_step(unsigned step);
  void undo_to(unsigned step);
  // Puts the newest values into the memory itself.
  void write_back() const;
  Learned learned() const { return learned_; }
  // Why this execution cannot go on: too many stores or locations; nullptr while it can.
  const char* exhausted() const { return exhausted_; }

  // Finds the operation's location; false when its layout had to be learned.
  bool locate(Operation& operation);
  // Whether a bulk copy may leave this word out: nothing but copies has ever touched it.
  bool may_skip(uintptr_t word);
  // Whether interleaving this step with the other threads' steps can change anything.
  bool is_local(unsigned thread, const Operation& operation) const;
  // How many stores behind the newest each possible outcome is, newest first.
  void list_choices(unsigned thread, const Operation& operation, std::vector<uint8_t>& backs) const;
  void execute(unsigned thread, Operation& operation, unsigned back);
  // An operation of no thread, on the memory itself.
  void execute_directly(Operation& operation) const;

  // Whether a store behind `index` holds another value.
  bool differs_later(unsigned location, unsigned index) const;
  // Leaves the thread out of the question which stores can still be read.
  void retire(unsigned thread) { change(thread).retired = true; }
  Hash hash();  // of all views and all stores that can still be read
  uintptr_t address_of(unsigned location) const { return locations_[location].address; }

 private:
  struct Store {
    Pair value;
    View view;              // what an acquire load of it learns
    bool has_view = false;  // false: nothing
    Hash prefix;            // sum of the hashes of the stores up to this one
  };
  struct Location {
    uintptr_t address = 0;
    uint8_t size = 0;
    bool racy = false;       // a load is unordered with a store
    bool contended = false;  // two stores are unordered
    uint8_t writers = 0;     // bit mask of threads that ever store here
    uint8_t newest = 0;
    uint8_t hashed = 0;      // stores with a valid prefix
    uint8_t woken = 0;       // what the last futex wake makes a futex wait see
    uint32_t execution = 0;  // the execution the above and the stores belong to
    uint8_t read_clock[thread_count_max] = {};
    std::vector<Store> stores;
  };
  struct Thread {
    View now;       // oldest store of each location that may still be read
    View acquired;  // what relaxed loads found, for the next acquire fence
    View released;  // what the last release fence gives to relaxed stores
    bool has_acquired = false;
    bool has_released = false;
    bool retired = false;
    bool hashed = false;
    Hash views;
    Hash reads;          // sum over read clocks
    uint64_t saved = 0;  // the step in which it was saved for undo_to
  };
  struct Saved {
    unsigned number;
    Thread thread;
  };
  enum class Change : uint8_t { store, woken, read_clock };
  struct Undo {
    Change change;
    uint8_t thread;
    uint8_t old;
    uint16_t location;
  };
  struct Mark {
    size_t undo_count;
    size_t saved_count;
  };
  struct Slot {
    uintptr_t word = 0;
    uint8_t size = 0;  // 0: no location yet
    bool skipped = false;
    uint16_t locations[2] = {};
  };
  struct Knowledge {
    bool racy = false;
    bool contended = false;
    uint8_t writers = 0;
  };
  struct Mirror {
    uintptr_t base;
    size_t size;
  };

  Slot& slot_of(uintptr_t word);
  bool widen(uintptr_t word, uint8_t size);
  uint16_t add_location(uintptr_t address, uint8_t size);
  Location& touch(unsigned location);
  void learn(Location& location);
  Thread& change(unsigned number);
  void remember(Undo undo);
  unsigned lowest(unsigned thread, const Operation& operation, const Location& location) const;

  void run_fence(unsigned thread, std::memory_order order);
  void run_load(unsigned thread, Operation& operation, unsigned back, std::memory_order order);
  void run_change(unsigned thread, Operation& operation);
  void run_wake(unsigned thread, const Operation& operation);
  void append(unsigned thread, const Operation& operation, Pair value, bool continues);
  void note_read(unsigned thread, unsigned location);
  void note_write(unsigned thread, unsigned location);
  void hash_stores(Location& location, unsigned number);
  const Hash& hash_views(Thread& thread);

  std::vector<Mirror> mirrors_;
  std::unordered_map<uintptr_t, uint8_t> sizes_;        // learned, by word
  std::unordered_set<uintptr_t> modelled_;              // learned: words copies must not skip
  std::unordered_map<uintptr_t, Knowledge> knowledge_;  // learned, by location
  Learned learned_ = Learned::nothing;
  const char* exhausted_ = nullptr;

  std::vector<Slot> slots_;
  std::vector<Location> locations_;
  std::vector<uint16_t> touched_;  // locations of this execution
  unsigned chunk_count_ = 1;
  uint32_t execution_ = 0;
  unsigned thread_count_ = 0;
  // One more than threads: `now` of the last is the view of seq_cst fences and operations.
  static constexpr unsigned global_number = thread_count_max;
  Thread threads_[thread_count_max + 1];

  uint64_t step_ = 0;  // 0: nothing is to be undone
  uint64_t step_serial_ = 0;
  std::vector<Mark> marks_;
  std::vector<Undo> undo_;
  std::vector<Saved> saved_;
};

}  // namespace loopline::model
