// Journal: what each producer says it has committed, and the rules by which readers are held to it.
//
// The journals lie in memory that parent and children share. A producer writes `intending` before
// it claims message n, and `committed` after the commit of n returned: whatever a kill cut off in
// between may be there or not, but never twice, and nothing else may be missing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "message.h"
#include "shm/consumer.h"
#include "shm/producer.h"
#include "step.h"

namespace loopline::crash {

struct ProducerJournal {
  std::atomic<uint64_t> intending;
  std::atomic<uint64_t> committed;
  std::atomic<uint64_t> first_sequence;  // in the ring, of its message 1
  std::atomic<uint64_t> aborts;          // begun
  std::atomic<uint64_t> received;        // by the witness
};

// Writer numbers count from 1 and are never used twice; the last message of all is by
// `last_writer`.
constexpr uint32_t writers_max = 8192;
constexpr uint32_t last_writer = writers_max;

struct Journals {
  std::atomic<uint32_t> writer_count;
  std::atomic<uint64_t> fillers_allowed;
  ProducerJournal producers[writers_max + 1];
};

enum class Phase : uint32_t {
  starting,  // attaching, taking a seat, taking a slot
  joining,
  idle,
  claiming,
  open,
  committing,
  reading,
  waiting,
  leaving,
  repairing,
  sealing,
};

// A producer's hand: publishes with its journal kept, so that any kill in between can be judged.
class Author {
 public:
  Author(Journals& journals, uint32_t writer, std::atomic<Phase>& phase, Vitals& vitals)
      : journal_(journals.producers[writer]), writer_(writer), phase_(phase), vitals_(vitals) {}

  struct Wish {
    uint32_t size = message_size_min;
    bool forge = true;
    bool abort = false;
    uint64_t deadline_ns = 0;
    std::function<void()> while_open;  // done between claim and commit
  };
  Status publish(shm::Producer& producer, const Wish& wish, Random& random);
  // Where the last one's frame ends.
  uint64_t end_position() const { return end_position_; }

 private:
  ProducerJournal& journal_;
  uint32_t writer_;
  uint64_t end_position_ = 0;
  std::atomic<Phase>& phase_;
  Vitals& vitals_;
};

// One reader's examination of everything it gets. A rule that does not hold is left in `wrong()`.
class Examiner {
 public:
  enum class Kind { lossless, lossy };
  // `start`: the sequence the reader begins at; from_first: that of the first message it gets.
  static constexpr uint64_t from_first = ~0ull;
  Examiner(Journals& journals, Kind kind, uint64_t start)
      : journals_(journals), kind_(kind), start_(start), last_(writers_max + 1) {}

  // False when a rule is broken, or after the last message: see at_end().
  bool examine(const shm::FrameView& view, uint64_t side_bytes);
  void note_gap(const shm::Gap& gap);
  // At the last message: everything journalled was received.
  bool examine_end();

  bool at_end() const { return at_end_; }
  const std::string& wrong() const { return wrong_; }
  uint64_t messages() const { return messages_; }
  uint64_t lost() const { return lost_; }
  uint64_t start() const { return start_; }
  uint64_t last_sequence() const { return before_.sequence; }
  // The highest number received of each writer.
  const std::vector<uint64_t>& last() const { return last_; }

 private:
  bool fail(const char* rule, const shm::FrameView& view, const MessageHead& head);
  bool follows(const shm::FrameView& view);
  bool number_fits(const MessageHead& head);

  Journals& journals_;
  Kind kind_;
  uint64_t start_;
  std::vector<uint64_t> last_;
  shm::FrameView before_;
  uint64_t gap_now_ = 0;     // told since the message before
  uint64_t jumps_left_ = 0;  // messages that gaps told so far may account for
  uint64_t messages_ = 0;
  uint64_t lost_ = 0;
  bool at_end_ = false;
  std::string wrong_;
};

}  // namespace loopline::crash
