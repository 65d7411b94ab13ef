// ConfWatch: which stations were edited or purged while their logs are flushed, found out and told
// to the flusher, so that an edit counts at once.
//
//   ConfWatch watch(directory, data);
//   watch.add(name);                            beside Flusher::add of its partitions
//   for (auto& change : watch.poll(*flusher))   now and then, a second or so apart
//     if (change.fault) ...                     its conf cannot be read: the log goes on as it was
//
// A look costs a stat a station: an edit puts a new file in the place of the conf. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flusher.h"

namespace loopline::io {

class ConfWatch {
 public:
  ConfWatch(shm::Directory directory, std::string data)
      : directory_(std::move(directory)), data_(std::move(data)) {}

  // Before the conf is read for the flusher, so that no edit is missed in between.
  void add(const shm::StationName& name);
  void remove(const shm::StationName& name);

  struct Change {
    shm::StationName name;
    std::optional<Fault> fault;  // none: its logs have the new parameters
  };
  // Reloads those whose file is another one than it was; one that is gone, or that the flusher does
  // not keep, is passed over.
  std::vector<Change> poll(Flusher& flusher);

 private:
  struct FileMark {
    uint64_t inode = 0, modified_ns = 0, bytes = 0;
    bool operator==(const FileMark&) const = default;
  };
  struct Watched {
    shm::StationName name;
    FileMark mark;
  };
  FileMark look_at(const shm::StationName& name) const;
  std::optional<Change> reload(Flusher& flusher, const shm::StationName& name) const;

  shm::Directory directory_;
  std::string data_;
  std::vector<Watched> watched_;
};

}  // namespace loopline::io
