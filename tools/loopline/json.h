// JSON: every object the tools print for programs, with the names of its fields, in one place.
//
// These names are a contract: fields are added, never renamed. Sizes are bytes, times nanoseconds,
// points in time UTC as text and as `_ns`. Text that is not UTF-8 (a payload, a key) is given in
// base64, under its name with `_base64` behind it. Identities and hashes are text, 16 hexadecimal
// digits. tools/loopline/schema says so for programs, an output a file; a test holds them together.
#pragma once

#include <string>

#include "bench.h"
#include "broker.h"
#include "check.h"
#include "demo_report.h"
#include "finding.h"
#include "io/flusher.h"
#include "log_verdict.h"
#include "loopline/consumer.h"
#include "loopline/message.h"
#include "process.h"
#include "ring_watch.h"
#include "shm/base/fault.h"
#include "shm/frames.h"
#include "shm/inspect.h"
#include "station_disk.h"
#include "viewer.h"

namespace loopline::cli {

struct ProduceSummary {
  std::string station;
  uint64_t messages = 0;
  uint64_t duplicates = 0;  // were there already
  uint64_t bytes = 0;
  double seconds = 0;
  uint64_t first_sequence = 0;  // 0: none
  uint64_t last_sequence = 0;
};

// What `why` says of a station before its findings.
struct WhySummary {
  std::string station;
  std::string state;  // of the first partition that is not open
  double messages_per_s = 0;
  double fill = 0;  // of the fullest partition, 0 to 1
};

// Without a newline behind them.
std::string json_of(const Fault& fault);
std::string json_of_note(std::string_view text);
std::string json_of(const shm::RingSnapshot& snapshot);  // ring show: everything
// station add: the essentials.
std::string json_of_station(StationRings rings);
// station info: with its log, and the producers it knows.
using KnownProducers = Result<std::vector<Viewer::PartitionProducer>>;
std::string json_of_station(StationRings rings, const StationOnDisk& disk,
                            const KnownProducers& known);
std::string json_of(const StationOnDisk& disk);  // station info of one that has no rings
// station ls: `disks` are those that have no rings.
std::string json_of(const Viewer::Survey& survey, const std::vector<StationOnDisk>& disks);
std::string json_of_removed(const std::string& station);
std::string json_of(const ProduceSummary& summary);
std::string json_of(const Message& message);
std::string json_of(const Gap& gap);
std::string json_of(const shm::FrameFacts& frame);             // ring dump
std::string json_of(const RingFigures& figures);               // ring watch
std::string json_of(const std::vector<Attachment>& attached);  // process ls
std::string json_of_why(const WhySummary& summary, const std::vector<Finding>& findings);
std::string json_of(const CheckReport& report);
std::string json_of_doctor(const std::vector<Finding>& findings);
std::string json_of_completion(const std::string& shell, const std::string& script);
std::string json_of(const io::FlushStatus& status, const std::string& storage);  // flush
std::string json_of(const StationVerdict& verdict);                              // station verify
std::string json_of_up(const BrokerPicture& broker, bool was_running);
std::string json_of_down(const std::string& folder, const std::optional<uint64_t>& pid);
std::string json_of_status(const std::string& folder, const BrokerPicture* broker);
std::string json_of(const BenchResult& result);
std::string json_of(const DemoResult& result);

}  // namespace loopline::cli
