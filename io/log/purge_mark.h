// PurgeMark: a station was purged: from which place on its log counts, whoever writes or reads it.
//
// A purge is one rename: LOG/purged is written beside its place, synced, renamed, and the folder
// synced. From then on everybody treats what stands before it as dropped; the log's writer puts
// the place into the manifest and drops the segments, when it comes to know of it. The file stays,
// to be replaced by the next purge.
//
// Invariants
//   P1  store_purge_mark() answers ok when the mark can never go away again, and not before.
//   P2  Who acts on a mark has made it safe itself: a purger may be killed between the rename and
//       the folder's sync, and what was told gone must not come back with a power cut.
//   P3  A place is the beginning of a ring, or where nothing was ever claimed: no batch crosses it.
//       While the ring in front of it is still on its way to disk, its place lies behind the log's
//       end; should that ring be lost, the log goes on at the place, not where it ended.
#pragma once

#include <optional>
#include <string>

#include "disk.h"
#include "format.h"

namespace loopline::io {

// Faults: those of writing.
Status store_purge_mark(Disk& disk, const std::string& log_folder, PurgeMark mark);

struct PurgeFound {
  std::optional<PurgeMark> mark;  // none: nothing was purged behind `begin`
  std::string damage;             // why the file cannot be used; empty: it can, or there is none
};
// The mark, if it says more than that the log begins at `begin`; it is safe then (P2). Faults:
// those of reading and of syncing the folder.
Result<PurgeFound> load_purge_mark(Disk& disk, const std::string& log_folder, LogPlace begin);

struct LogFacts;
// Of what examine() found, that counts which stands behind `purged`, or where the manifest says
// that the log begins: segments wholly before it are dropped, what is missing there not missed.
void drop_purged(LogFacts& log, const std::optional<LogPlace>& purged);

}  // namespace loopline::io
