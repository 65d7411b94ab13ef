// Disk: the files of a log as its reader and writer see them, and the seam behind which the tests
// put a simulated disk that loses power.
//
// Nothing written, made, renamed or removed is safe before sync() of the file, and sync_folder() of
// the folder its name stands in. Offsets, sizes and addresses of reads and writes are multiples of
// block_size where the file was opened for direct access (AlignedBytes has them right).
// Thread safety: a Disk may be used by several threads, a DiskFile by one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::io {

class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // Reads up to the end of the file: fewer bytes than asked for only there.
  virtual Result<size_t> read(uint64_t offset, std::span<std::byte> into) = 0;
  virtual Status write(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Status sync() = 0;
  virtual Result<uint64_t> size() = 0;
  // Makes it `size` bytes long with room for all of them. Faults: no_space.
  virtual Status allocate(uint64_t size) = 0;
  // Gives the room of a part back, which reads as zeros then; where the disk cannot, nothing
  // happens.
  virtual void punch(uint64_t offset, uint64_t size) = 0;
  // For whoever writes past this interface (io_uring); -1: a simulated one.
  virtual int fd() const = 0;
  virtual const std::string& path() const = 0;
};

enum class DiskAccess {
  read,    // past the page cache where the file system can
  write,   // the same, for both
  create,  // the same; already_exists when there is one
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<DiskFile>> open(const std::string& path, DiskAccess access) = 0;
  // The names in a folder, sorted.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  // With all that is above it, and safe when this returns; one that is there is fine.
  virtual Status make_folder(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  virtual Status remove_folder(const std::string& path) = 0;
  virtual Status sync_folder(const std::string& path) = 0;
  // What may still be written there, in bytes.
  virtual Result<uint64_t> free_bytes(const std::string& folder) = 0;
  // Held until it is destroyed or its process ends; already_exists, naming who, while another one
  // holds it. The file stays.
  class Lock {
   public:
    virtual ~Lock() = default;
  };
  virtual Result<std::unique_ptr<Lock>> lock(const std::string& path) = 0;
};

// Bytes that direct access can use.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t size);
  AlignedBytes(AlignedBytes&& other) noexcept;
  AlignedBytes& operator=(AlignedBytes&& other) noexcept;
  ~AlignedBytes();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<std::byte> span() const { return {data_, size_}; }
  std::span<std::byte> first(size_t size) const { return span().first(size); }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace loopline::io
