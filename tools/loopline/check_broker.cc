// check broker: whether it runs, answers in time, and what stands in the way of its logs.
#include <fmt/format.h>

#include "broker.h"
#include "check.h"
#include "io/log/paths.h"
#include "options.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

constexpr double ns_a_second = 1e9;

CheckReport broker_report() {
  CheckReport report{"broker", "", "", {}, {}, ""};
  report.measures = {
      {"answer-time", "how long the broker took to answer", Unit::seconds, 1, 5},
      {"uptime", "how long the broker has run", Unit::seconds, {}, {}, true},
      {"last-round", "time since the broker looked after its stations", Unit::seconds, 30, 60},
      {"write-time", "how long the oldest write under way has taken", Unit::seconds, 1, 10},
      {"logs", "partitions that the broker keeps on disk", Unit::count},
      {"failed", "logs that are not written to, or not open", Unit::count, 0, 0},
      {"full", "logs that wait for room on the disk", Unit::count, 0, 0},
      {"missing", "durable messages that the broker could not read again", Unit::count, 0, {}},
  };
  return report;
}

void count_logs(const BrokerPicture& broker, CheckReport& report) {
  double failed = 0, full = 0, missing = 0, write = 0;
  for (const BrokerLog& log : broker.logs) {
    const bool is_full = log.state == "disk_full", is_well = log.state == "flushing";
    full += is_full ? 1 : 0;
    failed += is_full || is_well ? 0 : 1;
    missing += static_cast<double>(log.missing_messages);
    write = std::max(write, static_cast<double>(log.oldest_write_ns) / ns_a_second);
    if (log.trouble.empty()) continue;
    const std::string name =
        log.station + (log.partition == 0 ? "" : fmt::format(" partition {}", log.partition));
    report.find("log", Level::warning, name + ": " + log.trouble, "see: loopline status");
  }
  report.measure("logs").value = static_cast<double>(broker.logs.size());
  report.measure("failed").value = failed;
  report.measure("full").value = full;
  report.measure("missing").value = missing;
  if (broker.last_round_ns) report.measure("write-time").value = write;
}

void report_answer(const BrokerPicture& broker, CheckReport& report) {
  report.measure("uptime").value = static_cast<double>(broker.uptime_ns) / ns_a_second;
  if (broker.last_round_ns) {
    report.measure("last-round").value = static_cast<double>(*broker.last_round_ns) / ns_a_second;
  }
  count_logs(broker, report);
  if (broker.state != "running") {
    report.find("state", Level::warning,
                "it is " + broker.state + ", process " + std::to_string(broker.pid));
  }
  if (broker.version != version) {
    report.find("version", Level::warning,
                "it is looplined " + broker.version + ", this is loopline " + version,
                "to bring them together: loopline down, then loopline up");
  }
  report.summary = fmt::format("looplined {}, process {}, keeps {}, by {}", broker.version,
                               broker.pid, counted(broker.logs.size(), "log"), broker.storage);
}

}  // namespace

Status check_broker(Output& out, const CheckBrokerArguments& arguments) {
  CheckReport report = broker_report();
  LL_TRY_STATUS(set_limits(report, arguments.limits));
  LL_TRY(timeout_ns, read_seconds("--timeout", arguments.timeout, {0.001, 3600}));
  LL_TRY(paths, shm::find_instance(out.dir()));
  report.subject = paths.folder;
  const uint64_t asked_ns = monotonic_ns();
  const auto broker = look_at_broker(paths.folder, out.dir(), timeout_ns);
  if (broker) {
    const auto took_ns = static_cast<double>(monotonic_ns() - asked_ns);
    report.measure("answer-time").value = took_ns / ns_a_second;
    report_answer(*broker, report);
  } else if (broker.fault().code() == FaultCode::not_found) {
    const size_t count = names_on_disk(io::data_folder_of(paths)).size();
    report.find("none", Level::critical,
                "no broker runs: " + (count == 0 ? std::string("no station needs one")
                                                 : counted(count, "station") + " not flushed"),
                up_command(out.dir()));
  } else if (broker.fault().code() == FaultCode::timed_out) {
    report.find("no-answer", Level::critical, broker.fault().message(),
                "if it does not come by itself: loopline down, then loopline up");
  } else if (broker.fault().code() == FaultCode::no_permission) {
    report.unknown = broker.fault().message();
  } else {
    report.find("no-broker", Level::critical, broker.fault().message());
  }
  tell(out, report);
  return ok();
}

}  // namespace loopline::cli
