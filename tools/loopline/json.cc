// JSON of messages, faults and findings.
#include "json.h"

#include "json_parts.h"
#include "output.h"
#include "person.h"

namespace loopline::cli {
namespace {

Json findings_of(const std::vector<Finding>& findings) {
  Json json = Json::array();
  for (const Finding& finding : findings) {
    Json one = {{"code", finding.code},
                {"level", text_of(finding.level)},
                {"text", finding.text},
                {"remedy", finding.remedy}};
    if (!finding.done.empty()) one["done"] = finding.done;
    if (finding.partition) one["partition"] = *finding.partition;
    if (finding.who) {
      one["who"] = occupant_of(*finding.who);
      one["who"]["state"] = state_text(*finding.who);
    }
    json.push_back(std::move(one));
  }
  return json;
}

Json limit_of(const std::optional<double>& limit) { return limit ? Json(*limit) : Json(); }

Json measures_of(const CheckReport& report) {
  constexpr const char* units[] = {"count", "bytes", "seconds", "ratio"};  // by Unit
  Json json = Json::array();
  for (const Measure& measure : report.measures) {
    if (!measure.value) continue;
    json.push_back({{"name", measure.name},
                    {"what", measure.what},
                    {"unit", units[static_cast<int>(measure.unit)]},
                    {"value", *measure.value},
                    {"warning", limit_of(measure.warning)},
                    {"critical", limit_of(measure.critical)},
                    {"bad_below", measure.is_low_bad},
                    {"max", limit_of(measure.max)}});
  }
  return json;
}

}  // namespace

std::string json_of(const CheckReport& report) {
  const std::string& text = report.unknown.empty() ? report.summary : report.unknown;
  return dump({{"check", report.kind},
               {"subject", report.subject},
               {"state", text_of(report.state())},
               {"status", static_cast<int>(report.state())},
               {"text", text},
               {"measures", measures_of(report)},
               {"findings", findings_of(report.all_findings())}});
}

std::string json_of(const Fault& fault) {
  return dump({{"error", {{"code", name_of(fault.code())}, {"message", fault.message()}}}});
}

std::string json_of_note(std::string_view text) { return dump({{"note", text}}); }

std::string json_of_completion(const std::string& shell, const std::string& script) {
  return dump({{"shell", shell}, {"script", script}});
}

std::string json_of_why(const WhySummary& summary, const std::vector<Finding>& findings) {
  Json json = {{"station", summary.station},
               {"state", summary.state},
               {"messages_per_s", summary.messages_per_s},
               {"fill", summary.fill},
               {"worst", text_of(worst_of(findings))}};
  json["findings"] = findings_of(findings);
  return dump(json);
}

std::string json_of_doctor(const std::vector<Finding>& findings) {
  Json json = {{"worst", text_of(worst_of(findings))}};
  json["checks"] = findings_of(findings);
  return dump(json);
}

std::string json_of(const ProduceSummary& summary) {
  return dump(
      {{"station", summary.station},
       {"messages", summary.messages},
       {"duplicates", summary.duplicates},
       {"bytes", summary.bytes},
       {"seconds", summary.seconds},
       {"rate_per_s",
        summary.seconds > 0 ? static_cast<double>(summary.messages) / summary.seconds : 0.0},
       {"first_sequence", summary.first_sequence},
       {"last_sequence", summary.last_sequence}});
}

std::string json_of(const Message& message) {
  Json json = {{"sequence", message.sequence()}, {"partition", message.partition()}};
  if (message.timestamp_ns() != 0) {
    json["timestamp"] = utc_text(message.timestamp_ns());
    json["timestamp_ns"] = message.timestamp_ns();
  }
  if (!message.key().empty()) put_text(json, "key", message.key());
  if (!message.id().empty()) put_text(json, "id", message.id());
  if (message.header_count() != 0) json["headers"] = Json::array();
  for (uint32_t index = 0; index < message.header_count(); ++index) {
    const Header header = message.header(index);
    Json one = Json::object();
    put_text(one, "name", header.name);
    put_text(one, "value", header.value);
    json["headers"].push_back(std::move(one));
  }
  if (const auto producer = message.producer()) {
    json["producer"] = {
        {"id", hex(producer->id)}, {"epoch", producer->epoch}, {"sequence", producer->sequence}};
  }
  put_text(json, "payload", message.text());
  return dump(json);
}

std::string json_of(const Gap& gap) {
  return dump(
      {{"gap",
        {{"first_sequence", gap.first}, {"count", gap.count}, {"partition", gap.partition}}}});
}

}  // namespace loopline::cli
