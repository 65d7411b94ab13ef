// Rates: counts kept by ring, slot and seat, so that a slot's next holder starts anew.
#include "rates.h"

#include <utility>

namespace loopline::cli {
namespace {

std::string key_of(const shm::RingSnapshot& snapshot, char kind, uint32_t slot,
                   const shm::Occupant& who) {
  return snapshot.path + kind + std::to_string(slot) + "/" + std::to_string(who.seat);
}

}  // namespace

std::optional<Rate> Rates::of(const shm::RingSnapshot& snapshot,
                              const shm::ProducerFacts& producer) {
  return between(key_of(snapshot, 'p', producer.slot, producer.occupant),
                 {snapshot.taken_ns, producer.messages, producer.bytes});
}

std::optional<Rate> Rates::of(const shm::RingSnapshot& snapshot, const shm::CursorFacts& cursor) {
  return between(key_of(snapshot, 'c', cursor.slot, cursor.occupant),
                 {snapshot.taken_ns, cursor.messages, cursor.bytes});
}

std::optional<Rate> Rates::between(const std::string& key, const Counts& now) {
  now_[key] = now;
  const auto at = before_.find(key);
  if (at == before_.end()) return {};
  const Counts& before = at->second;
  // The same seat may have given its place back and taken it again: its counts begin at 0.
  const bool is_later = now.taken_ns > before.taken_ns && now.messages >= before.messages &&
                        now.bytes >= before.bytes;
  if (!is_later) return {};
  const double seconds = static_cast<double>(now.taken_ns - before.taken_ns) / 1e9;
  return Rate{static_cast<double>(now.messages - before.messages) / seconds,
              static_cast<double>(now.bytes - before.bytes) / seconds};
}

void Rates::turn() {
  before_ = std::exchange(now_, {});
  has_looked_ = true;
}

}  // namespace loopline::cli
