// TemporaryInstance: made with mkdtemp, removed in the order in which it was made, backwards.
#include "temporary_instance.h"

#include <loopline/station.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "shm/directory.h"

namespace loopline::cli {

Result<TemporaryInstance> TemporaryInstance::make(const std::string& parent,
                                                  const std::string& purpose) {
  std::string base = parent;
  if (base.empty()) {
    const char* chosen = std::getenv("TMPDIR");
    base = chosen == nullptr || *chosen == '\0' ? "/tmp" : chosen;
  }
  std::error_code ignored;  // mkdtemp says what is wrong
  std::filesystem::create_directories(base, ignored);
  std::string folder = base + "/loopline-" + purpose + "-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    return fault_from_errno(errno, "cannot make a folder " + folder);
  }
  return TemporaryInstance(std::move(folder));
}

TemporaryInstance::~TemporaryInstance() {
  if (!folder_.empty()) (void)remove();  // somebody failed already, and said so
}

Status TemporaryInstance::remove() {
  const std::string folder = std::exchange(folder_, {});
  LL_TRY(paths, shm::find_instance(folder));
  if (const auto directory = shm::Directory::open(paths)) {
    LL_TRY(rings, directory->list());
    for (const auto& ring : rings) {
      const Status removed = Station::remove(ring.name.text(), folder);
      if (!removed && removed.fault().code() != FaultCode::not_found) return removed.fault();
    }
    if (!shm::remove_instance_shm(paths)) {
      return Fault(FaultCode::io_error, "shared memory is left behind: " + paths.shm);
    }
  }
  // The folder of all instances, if ours was the only one; otherwise it is not empty and stays.
  ::rmdir(std::filesystem::path(paths.shm).parent_path().c_str());
  ::rmdir(folder.c_str());
  struct stat status;
  for (const std::string& path : {paths.shm, folder}) {
    if (::lstat(path.c_str(), &status) == 0) {
      return Fault(FaultCode::io_error, "something is left behind: " + path);
    }
  }
  return ok();
}

}  // namespace loopline::cli
