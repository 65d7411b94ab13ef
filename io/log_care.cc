// LogWriter: the chores of a log: the next segment, names, retention and the manifest.
#include <algorithm>

#include "log/paths.h"
#include "log/purge_mark.h"
#include "log_writer.h"

namespace loopline::io {
namespace {

constexpr uint64_t try_again_after_ns = 1'000'000'000;
constexpr uint64_t zeros_bytes = 1u << 20;
constexpr size_t spares_max = 8;  // in a data folder; more are removed
// A log begins with a small segment, each next one is so many times larger, up to what was asked
// for: a thousand stations that are hardly used take little, and a first message waits for one
// write of zeros.
constexpr uint64_t first_bytes = 1u << 20;
constexpr uint64_t growth = 8;
// The next one is made when so much of this one is used.
constexpr uint64_t used_share = 8;

// Zeros all over: a commit into extents that were never written costs twice as much.
Status fill_with_zeros(DiskFile& file, uint64_t bytes) {
  const AlignedBytes zeros(std::min(zeros_bytes, bytes));
  for (uint64_t at = 0; at < bytes; at += zeros.size()) {
    LL_TRY_STATUS(file.write(at, zeros.first(std::min<uint64_t>(zeros.size(), bytes - at))));
  }
  return ok();
}

// A dropped segment of the right size, under its new name; none: there is none.
bool take_spare(Disk& disk, const LogOptions& options, const std::string& path) {
  if (options.spares.empty()) return false;
  const auto names = disk.list(options.spares);
  if (!names) return false;
  for (const std::string& name : *names) {
    if (parse_spare_name(name) != options.segment_bytes) continue;
    // Others put files there too: one that is not what its name says would end our log.
    const auto file = disk.open(options.spares + "/" + name, DiskAccess::read);
    const auto bytes = file ? (*file)->size() : Result<uint64_t>(file.fault());
    if (!bytes || *bytes != options.segment_bytes) continue;
    if (!disk.rename(options.spares + "/" + name, path)) continue;  // another log was first
    return true;
  }
  return false;
}

// Room for a segment, at `path`, and its name safe.
Status make_segment(Disk& disk, const LogOptions& options, const std::string& path,
                    uint64_t bytes) {
  const bool would_do = options.segment_bytes >= bytes;  // what spares have
  if (would_do && take_spare(disk, options, path)) return disk.sync_folder(options.folder);
  const std::string making = path + ".making";
  (void)disk.remove(making);
  auto file = disk.open(making, DiskAccess::create);
  if (!file) return file.fault();
  Status made = (*file)->allocate(bytes);
  if (made && options.prefill) made = fill_with_zeros(**file, bytes);
  if (made) made = (*file)->sync();
  if (made) made = disk.rename(making, path);
  if (!made) (void)disk.remove(making);
  if (!made) return made;
  return disk.sync_folder(options.folder);
}

// Keeps a file that nobody needs as a spare, or removes it.
// `epoch` and the file's number tell spares of one log apart: who has a taken name is replaced.
Status retire(Disk& disk, const LogOptions& options, const std::string& file, uint64_t epoch) {
  const std::string path = options.folder + "/" + file;
  const bool may_keep = !options.spares.empty() && file.ends_with(".segment");
  if (may_keep && disk.make_folder(options.spares)) {
    const auto names = disk.list(options.spares);
    auto opened = disk.open(path, DiskAccess::read);
    const auto bytes = opened ? (*opened)->size() : Result<uint64_t>(opened.fault());
    // Small ones are made in no time, and would take the place of large ones.
    const bool is_wanted = names && names->size() < spares_max && bytes &&
                           is_segment_size(*bytes) && *bytes >= options.segment_bytes;
    const auto name = parse_segment_name(file);
    if (is_wanted && name) {
      const uint64_t token = options.id.words[0] ^ (epoch << 32 | name->number);
      return disk.rename(path, options.spares + "/" + spare_file_name(*bytes, token));
    }
  }
  return disk.remove(path);
}

}  // namespace

LogWriter::KnownSegment* LogWriter::find_known(uint64_t number) {
  for (KnownSegment& known : known_) {
    if (known.number == number) return &known;
  }
  return nullptr;
}

// `work` touches nothing of ours; what it returns does, unless we are gone.
void LogWriter::post(std::function<std::function<void(LogWriter&)>()> work) {
  chores_.post([work = std::move(work), self = self_]() -> Continuation {
    return [apply = work(), self] {
      if (*self != nullptr) apply(**self);
    };
  });
}

// Whether enough of what is there was used to want more.
bool LogWriter::is_used() const {
  if (open_.empty()) return false;
  const OpenSegment& segment = open_.back();
  return segment.offset - batches_offset >= segment.header.segment_bytes / used_share;
}

// Unless it is there, or being made, or the disk was full a moment ago.
void LogWriter::make_next(uint64_t now_ns) {
  // A clock that went back must not put off the next try by as much.
  const bool is_time = now_ns >= try_again_ns_ || try_again_ns_ - now_ns > try_again_after_ns;
  if (!next_ && !is_making_next_ && is_time) post_next(now_ns);
}

void LogWriter::post_next(uint64_t now_ns) {
  is_making_next_ = true;
  const uint64_t number = ++number_;
  const std::string path = path_of(segment_file_name({number, {}}));
  post([disk = &disk_, options = options_, path, number, bytes = next_bytes(), now_ns] {
    const Status made = make_segment(*disk, options, path, bytes);
    auto file = made ? disk->open(path, DiskAccess::write)
                     : Result<std::unique_ptr<DiskFile>>(made.fault());
    // A spare may be larger than what was wanted.
    auto size = file ? (*file)->size() : Result<uint64_t>(file.fault());
    if (size && !is_segment_size(*size)) {
      size = Fault(FaultCode::corrupted, "segment " + path + " is not as long as it was made");
    }
    if (!size) file = size.fault();
    // Copyable, as std::function wants it.
    auto opened = std::make_shared<Result<std::unique_ptr<DiskFile>>>(std::move(file));
    return [opened, number, now_ns, bytes = size ? *size : 0](LogWriter& log) {
      log.is_making_next_ = false;
      if (*opened) {
        log.next_ = NextSegment{std::move(**opened), number, bytes};
        log.starved_.reset();
      } else if (opened->fault().code() == FaultCode::no_space) {
        log.starved_ = opened->fault();
        log.try_again_ns_ = now_ns + try_again_after_ns;
      } else {
        log.fail(opened->fault());
      }
    };
  });
}

// Of the usual size at most, unless a frame waits that does not fit into it: one that was published
// before an edit made segments smaller.
uint64_t LogWriter::next_bytes() const {
  const uint64_t grown = open_.empty() ? 0 : open_.back().header.segment_bytes * growth;
  uint64_t bytes = std::min(std::max(first_bytes, grown), options_.segment_bytes);
  while (frame_bytes_wanted_ > frame_bytes_max(bytes) && bytes < segment_bytes_max) {
    bytes = std::min(2 * bytes, segment_bytes_max);
  }
  return bytes;
}

// Nothing was ever written to it.
void LogWriter::give_up_next() {
  const std::string& path = next_->file->path();
  std::vector<std::string> file{path.substr(options_.folder.size() + 1)};
  next_.reset();
  post_retire(std::move(file), Retired::ours);
}

void LogWriter::reload(uint64_t segment_bytes, const Retention& retention) {
  options_.segment_bytes = segment_bytes;
  options_.retention = retention;
  try_again_ns_ = 0;  // what there was no room for may be smaller now
  // What was made ready for the size before.
  if (next_ && next_->bytes != next_bytes() && next_->bytes != segment_bytes) give_up_next();
  look_for_purge();
}

void LogWriter::post_name(KnownSegment& known) {
  const std::string to = segment_file_name({known.number, known.start});
  post([disk = &disk_, folder = options_.folder, from = known.file, to, number = known.number] {
    const Status renamed = disk->rename(folder + "/" + from, folder + "/" + to);
    return [was_renamed = static_cast<bool>(renamed), to, number](LogWriter& log) {
      KnownSegment* const there = log.find_known(number);
      if (there == nullptr) return;
      if (was_renamed) there->file = to;
      there->is_named = true;  // or cannot be: its header says it too
    };
  });
}

// When the newest message of a segment was written, for one that was sealed by an earlier writer.
void LogWriter::post_age(KnownSegment& known, uint64_t now_ns) {
  known.is_asked = true;
  post([disk = &disk_, path = path_of(known.file), number = known.number, now_ns] {
    uint64_t newest_ns = now_ns;  // unreadable: it ages from now on
    auto segment = SegmentReader::open(*disk, path);
    std::string why;
    if (segment) {
      const auto index = segment->read_index(why);
      if (index && *index) {
        const SegmentFooter& footer = (**index).footer;
        newest_ns = footer.timestamp_max != 0 ? footer.timestamp_max : footer.sealed_ns;
      }
    }
    return [number, newest_ns](LogWriter& log) {
      KnownSegment* const there = log.find_known(number);
      if (there != nullptr) there->newest_ns = newest_ns;
    };
  });
}

// ---- purges -----------------------------------------------------------------

void LogWriter::go_on_in_next_ring() {
  if (failed_) return;
  // One that no batch came to begins here anyway.
  if (!open_.empty() && open_.back().is_begun) open_.back().is_full = true;
  look_for_purge();
}

void LogWriter::look_for_purge() {
  if (failed_) return;
  ++purge_looks_;
  post([disk = &disk_, folder = options_.folder, begin = manifest_.first] {
    auto found = std::make_shared<Result<PurgeFound>>(load_purge_mark(*disk, folder, begin));
    return [found](LogWriter& log) {
      --log.purge_looks_;
      if (!*found) return log.fail(found->fault());
      if ((*found)->mark) log.note_purge(*(*found)->mark);
    };
  });
}

void LogWriter::note_purge(const PurgeMark& mark) {
  const bool is_news = mark.log == options_.id && mark.place.position > purged_.position;
  if (!is_news) return;
  purged_ = mark.place;
  if (end_ == purged_ && !open_.empty() && open_.back().is_begun) open_.back().is_full = true;
}

// All of the segment was purged. (One that is sealed is durable: its footer comes last.)
bool LogWriter::is_purged(size_t index) const {
  const LogPlace end = index + 1 < known_.size() ? known_[index + 1].start : end_;
  return end.position <= purged_.position;
}

bool LogWriter::is_purge_due() const {
  return manifest_.first.position < purged_.position && durable_.position >= purged_.position;
}

// ---- retention --------------------------------------------------------------

uint64_t LogWriter::known_bytes() const {
  uint64_t bytes = 0;
  for (const KnownSegment& known : known_) bytes += known.bytes;
  return bytes;
}

// `bytes_behind`: of the segments behind it.
bool LogWriter::is_droppable(size_t index, uint64_t bytes_behind, uint64_t now_ns) const {
  const Retention& keep = options_.retention;
  const KnownSegment& oldest = known_[index];
  const KnownSegment& next = known_[index + 1];
  if (keep.bytes != 0 && bytes_behind >= keep.bytes) return true;
  const uint64_t messages = durable_.sequence - std::min(durable_.sequence, next.start.sequence);
  if (keep.messages != 0 && messages >= keep.messages) return true;
  return keep.age_ns != 0 && oldest.newest_ns != 0 && now_ns > oldest.newest_ns &&
         now_ns - oldest.newest_ns > keep.age_ns;
}

// How many of the oldest segments may go. None that is not sealed, and not the last one, unless all
// of it was purged.
size_t LogWriter::droppable(uint64_t now_ns) {
  size_t count = 0;
  uint64_t bytes_behind = known_bytes();
  for (; count < known_.size(); ++count) {
    KnownSegment& oldest = known_[count];
    bytes_behind -= oldest.bytes;
    if (!oldest.is_sealed || !oldest.is_named) break;
    if (is_purged(count)) continue;
    if (count + 1 == known_.size()) break;
    const bool is_unknown = options_.retention.age_ns != 0 && oldest.newest_ns == 0;
    if (is_unknown && !oldest.is_asked) post_age(oldest, now_ns);
    if (!is_droppable(count, bytes_behind, now_ns)) break;
  }
  return count;
}

void LogWriter::post_retire(std::vector<std::string> files, Retired kind) {
  LogOptions options = options_;
  if (kind != Retired::ours) options.spares.clear();
  post([disk = &disk_, options, files = std::move(files), epoch = manifest_.epoch, kind] {
    bool all_gone = true;
    // One that cannot be removed is in nobody's way; the next opening tries again.
    for (const std::string& file : files) {
      const Status gone = retire(*disk, options, file, epoch);
      all_gone = all_gone && gone;
    }
    return [is_clean = all_gone && kind == Retired::leftovers](LogWriter& log) {
      if (is_clean) log.has_leftovers_ = false;
    };
  });
}

// First the manifest that permits it, then the files (L5).
void LogWriter::post_manifest(size_t drop_count, uint64_t now_ns) {
  is_writing_manifest_ = true;
  Manifest next = manifest_;
  fill_manifest(next, now_ns);
  // One that a killed writer may still write to is not begun again.
  std::vector<std::string> dropped, spares;
  for (size_t index = 0; index < drop_count; ++index) {
    (known_[index].is_ours ? spares : dropped).push_back(known_[index].file);
  }
  const bool drops_all = drop_count == known_.size();
  if (drop_count != 0) {
    next.first_number = drops_all ? known_.back().number + 1 : known_[drop_count].number;
    next.first = drops_all ? durable_ : known_[drop_count].start;
    if (drops_all) next.last_number = 0;
  }
  // Of what was purged, that which is durable.
  const LogPlace purged = purged_.position < durable_.position ? purged_ : durable_;
  if (purged_.position > next.first.position) next.first = purged;
  post([disk = &disk_, folder = options_.folder, next, drop_count, dropped, spares] {
    Manifest stored = next;
    const Status done = store_manifest(*disk, folder, stored);
    std::optional<Fault> fault;
    if (!done) fault = done.fault();
    return [stored, fault, drop_count, dropped, spares](LogWriter& log) {
      log.is_writing_manifest_ = false;
      if (fault) return log.fail(*fault);
      log.manifest_ = stored;
      for (size_t index = 0; index < drop_count; ++index) log.known_.pop_front();
      if (!dropped.empty()) log.post_retire(dropped, Retired::theirs);
      if (!spares.empty()) log.post_retire(spares, Retired::ours);
    };
  });
}

// What stands behind the end of a segment that was cut, or never filled, is given back to the disk.
void LogWriter::post_punch(const SegmentFacts& facts) {
  post([disk = &disk_, path = path_of(facts.file), from = facts.end_offset] {
    auto segment = SegmentReader::open(*disk, path);
    auto file = disk->open(path, DiskAccess::write);
    if (segment && file) {
      const uint64_t end = footer_offset(segment->header().segment_bytes);
      if (from < end) (*file)->punch(from, end - from);
    }
    return [](LogWriter&) {};
  });
}

void LogWriter::look_after(uint64_t now_ns, bool idle) {
  if (failed_) return;
  if (is_used()) make_next(now_ns);
  if (is_writing_manifest_) return;
  const size_t count = droppable(now_ns);
  const bool is_behind = idle && in_flight_.empty() && manifest_.durable != durable_;
  if (count != 0 || is_behind || is_purge_due()) post_manifest(count, now_ns);
}

bool LogWriter::is_settled() const {
  if (failed_) return in_flight_.empty();
  const bool is_purging = purge_looks_ != 0 || is_purge_due() ||
                          (!known_.empty() && is_purged(0)) ||
                          (!open_.empty() && open_.back().is_full);
  return in_flight_.empty() && open_.size() <= 1 && !is_making_next_ && !is_writing_manifest_ &&
         manifest_.durable == durable_ && !is_purging;
}

}  // namespace loopline::io
