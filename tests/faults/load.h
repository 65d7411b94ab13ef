// Load: producers that note what they were promised, and the reckoning of what a log still holds.
//
//   Load load(2);                               memory shared with the producers
//   load.run(0, dir, "orders", round)           in a child: publishes until it is killed or told
//   reckoning.check(dir, data, round, load)     after the power cut: empty, or what is wrong
//
// A body says who wrote it, in which round, as which message; length and bytes follow from that.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace loopline::test {

// Of one producer in one round.
struct Tally {
  std::atomic<uint64_t> published;     // begun to be
  std::atomic<uint64_t> acknowledged;  // all up to this one, as durable
  std::atomic<bool> is_told;           // that it cannot go on, in these words:
  char words[256];
};

class Load {
 public:
  explicit Load(uint32_t producers);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load();

  void begin_round();
  Tally& tally(uint32_t producer) const { return tallies_[producer]; }
  uint32_t producers() const { return producers_; }
  uint64_t acknowledged() const;
  bool is_anybody_told() const;
  // Publishes with so many in flight. Returns when there is a fault.
  void run(uint32_t producer, const std::string& dir, const std::string& station, uint32_t round,
           size_t in_flight) const;

 private:
  uint32_t producers_;
  Tally* tallies_;
};

std::string body_of(uint32_t producer, uint32_t round, uint64_t number);

// What a station held after each round so far.
class Reckoning {
 public:
  Reckoning(std::string station, std::vector<uint32_t> producers, uint64_t kept_min)
      : station_(std::move(station)), producers_(std::move(producers)), kept_min_(kept_min) {}

  // Reads all that the station has, by the log alone and as a consumer.
  std::string check(const std::string& dir, const std::string& data, uint32_t round,
                    const Load& load);
  const std::string& station() const { return station_; }
  uint64_t messages() const { return first_ + hashes_.size() - 1; }
  uint64_t notes() const { return notes_; }

 private:
  std::string take_new(const std::string& text, uint32_t round, const Load& load,
                       std::vector<uint64_t>& next) const;
  bool is_promised(const Load& load) const;

  std::string station_;
  std::vector<uint32_t> producers_;  // who publish into it
  uint64_t kept_min_;                // so many of the newest must be there; 0: all
  uint64_t first_ = 1;               // sequence of the first hash
  std::vector<uint64_t> hashes_;
  uint64_t notes_ = 0;  // damage that cost nothing
};

}  // namespace loopline::test
