// JSON of what demo and bench measured.
#include "json.h"
#include "json_parts.h"
#include "output.h"

namespace loopline::cli {
namespace {

Json tallies_of(const std::array<Tally, demo_producer_count>& tallies) {
  Json json = Json::array();
  for (const Tally& tally : tallies) {
    json.push_back(
        {{"messages", tally.messages}, {"bytes", tally.bytes}, {"xxh3", hex(tally.chain)}});
  }
  return json;
}

Json verdict_of(const ConsumerVerdict& verdict) {
  return {{"name", verdict.kind.name},
          {"kind", verdict.kind.is_lossy ? "lossy" : "lossless"},
          {"first_sequence", verdict.first_sequence},
          {"messages", verdict.messages_got()},
          {"journal_messages", verdict.messages_expected()},
          {"missed", verdict.missed},
          {"gaps", verdict.gap_count},
          {"without_message", verdict.without_message},
          {"got", tallies_of(verdict.got)},
          {"journals", tallies_of(verdict.expected)},
          {"counts_equal", verdict.counts_equal},
          {"hashes_equal", verdict.hashes_equal},
          {"order_kept", verdict.order_kept},
          {"all_accounted", verdict.all_accounted},
          {"equal", verdict.is_equal()}};
}

}  // namespace

std::string json_of(const BenchResult& result) {
  return dump({{"bench", result.bench},
               {"subject", "loopline"},
               {"version", version},
               {"size_bytes", result.size_bytes},
               {"wait", result.wait},
               {"cpus", result.cpus},
               {"seconds", result.seconds},
               {"messages", result.messages},
               {"rate_per_s", result.rate_per_s},
               {"bytes_per_s", result.bytes_per_s},
               {"p50_ns", result.p50_ns},
               {"p99_ns", result.p99_ns},
               {"p999_ns", result.p999_ns},
               {"max_ns", result.max_ns}});
}

std::string json_of(const DemoResult& result) {
  Json json = {{"source", result.source},
               {"records", result.record_count},
               {"ring_bytes", result.ring_bytes},
               {"processors", result.processors},
               {"seconds", result.seconds},
               {"messages", result.messages},
               {"bytes", result.bytes},
               {"rate_per_s", static_cast<double>(result.messages) / result.seconds},
               {"bytes_per_s", static_cast<double>(result.bytes) / result.seconds},
               {"p50_ns", result.p50_ns},
               {"p90_ns", result.p90_ns},
               {"p99_ns", result.p99_ns},
               {"p999_ns", result.p999_ns},
               {"max_ns", result.max_ns},
               {"killed_sequence", result.killed_sequence},
               {"first_resumed_ns", result.first_resumed_ns},
               {"late_resumed_ns", result.late_resumed_ns},
               {"last_sequence", result.journals.last_sequence},
               {"dense", result.journals.is_dense},
               {"journals", tallies_of(result.journals.written)}};
  json["consumers"] = Json::array();
  for (const auto& verdict : result.consumers) json["consumers"].push_back(verdict_of(verdict));
  json["removed"] = result.is_removed;
  json["equal"] = result.is_equal();
  return dump(json);
}

}  // namespace loopline::cli
