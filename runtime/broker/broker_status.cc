// BrokerStatus: field by field.
#include "broker_status.h"

#include <unistd.h>

#include "control.h"
#include "json_text.h"
#include "sole_broker.h"

namespace loopline::broker {
namespace {

JsonObject identity() {
  JsonObject json;
  json.add("protocol", uint64_t{control_protocol})
      .add("version", broker_version)
      .add("pid", static_cast<uint64_t>(::getpid()));
  return json;
}

std::string json_of(const KeptLog& log) {
  const io::FlushStatus& facts = log.facts;
  const auto before = [](uint64_t sequence) { return sequence == 0 ? 0 : sequence - 1; };
  uint64_t missing = 0;
  for (const io::LogGap& gap : facts.gaps) missing += gap.to.sequence - gap.from.sequence;
  JsonObject json;
  json.add("station", facts.name.text())
      .add("partition", uint64_t{facts.partition})
      .add("state", text_of(log.state))
      .add("first_sequence", facts.begin.sequence)
      .add("durable_sequence", before(facts.durable.sequence))
      .add("end_sequence", before(facts.end.sequence))
      .add("segments", facts.segments)
      .add("disk_bytes", facts.disk_bytes)
      .add("written_bytes", facts.bytes_written)
      .add("message_bytes", facts.frames_written)
      .add("missing_messages", missing)
      .add("commits", facts.times.count)
      .add("commit_p50_ns", facts.times.p50_ns)
      .add("commit_p99_ns", facts.times.p99_ns)
      .add("oldest_write_ns", facts.times.oldest_ns)
      .add("trouble", log.trouble);
  return json.text();
}

}  // namespace

std::string json_of_version() { return identity().text(); }

std::string json_of(const BrokerStatus& status) {
  std::string stations;
  for (const KeptLog& log : status.logs) stations += (stations.empty() ? "" : ",") + json_of(log);
  JsonObject json = identity();
  json.add("state", status.state)
      .add("started_ns", status.started_ns)
      .add("uptime_ns", status.uptime_ns)
      .add("folder", status.folder)
      .add("data", status.data)
      .add("storage", status.storage)
      .add("storage_note", status.storage_note)
      .add("log", status.log)
      .add("reaped_rings", status.reaped_rings)
      .add("last_round_ns", status.last_round_ns)
      .raw("stations", "[" + stations + "]");
  return json.text();
}

}  // namespace loopline::broker
