// doctor: looks at the machine and the instance, tells each remedy, and does what is safe.
#include "doctor.h"

#include <fmt/format.h>

#include <filesystem>

#include "broker.h"
#include "commands.h"
#include "io/log/paths.h"
#include "json.h"
#include "shm/base/units.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

std::string root_of(const std::string& dir) {
  const auto paths = shm::find_instance(dir.empty() ? "/" : dir);
  if (!paths) return "/dev/shm/loopline";
  return std::filesystem::path(paths->shm).parent_path().string();
}

// Whether what is on disk gets there.
void check_broker(const std::string& dir, std::vector<Finding>& findings) {
  const auto paths = shm::find_instance(dir);
  if (!paths) return;
  const auto broker = look_at_broker(paths->folder, dir);
  const auto find = [&](Level level, std::string text, std::string remedy) {
    findings.push_back({"broker", level, std::move(text), std::move(remedy), "", {}});
  };
  if (broker) {
    size_t troubled = 0;
    for (const BrokerLog& log : broker->logs) troubled += log.trouble.empty() ? 0 : 1;
    const std::string text =
        fmt::format("looplined {} runs, process {}, and keeps {}", broker->version, broker->pid,
                    counted(broker->logs.size(), "log"));
    if (troubled == 0) return find(Level::ok, text, "");
    return find(Level::warning, text + ", " + format_count(troubled) + " of them in trouble",
                "see: loopline status");
  }
  const size_t stations = names_on_disk(io::data_folder_of(*paths)).size();
  if (broker.fault().code() != FaultCode::not_found) {
    return find(Level::warning, broker.fault().message(), "see its log, or: loopline down");
  }
  if (stations == 0) return find(Level::ok, "no broker runs, and no station needs one", "");
  find(Level::warning, "no broker runs: " + counted(stations, "station") + " on disk not flushed",
       up_command(dir));
}

std::string critical_text(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    if (finding.level == Level::critical) text += (text.empty() ? "" : ", ") + finding.code;
  }
  return text;
}

}  // namespace

Status doctor(Output& out, const DoctorArguments& arguments) {
  if (arguments.yes && !arguments.fix) {
    return Fault(FaultCode::invalid_argument,
                 "--yes says what --fix may do: loopline doctor --fix --yes");
  }
  std::vector<Finding> findings = check_machine(root_of(out.dir()));
  check_instance(out.dir(), {arguments.fix, arguments.yes}, findings);
  check_broker(out.dir(), findings);
  if (out.is_json()) {
    out.line(json_of_doctor(findings));
  } else {
    print(out, findings);
  }
  if (worst_of(findings) != Level::critical) return ok();
  return Fault(FaultCode::unsupported,
               "critical: " + critical_text(findings) + "; each one's remedy stands beside it");
}

}  // namespace loopline::cli
