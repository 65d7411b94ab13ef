// Axioms: candidate executions one by one, and the relations that decide whether they are allowed.
#include "axioms.h"

#include <algorithm>
#include <array>

namespace loopline::model {

namespace {

constexpr unsigned event_count_max = 16;

// A relation on events: row a has bit b when a is related to b.
struct Relation {
  std::array<uint16_t, event_count_max> rows{};

  bool has(unsigned from, unsigned to) const { return (rows[from] >> to & 1) != 0; }
  void add(unsigned from, unsigned to) { rows[from] |= static_cast<uint16_t>(1u << to); }
  bool has_reflexive() const {
    for (unsigned index = 0; index < event_count_max; ++index) {
      if (has(index, index)) return true;
    }
    return false;
  }
  bool is_cyclic() const;
};

Relation operator|(Relation left, const Relation& right) {
  for (unsigned index = 0; index < event_count_max; ++index) left.rows[index] |= right.rows[index];
  return left;
}

// First one, then the other.
Relation operator*(const Relation& left, const Relation& right) {
  Relation result;
  for (unsigned from = 0; from < event_count_max; ++from) {
    for (unsigned by = 0; by < event_count_max; ++by) {
      if (left.has(from, by)) result.rows[from] |= right.rows[by];
    }
  }
  return result;
}

Relation inverse(const Relation& relation) {
  Relation result;
  for (unsigned from = 0; from < event_count_max; ++from) {
    for (unsigned to = 0; to < event_count_max; ++to) {
      if (relation.has(from, to)) result.add(to, from);
    }
  }
  return result;
}

Relation identity() {
  Relation result;
  for (unsigned index = 0; index < event_count_max; ++index) result.add(index, index);
  return result;
}

Relation closure(Relation relation) {
  for (unsigned by = 0; by < event_count_max; ++by) {
    for (unsigned from = 0; from < event_count_max; ++from) {
      if (relation.has(from, by)) relation.rows[from] |= relation.rows[by];
    }
  }
  return relation;
}

Relation optional(const Relation& relation) { return relation | identity(); }

bool Relation::is_cyclic() const { return closure(*this).has_reflexive(); }

Relation without_identity(Relation relation) {
  for (unsigned index = 0; index < event_count_max; ++index) {
    relation.rows[index] &= static_cast<uint16_t>(~(1u << index));
  }
  return relation;
}

struct Event {
  unsigned thread = 0;
  const Step* step = nullptr;  // nullptr: the initial store of its location
  unsigned location = 0;
  bool reads = false;
  bool writes = false;
  bool is_fence = false;
  std::memory_order order = std::memory_order_relaxed;  // relaxed: for initial stores
  uint64_t read = 0;
  uint64_t written = 0;

  bool acquires() const {
    return (reads || is_fence) && order != std::memory_order_relaxed &&
           order != std::memory_order_release;
  }
  bool releases() const {
    return (writes || is_fence) && order != std::memory_order_relaxed &&
           order != std::memory_order_acquire;
  }
  bool is_total() const { return order == std::memory_order_seq_cst; }
};

class Enumeration {
 public:
  Enumeration(const Program& program, unsigned location_count)
      : program_(program), location_count_(location_count) {}

  Allowed run() {
    unsigned compare_count = 0;
    for (const auto& thread : program_) {
      for (const auto& step : thread) compare_count += step.kind == StepKind::compare_exchange;
    }
    for (unsigned fates = 0; fates < 1u << compare_count; ++fates) {
      make_events(fates);
      choose_source(0);
    }
    return allowed_;
  }

 private:
  void make_events(unsigned fates) {
    events_.clear();
    program_order_ = {};
    for (unsigned location = 0; location < location_count_; ++location) {
      Event event;
      event.location = location;
      event.writes = true;
      events_.push_back(event);
    }
    for (unsigned thread = 0; thread < program_.size(); ++thread) {
      const auto first = static_cast<unsigned>(events_.size());
      for (const auto& step : program_[thread]) {
        Event event{
            .thread = thread, .step = &step, .location = step.location, .order = step.order};
        const bool compares = step.kind == StepKind::compare_exchange;
        const bool fails = compares && (fates & 1) != 0;
        if (compares) fates >>= 1;
        if (fails) event.order = step.failure;
        event.is_fence = step.kind == StepKind::fence;
        event.reads = step.kind != StepKind::store && !event.is_fence;
        event.writes = step.kind != StepKind::load && !event.is_fence && !fails;
        const auto number = static_cast<unsigned>(events_.size());
        for (unsigned before = 0; before < number; ++before) {
          if (before < location_count_ || before >= first) program_order_.add(before, number);
        }
        events_.push_back(event);
      }
    }
    sources_.assign(events_.size(), 0);
  }

  // From which store each load reads.
  void choose_source(unsigned number) {
    while (number < events_.size() && !events_[number].reads) ++number;
    if (number == events_.size()) {
      reads_from_ = {};
      for (unsigned to = 0; to < events_.size(); ++to) {
        if (events_[to].reads) reads_from_.add(sources_[to], to);
      }
      if ((program_order_ | reads_from_).is_cyclic() || !find_values()) return;
      order_ = {};
      return choose_order(0);
    }
    for (unsigned from = 0; from < events_.size(); ++from) {
      const bool fits = events_[from].writes && events_[from].location == events_[number].location;
      if (!fits || from == number) continue;
      sources_[number] = from;
      choose_source(number + 1);
    }
  }

  // False when a compare_exchange would not have had the fate chosen for it.
  bool find_values() {
    for (size_t round = 0; round <= events_.size(); ++round) {
      for (unsigned number = 0; number < events_.size(); ++number) {
        Event& event = events_[number];
        if (event.step == nullptr) continue;
        if (event.reads) event.read = events_[sources_[number]].written;
        event.written = event.step->value;
        if (event.step->kind == StepKind::add) event.written += event.read;
      }
    }
    return std::all_of(events_.begin(), events_.end(), [](const Event& event) {
      if (event.step == nullptr || event.step->kind != StepKind::compare_exchange) return true;
      return (event.read == event.step->expected) == event.writes;
    });
  }

  // The modification order of each location.
  void choose_order(unsigned location) {
    if (location == location_count_) return judge();
    std::vector<unsigned> stores;
    for (unsigned number = location_count_; number < events_.size(); ++number) {
      if (events_[number].writes && events_[number].location == location) stores.push_back(number);
    }
    const Relation before = order_;
    do {
      order_ = before;
      for (size_t later = 0; later < stores.size(); ++later) {
        order_.add(location, stores[later]);
        for (size_t sooner = 0; sooner < later; ++sooner) order_.add(stores[sooner], stores[later]);
      }
      choose_order(location + 1);
    } while (std::next_permutation(stores.begin(), stores.end()));
    order_ = before;
  }

  template <class Condition>
  Relation where(Condition condition) const {
    Relation result;
    for (unsigned number = 0; number < events_.size(); ++number) {
      if (condition(events_[number])) result.add(number, number);
    }
    return result;
  }

  template <class Condition>
  Relation only(const Relation& relation, Condition condition) const {
    Relation result;
    for (unsigned from = 0; from < events_.size(); ++from) {
      for (unsigned to = 0; to < events_.size(); ++to) {
        if (relation.has(from, to) && condition(events_[from], events_[to])) result.add(from, to);
      }
    }
    return result;
  }

  Relation synchronizes() const {
    const auto updates = where([](const Event& event) { return event.reads && event.writes; });
    const auto stores = where([](const Event& event) { return event.writes; });
    const auto fences = where([](const Event& event) { return event.is_fence; });
    const auto releases = where([](const Event& event) { return event.releases(); });
    const auto acquires = where([](const Event& event) { return event.acquires(); });
    const Relation sequence = stores * optional(closure(reads_from_ * updates));
    return releases * optional(fences * program_order_) * sequence * reads_from_ *
           optional(program_order_ * fences) * acquires;
  }

  void judge() {
    const Relation happens = closure(program_order_ | synchronizes());
    const Relation overtakes = without_identity(inverse(reads_from_) * order_);
    const Relation extended = closure(reads_from_ | order_ | overtakes);
    if ((happens * optional(extended)).has_reflexive()) return;
    if ((overtakes * order_).has_reflexive()) return;  // a store between an update's two halves

    const auto is_elsewhere = [](const Event& from, const Event& to) {
      return from.is_fence || to.is_fence || from.location != to.location;
    };
    const auto is_same = [&](const Event& from, const Event& to) {
      return !is_elsewhere(from, to);
    };
    const Relation elsewhere = only(program_order_, is_elsewhere);
    const Relation before =
        program_order_ | elsewhere * happens * elsewhere | only(happens, is_same) | extended;
    const auto total =
        where([](const Event& event) { return event.is_total() && !event.is_fence; });
    const auto fences =
        where([](const Event& event) { return event.is_total() && event.is_fence; });
    const Relation first = total | fences | fences * happens;
    const Relation last = total | fences | happens * fences;
    const Relation sequence = first * before * last | fences * happens * fences;
    if (sequence.is_cyclic()) return;
    const Outcome outcome = describe();
    allowed_.all.insert(outcome);
    if (!(program_order_ | reads_from_ | order_ | sequence).is_cyclic()) {
      allowed_.in_order.insert(outcome);
    }
  }

  Outcome describe() const {
    Outcome outcome;
    unsigned number = location_count_;
    for (const auto& thread : program_) {
      for (const auto& step : thread) {
        const Event& event = events_[number++];
        const bool swaps = step.kind == StepKind::compare_exchange && event.writes;
        if (event.reads) outcome.push_back(swaps ? swapped : event.read);
      }
      outcome.push_back(end_of_thread);
    }
    for (unsigned location = 0; location < location_count_; ++location) {
      unsigned newest = location;
      for (unsigned store = 0; store < events_.size(); ++store) {
        if (order_.has(newest, store)) newest = store;
      }
      outcome.push_back(events_[newest].written);
    }
    return outcome;
  }

  const Program& program_;
  const unsigned location_count_;
  std::vector<Event> events_;  // the initial stores first
  std::vector<unsigned> sources_;
  Relation program_order_, reads_from_, order_;
  Allowed allowed_;
};

}  // namespace

Allowed allowed_outcomes(const Program& program, unsigned location_count) {
  return Enumeration(program, location_count).run();
}

}  // namespace loopline::model
