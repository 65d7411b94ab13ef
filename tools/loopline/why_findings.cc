// Why findings: one function for each thing that can hold a station up.
#include "why_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "person.h"
#include "shm/base/units.h"
#include "viewer.h"
#include "why_log.h"

namespace loopline::cli {
namespace {

using shm::CursorFacts;
using shm::Occupant;
using shm::RingSnapshot;

void find_damage(const TwoLooks& looks, std::vector<Finding>& findings) {
  if (looks.now.damage.empty()) return;
  findings.push_back({"damaged",
                      Level::critical,
                      "the ring's memory makes no sense: " + looks.now.damage,
                      "nobody can go on with it; remove it: loopline station rm" +
                          station_word(looks.now) + " --yes",
                      "",
                      {}});
}

void find_seal(const TwoLooks& looks, std::vector<Finding>& findings) {
  if (looks.now.seal_state == shm::seal_open) return;
  findings.push_back({"sealed",
                      Level::warning,
                      fmt::format("the ring is sealed at sequence {}, and its successor is not "
                                  "there yet",
                                  looks.now.seal_at.second),
                      "the next producer or consumer that meets the seal finishes it",
                      "",
                      {}});
}

// Who holds the lock, as far as the roster's people tell; only its thread is known otherwise.
Occupant lock_holder(const RingSnapshot& ring) {
  for (const auto& producer : ring.producers) {
    if (producer.occupant.tid == ring.lock.tid) return producer.occupant;
  }
  for (const auto& cursor : ring.cursors) {
    if (cursor.occupant.tid == ring.lock.tid) return cursor.occupant;
  }
  Occupant who;
  who.life = shm::Life::alive;
  who.pid = who.tid = ring.lock.tid;
  who.command = printable(read_small_file("/proc/" + std::to_string(ring.lock.tid) + "/comm"));
  return who;
}

void find_lock(const TwoLooks& looks, std::vector<Finding>& findings) {
  const shm::LockFacts& lock = looks.now.lock;
  if (!lock.is_sound) {
    findings.push_back({"ring-lock",
                        Level::critical,
                        "the bytes of the ring lock are no lock: nobody can clean up after the "
                        "dead, or remove the station in order",
                        "remove it: loopline station rm" + station_word(looks.now) + " --yes",
                        "",
                        {}});
    return;
  }
  if (lock.holder_died) {
    findings.push_back({"ring-lock",
                        Level::warning,
                        fmt::format("thread {} died while it held the ring lock", lock.tid),
                        "the next one that needs the lock goes on where it stopped; to do it now: "
                        "loopline doctor --fix",
                        "",
                        {}});
    return;
  }
  if (lock.tid == 0 || lock.tid != looks.before.lock.tid) return;
  const Occupant holder = lock_holder(looks.now);
  findings.push_back({"ring-lock", Level::critical,
                      "the ring lock stays with " + doing_text(holder) +
                          ": until it gives it back nobody can clean up after the dead",
                      remedy_for(holder,
                                 "if it does not go on by itself, see what it does: cat "
                                 "/proc/" +
                                     std::to_string(holder.pid) + "/wchan"),
                      "", holder});
}

bool was_open_before(const TwoLooks& looks, const shm::OpenClaim& claim) {
  const auto& claims = looks.before.open_claims;
  return std::any_of(claims.begin(), claims.end(),
                     [&](const shm::OpenClaim& other) { return other.position == claim.position; });
}

// The first open message: whatever lies behind it waits for it. One that only one look met is just
// being filled.
bool find_open_claim(const TwoLooks& looks, std::vector<Finding>& findings) {
  if (looks.now.open_claims.empty()) return false;
  const shm::OpenClaim& claim = looks.now.open_claims.front();
  const bool is_dead = claim.owner.life == shm::Life::dead;
  if (!is_dead && !was_open_before(looks, claim)) return false;
  const uint64_t behind = looks.now.frontier.second - claim.sequence - 1;
  const std::string waits = behind == 0
                                ? std::string("whoever reads waits for it")
                                : fmt::format("{} behind it {} for it", counted(behind, "message"),
                                              behind == 1 ? "waits" : "wait");
  if (claim.slot == shm::seal_owner) {
    findings.push_back({"open-claim",
                        Level::warning,
                        fmt::format("sequence {} is the ring's seal, begun and not finished; {}",
                                    claim.sequence, waits),
                        "the next one that meets it finishes it: loopline doctor --fix",
                        "",
                        {}});
    return true;
  }
  findings.push_back(
      {"open-claim", Level::critical,
       fmt::format("sequence {} was claimed by producer {} and is not committed: {}; {}",
                   claim.sequence, claim.slot, doing_text(claim.owner), waits),
       remedy_for(claim.owner, fmt::format("it has to commit or abort it; see what it does: "
                                           "cat /proc/{}/wchan; when it ends, its message is "
                                           "given up",
                                           claim.owner.pid)),
       "", claim.owner});
  return true;
}

// "; producers wait", with what happens to them.
std::string producers_text(const RingSnapshot& ring) {
  if (ring.header.when_full == shm::WhenFull::reject) return "producers are refused";
  if (ring.producers_wait) return "producers wait for room";
  return "the next large message has to wait";
}

Finding full_by_reader(const TwoLooks& looks, const CursorFacts& cursor) {
  const RingSnapshot& ring = looks.now;
  const CursorFacts* before = same_in(looks.before, cursor);
  const bool moves = before != nullptr && cursor.at.second > before->at.second;
  std::string pace = "took nothing between two looks";
  if (moves) {
    const uint64_t taken = cursor.at.second - before->at.second;
    pace = "takes " + rate_text(static_cast<double>(taken) / looks.seconds());
  }
  Finding finding;
  finding.code = "full";
  finding.level = moves ? Level::warning : Level::critical;
  finding.text =
      fmt::format("the ring is full and {}: consumer {} holds it, {}; it is {} behind and {}",
                  producers_text(ring), cursor.slot, doing_text(cursor.occupant),
                  behind_text(cursor.lag_messages, cursor.lag_bytes), pace);
  finding.remedy =
      remedy_for(cursor.occupant,
                 "make that consumer faster, or let it be lossy, or give the station a "
                 "larger ring; see: loopline ring watch" +
                     station_word(ring));
  finding.who = cursor.occupant;
  return finding;
}

void find_full(const TwoLooks& looks, bool is_claim_told, bool is_log_told,
               std::vector<Finding>& findings) {
  const RingSnapshot& ring = looks.now;
  if (!is_full(ring)) return;
  const CursorFacts* slowest = slowest_of(ring);
  const uint64_t held = held_from(ring);
  if (slowest != nullptr && slowest->at.first == held && !slowest->is_joining &&
      !(is_claim_told && held == ring.visible.first)) {
    findings.push_back(full_by_reader(looks, *slowest));
    return;
  }
  std::string by = "the open message above holds it";
  if (slowest != nullptr && slowest->is_joining && slowest->at.first == held) {
    by = fmt::format("consumer {} holds it, {}, in the middle of attaching", slowest->slot,
                     doing_text(slowest->occupant));
  } else if (is_log_told && log_needs_from(ring) == held) {
    by = "what is not on disk holds it";
  } else if (ring.gate.first == held) {
    by = fmt::format("its beginning is held for generation {}, which is still read",
                     ring.header.generation - 1);
  } else if (!is_claim_told) {
    by = "messages are being filled that fast";
  }
  findings.push_back({"full",
                      Level::warning,
                      fmt::format("the ring is full and {}: {}", producers_text(ring), by),
                      "",
                      "",
                      {}});
}

void find_gate(const TwoLooks& looks, std::vector<Finding>& findings) {
  if (!looks.predecessor) return;
  const CursorFacts* slowest = slowest_of(*looks.predecessor);
  if (slowest == nullptr) return;
  findings.push_back(
      {"gate", Level::warning,
       fmt::format("generation {} of the ring, which came before, is still read by consumer {}, "
                   "{}, {} from its end; until it is through, nothing of this ring is reused",
                   looks.predecessor->header.generation, slowest->slot,
                   doing_text(slowest->occupant),
                   behind_text(slowest->lag_messages, slowest->lag_bytes)),
       remedy_for(slowest->occupant, "it comes by itself when it has read on"), "",
       slowest->occupant});
}

// Readers that may become a reason soon, and those that already lose messages.
void find_slow_readers(const TwoLooks& looks, std::vector<Finding>& findings) {
  const RingSnapshot& ring = looks.now;
  const std::string watch = "watch it: loopline ring watch" + station_word(ring);
  for (const CursorFacts& cursor : ring.cursors) {
    if (cursor.occupant.life == shm::Life::dead || cursor.is_joining) continue;
    if (cursor.is_evicted) {
      findings.push_back(
          {"evicted", Level::warning,
           fmt::format("consumer {}, {}, held a full ring for {} and was detached (evict-after); "
                       "it is told at its next read",
                       cursor.slot, doing_text(cursor.occupant),
                       format_duration(ring.header.evict_after_ns)),
           remedy_for(cursor.occupant, "make it faster or lossy, or give it more time"), "",
           cursor.occupant});
      continue;
    }
    if (cursor.kind == shm::CursorKind::lossy) {
      const CursorFacts* before = same_in(looks.before, cursor);
      if (before == nullptr || cursor.lost <= before->lost) continue;
      findings.push_back(
          {"slow-reader", Level::warning,
           fmt::format("consumer {}, {}, is lossy and misses messages: {} between "
                       "two looks, {} so far",
                       cursor.slot, doing_text(cursor.occupant),
                       format_count(cursor.lost - before->lost), format_count(cursor.lost)),
           "a larger ring, or a faster consumer; " + watch, "", cursor.occupant});
    } else if (!is_full(ring) && cursor.lag_bytes > ring.header.capacity / 2) {
      findings.push_back({"slow-reader", Level::warning,
                          fmt::format("consumer {}, {}, is {} behind, more than half of the ring",
                                      cursor.slot, doing_text(cursor.occupant),
                                      behind_text(cursor.lag_messages, cursor.lag_bytes)),
                          remedy_for(cursor.occupant, watch), "", cursor.occupant});
    }
  }
}

template <class Facts>
uint64_t dead_among(const std::vector<Facts>& all) {
  return static_cast<uint64_t>(std::count_if(all.begin(), all.end(), [](const Facts& one) {
    return one.occupant.life == shm::Life::dead;
  }));
}

void find_dead(const TwoLooks& looks, std::vector<Finding>& findings) {
  const uint64_t producers = dead_among(looks.now.producers);
  const uint64_t consumers = dead_among(looks.now.cursors);
  if (producers + consumers == 0) return;
  std::string who = producers == 0 ? "" : counted(producers, "producer");
  if (consumers != 0) who += (who.empty() ? "" : " and ") + counted(consumers, "consumer");
  findings.push_back({"dead",
                      Level::warning,
                      who + (producers + consumers == 1 ? " has" : " have") +
                          " died and not been cleaned up after: " +
                          (producers + consumers == 1 ? "its place is" : "their places are") +
                          " not free",
                      "whoever attaches or is held up does it; now: loopline doctor --fix",
                      "",
                      {}});
}

void find_strangers(const TwoLooks& looks, std::vector<Finding>& findings) {
  const auto is_unknown = [](const auto& one) { return one.occupant.life == shm::Life::unknown; };
  const RingSnapshot& ring = looks.now;
  if (std::none_of(ring.producers.begin(), ring.producers.end(), is_unknown) &&
      std::none_of(ring.cursors.begin(), ring.cursors.end(), is_unknown)) {
    return;
  }
  findings.push_back({"roster",
                      Level::warning,
                      "the instance's roster is missing, unreadable or another one: nobody can "
                      "tell who of the attached is alive",
                      "see: loopline doctor",
                      "",
                      {}});
}

std::string all_well_text(const RingSnapshot& ring) {
  if (ring.producers.empty() && ring.cursors.empty()) return "nothing is slow: nobody is attached";
  if (ring.producers.empty()) return "nothing is slow: nobody publishes";
  const CursorFacts* slowest = slowest_of(ring);
  if (slowest == nullptr) return "nothing is slow: nobody holds the producers back";
  return fmt::format("nothing is slow: the consumer that is furthest behind has {} to read",
                     behind_text(slowest->lag_messages, slowest->lag_bytes));
}

}  // namespace

std::vector<Finding> why_findings(const TwoLooks& looks, const BrokerWord& broker) {
  std::vector<Finding> findings;
  find_damage(looks, findings);
  find_strangers(looks, findings);
  find_lock(looks, findings);
  if (!looks.now.damage.empty()) return findings;  // the rest would be made of the same bytes
  find_seal(looks, findings);
  const bool is_claim_told = find_open_claim(looks, findings);
  const bool is_log_told = find_log(looks, broker, findings);
  find_full(looks, is_claim_told, is_log_told, findings);
  find_gate(looks, findings);
  find_slow_readers(looks, findings);
  find_dead(looks, findings);
  if (findings.empty()) {
    findings.push_back({"nothing", Level::ok, all_well_text(looks.now), "", "", {}});
  }
  return findings;
}

std::vector<Finding> why_findings(const std::vector<TwoLooks>& all, const BrokerWord& broker) {
  if (all.size() == 1) return why_findings(all.front(), broker);
  std::vector<Finding> findings, nothing;
  for (const TwoLooks& looks : all) {
    for (Finding& finding : why_findings(looks, broker)) {
      const bool is_nothing = finding.code == "nothing";
      if (!is_nothing) {
        finding.partition = looks.now.header.partition;
        finding.text = fmt::format("partition {}: {}", *finding.partition, finding.text);
      }
      (is_nothing ? nothing : findings).push_back(std::move(finding));
    }
  }
  if (findings.empty()) findings.push_back(std::move(nothing.front()));
  return findings;
}

}  // namespace loopline::cli
