// check station: what `why` finds of it, with figures and limits.
#include <fmt/format.h>

#include <algorithm>

#include "check.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "station_disk.h"
#include "two_looks.h"
#include "viewer.h"
#include "why_findings.h"

namespace loopline::cli {
namespace {

constexpr double ns_in_second = 1e9;

CheckReport station_report() {
  CheckReport report{"station", "", "", {}, {}, ""};
  report.measures = {
      {"fill", "how full the fullest ring is for those who hold it", Unit::part, 0.9, {}},
      {"producers", "living producers", Unit::count, {}, {}, true},
      {"consumers", "living consumers", Unit::count, {}, {}, true},
      {"lag", "messages that the slowest consumer has to read", Unit::count},
      {"lag-bytes", "bytes that the slowest consumer has to read", Unit::bytes},
      {"lag-time", "age of the oldest message the slowest consumer has to read", Unit::seconds, 60,
       600},
      {"not-durable", "messages that are not on disk", Unit::count},
      {"not-durable-bytes", "bytes of messages that are not on disk", Unit::bytes},
      {"not-durable-time", "age of the oldest message that is not on disk", Unit::seconds, 5, 30},
      {"missing", "durable messages that the broker could not read again", Unit::count, 0, {}},
  };
  return report;
}

double seconds_since(uint64_t utc_then_ns) {
  const uint64_t now = utc_ns();
  return now > utc_then_ns ? static_cast<double>(now - utc_then_ns) / ns_in_second : 0;
}

void at_least(Measure& measure, double value) {
  measure.value = std::max(measure.value.value_or(0), value);
}
void add(Measure& measure, double value) { measure.value = measure.value.value_or(0) + value; }

void measure_rings(const std::vector<TwoLooks>& all, CheckReport& report) {
  std::vector<shm::RingSnapshot> rings;
  for (const TwoLooks& looks : all) {
    at_least(report.measure("fill"), fill_of(looks.now));
    rings.push_back(looks.now);
    const shm::CursorFacts* const slowest = slowest_of(looks.now);
    if (slowest == nullptr || slowest->is_joining) continue;
    at_least(report.measure("lag"), static_cast<double>(slowest->lag_messages));
    at_least(report.measure("lag-bytes"), static_cast<double>(slowest->lag_bytes));
    if (looks.now.header.timestamp == shm::TimestampKind::off) continue;
    at_least(report.measure("lag-time"),
             looks.unread_since_ns ? seconds_since(*looks.unread_since_ns) : 0);
  }
  const StationSums sums = sums_of(rings);
  report.measure("producers").value = static_cast<double>(sums.producers - sums.dead_producers);
  report.measure("consumers").value = static_cast<double>(sums.consumers - sums.dead_consumers);
}

// What is late by intention is late by that much more.
void measure_log(const TwoLooks& looks, CheckReport& report) {
  const shm::RingSnapshot& ring = looks.on_its_way();
  if (!ring.log) return;
  add(report.measure("not-durable"), static_cast<double>(ring.log->lag_messages));
  add(report.measure("not-durable-bytes"), static_cast<double>(ring.log->lag_bytes));
  if (ring.header.timestamp == shm::TimestampKind::off) return;
  const double interval = static_cast<double>(looks.flush_interval_ns) / ns_in_second;
  const double age = looks.not_durable_since_ns ? seconds_since(*looks.not_durable_since_ns) : 0;
  at_least(report.measure("not-durable-time"), std::max(0.0, age - interval));
}

void count_missing(const TwoLooks& looks, const BrokerPicture& broker, CheckReport& report) {
  for (const BrokerLog& log : broker.logs) {
    const bool is_it =
        log.station == name_of(looks.now) && log.partition == looks.now.header.partition;
    if (is_it) add(report.measure("missing"), static_cast<double>(log.missing_messages));
  }
}

// Nothing waits for the disk, and nobody would bring it there.
bool is_idle(const TwoLooks& looks) {
  const shm::RingSnapshot& ring = looks.on_its_way();
  return ring.log && ring.log->state == shm::LogState::idle && !ring.log->is_done &&
         ring.log->durable.first >= ring.visible.first;
}

void look_at_logs(const std::vector<TwoLooks>& all, const BrokerWord& broker, CheckReport& report) {
  for (const TwoLooks& looks : all) {
    measure_log(looks, report);
    if (looks.now.log && broker.picture) count_missing(looks, *broker.picture, report);
  }
  if (std::none_of(all.begin(), all.end(), is_idle)) return;
  report.find("not-flushed", Level::warning,
              "nobody flushes the station: what is published from now on stays in memory",
              broker.picture ? "see: loopline status" : "start the broker: loopline up");
}

std::string summary_of(CheckReport& report, const std::vector<TwoLooks>& all) {
  double rate = 0;
  for (const TwoLooks& looks : all) rate += looks.messages_per_s();
  const auto number = [&](const char* name) {
    return static_cast<uint64_t>(report.measure(name).value.value_or(0));
  };
  std::string text =
      fmt::format("{} full, {} in, {}, {}", percent_text(report.measure("fill").value.value_or(0)),
                  rate_text(rate), counted(number("producers"), "producer"),
                  counted(number("consumers"), "consumer"));
  if (has_log(all)) text += fmt::format(", {} not on disk", format_count(number("not-durable")));
  return text;
}

// No ring lives: it may be on disk, after a reboot.
void report_without_rings(Output& out, const Fault& fault, const shm::StationName& name,
                          CheckReport& report) {
  const auto data = find_data(out.dir());
  const StationOnDisk disk = find_on_disk(data ? *data : "", name, nullptr);
  if (fault.code() != FaultCode::not_found) {
    report.unknown = fault.message();
  } else if (!disk.is_there) {
    report.find("missing-station", Level::critical, "it is not there: " + fault.message());
  } else if (!disk.damage.empty()) {
    report.find("damaged", Level::critical, disk.damage);
  } else {
    report.find("on-disk", Level::warning,
                "it is on disk only: nobody has opened it since the "
                "machine began",
                "start the broker: loopline up");
  }
}

}  // namespace

Status check_station(Output& out, const CheckStationArguments& arguments) {
  LL_TRY(name, shm::parse_station_name(arguments.station));
  CheckReport report = station_report();
  LL_TRY_STATUS(set_limits(report, arguments.limits));
  report.subject = name.text();
  const auto viewer = Viewer::open(out.dir());
  const auto all = viewer ? look_twice(*viewer, arguments.station)
                          : Result<std::vector<TwoLooks>>(viewer.fault());
  if (!all) {
    report_without_rings(out, all.fault(), name, report);
    tell(out, report);
    return ok();
  }
  const BrokerWord broker = ask_broker(*all, viewer->paths().folder);
  report.findings = why_findings(*all, broker);
  const bool is_sound = std::all_of(all->begin(), all->end(),
                                    [](const TwoLooks& looks) { return looks.now.damage.empty(); });
  if (is_sound) {
    measure_rings(*all, report);
    look_at_logs(*all, broker, report);
  }
  report.summary = summary_of(report, *all);
  tell(out, report);
  return ok();
}

}  // namespace loopline::cli
