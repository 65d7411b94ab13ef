// ImportMark: that a station is being imported, for as long as it is, and after a kill in between.
//
//   FOLDER/imports/FACTORY@STATION      who imports it (who holds the file's lock), since when,
//                                       out of what, and which station it made
//
// It is there before the station is, and goes when all of it is imported. If we die in between: the
// lock is free, the file says that the station of that name, if it is the one that was made, holds
// a part only. `station rm` takes both away. A mark names its station by an id that no other one
// ever has, so that one made anew under the name is not suspected.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "shm/directory.h"
#include "shm/file.h"

namespace loopline::cli {

using StationId = std::array<uint64_t, 2>;
// Of its log, or of the lineage of its first ring.
StationId station_id_of(const shm::RingHeader& ring);

// What a mark says; it is foreign, and for people but for the id.
struct ImportFacts {
  bool is_alive = false;  // whoever imports still does
  uint32_t pid = 0;
  uint64_t started_ns = 0;  // UTC
  std::string source;
  std::optional<StationId> id;  // none: it died before it had made the station, or just then
};

class ImportMark {
 public:
  // Faults: already_exists (somebody imports it now; named), and those of the folder.
  static Result<ImportMark> take(const shm::InstancePaths& paths, const shm::StationName& name);
  ImportMark(ImportMark&&) noexcept = default;
  ImportMark& operator=(ImportMark&&) = delete;

  // What a dead one left here.
  const std::optional<ImportFacts>& left() const { return left_; }
  // From now on it is ours; `id`: which station was made.
  Status write(const std::string& source, const std::optional<StationId>& id);
  // All is imported, or nothing is left.
  void remove();

 private:
  ImportMark(shm::File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  shm::File file_;
  std::string path_;
  std::optional<ImportFacts> left_;
  uint64_t started_ns_ = 0;
};

// The mark of this name, if there is one and it is about the station with this id.
std::optional<ImportFacts> import_of(const shm::InstancePaths& paths, const shm::StationName& name,
                                     const std::optional<StationId>& id);
// A sentence about the station, with what to do; "" for nothing.
std::string import_text(const shm::StationName& name, const std::optional<ImportFacts>& facts);
// The station is gone: a mark that nobody holds goes, too.
void forget_import(const shm::InstancePaths& paths, const shm::StationName& name);

}  // namespace loopline::cli
