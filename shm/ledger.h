// Ledger: which messages a partition has already, by message id and by producer, so that a retry
// after any crash appends once.
//
// A file beside the rings of a partition, made when it is first needed. It belongs to a lineage: a
// ring and all its successors. Whoever publishes a message with an id, or of a producer with an
// identity, holds its lock from the look into the tables to the entry that follows the commit.
// Messages without either never come here.
//
//   lock ─ settle ─ judge ─ claim ─ announce(place) ─ payload, commit ─ enter ─ land ─ unlock
//
// Invariants
//   D1 Once        what is in the tables is not appended again: judged, appended and entered under
//                  one hold of the lock.
//   D2 Fate        the ring's `recorded` word holds the place of the message in flight from before
//                  its commit until it is entered, unless repair completed it as a filler: repair
//                  withdraws the word first. So once its frame is complete: the word is there, and
//                  it was committed; or it is not, and it never will be.
//   D3 Settled     who gets the lock and finds a flight settles it before all else: waits for the
//                  frame to be complete (repairing it when its owner is dead), enters it or not. A
//                  ring goes only when none of its messages is in flight (Attached::lift_gate).
//   D4 Fence       an epoch is judged and its message committed under one hold of the lock: nothing
//                  of an older epoch comes behind a takeover.
//   D5 Whole       an entry that a death cut short is made again by the one who settles.
//   D6 Window      an id is forgotten only when it is older than the window; when the table is full
//                  of younger ones, publishers are told.
// Happens-before edges
//   [lock]      the mutex; tables and flight are read and written by its holder alone
//   [cut]       a word stored after others -> whoever inherits the lock: they are there
//   [recorded]  repair withdraws `recorded` before it completes the frame -> who found it complete
//
// If we die at any point with the lock: the kernel hands it over, and the next one settles.
// A holder that is stopped holds up those who publish here; it is named.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extension.h"
#include "file.h"
#include "ledger_layout.h"
#include "lock.h"
#include "region.h"

namespace loopline::shm {

// Of a message id: its XXH3 of 128 bits.
struct IdKey {
  uint64_t words[2] = {};
  friend bool operator==(const IdKey&, const IdKey&) = default;
};
IdKey key_of(std::string_view id);

// Where a message stands: {sequence, the position behind it}; 0 when that is not known any more.
struct RecordedPlace {
  uint64_t sequence = 0;
  uint64_t end_position = 0;
  friend bool operator==(const RecordedPlace&, const RecordedPlace&) = default;
};

// What a message is known again by.
struct Marks {
  std::optional<ProducerStamp> producer;
  std::optional<IdKey> id;
};

// A message between its claim and its entry.
struct Flight {
  Marks marks;
  uint32_t generation = 0;  // of the ring
  uint64_t position = 0;
  RecordedPlace place;
  uint64_t time_ns = 0;  // UTC
};

// What a ledger knows of a producer.
struct KnownProducer {
  uint64_t id = 0;
  uint64_t last = 0;  // its last message; 0: none
  uint32_t epoch = 0;
  RecordedPlace place;  // of that message
  uint64_t time_ns = 0;
  uint32_t pid = 0;  // of the last who opened it
};

class Ledger {
 public:
  // Beside the rings in `folder`: "FACTORY@STATION@PARTITION@LINEAGE.ledger".
  static std::string path_of(const std::string& folder, const RingHeader& ring);
  // Opens it, or makes it, whole or not at all. Faults: corrupted (not this lineage's, damaged),
  // no_space, no_permission, version_mismatch.
  static Result<std::shared_ptr<Ledger>> open_or_create(const std::string& folder,
                                                        const RingHeader& ring, uint32_t mode,
                                                        FileOwner owner);
  // not_found when there is none.
  static Result<std::shared_ptr<Ledger>> open(const std::string& folder, const RingHeader& ring);
  // Without a file, for rings that have none.
  static Result<std::shared_ptr<Ledger>> create_anonymous(const RingHeader& ring);
  static Result<std::shared_ptr<Ledger>> attach_fd(int fd, const RingHeader& ring);

  // LockGuard guard(ledger->mutex(), ledger->lock(deadline_ns)); `deadline_ns` is monotonic.
  LockOutcome lock(uint64_t deadline_ns);
  pthread_mutex_t& mutex() const { return control().lock.mutex; }
  // Why it was not had; `station` for the words.
  Fault not_locked(LockOutcome outcome, const std::string& station) const;

  // All below is for the holder of the lock; see the picture.
  bool is_filled() const;
  void set_filled();
  // Forgets everything: for who fills it.
  void clear();

  std::optional<Flight> flight() const;
  void announce(const Flight& flight);
  // Puts it into the tables; done twice it is there once. Faults: too_many (producers).
  Status enter(const Flight& flight);
  void land();

  // The message with this id, published after `since_ns`.
  std::optional<RecordedPlace> find_id(const IdKey& id, uint64_t since_ns) const;
  // When the record that the next id takes was published; 0 while there are free ones.
  uint64_t next_is_from_ns() const;
  std::optional<KnownProducer> find_producer(uint64_t id) const;
  // A new epoch of `id` begins. Faults: too_many.
  Result<KnownProducer> take_over(uint64_t id, uint32_t pid, uint64_t now_ns);
  // All producers it knows; `each` answers false to stop.
  void each_producer(const std::function<bool(const KnownProducer&)>& each) const;

  uint32_t id_entries() const { return entries_; }
  int fd() const { return file_.fd(); }

 private:
  Ledger(File file, Region region, uint32_t entries, std::string name);
  static Result<std::shared_ptr<Ledger>> map(File file, const RingHeader& ring,
                                             const std::string& name);
  static Status fill_file(const File& file, const RingHeader& ring, const std::string& name);
  LedgerControl& control() const;
  ProducerRecord* producers() const;
  Atomic<uint64_t>& head(const IdKey& id) const;
  IdRecord& record(uint64_t number) const;
  ProducerRecord* place_of(uint64_t id) const;
  Result<ProducerRecord*> place_for(uint64_t id);
  static KnownProducer known(const ProducerRecord& record);
  bool is_kept(uint64_t number, uint64_t count) const {
    return number != 0 && number <= count && number + entries_ > count;
  }
  void enter_id(const IdKey& id, uint64_t time_ns, RecordedPlace place);

  File file_;
  Region region_;  // from the control page on; the header is read, never mapped
  uint32_t entries_;
  std::string name_;
};

constexpr std::string_view ledger_suffix = ".ledger";
bool is_ledger_file(const std::string& path);
// Those in `folder` whose names begin with `start`: their paths.
std::vector<std::string> ledger_files(const std::string& folder, std::string_view start);
void remove_ledger_files(const std::string& folder, std::string_view start);

}  // namespace loopline::shm
