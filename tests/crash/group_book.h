// GroupBook: what members of a consumer group say they did, and the rules they are held to.
//
// The book lies in memory that all processes share. A member writes before it acknowledges a
// message, and after it was told that it did: what a kill cut off in between counts as one or none.
//   B1  a message is never handed out once its ack was told, to one whose lease holds
//   B2  at most one ack of a message is ever told
//   B3  at the end each message was acknowledged, or its acknowledger died before it could tell
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "shm/base/clock.h"
#include "shm/group_member.h"

namespace loopline::crash {

class GroupBook {
 public:
  static constexpr uint64_t sequences_max = 1u << 20;

  // What a member was handed; a problem as words, or "".
  std::string note_handed(const shm::GroupMember& member, const shm::Lease& lease) {
    handed.fetch_add(1);
    if (lease.attempts() > 1) again.fetch_add(1);
    if (lease.message.sequence >= sequences_max) return "a sequence of nobody's";
    const bool was_acked = lines_[lease.message.sequence].acked.load() != 0;
    if (was_acked && member.holds(lease)) return of(lease, "handed out after its ack");
    return "";
  }
  std::string ack(shm::GroupMember& member, const shm::Lease& lease) {
    Line& line = lines_[lease.message.sequence];
    line.acking.fetch_add(1);
    if (member.ack(lease) != shm::Settled::done) {
      line.acking.fetch_sub(1);
      late.fetch_add(1);
      return "";
    }
    const bool is_second = line.acked.fetch_add(1) != 0;
    line.acking.fetch_sub(1);
    return is_second ? of(lease, "acknowledged twice") : "";
  }
  // By who committed it, afterwards: a kill in between leaves a message that nobody asks about.
  void note_published(uint64_t sequence) { lines_[sequence].published = 1; }
  bool is_published(uint64_t sequence) const { return lines_[sequence].published.load() != 0; }
  // Its holder was killed just now; and how long ago that was, asked once; 0: it was not.
  void mark_orphan(uint64_t sequence, uint64_t now_ns) { lines_[sequence].orphan_ns = now_ns; }
  uint64_t take_orphan(uint64_t sequence) {
    std::atomic<uint64_t>& since = lines_[sequence].orphan_ns;
    const uint64_t when = since.load() == 0 ? 0 : since.exchange(0);
    return when == 0 ? 0 : monotonic_ns() - when;
  }
  // After all have ended, of a message the group is done with.
  std::string examine(uint64_t sequence) const {
    const Line& line = lines_[sequence];
    const bool is_told = line.acked.load() == 1;
    const bool may_be = line.acked.load() == 0 && line.acking.load() != 0;
    if (is_told || may_be) return "";
    return "message " + std::to_string(sequence) + " was lost: nobody acknowledged it";
  }

  std::atomic<uint64_t> handed;
  std::atomic<uint64_t> again;
  std::atomic<uint64_t> late;

 private:
  struct Line {
    std::atomic<uint32_t> acking;
    std::atomic<uint32_t> acked;
    std::atomic<uint32_t> published;
    std::atomic<uint64_t> orphan_ns;
  };
  static std::string of(const shm::Lease& lease, const char* what) {
    return "message " + std::to_string(lease.message.sequence) + ", attempt " +
           std::to_string(lease.attempts()) + ": " + what;
  }
  std::array<Line, sequences_max> lines_;
};

}  // namespace loopline::crash
