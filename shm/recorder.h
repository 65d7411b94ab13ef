// Recorder: publishes into one partition what its ledger knows again: messages with an id, and
// those of a producer with an identity.
//
//   auto recorder = Recorder::open(producer.attached());
//   auto known = recorder->take_over(id, deadline);          // who had the id before is fenced
//   auto recorded = recorder->publish(producer, {.fields = fields, .payload = bytes}, deadline);
//   if (recorded->is_duplicate) ...                          // it was there, nothing was appended
//
// The protocol and its invariants are in ledger.h. A message is written and committed within one
// hold of the ledger's lock; whoever needs room waits for it without the lock.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "ledger.h"
#include "producer.h"

namespace loopline::shm {

struct RecordedMessage {
  ExtensionFields fields;  // `producer`: its sequence alone counts, the rest is the recorder's
  std::span<const std::byte> payload;
};

struct Recorded {
  RecordedPlace place;
  bool is_duplicate = false;
};

class Recorder {
 public:
  // Opens the ledger of the ring's lineage, or makes it. A new one of a file station is filled from
  // the log first, by what the directory says (set_fill_ledger). Faults: as Ledger, io_error,
  // no_permission (not opened for producing), timed_out (another fills it and does not end; named).
  static Result<Recorder> open(const std::shared_ptr<Attached>& attached, uint64_t deadline_ns);
  static Result<Recorder> open(std::shared_ptr<Ledger> ledger);

  // From here on messages are of producer `id`. Waits for the message that a former holder of the
  // id has in flight; whatever else it tries is refused. Faults: timed_out (it is held up; named),
  // too_many.
  Result<KnownProducer> take_over(Attached& attached, uint64_t id, uint64_t deadline_ns);
  // Faults: as Producer::claim; fenced (another took over the id), full and timed_out (as many ids
  // as the ledger remembers are within the window), timed_out (the ledger's lock).
  Result<Recorded> publish(Producer& producer, const RecordedMessage& message,
                           uint64_t deadline_ns);

  // The same for a frame that was claimed before and holds its payload and an extension of
  // `fields`, whose producer is written now. Whatever comes of it, the frame is not open any more:
  // what is not appended is aborted. Faults: as publish, never for want of room.
  Result<Recorded> commit(Producer& producer, OpenFrame& frame, const ExtensionFields& fields);

  const std::shared_ptr<Ledger>& ledger() const { return ledger_; }

 private:
  explicit Recorder(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}
  enum class Outcome { done, ring_full, table_full };
  Result<Outcome> attempt(Producer& producer, const RecordedMessage& message, uint64_t lock_ns,
                          Recorded& recorded);
  Result<std::optional<Recorded>> judge(const Marks& marks, const Attached& attached,
                                        uint64_t now_ns) const;
  Result<bool> append(Producer& producer, const RecordedMessage& message, const Marks& marks,
                      uint64_t now_ns, Recorded& recorded);
  Status finish(Producer& producer, OpenFrame& frame, const Flight& flight, uint16_t flags);
  Result<Recorded> commit_locked(Producer& producer, OpenFrame& frame,
                                 const ExtensionFields& fields);
  Fault table_full(const Attached& attached, bool may_wait) const;
  Status await_table(const Attached& attached, uint64_t deadline_ns) const;

  std::shared_ptr<Ledger> ledger_;
  std::optional<KnownProducer> me_;
};

// Whether none of this ring's messages is in flight, for who is about to give the ring back; a dead
// one's flight is settled. The calling thread does not hold the ledger.
bool is_settled(Attached& ring);

}  // namespace loopline::shm
