// Why log: nobody flushes, who flushes is stopped or hung, the disk is full, failed or slow.
#include "why_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "person.h"
#include "runtime/broker/sole_broker.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::cli {
namespace {

using shm::RingSnapshot;

constexpr uint64_t broker_answers_within_ns = 2'000'000'000;
constexpr uint64_t late_ns = 1'000'000'000;
constexpr uint64_t very_late_ns = 5'000'000'000;
// A disk that is well takes far less for a commit, even a rotating one.
constexpr uint64_t slow_commit_ns = 100'000'000;

std::string time_text(uint64_t time_ns) {
  return format_duration_rounded(static_cast<double>(time_ns));
}

uint64_t age_of(const TwoLooks& looks) {
  const uint64_t now = utc_ns();
  const uint64_t since = looks.not_durable_since_ns.value_or(now);
  return now > since ? now - since : 0;
}

// "3 messages (192B) not on disk, the oldest for 12.1s"
std::string waiting_text(const TwoLooks& looks) {
  const shm::FlushFacts& log = *looks.on_its_way().log;
  std::string text = behind_text(log.lag_messages, log.lag_bytes) + " not on disk";
  if (looks.not_durable_since_ns) text += ", the oldest for " + time_text(age_of(looks));
  return text;
}

// Somebody sleeps until they are.
std::string waiters_text(const RingSnapshot& ring) {
  // The mark of one that was killed in its sleep stays.
  const bool is_anybody_there =
      std::any_of(ring.producers.begin(), ring.producers.end(),
                  [](const auto& producer) { return producer.occupant.life != shm::Life::dead; });
  return ring.durable_wait && is_anybody_there ? "; who published them waits for that" : "";
}

const BrokerLog* log_in(const BrokerWord& broker, const RingSnapshot& ring) {
  if (!broker.picture) return nullptr;
  for (const BrokerLog& log : broker.picture->logs) {
    if (log.station == name_of(ring) && log.partition == ring.header.partition) return &log;
  }
  return nullptr;
}

// What the broker was told; nothing where it has nothing to say.
std::string told_text(const BrokerWord& broker, const RingSnapshot& ring) {
  const BrokerLog* const log = log_in(broker, ring);
  return log == nullptr || log->trouble.empty() ? "" : "; the broker says: " + log->trouble;
}

Finding not_flushed(const TwoLooks& looks, const BrokerWord& broker) {
  const RingSnapshot& ring = looks.on_its_way();
  Finding finding{"not-flushed", Level::critical, "", "", "", {}};
  const auto& flusher = ring.log->flusher;
  finding.text =
      waiting_text(looks) + ": nobody flushes the station" +
      (flusher && flusher->pid != 0 ? fmt::format(", since {} died", person_words(*flusher))
                                    : std::string()) +
      waiters_text(ring);
  if (broker.silent) {
    finding.text += "; the broker" + (broker.silent->empty() ? "" : ", " + *broker.silent + ",") +
                    " does not answer";
    finding.remedy = "if it does not come by itself: loopline down, then loopline up";
  } else if (broker.picture) {
    finding.text += told_text(broker, ring);
    finding.remedy = "see: loopline status; to let the broker open it again: loopline up";
  } else {
    finding.remedy = "start the broker: loopline up";
  }
  return finding;
}

Finding disk_full(const TwoLooks& looks, const BrokerWord& broker) {
  const RingSnapshot& ring = looks.on_its_way();
  return {"disk-full",
          Level::critical,
          waiting_text(looks) + ": the disk of its log is full" + waiters_text(ring) +
              told_text(broker, ring),
          "make room there, and it goes on by itself; see: loopline check disk",
          "",
          {}};
}

Finding disk_failed(const TwoLooks& looks, const BrokerWord& broker) {
  const RingSnapshot& ring = looks.on_its_way();
  return {"disk-failed",
          Level::critical,
          fmt::format("{}: the disk of its log failed ({}), and nothing more is written to it{}",
                      waiting_text(looks), std::strerror(ring.log->error), told_text(broker, ring)),
          "see to the disk (dmesg), then: loopline up",
          "",
          {}};
}

Finding flusher_stopped(const TwoLooks& looks, const shm::Occupant& flusher) {
  const RingSnapshot& ring = looks.on_its_way();
  return {"flusher-stopped",
          Level::critical,
          waiting_text(looks) + ": " + person_words(flusher) +
              ", which flushes the station, is stopped (by a signal or a debugger)" +
              waiters_text(ring),
          fmt::format("let it go on: kill -CONT {0}; or end it, nothing durable is lost: kill "
                      "-KILL {0}, then loopline up",
                      flusher.pid),
          "",
          flusher};
}

// It lives, and neither the ring nor its socket hears of it.
Finding flusher_hung(const TwoLooks& looks, const BrokerWord& broker) {
  const RingSnapshot& ring = looks.on_its_way();
  const shm::Occupant flusher = ring.log->flusher.value_or(shm::Occupant());
  const std::string pid = std::to_string(flusher.pid);
  Finding finding{"flusher-hung", Level::critical, "", "", "", ring.log->flusher};
  finding.text = waiting_text(looks) + ": " + person_words(flusher) +
                 ", which flushes the station, lives and brings nothing to disk" +
                 (broker.silent ? "; it does not answer at its socket either" : "") +
                 waiters_text(ring);
  finding.remedy = fmt::format(
      "see where it is: cat /proc/{0}/task/*/wchan; a disk that hangs: "
      "dmesg; or end it, nothing durable is lost: kill -KILL {0}, then "
      "loopline up",
      pid);
  return finding;
}

std::string commits_text(const BrokerLog& log) {
  if (log.commits == 0) return "";
  return fmt::format("; of the newest commits half took {}, the slowest in a hundred {}",
                     time_text(log.commit_p50_ns), time_text(log.commit_p99_ns));
}

Finding slow_disk(const TwoLooks& looks, const BrokerLog& log) {
  const RingSnapshot& ring = looks.on_its_way();
  Finding finding{"slow-disk", Level::warning, "", "", "", {}};
  if (log.oldest_write_ns >= very_late_ns) finding.level = Level::critical;
  finding.text = waiting_text(looks) + ": the disk is slow" +
                 (log.oldest_write_ns >= late_ns
                      ? ", a write has been under way for " + time_text(log.oldest_write_ns)
                      : std::string()) +
                 commits_text(log) + waiters_text(ring);
  finding.remedy =
      "see what else uses it, and whether it is well: iostat -x 1, dmesg; loopline "
      "check disk";
  return finding;
}

// Of one that is flushed by somebody who lives.
bool find_slowness(const TwoLooks& looks, const BrokerWord& broker,
                   std::vector<Finding>& findings) {
  const RingSnapshot& ring = looks.on_its_way();
  const RingSnapshot& before = looks.on_its_way_before();
  const shm::FlushFacts& log = *ring.log;
  if (log.flusher && doing_of(*log.flusher) == Doing::stopped) {
    findings.push_back(flusher_stopped(looks, *log.flusher));
    return true;
  }
  const BrokerLog* const told = log_in(broker, ring);
  const bool is_slow = told != nullptr &&
                       (told->oldest_write_ns >= late_ns || told->commit_p50_ns >= slow_commit_ns);
  if (is_slow) {
    findings.push_back(slow_disk(looks, *told));
    return true;
  }
  const bool is_still = before.path == ring.path && before.log &&
                        before.log->durable.first == log.durable.first &&
                        before.visible.first > log.durable.first;
  const bool is_late = looks.not_durable_since_ns
                           ? age_of(looks) > looks.flush_interval_ns + late_ns
                           : looks.flush_interval_ns == 0;
  if (is_still && (is_late || broker.silent)) {
    findings.push_back(flusher_hung(looks, broker));
    return true;
  }
  if (!is_full(looks.now)) return false;
  findings.push_back({"disk-behind",
                      Level::warning,
                      waiting_text(looks) + ": the disk is slower than the producers" +
                          (told == nullptr ? "" : commits_text(*told)),
                      "",
                      "",
                      {}});
  return true;
}

bool could_be_told(const TwoLooks& looks) {
  const auto& log = looks.on_its_way().log;
  return log && !(log->flusher && doing_of(*log->flusher) == Doing::stopped);
}

}  // namespace

BrokerWord ask_broker(const std::vector<TwoLooks>& all, const std::string& folder) {
  BrokerWord word;
  if (std::none_of(all.begin(), all.end(), could_be_told)) return word;
  auto picture = look_at_broker(folder, "", broker_answers_within_ns);
  if (picture) {
    word.picture = std::move(*picture);
  } else if (picture.fault().code() == FaultCode::timed_out) {
    const auto holder = broker::SoleBroker::look(folder);
    word.silent = holder && *holder ? broker::text_of(**holder) : "";
  }
  return word;
}

bool has_log(const std::vector<TwoLooks>& all) {
  return std::any_of(all.begin(), all.end(),
                     [](const TwoLooks& looks) { return looks.now.log.has_value(); });
}

bool find_log(const TwoLooks& looks, const BrokerWord& broker, std::vector<Finding>& findings) {
  const RingSnapshot& ring = looks.on_its_way();
  if (!ring.log || ring.log->is_done || ring.log->durable.first >= ring.visible.first) return false;
  switch (ring.log->state) {
    case shm::LogState::idle:
      findings.push_back(not_flushed(looks, broker));
      return true;
    case shm::LogState::disk_full:
      findings.push_back(disk_full(looks, broker));
      return true;
    case shm::LogState::failed:
      findings.push_back(disk_failed(looks, broker));
      return true;
    case shm::LogState::flushing:
      break;
  }
  return find_slowness(looks, broker, findings);
}

}  // namespace loopline::cli
