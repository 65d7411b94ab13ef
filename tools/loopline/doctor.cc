// doctor: looks at the machine and the instance, tells each remedy, and does what is safe.
#include "doctor.h"

#include <fmt/format.h>

#include <filesystem>

#include "commands.h"
#include "json.h"

namespace loopline::cli {
namespace {

std::string root_of(const std::string& dir) {
  const auto paths = shm::find_instance(dir.empty() ? "/" : dir);
  if (!paths) return "/dev/shm/loopline";
  return std::filesystem::path(paths->shm).parent_path().string();
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
