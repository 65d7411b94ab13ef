// TempInstance: makes the folder, and removes it and its shared memory.
#include "temp_instance.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "must.h"

namespace loopline::test {

TempFolder::TempFolder() {
  // Rings live on a tmpfs, and only there are huge pages to be had.
  const bool has_tmpfs = ::access("/dev/shm", W_OK) == 0;
  const auto parent = has_tmpfs ? "/dev/shm" : std::filesystem::temp_directory_path();
  path_ = (parent / "loopline-test-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no folder for the test");
}

TempFolder::~TempFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

TempInstance::TempInstance() {
  const std::string folder = temp_.path() + "/instance";
  if (::mkdir(folder.c_str(), 0770) != 0) throw std::runtime_error("no folder for the test");
  paths_ = must(shm::find_instance(folder));
}

TempInstance::~TempInstance() {
  std::error_code error;
  std::filesystem::remove_all(paths_.shm, error);
  // The folder of all instances, if ours was the only one; otherwise it is not empty and stays.
  ::rmdir(std::filesystem::path(paths_.shm).parent_path().c_str());
}

}  // namespace loopline::test
