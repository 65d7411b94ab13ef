// Torture: what the parent of a run and its mortal children share, and the parts of the run.
//
//   main (torture.cc)           options, one round after another, the report
//   Round (torture_round.cc)    one station: makes children, kills, stops and replaces them
//   roles (torture_roles.cc)    what a child does until it dies
//   Tally (torture_report.cc)   what happened, in words and numbers
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <string>

#include "instance.h"
#include "journal.h"
#include "shm/base/histogram.h"
#include "step.h"

namespace loopline::crash {

enum class Role : uint32_t { producer, consumer, joiner, lossy, repairer, sealer, witness };
constexpr size_t role_count = 7;

// How a child died, as the report counts it.
enum class Fate : uint32_t {
  producer_inside,  // between claim and the end of commit
  producer_outside,
  consumer_reading,
  parker,  // waiting for messages
  joiner,  // joining or leaving
  lossy,
  holding_lock,  // repairing, reaping or sealing, whatever its role
  repairer,      // looking for the dead
  sealer,
};
constexpr size_t fate_count = 9;

enum class Blocked : uint32_t { inside, lock, other, paced };
constexpr size_t blocked_count = 4;

struct ChildSlot {
  Vitals vitals;
  std::atomic<Phase> phase;
  std::atomic<uint32_t> writer;  // whose journal it writes; 0: none
};
constexpr size_t children_max = 24;

// Everything that outlives a child. One per run, in anonymous shared memory.
struct Board {
  Journals journals;
  std::atomic<uint32_t> quit;           // producers stop
  std::atomic<uint32_t> stopped_count;  // children under SIGSTOP now
  std::atomic<uint32_t> stop_serial;    // stops and continues so far
  std::atomic<uint32_t> producers_alive;
  std::atomic<uint64_t> witness_position;
  std::atomic<uint64_t> witness_sequence;
  std::atomic<uint64_t> witness_messages;
  std::atomic<uint64_t> witness_ns;  // when it last got something
  std::atomic<uint64_t> read_by_others;
  std::atomic<uint64_t> wrong_count;
  char wrongs[16][1024];
  std::atomic<uint64_t> takeovers;
  std::atomic<uint64_t> seals;
  Histogram blocked[blocked_count];
  ChildSlot children[children_max];

  void wrong(const std::string& text);
};

struct RoundPlan {
  uint64_t seed = 0;
  uint64_t capacity = 64u << 10;
  bool exclusive = false;
  bool forge = true;
  bool paced = false;  // producers pause, so that consumers park
  bool sealing = false;
  uint64_t duration_ns = 0;
  uint32_t kill_mean_us = 0;
  uint32_t stop_mean_us = 0;
  std::array<uint32_t, role_count> counts{};
};
std::string describe(const RoundPlan& plan);

struct Tally {
  uint64_t deaths[fate_count] = {};
  uint64_t by_hand = 0;  // killed themselves at a chosen step
  uint64_t from_outside = 0;
  uint64_t stops = 0;
  uint64_t stops_over_a_lap = 0;
  uint64_t stops_over_ten_laps = 0;
  uint64_t rounds = 0;
  uint64_t messages = 0;  // of the witness
  uint64_t read_by_others = 0;
  uint64_t laps = 0;
  uint64_t repairs = 0;
  uint64_t reaped = 0;
  uint64_t fillers = 0;
  uint64_t seals = 0;
  uint64_t writers = 0;
  uint64_t deaths_total() const;
};
void print_line(const Tally& tally, const Board& board, double seconds);
void print_report(const Tally& tally, const Board& board, double seconds);

// What a child is given.
struct ChildContext {
  const PrivateInstance& instance;
  Board& board;
  ChildSlot& slot;
  size_t slot_index;
  const RoundPlan& plan;
  Role role;
  uint64_t seed;
};
// Does its role until it is told to quit, or dies. The exit status: 0, or 2 after a wrong.
int run_child(const ChildContext& context);

constexpr const char* torture_station = "torture";

// Runs one round to its end; false when something was wrong.
bool run_round(const PrivateInstance& instance, Board& board, const RoundPlan& plan, Tally& tally,
               const std::atomic<bool>& interrupted);

// The torture of consumer groups, which is by itself; see torture_group.cc.
struct GroupTally {
  uint64_t rounds = 0, messages = 0, handed = 0, again = 0, late = 0;
  uint64_t member_deaths = 0, producer_deaths = 0, stops = 0;
};
bool torture_groups(uint64_t seed, uint32_t processes, uint64_t duration_ns, uint64_t round_ns,
                    const std::atomic<bool>& interrupted);

}  // namespace loopline::crash
