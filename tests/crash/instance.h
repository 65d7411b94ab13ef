// PrivateInstance: folders of our own for rings, in shared memory and in /tmp, gone at the end.
#pragma once

#include <memory>
#include <string>

#include "shm/attached.h"
#include "shm/directory.h"

namespace loopline::crash {

class PrivateInstance {
 public:
  PrivateInstance();
  // Removes the folders, unless this process is a child of the one that made them.
  ~PrivateInstance();
  PrivateInstance(const PrivateInstance&) = delete;
  PrivateInstance& operator=(const PrivateInstance&) = delete;

  const shm::InstancePaths& paths() const { return paths_; }
  const shm::Directory& directory() const { return *directory_; }
  // The newest ring of a station.
  Result<std::shared_ptr<shm::Attached>> attach(const std::string& station,
                                                shm::Access access) const;
  // Makes generation 1.
  std::shared_ptr<shm::Attached> create(const shm::RingOptions& options) const;
  // Seals the station for good and removes its files.
  void remove(const std::string& station) const;
  // How many files lie beside the roster.
  size_t file_count() const;

 private:
  std::string root_;
  int owner_ = 0;
  shm::InstancePaths paths_;
  std::optional<shm::Directory> directory_;
};

// What must not fail in the parent: the value, or a word on stderr and the end.
template <class T>
T need(Result<T> result, const char* what);
[[noreturn]] void give_up(const std::string& what, const std::string& why);

template <class T>
T need(Result<T> result, const char* what) {
  if (!result) give_up(what, result.fault().message());
  return std::move(*result);
}

}  // namespace loopline::crash
