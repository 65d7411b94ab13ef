// Commands: every verb of the command line as a function, with its arguments as plain structs.
//
// A declare_ file says which option fills which field; a verb's file does the work. Sizes and times
// are kept as they were written and read by the verb, so that a bad one is an error like any other.
#pragma once

#include <string>
#include <vector>

#include "completion.h"
#include "output.h"
#include "rates.h"
#include "shm/base/result.h"

namespace loopline::cli {

struct StationAddArguments {
  std::string name;
  std::string ring;  // empty: not said, here and below
  std::string partitions;
  std::string max_message;
  bool exclusive = false;
  std::string when_full;    // block | reject | drop-oldest
  std::string evict_after;  // off | 5s
  std::string timestamp;    // precise | coarse | off
  std::string dedup_window, dedup_entries;
  std::string mode;     // 0660
  std::string owner;    // user:group
  std::string storage;  // memory | file
  std::string segment;
  std::string retention_age, retention_messages, retention_bytes;  // or off
  std::string flush;                                               // group-commit | 5ms
};

struct StationEditArguments {
  StationAddArguments to;
  bool yes = false;
};

struct StationPurgeArguments {
  std::string name;
  bool yes = false;
};

struct StationVerifyArguments {
  std::string name;
  std::string partition;  // empty: all
};

struct StationExportArguments {
  std::string station;
  std::string from;          // as of consume; empty: earliest
  std::string to;            // latest | seq:N | time:T
  std::string output = "-";  // stdout
  bool overwrite = false;
};

struct StationImportArguments {
  StationAddArguments to;   // its name is empty: that of the station which was exported
  std::string input = "-";  // stdin
  bool salvage = false;
  bool renumber = false;
};

struct FactoryArguments {
  std::string name;
  // By the keys of its file; an empty value was not said.
  std::string storage, ring, partitions, max_message, exclusive, when_full, evict_after;
  std::string timestamp, dedup_window, dedup_entries, mode, owner;
  std::string quota_memory, quota_stations;
};

struct FactoryRmArguments {
  std::string name;
  bool force = false;
  bool yes = false;
};

struct StationRmArguments {
  std::string name;
  bool yes = false;
};

struct ProduceArguments {
  std::string station;
  std::vector<std::string> files;  // empty: stdin
  std::string records = "lines";   // lines | file | length-prefixed
  std::string key;
  std::vector<std::string> headers;  // name=value
  std::string id;
  std::string producer;  // name of its identity
  std::string rate;      // "1000/s"
  std::string ack;       // visible | durable | committed
  bool print_acked = false;
  bool create = false;
};

struct ConsumeArguments {
  std::string station;
  std::string from;       // earliest | latest | seq:N | time:T | last:N; empty: see --help
  std::string to;         // latest | seq:N | time:T
  std::string partition;  // empty: all
  uint64_t count = 0;     // 0: no bound
  bool follow = false;
  bool lossy = false;
  bool hex = false;
  std::string grep;
  std::string format;   // --template
  std::string records;  // lines | length-prefixed
};

struct FlushArguments {
  std::vector<std::string> stations;  // empty: all that are on disk
  bool once = false;
  bool follow = false;
  std::string storage = "auto";   // auto | io_uring | posix
  std::string wait = "adaptive";  // spin | adaptive | park
};

struct UpArguments {
  std::string config;             // TOML
  std::vector<std::string> sets;  // KEY=VALUE
  bool foreground = false;
};

struct DownArguments {
  std::string timeout = "30s";
};

struct BenchArguments {
  std::string size = "256B";
  std::string seconds = "2";
  std::string wait = "adaptive";  // spin | adaptive | park
};

struct RingShowArguments {
  std::string station;
  uint32_t partition = 0;
};

struct RingDumpArguments {
  std::string station;
  uint32_t partition = 0;
  uint64_t from = 0;   // sequence
  uint64_t limit = 0;  // 0: no bound
};

struct RingWatchArguments {
  std::string station;
  uint32_t partition = 0;
  std::string every = "1s";
  uint64_t count = 0;  // 0: until Ctrl-C
};

struct ProcessArguments {
  std::string station;  // empty: all
  Rates rates;          // from one refresh to the next
};

// Of `check`: MEASURE=LIMIT each.
struct LimitArguments {
  std::vector<std::string> warning, critical;
};

struct CheckStationArguments {
  std::string station;
  LimitArguments limits;
};

struct CheckBrokerArguments {
  std::string timeout = "10s";
  LimitArguments limits;
};

struct CheckDiskArguments {
  std::string timeout = "10s";
  bool no_write = false;
  LimitArguments limits;
};

struct CheckShmArguments {
  LimitArguments limits;
};

struct DoctorArguments {
  bool fix = false;
  bool yes = false;
};

struct DemoArguments {
  std::string input;  // empty: the package lists of this machine
  std::string seconds = "20";
};

Status station_add(Output& out, const StationAddArguments& arguments);
Status station_ls(Output& out);
Status station_info(Output& out, const std::string& name);
Status station_edit(Output& out, const StationEditArguments& arguments);
Status station_verify(Output& out, const StationVerifyArguments& arguments);
Status station_purge(Output& out, const StationPurgeArguments& arguments);
Status station_export(Output& out, const StationExportArguments& arguments);
Status station_import(Output& out, const StationImportArguments& arguments);
Status factory_add(Output& out, const FactoryArguments& arguments);
Status factory_ls(Output& out);
Status factory_info(Output& out, const std::string& name);
Status factory_edit(Output& out, const FactoryArguments& arguments);
Status factory_rm(Output& out, const FactoryRmArguments& arguments);
Status factory_names(Output& out);
Status station_rm(Output& out, const StationRmArguments& arguments);
Status produce(Output& out, const ProduceArguments& arguments);
Status consume(Output& out, const ConsumeArguments& arguments);
Status ring_show(Output& out, const RingShowArguments& arguments);
Status ring_dump(Output& out, const RingDumpArguments& arguments);
Status ring_watch(Output& out, const RingWatchArguments& arguments);
Status process_ls(Output& out, ProcessArguments& arguments);
Status why(Output& out, const std::string& station);
Status check_station(Output& out, const CheckStationArguments& arguments);
Status check_broker(Output& out, const CheckBrokerArguments& arguments);
Status check_disk(Output& out, const CheckDiskArguments& arguments);
Status check_shm(Output& out, const CheckShmArguments& arguments);
Status doctor(Output& out, const DoctorArguments& arguments);
Status completion(Output& out, const std::string& shell, const CommandNode& root);
// For the scripts of `completion`: one name a line.
Status station_names(Output& out);
Status flush(Output& out, const FlushArguments& arguments);
Status up(Output& out, const UpArguments& arguments);
Status down(Output& out, const DownArguments& arguments);
Status status(Output& out);
Status bench_rtt(Output& out, const BenchArguments& arguments);
Status bench_pub(Output& out, const BenchArguments& arguments);
Status demo(Output& out, const DemoArguments& arguments);

}  // namespace loopline::cli
