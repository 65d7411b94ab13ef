// status: the broker asked by its socket, and its answer as people read it.
#include "broker.h"

#include <fmt/format.h>

#include "commands.h"
#include "json.h"
#include "runtime/broker/control_client.h"
#include "runtime/broker/sole_broker.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::cli {
namespace {

Color color_of(const BrokerLog& log) {
  if (log.state == "flushing") return log.trouble.empty() ? Color::green : Color::yellow;
  return log.state == "disk_full" ? Color::yellow : Color::red;
}

Result<std::string> ask_for_status(const std::string& folder, uint64_t within_ns) {
  LL_TRY(client, broker::ControlClient::connect(folder, monotonic_ns() + within_ns));
  return client.ask("status");
}

}  // namespace

std::string up_command(const std::string& dir) {
  return "loopline up" + (dir.empty() ? "" : " --dir " + dir);
}

bool has_broker(const std::string& dir) {
  const auto paths = shm::find_instance(dir);
  if (!paths) return false;
  const auto holder = broker::SoleBroker::look(paths->folder);
  return holder && *holder;
}

Result<BrokerPicture> look_at_broker(const std::string& folder, const std::string& dir,
                                     uint64_t within_ns) {
  const auto line = ask_for_status(folder, within_ns);
  if (line) return read_broker_picture(*line);
  const FaultCode code = line.fault().code();
  if (code != FaultCode::not_found && code != FaultCode::closed) return line.fault();
  const auto holder = broker::SoleBroker::look(folder);
  if (!holder && holder.fault().code() != FaultCode::not_found) return holder.fault();
  if (holder && *holder) {
    return Fault(FaultCode::timed_out, "the broker of " + folder + ", " +
                                           broker::text_of(**holder) +
                                           ", does not answer: it begins, or it ends; try again");
  }
  return Fault(FaultCode::not_found,
               "no broker runs for " + folder +
                   ": stations on disk are not flushed; start it: " + up_command(dir));
}

void print_broker(Output& out, const BrokerPicture& broker) {
  out.line(fmt::format("{} {}, process {}, {}, up {}", out.paint(Color::bold, "looplined"),
                       broker.version, broker.pid, broker.state,
                       format_duration_rounded(static_cast<double>(broker.uptime_ns))));
  out.line("keeps    " + broker.folder);
  out.line("data     " + broker.data + ", by " + broker.storage);
  out.line("log      " + (broker.log.empty() ? std::string("stderr") : broker.log));
  if (broker.logs.empty()) {
    out.line("stations none on disk; make one: loopline station add NAME --storage file");
    return;
  }
  Table table({{"STATION"},
               {"PARTITION", true},
               {"STATE"},
               {"DURABLE", true},
               {"ON ITS WAY", true},
               {"SEGMENTS", true},
               {"DISK", true}});
  for (const BrokerLog& log : broker.logs) {
    const uint64_t on_its_way =
        log.end_sequence > log.durable_sequence ? log.end_sequence - log.durable_sequence : 0;
    table.add({log.station,
               std::to_string(log.partition),
               {log.state, color_of(log)},
               format_count(log.durable_sequence),
               format_count(on_its_way),
               format_count(log.segments),
               format_size_rounded(static_cast<double>(log.disk_bytes))});
  }
  out.line("");
  table.print(out);
  for (const BrokerLog& log : broker.logs) {
    const std::string name =
        log.station + (log.partition == 0 ? "" : " partition " + std::to_string(log.partition));
    if (!log.trouble.empty()) out.line(out.paint(Color::yellow, name + ": " + log.trouble));
    if (log.missing_messages != 0) {
      out.line(out.paint(Color::yellow, name + ": " + counted(log.missing_messages, "message") +
                                            " missing on disk; see: loopline station verify " +
                                            log.station));
    }
  }
}

Status status(Output& out) {
  LL_TRY(paths, shm::find_instance(out.dir()));
  const auto broker = look_at_broker(paths.folder, out.dir());
  if (!broker) {
    if (out.is_json()) out.line(json_of_status(paths.folder, nullptr));
    return broker.fault();
  }
  if (out.is_json()) {
    out.line(json_of_status(paths.folder, &*broker));
    return ok();
  }
  print_broker(out, *broker);
  if (!broker->storage_note.empty()) out.note(broker->storage_note + "; threads write instead");
  if (broker->version != version) {
    out.note("the broker is looplined " + broker->version + ", this is loopline " + version +
             "; to bring them together: loopline down, then loopline up");
  }
  return ok();
}

}  // namespace loopline::cli
