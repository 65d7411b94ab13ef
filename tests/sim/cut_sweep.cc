// CutSweep: the image of each cut read by the format alone, then opened for writing.
#include "cut_sweep.h"

#include <algorithm>
#include <cstdio>

#include "log_reading.h"

namespace loopline::sim {
namespace {

using io::LogPlace;

constexpr uint32_t turns_behind_a_cut = 30;

// Every message that was acknowledged is there, unless it was dropped; nothing else is.
std::string compare_with(const LogReading& reading, const Known& known, const Station& station) {
  // A log that was never begun ends nowhere: the ring knows where it is to begin.
  const bool is_begun = reading.facts.end != LogPlace{};
  if (!is_begun && known.floor == station.start) return reading.wrong;
  std::string wrong = compare(reading, station.messages, known.floor);
  if (!wrong.empty()) return wrong;
  const io::LogFacts& facts = reading.facts;
  if (!facts.gaps.empty() && !known.may_miss) {
    return "a gap from " + text_of(facts.gaps[0].from) + " to " + text_of(facts.gaps[0].to) +
           " that nobody made: " + facts.gaps[0].why;
  }
  if (facts.begin != LogPlace{} && facts.begin.position < known.begin.position) {
    return "what was dropped is back: the log begins at " + text_of(facts.begin);
  }
  if (facts.begin.position > std::max(known.durable.position, facts.end.position)) {
    return "it begins behind its end, at " + text_of(facts.begin);
  }
  return {};
}

std::string line_of(const Event& event) {
  constexpr const char* kinds[] = {"make folder", "remove folder", "create", "rename",
                                   "remove",      "sync folder",   "write",  "write done",
                                   "sync",        "allocate",      "punch",  "mark"};
  std::string text = kinds[static_cast<size_t>(event.kind)];
  if (!event.path.empty()) text += " " + event.path.substr(event.path.rfind('/') + 1);
  if (!event.to.empty()) text += " to " + event.to.substr(event.to.rfind('/') + 1);
  text += ", file " + std::to_string(event.file) + ", at " + std::to_string(event.offset) + ", " +
          std::to_string(event.size) + " bytes";
  if (event.kind == EventKind::write_done) text += ", of event " + std::to_string(event.write + 1);
  return text;
}

}  // namespace

// What led to a cut, for who wants to see it again.
void print_journal(const SimDisk& disk, const LogLife& life, size_t count) {
  for (size_t index = 0; index < std::min(count, disk.events().size()); ++index) {
    const Event& event = disk.events()[index];
    std::printf("%zu %s", index + 1, line_of(event).c_str());
    if (event.kind == EventKind::mark) {
      const Known& known = life.known_at(event.offset);
      std::printf(": durable %s, floor %s, begin %s, epoch %llu", text_of(known.durable).c_str(),
                  text_of(known.floor).c_str(), text_of(known.begin).c_str(),
                  static_cast<unsigned long long>(known.epoch));
    }
    std::printf("\n");
  }
}

void CutCounts::add(const CutCounts& other) {
  cuts += other.cuts;
  in_opening += other.in_opening;
  in_dropping += other.in_dropping;
  second += other.second;
  for (size_t index = 0; index < std::size(of_mode); ++index)
    of_mode[index] += other.of_mode[index];
}

bool CutSweep::run(const SimDisk& disk, const LogLife& life, const Station& station) {
  PowerCuts cuts(disk);
  const auto& events = disk.events();
  while (cuts.step()) {
    // A mark changes nothing on the disk: the cut behind it is the stricter one.
    const bool is_marked = cuts.at() < events.size() && events[cuts.at()].kind == EventKind::mark;
    if (is_marked) continue;
    if (plan_.only && cuts.at() != plan_.only->events) continue;
    if (!cut(cuts, life, station)) return false;
  }
  return true;
}

// Every way in which the power can go here.
bool CutSweep::cut(const PowerCuts& cuts, const LogLife& life, const Station& station) {
  Random chance(plan_.seed * 1'000'003 + cuts.at());
  // With nothing on its way to the disk, there is but one.
  const uint32_t count = cuts.unsynced() == 0 ? 1
                         : plan_.modes == 0   ? std::size(cut_modes)
                                              : plan_.modes;
  const uint64_t first = count == std::size(cut_modes) ? 0 : chance.below(std::size(cut_modes));
  for (uint32_t index = 0; index < count; ++index) {
    const CutMode mode = cut_modes[(first + index * 3) % std::size(cut_modes)];
    at_ = {cuts.at(), mode};
    if (plan_.only && plan_.only->mode != mode) continue;
    Random random(plan_.seed * 7'919 + cuts.at() * 31 + static_cast<uint64_t>(mode));
    ++cuts_.cuts;
    ++cuts_.of_mode[static_cast<size_t>(mode)];
    cuts_.in_opening += life.is_opening(cuts.at()) ? 1 : 0;
    cuts_.in_dropping += life.is_dropping(cuts.at()) ? 1 : 0;
    wrong_ = check(cuts.image(mode, random), life.known_at(cuts.last_mark()), station, random);
    if (!wrong_.empty()) return false;
  }
  return true;
}

std::string CutSweep::check(Image image, const Known& known, Station station, Random& random) {
  SimDisk disk(std::move(image));
  LogPlace end = station.start;
  if (disk.list(life_plan_.options.folder)) {
    const LogReading reading = read_log(disk, life_plan_.options.folder);
    std::string wrong = compare_with(reading, known, station);
    if (!wrong.empty()) return wrong;
    if (reading.facts.end != LogPlace{}) end = reading.facts.end;
  } else if (known.durable != station.start) {
    return "the folder of the log is gone";
  }
  station.lose_ring(end);
  LifePlan plan = life_plan_;
  plan.mishap = Mishap::none;
  LogLife life(disk, plan, station, random, known);
  if (!life.open()) return "cannot open what a power cut left: " + life.fault()->message();
  if (!life.wrong().empty()) return life.wrong();
  if (life.log().end() != end) {
    return "opened at " + text_of(life.log().end()) + ", where reading finds " + text_of(end);
  }
  const bool goes_on = plan_.go_on_once_in != 0 && random.once_in(plan_.go_on_once_in);
  return goes_on ? go_on(disk, life, station, random) : std::string();
}

// More is written, and the power goes once more: also in the midst of that opening.
std::string CutSweep::go_on(SimDisk& disk, LogLife& life, Station& station, Random& random) {
  life.run(turns_behind_a_cut);
  lives_.add(life.counts());
  if (plan_.only) print_journal(disk, life, ~0ull);
  if (!life.wrong().empty()) return life.wrong() + " (in what goes on behind the cut)";
  SweepPlan plan;
  plan.seed = random.next();
  plan.modes = 2;
  CutCounts counts;
  CutSweep second(plan, life_plan_, counts, lives_);
  const bool is_fine = second.run(disk, life, station);
  counts.second = counts.cuts;
  cuts_.add(counts);
  if (is_fine) return {};
  return second.wrong() + " (second cut, after its event " + std::to_string(second.at().events) +
         ", " + name_of(second.at().mode) + ")";
}

}  // namespace loopline::sim
