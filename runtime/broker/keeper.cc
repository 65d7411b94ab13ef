// Keeper: conf files against what the flusher has open.
#include "keeper.h"

#include <algorithm>
#include <filesystem>

#include "io/flush_sources.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/ring_header.h"

namespace loopline::broker {
namespace {

constexpr uint64_t backoff_min_ns = 1'000'000'000;
constexpr uint64_t backoff_max_ns = 60'000'000'000;
constexpr size_t opened_at_once = 32;  // stations, before somebody else may ask for the status
constexpr auto status_wait = std::chrono::milliseconds(200);

// Whether what is open for `left` is what is to be kept for `right`.
bool is_same_station(const io::StationConf& left, const io::StationConf& right) {
  return left.id == right.id &&
         left.ring.partitions.value_or(1) == right.ring.partitions.value_or(1);
}

std::string label(const io::FlushStatus& facts) {
  return "station \"" + facts.name.text() + "\"" +
         (facts.partition == 0 ? "" : " partition " + std::to_string(facts.partition));
}

}  // namespace

const char* text_of(KeptLog::State state) {
  switch (state) {
    case KeptLog::State::flushing:
      return "flushing";
    case KeptLog::State::disk_full:
      return "disk_full";
    case KeptLog::State::failed:
      return "failed";
    case KeptLog::State::not_open:
      break;
  }
  return "not_open";
}

Result<std::unique_ptr<Keeper>> Keeper::start(shm::Directory directory,
                                              const KeeperOptions& options, Log& log) {
  io::keep_on_disk(directory, options.data);
  auto keeper = std::unique_ptr<Keeper>(new Keeper(std::move(directory), options, log));
  LL_TRY(flusher, io::Flusher::start(options.flusher));
  keeper->flusher_ = std::move(flusher);
  return keeper;
}

Keeper::~Keeper() = default;

// ---- looking ----------------------------------------------------------------

std::vector<std::string> Keeper::folders_there() {
  std::vector<std::string> folders;
  std::error_code error;
  std::filesystem::directory_iterator at(io::stations_folder(data_), error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    folders.push_back(at->path().filename().string());
  }
  const bool is_absent = error == std::errc::no_such_file_or_directory;
  const std::string trouble =
      !error || is_absent
          ? ""
          : "cannot list folder " + io::stations_folder(data_) + ": " + error.message();
  if (trouble != folder_trouble_ && !trouble.empty()) log_.error(trouble);
  folder_trouble_ = trouble;
  std::sort(folders.begin(), folders.end());
  return folders;
}

void Keeper::look_at_all() {
  const auto folders = folders_there();
  std::set<std::string> all(folders.begin(), folders.end());
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [name, kept] : stations_) {
      all.insert(kept.name.factory + "@" + kept.name.station);
    }
  }
  look_at(all);
  const std::lock_guard guard(mutex_);
  if (is_stopped_) return;
  look_for_lost_confs();
  look_at_logs();
}

void Keeper::look_at(const std::set<std::string>& station_folders) {
  for (const std::string& folder : station_folders) {
    const auto name = io::parse_station_folder(folder);
    const std::lock_guard guard(mutex_);  // one at a time: status() comes in between
    if (name && !is_stopped_) look(*name);
    if (due_.size() >= opened_at_once) open_due();
  }
  const std::lock_guard guard(mutex_);
  if (is_stopped_) return;
  open_due();
  note_opened();
}

void Keeper::look(const shm::StationName& name) {
  if (on_step_) on_step_();
  const auto conf = io::read_station_conf(data_, name);
  const auto found = stations_.find(name.text());
  const bool is_lost = conf && !*conf && io::has_lost_conf(data_, name);
  if (conf && !*conf && !is_lost) {
    if (found == stations_.end()) return;
    close(found->second);
    stations_.erase(found);
    due_.erase(name.text());
    log_.info("station \"" + name.text() + "\" was removed: it is kept no more");
    return;
  }
  Kept& kept = stations_[name.text()];
  kept.name = name;
  // Whatever is open goes on: its messages are none the worse for it.
  if (!conf) return complain(kept, conf.fault());
  if (is_lost) return complain(kept, io::conf_missing(data_, name, nullptr));
  std::error_code no_matter;
  const auto conf_time = std::filesystem::last_write_time(io::station_file(data_, name), no_matter);
  if (kept.is_open.empty() || !is_same_station(kept.conf, **conf)) {
    close(kept);
    kept.is_open.assign((*conf)->ring.partitions.value_or(1), false);
    kept.try_again_ns = 0;
    kept.backoff_ns = 0;
  } else if (kept.conf_time != conf_time || !(kept.conf == **conf)) {
    reload(kept, !(kept.conf == **conf));
  }
  kept.conf_time = conf_time;
  kept.conf = **conf;
  if (kept.trouble) kept.trouble.reset();
  const bool is_whole =
      std::all_of(kept.is_open.begin(), kept.is_open.end(), [](bool is) { return is; });
  if (!is_whole && monotonic_ns() >= kept.try_again_ns) due_.insert(name.text());
}

// Rings that want to go to disk, and nothing on disk knows of them: not passed over in silence.
void Keeper::look_for_lost_confs() {
  const auto rings = directory_.list();
  if (!rings) return;
  for (const auto& ring : *rings) {
    if (ring.partition != 0 || stations_.contains(ring.name.text())) continue;
    if (rings_in_memory_.contains(ring.path)) continue;
    const auto file = shm::open_file("ring", ring.path, false);
    if (!file) continue;
    const auto header = shm::read_ring_header(*file, ring.path);
    if (!header || header->storage != shm::Storage::file) {
      rings_in_memory_.insert(ring.path);
      continue;
    }
    const bool is_ending = shm::read_ring_marks(*file).seal_state != shm::seal_open;
    std::error_code error;
    const bool is_being_removed =
        std::filesystem::exists(io::being_removed(data_, ring.name), error);
    const auto conf = io::read_station_conf(data_, ring.name);
    if (is_ending || is_being_removed || !conf || *conf) continue;
    Kept& kept = stations_[ring.name.text()];
    kept.name = ring.name;
    complain(kept, io::conf_missing(data_, ring.name, &*header));
  }
}

// ---- opening and closing ----------------------------------------------------

void Keeper::complain(Kept& kept, const Fault& fault) {
  const bool is_new = !kept.trouble || kept.trouble->message() != fault.message();
  if (is_new) log_.error("station \"" + kept.name.text() + "\" is in trouble: " + fault.message());
  kept.trouble = fault;
  try_later(kept);
}

void Keeper::try_later(Kept& kept) {
  kept.backoff_ns = std::clamp(kept.backoff_ns * 2, backoff_min_ns, backoff_max_ns);
  kept.try_again_ns = monotonic_ns() + kept.backoff_ns;
}

std::vector<io::FlushSource> Keeper::missing_of(Kept& kept) {
  kept.try_again_ns = 0;
  if (on_step_) on_step_();  // it may have to wait for a lock of the station's
  auto sources = io::sources_of(directory_, data_, kept.name);
  if (!sources) {
    complain(kept, sources.fault());
    return {};
  }
  std::erase_if(*sources, [&](const io::FlushSource& source) {
    // More than there were: its conf changed, and is looked at again soon.
    return source.partition >= kept.is_open.size() || kept.is_open[source.partition];
  });
  return std::move(*sources);
}

void Keeper::note_added(Kept& kept, const io::FlushSource& source, const Status& added) {
  const auto before = kept.troubles.find(source.partition);
  if (added) {
    kept.is_open[source.partition] = true;
    if (before != kept.troubles.end()) kept.troubles.erase(before);
    return;
  }
  const bool is_new =
      before == kept.troubles.end() || before->second.message() != added.fault().message();
  if (is_new) {
    log_.error("station \"" + kept.name.text() + "\" partition " +
               std::to_string(source.partition) + " is not kept: " + added.fault().message());
  }
  kept.troubles.insert_or_assign(source.partition, added.fault());
}

// All that are due together: an opening is spent waiting for the disk.
void Keeper::open_due() {
  std::vector<io::FlushSource> sources;
  for (const std::string& name : due_) {
    for (io::FlushSource& source : missing_of(stations_[name])) {
      sources.push_back(std::move(source));
    }
  }
  const std::vector<Status> added = flusher_->add_all(sources);
  for (size_t index = 0; index < sources.size(); ++index) {
    note_added(stations_[sources[index].name.text()], sources[index], added[index]);
  }
  for (const std::string& name : due_) {
    Kept& kept = stations_[name];
    if (kept.trouble) continue;
    if (!kept.troubles.empty()) {
      try_later(kept);
      continue;
    }
    kept.backoff_ns = 0;
    opened_.insert(name);
  }
  due_.clear();
}

// In one go: asking the flusher for each of a thousand stations would take a million answers.
void Keeper::note_opened() {
  if (opened_.empty()) return;
  for (const io::FlushStatus& facts : flusher_->status()) {
    if (!opened_.contains(facts.name.text())) continue;
    log_.info(label(facts) + " is kept: durable up to message " +
              format_count(facts.durable.sequence - 1));
    for (const io::LogGap& gap : facts.gaps) {
      log_.warning(label(facts) + ": messages " + std::to_string(gap.from.sequence) + " to " +
                   std::to_string(gap.to.sequence - 1) + " are missing: " + gap.why);
    }
  }
  opened_.clear();
}

// What an edit may change of a log counts at once, and the rest is not a log's.
// The flusher looks for purges then, too.
void Keeper::reload(const Kept& kept, bool is_edited) {
  const auto sources = io::sources_of(directory_, data_, kept.name);
  if (!sources) return;  // looked at again soon
  for (const io::FlushSource& source : *sources) (void)flusher_->reload(source);
  const char* const what = is_edited ? "has other parameters from now on" : "may have been purged";
  log_.info("station \"" + kept.name.text() + "\" " + what);
}

void Keeper::close(Kept& kept) {
  for (uint32_t partition = 0; partition < kept.is_open.size(); ++partition) {
    // One whose station was removed has ended by itself.
    if (kept.is_open[partition]) (void)flusher_->remove(kept.name, partition);
    told_.erase({kept.name.text(), partition});
  }
  kept.is_open.clear();
  kept.troubles.clear();
}

void Keeper::try_again() {
  const std::lock_guard guard(mutex_);
  if (is_stopped_) return;
  std::vector<shm::StationName> due;
  for (const auto& [name, kept] : stations_) {
    if (kept.try_again_ns != 0 && monotonic_ns() >= kept.try_again_ns) due.push_back(kept.name);
  }
  for (const auto& name : due) look(name);
  open_due();
  note_opened();
}

uint64_t Keeper::next_try_ns() {
  const std::lock_guard guard(mutex_);
  uint64_t next_ns = ~0ull;
  for (const auto& [name, kept] : stations_) {
    if (kept.try_again_ns != 0) next_ns = std::min(next_ns, kept.try_again_ns);
  }
  return next_ns;
}

size_t Keeper::reopen() {
  const std::lock_guard guard(mutex_);
  if (is_stopped_) return 0;
  std::set<std::string> wanted;
  for (const io::FlushStatus& facts : flusher_->status()) {
    const auto found = stations_.find(facts.name.text());
    if (!facts.failed || found == stations_.end()) continue;
    (void)flusher_->remove(facts.name, facts.partition);
    if (facts.partition < found->second.is_open.size()) {
      found->second.is_open[facts.partition] = false;
    }
    told_.erase({facts.name.text(), facts.partition});
    wanted.insert(facts.name.text());
  }
  for (const auto& [name, kept] : stations_) {
    if (kept.trouble || !kept.troubles.empty()) wanted.insert(name);
  }
  for (const std::string& text : wanted) {
    Kept& kept = stations_[text];
    kept.backoff_ns = 0;
    kept.try_again_ns = 0;
    log_.info("station \"" + text + "\" is opened again");
    const shm::StationName name = kept.name;
    look(name);
  }
  open_due();
  note_opened();
  return wanted.size();
}

Status Keeper::stop(uint64_t drain_ns) {
  const std::lock_guard guard(mutex_);
  is_stopped_ = true;
  // Those that cannot go on would only hold up the others.
  for (const io::FlushStatus& facts : flusher_->status()) {
    if (facts.failed || facts.starved) (void)flusher_->remove(facts.name, facts.partition);
  }
  const Status drained = flusher_->drain(monotonic_ns() + drain_ns);
  if (!drained) {
    log_.warning("not everything was brought to disk before the end: " + drained.fault().message() +
                 "; it is in the rings, and the next broker goes on");
  }
  return flusher_->stop();
}

// ---- telling ----------------------------------------------------------------

// What is open, how it does, and what came to an end by itself; each change is told once.
void Keeper::look_at_logs() {
  std::set<Key> open;
  for (const KeptLog& log : describe()) {
    if (log.state == KeptLog::State::not_open) continue;
    const Key key{log.facts.name.text(), log.facts.partition};
    open.insert(key);
    KeptLog::State& told = told_[key];
    if (told == log.state) continue;
    told = log.state;
    if (log.state == KeptLog::State::flushing) {
      log_.info(label(log.facts) + " has room again and goes on");
    } else {
      log_.error(label(log.facts) + ": " + log.trouble);
    }
  }
  for (auto& [name, kept] : stations_) {
    for (uint32_t partition = 0; partition < kept.is_open.size(); ++partition) {
      if (!kept.is_open[partition] || open.contains({name, partition})) continue;
      kept.is_open[partition] = false;  // its ring was removed, and perhaps its station
      try_later(kept);
    }
  }
}

std::vector<KeptLog> Keeper::describe() {
  std::vector<KeptLog> logs;
  std::set<Key> open;
  for (io::FlushStatus& facts : flusher_->status()) {
    KeptLog log;
    if (facts.failed) {
      log.state = KeptLog::State::failed;
      log.trouble = "it is not written to any more: " + facts.failed->message() +
                    "; what is durable is safe; see to the disk, then: loopline up";
    } else if (facts.starved) {
      log.state = KeptLog::State::disk_full;
      log.trouble = "it has to wait: " + facts.starved->message() +
                    "; make room there, and it goes on by itself; what is durable is safe";
    }
    open.insert({facts.name.text(), facts.partition});
    log.facts = std::move(facts);
    logs.push_back(std::move(log));
  }
  for (const auto& [name, kept] : stations_) {
    const size_t count = std::max<size_t>(kept.is_open.size(), 1);
    for (uint32_t partition = 0; partition < count; ++partition) {
      const auto trouble = kept.troubles.find(partition);
      const Fault* fault = trouble != kept.troubles.end() ? &trouble->second : nullptr;
      if (fault == nullptr && kept.trouble) fault = &*kept.trouble;
      if (open.contains({name, partition})) {
        if (fault == nullptr) continue;
        for (KeptLog& log : logs) {
          const bool is_it = log.facts.partition == partition && log.facts.name.text() == name;
          if (is_it && log.trouble.empty()) log.trouble = fault->message();
        }
        continue;
      }
      KeptLog log;
      log.facts.name = kept.name;
      log.facts.partition = partition;
      log.state = KeptLog::State::not_open;
      log.trouble = fault != nullptr ? fault->message() : "it is being opened";
      logs.push_back(std::move(log));
    }
  }
  std::sort(logs.begin(), logs.end(), [](const KeptLog& left, const KeptLog& right) {
    return Key(left.facts.name.text(), left.facts.partition) <
           Key(right.facts.name.text(), right.facts.partition);
  });
  return logs;
}

std::vector<KeptLog> Keeper::status() {
  std::unique_lock guard(mutex_, status_wait);
  std::optional<std::vector<KeptLog>> fresh;
  if (guard.owns_lock() && !is_stopped_) fresh = describe();
  const std::lock_guard picture_guard(picture_mutex_);
  if (fresh) picture_ = std::move(*fresh);
  return picture_;
}

}  // namespace loopline::broker
