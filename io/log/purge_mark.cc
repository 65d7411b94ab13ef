// PurgeMark: a block in a file of its own, renamed into its place.
#include "purge_mark.h"

#include <cstring>

#include "examine.h"
#include "paths.h"

namespace loopline::io {

Status store_purge_mark(Disk& disk, const std::string& log_folder, PurgeMark mark) {
  mark.magic = purge_magic;
  mark.version = log_version;
  seal_bytes(mark);
  AlignedBytes block(block_size);
  std::memcpy(block.data(), &mark, sizeof mark);
  const std::string path = purge_path(log_folder);
  const std::string making = path + ".making";
  LL_TRY_STATUS(disk.make_folder(log_folder));
  (void)disk.remove(making);  // of a purger that was killed
  LL_TRY(file, disk.open(making, DiskAccess::create));
  LL_TRY_STATUS(file->write(0, block.span()));
  LL_TRY_STATUS(file->sync());
  // If we die before it: nothing was purged. Behind it: it was, as soon as anybody looks (P2).
  LL_TRY_STATUS(disk.rename(making, path));
  return disk.sync_folder(log_folder);
}

Result<PurgeFound> load_purge_mark(Disk& disk, const std::string& log_folder, LogPlace begin) {
  PurgeFound found;
  auto file = disk.open(purge_path(log_folder), DiskAccess::read);
  if (!file && file.fault().code() == FaultCode::not_found) return found;
  if (!file) return file.fault();
  AlignedBytes block(block_size);
  LL_TRY(got, (*file)->read(0, block.span()));
  std::string why = "it is too short";
  std::optional<PurgeMark> mark;
  if (got == block_size) mark = read_purge_mark(block.span(), why);
  if (!mark) found.damage = why;
  if (!mark || mark->place.position <= begin.position) return found;
  LL_TRY_STATUS(disk.sync_folder(log_folder));
  found.mark = *mark;
  return found;
}

// Segments wholly before it count as dropped, and what is missing there is not missed.
void drop_purged(LogFacts& log, const std::optional<LogPlace>& purged) {
  const LogPlace place = purged.value_or(log.begin);
  const auto is_behind = [](LogPlace one, LogPlace other) { return one.position > other.position; };
  auto& all = log.segments;
  size_t count = 0;
  for (; purged && count < all.size(); ++count) {
    const LogPlace end = count + 1 < all.size() ? all[count + 1].start : log.end;
    if (is_behind(end, place)) break;
    log.purged_number = all[count].number + 1;
    log.dropped.push_back(all[count].file);
  }
  all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
  std::erase_if(log.gaps, [&](const LogGap& gap) { return !is_behind(gap.to, place); });
  for (LogGap& gap : log.gaps) {
    if (is_behind(place, gap.from)) gap.from = place;
  }
  log.purged = purged;
  log.begin = place;
  if (!is_behind(place, log.end)) return;
  log.end = place;  // P3
  log.chain = 0;
  log.is_closed = false;
}

}  // namespace loopline::io
