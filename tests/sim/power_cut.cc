// PowerCuts: the durable state moved along the journal, and chance about the rest.
#include "power_cut.h"

#include <algorithm>

#include "shm/base/check.h"

namespace loopline::sim {
namespace {

bool is_in(const std::string& path, const std::string& folder) {
  return path.rfind('/') == folder.size() && path.starts_with(folder);
}

uint32_t file_count(const SimDisk& disk) {
  uint32_t count = static_cast<uint32_t>(disk.base().files.size());
  for (const Event& event : disk.events()) {
    if (event.kind == EventKind::create) count = std::max(count, event.file + 1);
  }
  return count;
}

}  // namespace

const char* name_of(CutMode mode) {
  constexpr const char* names[] = {"none",      "all",  "prefix", "random",
                                   "reordered", "torn", "zeroed", "garbage"};
  return names[static_cast<size_t>(mode)];
}

// Decides, operation by operation and sector by sector, what of it is there.
class PowerCuts::Chooser {
 public:
  enum Sector { old_, new_, zero_, garbage_ };

  Chooser(CutMode mode, size_t count, Random& random)
      : mode_(mode), random_(random), pivot_(random.below(count)) {}

  void next(uint64_t sectors) {
    ++index_;
    sector_ = 0;
    first_ = random_.below(sectors + 1);
    last_ = mode_ == CutMode::prefix ? sectors : random_.between(first_, sectors);
  }
  bool has_name() {
    if (mode_ == CutMode::none) return false;
    if (mode_ == CutMode::all) return true;
    if (mode_ == CutMode::prefix) return index_ - 1 < pivot_;
    if (mode_ == CutMode::reordered) return index_ - 1 >= pivot_;
    return random_.coin();
  }
  Sector sector(bool is_in_flight) {
    const uint64_t sector = sector_++;
    const size_t index = index_ - 1;
    switch (mode_) {
      case CutMode::none:
        return old_;
      case CutMode::all:
        return new_;
      case CutMode::prefix:
        if (index == pivot_) return sector < first_ ? new_ : old_;
        return index < pivot_ ? new_ : old_;
      case CutMode::reordered:
        return index >= pivot_ ? new_ : old_;
      case CutMode::torn:
        return index == pivot_ && sector >= first_ && sector < last_ ? old_ : new_;
      case CutMode::random:
        return random_.coin() ? new_ : old_;
      case CutMode::zeroed:
        return is_in_flight && random_.once_in(4) ? zero_ : random_.once_in(8) ? old_ : new_;
      case CutMode::garbage:
        return is_in_flight && random_.once_in(4) ? garbage_ : random_.once_in(8) ? old_ : new_;
    }
    return old_;
  }
  uint64_t seed() { return random_.next(); }

 private:
  CutMode mode_;
  Random& random_;
  size_t pivot_;
  size_t index_ = 0;
  uint64_t sector_ = 0, first_ = 0, last_ = 0;
};

PowerCuts::PowerCuts(const SimDisk& disk) : events_(disk.events()) {
  durable_.folders = disk.base().folders;
  durable_.contents.resize(file_count(disk));
  uint32_t id = 0;
  for (const auto& [path, content] : disk.base().files) {
    durable_.names.emplace_hint(durable_.names.end(), path, id);
    durable_.contents[id++] = content;
  }
  for (; id < durable_.contents.size(); ++id) durable_.contents[id] = std::make_shared<Content>();
}

bool PowerCuts::is_about_names(EventKind kind) {
  return kind == EventKind::create || kind == EventKind::rename || kind == EventKind::remove ||
         kind == EventKind::make_folder || kind == EventKind::remove_folder;
}

bool PowerCuts::step() {
  if (next_ == events_.size()) return false;
  const size_t index = next_++;
  const Event& event = events_[index];
  if (event.kind == EventKind::mark) {
    last_mark_ = event.offset;
  } else if (event.kind == EventKind::sync) {
    sync_file(event.file);
  } else if (event.kind == EventKind::sync_folder) {
    sync_names(event.path);
  } else if (event.kind == EventKind::write_done) {
    finish_write(event);
  } else {
    pending_.push_back({index, event.kind != EventKind::write});
    if (event.kind == EventKind::write) ++in_flight_;
  }
  return true;
}

void PowerCuts::finish_write(const Event& done) {
  --in_flight_;
  const auto at = std::find_if(pending_.begin(), pending_.end(),
                               [&](const Pending& pending) { return pending.event == done.write; });
  if (at == pending_.end()) return;  // a sync of the file came first: not of what is in flight
  at->is_done = true;
  const Event& write = events_[done.write];
  if (!write.is_synced) return;
  apply(durable_, write);
  pending_.erase(at);
}

void PowerCuts::sync_file(uint32_t file) {
  std::vector<Pending> left;
  for (const Pending& pending : pending_) {
    const Event& event = events_[pending.event];
    const bool is_synced = pending.is_done && event.file == file && !is_about_names(event.kind);
    if (is_synced) {
      apply(durable_, event);
    } else {
      left.push_back(pending);
    }
  }
  pending_ = std::move(left);
}

void PowerCuts::sync_names(const std::string& folder) {
  std::vector<Pending> left;
  for (const Pending& pending : pending_) {
    const Event& event = events_[pending.event];
    const std::string& path = event.kind == EventKind::rename ? event.to : event.path;
    if (is_about_names(event.kind) && is_in(path, folder)) {
      apply(durable_, event);
      // What the file was called before it was renamed never comes back.
      const auto is_earlier = [&](const Pending& other) {
        const Event& earlier = events_[other.event];
        const bool named = earlier.kind == EventKind::create || earlier.kind == EventKind::rename;
        return named && earlier.file == event.file;
      };
      if (event.kind == EventKind::rename) std::erase_if(left, is_earlier);
    } else {
      left.push_back(pending);
    }
  }
  pending_ = std::move(left);
}

void PowerCuts::apply(State& state, const Event& event) const {
  const auto erase = [&](const std::string& path) {
    const auto at = state.names.find(path);
    if (at != state.names.end() && at->second == event.file) state.names.erase(at);
  };
  switch (event.kind) {
    case EventKind::make_folder:
      state.folders.insert(event.path);
      return;
    case EventKind::remove_folder:
      state.folders.erase(event.path);
      return;
    case EventKind::rename:
      // Whatever it was called before: earlier renames of a file are never behind later ones.
      std::erase_if(state.names, [&](const auto& name) { return name.second == event.file; });
      state.names[event.to] = event.file;
      return;
    case EventKind::create:
      state.names[event.path] = event.file;
      return;
    case EventKind::remove:
      erase(event.path);
      return;
    case EventKind::allocate:
      own(state.contents[event.file]).grow(event.size);
      return;
    default:
      break;
  }
  Content& content = own(state.contents[event.file]);
  const uint64_t first = event.offset / page_bytes;
  if (event.kind == EventKind::write) content.grow(event.offset + event.size);
  const uint64_t count = std::min(event.size / page_bytes,
                                  content.pages.size() - std::min(content.pages.size(), first));
  for (uint64_t index = 0; index < count; ++index) {
    const PageRef page = event.kind == EventKind::write ? event.pages[index] : nullptr;
    content.put(first + index, page, every_sector);
  }
}

void PowerCuts::apply_sectors(State& state, const Pending& pending, Chooser& chooser) const {
  const Event& event = events_[pending.event];
  const uint64_t first = event.offset / page_bytes;
  Content& content = own(state.contents[event.file]);
  for (uint64_t index = 0; index < event.size / page_bytes; ++index) {
    SectorSet sets[4] = {};
    for (uint32_t sector = 0; sector < page_sectors; ++sector) {
      sets[chooser.sector(!pending.is_done)] |= static_cast<SectorSet>(1u << sector);
    }
    const SectorSet changed = static_cast<SectorSet>(~sets[Chooser::old_]);
    if (changed == 0) continue;
    if (first + index >= content.pages.size()) {
      if (event.kind == EventKind::punch) continue;
      content.grow((first + index + 1) * page_bytes);
    }
    const PageRef page = event.kind == EventKind::write ? event.pages[index] : nullptr;
    content.put(first + index, page, sets[Chooser::new_]);
    content.put(first + index, nullptr, sets[Chooser::zero_]);
    if (sets[Chooser::garbage_] == 0) continue;
    content.put(first + index, garbage_page(chooser.seed()), sets[Chooser::garbage_]);
  }
}

Image PowerCuts::image(CutMode mode, Random& random) const {
  State state = durable_;
  Chooser chooser(mode, pending_.size(), random);
  for (const Pending& pending : pending_) {
    const Event& event = events_[pending.event];
    const bool has_sectors = event.kind == EventKind::write || event.kind == EventKind::punch;
    chooser.next(has_sectors ? event.size / sector_bytes : 0);
    if (has_sectors) {
      apply_sectors(state, pending, chooser);
    } else if (chooser.has_name()) {
      apply(state, event);
    }
  }
  Image image;
  image.folders = std::move(state.folders);
  for (const auto& [path, file] : state.names) {
    // A folder that is not there takes along what was in it.
    bool is_there = true;
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      is_there = is_there && image.folders.count(path.substr(0, at)) != 0;
    }
    if (is_there) image.files.emplace_hint(image.files.end(), path, state.contents[file]);
  }
  return image;
}

}  // namespace loopline::sim
