// Load: publishing and its notes; reading back and holding it against them.
#include "load.h"

#include <loopline/loopline.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <new>
#include <stdexcept>

#include "io/log/examine.h"
#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "shm/base/hash.h"
#include "tests/sim/random.h"
#include "tests/support/must.h"

namespace loopline::test {
namespace {

constexpr uint64_t body_bytes_max = 3000;

std::string text_of(uint64_t number) { return std::to_string(number); }

}  // namespace

Load::Load(uint32_t producers) : producers_(producers) {
  void* const bytes = ::mmap(nullptr, producers * sizeof(Tally), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) throw std::runtime_error("no memory to share");
  tallies_ = new (bytes) Tally[producers]{};
}
Load::~Load() { ::munmap(static_cast<void*>(tallies_), producers_ * sizeof(Tally)); }

void Load::begin_round() {
  for (uint32_t index = 0; index < producers_; ++index) {
    tallies_[index].published = 0;
    tallies_[index].acknowledged = 0;
    tallies_[index].is_told = false;
  }
}

uint64_t Load::acknowledged() const {
  uint64_t sum = 0;
  for (uint32_t index = 0; index < producers_; ++index) sum += tallies_[index].acknowledged;
  return sum;
}

bool Load::is_anybody_told() const {
  return std::any_of(tallies_, tallies_ + producers_,
                     [](const Tally& tally) { return tally.is_told.load(); });
}

void Load::run(uint32_t producer, const std::string& dir, const std::string& station,
               uint32_t round, size_t in_flight) const {
  Tally& mine = tally(producer);
  const auto tell = [&](const Fault& fault) {
    std::snprintf(mine.words, sizeof mine.words, "%s", fault.message().c_str());
    mine.is_told = true;
  };
  const auto opened = Station::open(station, dir);
  if (!opened) return tell(opened.fault());
  Producer handle = must(opened->producer());
  std::deque<Ticket> tickets;
  for (uint64_t number = 1;; ++number) {
    mine.published = number;
    const auto ticket = handle.publish_async(body_of(producer, round, number));
    if (!ticket) return tell(ticket.fault());
    tickets.push_back(*ticket);
    if (tickets.size() < in_flight) continue;
    const Status durable = handle.wait(tickets.front(), Ack::durable);
    if (!durable) return tell(durable.fault());
    tickets.pop_front();
    mine.acknowledged = number - tickets.size();
  }
}

std::string body_of(uint32_t producer, uint32_t round, uint64_t number) {
  char head[64];
  std::snprintf(head, sizeof head, "producer %u round %u message %llu ", producer, round,
                static_cast<unsigned long long>(number));
  std::string body = head;
  sim::Random random(number + round * 1000003ull + producer * 7777777ull);
  const uint64_t size = body.size() + random.below(random.once_in(4) ? body_bytes_max : 100);
  while (body.size() < size) body += static_cast<char>('a' + random.below(26));
  return body;
}

// A message that was not there at the last look.
std::string Reckoning::take_new(const std::string& text, uint32_t round, const Load& load,
                                std::vector<uint64_t>& next) const {
  uint32_t producer = 0, of_round = 0;
  unsigned long long number = 0;
  const int found = std::sscanf(text.c_str(), "producer %u round %u message %llu ", &producer,
                                &of_round, &number);
  if (found != 3 || std::count(producers_.begin(), producers_.end(), producer) == 0) {
    return "a message that nobody wrote: " + text.substr(0, 60);
  }
  const std::string what = "message " + text_of(number) + " of producer " + text_of(producer) +
                           " in round " + text_of(of_round);
  if (text != body_of(producer, of_round, number)) return what + " has other bytes";
  if (of_round != round) return what + " came back to life";
  if (number > load.tally(producer).published) return what + " was never published";
  uint64_t& expected = next[producer];
  if (expected != 0 && number != expected) return what + ", but " + text_of(expected) + " is next";
  expected = number + 1;
  return {};
}

bool Reckoning::is_promised(const Load& load) const {
  return std::any_of(producers_.begin(), producers_.end(), [&](uint32_t producer) {
    return load.tally(producer).acknowledged.load() != 0;
  });
}

std::string Reckoning::check(const std::string& dir, const std::string& data, uint32_t round,
                             const Load& load) {
  auto examined = io::examine(io::posix_disk(), io::log_folder(data, {"main", station_}, 0),
                                    {.everything = true, .progress = {}});
  // Power went before the log was begun.
  const bool is_unbegun = examined ? examined->end == io::LogPlace{}
                                   : examined.fault().code() == FaultCode::not_found;
  if (is_unbegun && hashes_.empty() && !is_promised(load)) return {};
  const auto facts = must(std::move(examined));
  if (!facts.gaps.empty()) return "a gap: " + facts.gaps[0].why;
  notes_ += facts.notes.size();
  const uint64_t end = facts.end.sequence, begin = facts.begin.sequence;
  const uint64_t known_end = first_ + hashes_.size();
  if (end < known_end) return "it ends at " + text_of(end) + ", not " + text_of(known_end);
  if (begin > first_ && end - begin < kept_min_) return "retention dropped too much";
  const bool all_new_are_there = begin <= known_end;
  std::vector<uint64_t> next(load.producers(), all_new_are_there ? 1 : 0);
  std::vector<uint64_t> hashes;
  std::string wrong;
  const Station station = must(Station::open(station_, dir));
  Consumer consumer = must(station.consumer({.from = From::earliest}));
  for (uint64_t sequence = begin; sequence < end && wrong.empty(); ++sequence) {
    const auto message = must(consumer.take(std::chrono::seconds(20)));
    if (!message) return "no message " + text_of(sequence) + " comes";
    if (consumer.gap().count != 0) return "a gap is told before message " + text_of(sequence);
    if (message->sequence() != sequence) return "message " + text_of(sequence) + " is left out";
    const std::string text(message->text());
    hashes.push_back(hash64(text.data(), text.size()));
    if (sequence >= known_end) {
      wrong = take_new(text, round, load, next);
    } else if (sequence >= first_ && hashes.back() != hashes_[sequence - first_]) {
      wrong = "message " + text_of(sequence) + " has changed";
    }
  }
  first_ = begin;
  hashes_ = std::move(hashes);
  for (const uint32_t producer : producers_) {
    const uint64_t promised = load.tally(producer).acknowledged;
    if (wrong.empty() && all_new_are_there && next[producer] <= promised) {
      wrong = "producer " + text_of(producer) + " was promised " + text_of(promised) +
              " messages, and there are " + text_of(next[producer] - 1);
    }
  }
  return wrong;
}

}  // namespace loopline::test
