// JSON of the broker: what it says, believed field by field, and what the tools say of it.
#include "json.h"
#include "json_parts.h"
#include "runtime/broker/control.h"

namespace loopline::cli {
namespace {

FaultCode code_of(const std::string& word) {
  for (int code = 0; code <= static_cast<int>(FaultCode::io_error); ++code) {
    if (word == name_of(static_cast<FaultCode>(code))) return static_cast<FaultCode>(code);
  }
  return FaultCode::io_error;
}

// Reads fields of a foreign object; one that is missing or of another type is remembered.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}
  void read(const char* name, std::string& text) {
    const auto found = object_.find(name);
    if (found == object_.end() || !found->is_string()) return miss(name);
    text = found->get<std::string>();
  }
  void read(const char* name, uint64_t& number) {
    const auto found = object_.find(name);
    if (found == object_.end() || !found->is_number_unsigned()) return miss(name);
    number = found->get<uint64_t>();
  }
  // Which older ones do not say.
  void read_if_there(const char* name, uint64_t& number) {
    if (object_.contains(name)) read(name, number);
  }
  const std::string& missing() const { return missing_; }

 private:
  void miss(const char* name) {
    if (missing_.empty()) missing_ = name;
  }
  const Json& object_;
  std::string missing_;
};

Fault nonsense(const std::string& what) {
  return {FaultCode::corrupted, "what answers at the broker's socket is no broker: " + what};
}

Result<BrokerLog> read_log(const Json& json) {
  if (!json.is_object()) return nonsense("a station that is no object");
  BrokerLog log;
  Fields fields(json);
  fields.read("station", log.station);
  fields.read("partition", log.partition);
  fields.read("state", log.state);
  fields.read("first_sequence", log.first_sequence);
  fields.read("durable_sequence", log.durable_sequence);
  fields.read("end_sequence", log.end_sequence);
  fields.read("segments", log.segments);
  fields.read("disk_bytes", log.disk_bytes);
  fields.read("written_bytes", log.written_bytes);
  fields.read("message_bytes", log.message_bytes);
  fields.read("missing_messages", log.missing_messages);
  fields.read_if_there("commits", log.commits);
  fields.read_if_there("commit_p50_ns", log.commit_p50_ns);
  fields.read_if_there("commit_p99_ns", log.commit_p99_ns);
  fields.read_if_there("oldest_write_ns", log.oldest_write_ns);
  fields.read("trouble", log.trouble);
  if (!fields.missing().empty()) return nonsense("a station without " + fields.missing());
  return log;
}

Status check_reply(const Json& json) {
  if (!json.is_object()) return nonsense("no JSON object");
  const auto error = json.find("error");
  if (error == json.end()) return ok();
  std::string code, message;
  if (error->is_object()) {
    Fields fields(*error);
    fields.read("code", code);
    fields.read("message", message);
  }
  return Fault(code_of(code), message.empty() ? "the broker refuses, without a word" : message);
}

Json parsed(const std::string& line) { return Json::parse(line, nullptr, false); }

Json station_of(const BrokerLog& log) {
  return {{"station", log.station},
          {"partition", log.partition},
          {"state", log.state},
          {"first_sequence", log.first_sequence},
          {"durable_sequence", log.durable_sequence},
          {"end_sequence", log.end_sequence},
          {"segments", log.segments},
          {"disk_bytes", log.disk_bytes},
          {"written_bytes", log.written_bytes},
          {"message_bytes", log.message_bytes},
          {"missing_messages", log.missing_messages},
          {"commits", log.commits},
          {"commit_p50_ns", log.commit_p50_ns},
          {"commit_p99_ns", log.commit_p99_ns},
          {"oldest_write_ns", log.oldest_write_ns},
          {"trouble", log.trouble.empty() ? Json() : Json(log.trouble)}};
}

Json broker_of(const BrokerPicture& broker) {
  return {{"pid", broker.pid},
          {"version", broker.version},
          {"state", broker.state},
          {"started", time_of(broker.started_ns)},
          {"started_ns", broker.started_ns},
          {"uptime_ns", broker.uptime_ns},
          {"data", broker.data},
          {"storage", broker.storage},
          {"storage_note", broker.storage_note.empty() ? Json() : Json(broker.storage_note)},
          {"log", broker.log.empty() ? Json() : Json(broker.log)},
          {"reaped_rings", broker.reaped_rings},
          {"last_round_ns", broker.last_round_ns ? Json(*broker.last_round_ns) : Json()}};
}

Json stations_of(const BrokerPicture& broker) {
  Json stations = Json::array();
  for (const BrokerLog& log : broker.logs) stations.push_back(station_of(log));
  return stations;
}

}  // namespace

Status check_broker_reply(const std::string& line) { return check_reply(parsed(line)); }

Result<BrokerPicture> read_broker_picture(const std::string& line) {
  const Json json = parsed(line);
  LL_TRY_STATUS(check_reply(json));
  BrokerPicture broker;
  uint64_t protocol = 0;
  Fields fields(json);
  fields.read("protocol", protocol);
  fields.read("version", broker.version);
  fields.read("pid", broker.pid);
  if (!fields.missing().empty()) return nonsense("an answer without " + fields.missing());
  if (protocol != broker::control_protocol) {
    return Fault(FaultCode::version_mismatch,
                 "the broker, looplined " + broker.version + " in process " +
                     std::to_string(broker.pid) + ", speaks control protocol " +
                     std::to_string(protocol) + ", this is " +
                     std::to_string(broker::control_protocol) +
                     "; use the loopline of its version, or: loopline down, then loopline up");
  }
  fields.read("state", broker.state);
  fields.read("started_ns", broker.started_ns);
  fields.read("uptime_ns", broker.uptime_ns);
  fields.read("folder", broker.folder);
  fields.read("data", broker.data);
  fields.read("storage", broker.storage);
  fields.read("storage_note", broker.storage_note);
  fields.read("log", broker.log);
  fields.read("reaped_rings", broker.reaped_rings);
  if (json.contains("last_round_ns")) fields.read("last_round_ns", broker.last_round_ns.emplace());
  const auto stations = json.find("stations");
  if (!fields.missing().empty()) return nonsense("an answer without " + fields.missing());
  if (stations == json.end() || !stations->is_array()) return nonsense("no stations");
  for (const Json& station : *stations) {
    LL_TRY(log, read_log(station));
    broker.logs.push_back(std::move(log));
  }
  return broker;
}

std::string json_of_up(const BrokerPicture& broker, bool was_running) {
  return dump({{"folder", broker.folder},
               {"was_running", was_running},
               {"broker", broker_of(broker)},
               {"stations", stations_of(broker)}});
}

std::string json_of_down(const std::string& folder, const std::optional<uint64_t>& pid) {
  return dump(
      {{"folder", folder}, {"was_running", pid.has_value()}, {"pid", pid ? Json(*pid) : Json()}});
}

std::string json_of_status(const std::string& folder, const BrokerPicture* broker) {
  return dump({{"folder", folder},
               {"running", broker != nullptr},
               {"broker", broker == nullptr ? Json() : broker_of(*broker)},
               {"stations", broker == nullptr ? Json::array() : stations_of(*broker)}});
}

}  // namespace loopline::cli
