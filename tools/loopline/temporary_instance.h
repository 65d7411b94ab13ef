// TemporaryInstance: an instance of one's own for the demo and the bench, gone without a trace
// afterwards.
#pragma once

#include <string>
#include <utility>

#include "shm/base/result.h"

namespace loopline::cli {

class TemporaryInstance {
 public:
  // A new folder `parent`/loopline-PURPOSE-XXXXXX; an empty `parent` means TMPDIR, or /tmp.
  static Result<TemporaryInstance> make(const std::string& parent, const std::string& purpose);
  TemporaryInstance(TemporaryInstance&& other) noexcept
      : folder_(std::exchange(other.folder_, {})) {}
  TemporaryInstance& operator=(TemporaryInstance&&) = delete;
  ~TemporaryInstance();

  // For `--dir` and Station::open.
  const std::string& folder() const { return folder_; }
  // Removes its stations, its shared memory and its folder, and looks whether they are gone.
  // Faults: io_error names what is left.
  Status remove();

 private:
  explicit TemporaryInstance(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace loopline::cli
