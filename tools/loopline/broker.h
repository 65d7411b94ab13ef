// Broker: what the broker of an instance says of itself, as the tools tell it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "output.h"
#include "shm/base/result.h"

namespace loopline::cli {

struct BrokerLog {
  std::string station;
  uint64_t partition = 0;
  std::string state;  // flushing, disk_full, failed, not_open
  uint64_t first_sequence = 0;
  uint64_t durable_sequence = 0;  // the newest durable one; 0: none
  uint64_t end_sequence = 0;      // on its way to disk
  uint64_t segments = 0;
  uint64_t disk_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t message_bytes = 0;
  uint64_t missing_messages = 0;
  uint64_t commits = 0;        // writes of messages that were looked at for what follows
  uint64_t commit_p50_ns = 0;  // how long the newest of them took
  uint64_t commit_p99_ns = 0;
  uint64_t oldest_write_ns = 0;  // how long one has been under way; 0: none is
  std::string trouble;           // empty: none
};

struct BrokerPicture {
  std::string version;
  uint64_t pid = 0;
  std::string state;  // starting, running, stopping
  uint64_t started_ns = 0;
  uint64_t uptime_ns = 0;
  std::string folder;
  std::string data;
  std::string storage;
  std::string storage_note;
  std::string log;
  uint64_t reaped_rings = 0;
  std::optional<uint64_t> last_round_ns;  // since its caretaker came round; older ones do not say
  std::vector<BrokerLog> logs;
};

// A line of a broker, or of whatever answers there. Faults: what it said went wrong,
// version_mismatch, corrupted.
Result<BrokerPicture> read_broker_picture(const std::string& line);
// Of a reply that is not a picture: the fault in it, if there is one.
Status check_broker_reply(const std::string& line);

// Asks the broker of the instance in `folder`. Faults: not_found, with the remedy, when none runs;
// timed_out when one holds the folder and does not answer.
constexpr uint64_t broker_answers_ns = 10'000'000'000;
Result<BrokerPicture> look_at_broker(const std::string& folder, const std::string& dir,
                                     uint64_t within_ns = broker_answers_ns);
// Whether one runs, without asking it.
bool has_broker(const std::string& dir);
// "loopline up", for the instance that --dir named.
std::string up_command(const std::string& dir);
// What it keeps, and the troubles, in words.
void print_broker(Output& out, const BrokerPicture& broker);

}  // namespace loopline::cli
