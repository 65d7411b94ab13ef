// ImportTarget: the new station that an import fills: made, written into with the sequences and
// time stamps of the original, brought to disk, or taken away again.
//
// Invariants
//   M1  A frame gets the sequence it had: its partition's ring begins at the first one, and numbers
//       without a message are fillers here, too.
//   M2  Nobody else's message comes between: a claim that got another number ends the import.
//   M3  Only the station that was made here is taken away, and not with messages of others in it.
// If we die at any point: the mark says that the station holds a part only (mark.h).
#pragma once

#include <loopline/station.h>

#include <memory>
#include <vector>

#include "format.h"
#include "io/flusher.h"
#include "mark.h"
#include "parameters.h"
#include "shm/attached.h"
#include "shm/producer.h"
#include "shm/recorder.h"
#include "tools/loopline/output.h"

namespace loopline::cli {

class ImportTarget {
 public:
  ImportTarget(Output& out, const NewStation& station, std::string source)
      : out_(out), station_(station), source_(std::move(source)) {}

  // Each partition begins with the sequence of `starts`. Faults: already_exists (a station of that
  // name; says what is with it), invalid_argument (nothing can begin there), no_space, and those of
  // making a station.
  Status make(const std::vector<uint64_t>& starts);
  // The next message of its partition, with this sequence; waits for room. Faults: closed
  // (interrupted, the station was removed, or somebody else publishes into it), too_large, no_space
  // (the ring cannot keep them all; the disk is full), io_error.
  Status put(const TransferMessage& message, uint64_t sequence);
  // The sequence that the next message gets at the least.
  uint64_t next(uint32_t partition) const { return lanes_[partition].next; }
  // Until all is where it should be: in the ring, or on disk. Faults: as put.
  Status finish();
  // Takes the station away again, as if it had not been made.
  Status remove();
  bool is_made() const { return is_made_; }

 private:
  struct Lane {
    std::shared_ptr<shm::Attached> ring;
    std::unique_ptr<shm::Producer> producer;
    std::optional<shm::Recorder> recorder;  // once a message is to be known again
    uint64_t start = 1;                     // the sequence of the ring's first frame
    uint64_t next = 1;
    uint64_t end_position = 0;  // behind the last message
  };
  Status check_vacant();
  Status make_station(const std::vector<uint64_t>& starts);
  Status attach(const std::vector<uint64_t>& starts);
  Status flush_it();
  Result<shm::OpenFrame> claim(Lane& lane, uint64_t body_bytes);
  Status fill_up(Lane& lane, uint64_t sequence);
  Status know_again(Lane& lane, const TransferMessage& message, const shm::OpenFrame& frame);
  Status check_room(const Lane& lane) const;
  Status check_log(const Lane& lane) const;
  Status wait_durable(Lane& lane);
  void tell_once(const Lane& lane, const Fault& fault);

  Output& out_;
  const NewStation& station_;
  const std::string source_;
  std::optional<shm::Directory> directory_;
  std::string data_;
  std::optional<ImportMark> mark_;
  StationId id_{};
  bool is_made_ = false;
  bool is_shared_ = false;  // somebody else has messages in it
  bool is_told_ = false;
  std::vector<Lane> lanes_;  // by partition
  std::unique_ptr<io::Flusher> flusher_;
  uint64_t messages_ = 0;
};

}  // namespace loopline::cli
