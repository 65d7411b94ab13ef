// ExportFile: where an export goes: to stdout, or to a file that is there whole or not at all.
//
// It is written as FILE.partial, synced, and only then gets its name. If we die before: FILE is as
// it was, and FILE.partial is taken over by the next export to FILE (or removed by hand).
#pragma once

#include <string>

#include "format.h"
#include "shm/file.h"

namespace loopline::cli {

class ExportFile {
 public:
  // "-" is stdout, which must be no terminal. Faults: already_exists (FILE is there, and nobody
  // said `overwrites`; or another export writes it), invalid_argument, and those of the disk.
  static Result<ExportFile> open(const std::string& path, bool overwrites);
  ExportFile(ExportFile&& other) noexcept = default;
  ExportFile& operator=(ExportFile&&) = delete;
  // What was not finished is removed.
  ~ExportFile();

  Status put(std::span<const std::byte> bytes);
  // All of it is safe, and has its name.
  Status finish();

 private:
  ExportFile(shm::File file, int fd, std::string path, std::string partial, bool overwrites)
      : file_(std::move(file)),
        fd_(fd),
        path_(std::move(path)),
        partial_(std::move(partial)),
        overwrites_(overwrites) {}
  Status name_it();

  shm::File file_;
  int fd_;
  std::string path_;
  std::string partial_;  // empty: it is written in place
  bool overwrites_;
};

}  // namespace loopline::cli
