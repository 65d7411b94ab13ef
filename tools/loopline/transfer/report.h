// Report: what an export or an import did, for people and programs alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reader.h"

namespace loopline::cli {

// What is not in a stream, or was lost on its way.
struct TransferGap {
  uint32_t partition = 0;
  uint64_t first = 0, last = 0;  // sequences
};

struct PartitionTransferred {
  uint64_t first = 0, last = 0;  // sequences of its messages, as the stream has them; 0: none
  uint64_t messages = 0;
};

struct TransferReport {
  std::string station;
  std::string source;  // import: the station that was exported
  std::string file;    // "-" for stdout or stdin
  bool is_file = false;
  uint64_t messages = 0;
  uint64_t payload_bytes = 0;
  uint64_t stream_bytes = 0;
  uint64_t digest = 0;
  double seconds = 0;
  std::vector<PartitionTransferred> partitions;
  // Of the station when it was exported; not all of them when there are very many.
  std::vector<TransferGap> gaps;
  uint64_t missing = 0;  // sequences in all of the gaps
  // Import only.
  bool is_made = false;  // the station is there
  bool is_renumbered = false;
  std::vector<TransferDamage> damages;  // likewise
  uint64_t damage_count = 0;
};

constexpr size_t transfer_report_max = 1000;  // gaps, and damages, that are kept to be told

std::string json_of_export(const TransferReport& report);
std::string json_of_import(const TransferReport& report);

}  // namespace loopline::cli
