// BrokerStatus: what a broker says of itself, and the JSON it says it in.
//
//   {"protocol":1,"version":"0.1.0","pid":4711,"state":"running","started_ns":...,"uptime_ns":...,
//    "folder":"/run/loopline","data":"/var/lib/loopline","storage":"io_uring","storage_note":"",
//    "log":"/run/loopline/looplined.log","reaped_rings":0,"last_round_ns":12,
//    "stations":[{"station":"main/orders","partition":0,"state":"flushing",
//    "first_sequence":1,"durable_sequence":12,"end_sequence":12,"segments":1,
//    "disk_bytes":67125248,"written_bytes":4096,"message_bytes":64,"missing_messages":0,
//    "commits":1,"commit_p50_ns":184000,"commit_p99_ns":184000,"oldest_write_ns":0,"trouble":""}]}
#pragma once

#include <string>
#include <vector>

#include "keeper.h"

namespace loopline::broker {

struct BrokerStatus {
  std::string state;        // starting, running, stopping
  uint64_t started_ns = 0;  // UTC
  uint64_t uptime_ns = 0;
  std::string folder;
  std::string data;
  std::string storage;
  std::string storage_note;  // why it is not io_uring, where that was wanted
  std::string log;           // a file; empty: stderr
  uint64_t reaped_rings = 0;
  uint64_t last_round_ns = 0;  // since its caretaker came round
  std::vector<KeptLog> logs;
};

std::string json_of(const BrokerStatus& status);
std::string json_of_version();

}  // namespace loopline::broker
