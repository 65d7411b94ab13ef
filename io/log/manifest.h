// Manifest: what must be known of a log before its segments are looked at: who wrote last, where it
// begins, how far it was safe.
//
// One file of two blocks that say the same at rest. A new manifest is written and synced over the
// older one, then over the other: a power cut spoils one of them at the most, and so does a flipped
// bit.
#pragma once

#include <optional>
#include <string>

#include "disk.h"
#include "format.h"

namespace loopline::io {

struct ManifestFound {
  std::optional<Manifest> manifest;
  bool is_damaged = false;  // one of the two blocks, or both
  std::string why;
};
// Faults: not_found, version_mismatch, those of reading.
Result<ManifestFound> load_manifest(Disk& disk, const std::string& log_folder);

// Writes `manifest` as the successor of the one it was made from: both blocks, synced, its counter
// raised. Makes the file when there is none. On a fault, either of the two is what is there.
Status store_manifest(Disk& disk, const std::string& log_folder, Manifest& manifest);

}  // namespace loopline::io
