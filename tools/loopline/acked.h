// Acked: what `produce --print-acked` has in flight: each record goes to stdout once its message
// has the level that was asked for, in the order of the input and framed as it came.
#pragma once

#include <loopline/producer.h>

#include <deque>
#include <string>

#include "output.h"
#include "records.h"

namespace loopline::cli {

class Acked {
 public:
  Acked(Output& out, Producer& producer, Ack level, RecordKind kind)
      : out_(out), producer_(producer), level_(level), kind_(kind) {}

  void add(const Ticket& ticket, std::string_view record);
  // Prints what has reached its level by now.
  void settle();
  // Waits for the first one, as long as `timeout`, and settles. Faults: Producer::wait's.
  Status wait_for_first(std::chrono::nanoseconds timeout);
  // To be called before a read that may block: prints what becomes acknowledged until `fd` has
  // something to read, or nothing is in flight.
  void before_read(int fd);

  bool is_empty() const { return in_flight_.empty(); }
  // More would only cost memory: wait for the first one.
  bool is_full() const;
  size_t count() const { return in_flight_.size(); }

 private:
  struct InFlight {
    Ticket ticket;
    std::string record;
  };
  void print(std::string_view record);

  Output& out_;
  Producer& producer_;
  const Ack level_;
  const RecordKind kind_;
  std::deque<InFlight> in_flight_;
  uint64_t bytes_ = 0;
};

}  // namespace loopline::cli
