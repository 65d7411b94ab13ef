// SimDisk: a disk in memory behind io/log/disk.h that writes down everything that happens to it,
// so that power_cut.h can say what would be left, had the power gone at any moment.
//
//   SimDisk disk;                  or SimDisk disk(image), what a power cut left
//   disk.trouble = ...             faults, decided operation by operation
//   disk.events()                  what happened, in order
//
// It holds its users to the rules of direct access: offset, size and address in whole blocks.
// Thread safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "image.h"
#include "io/log/disk.h"

namespace loopline::sim {

enum class EventKind : uint8_t {
  make_folder,
  remove_folder,
  create,
  rename,
  remove,
  sync_folder,
  write,  // issued
  write_done,
  sync,
  allocate,
  punch,
  mark,  // by the test
};

struct Event {
  EventKind kind{};
  bool is_synced = false;    // of a write: it is durable once done
  bool has_replaced = false;  // of a rename: there was a file of that name
  uint32_t file = 0;       // which file, whatever it is called
  uint64_t offset = 0;
  uint64_t size = 0;           // of a write or punch; of the file for allocate
  size_t write = 0;            // write_done: the event that issued it
  std::string path, to;        // of what concerns names
  std::vector<PageRef> pages;  // of a write
};

// What the disk is about to do.
struct Operation {
  EventKind kind;
  uint64_t count;  // from 1: the how many-th operation of this disk that changes something
  const std::string& path;
};
// What goes wrong with it.
struct Trouble {
  enum Kind {
    none,
    fail,         // nothing of it is done
    partly,       // its first half is done, and it fails
    lost,         // it says it was done
    misdirected,  // done one block further on
  } kind = none;
  int error = 5;  // EIO
};

struct Inode {
  uint32_t id = 0;
  ContentRef content;
};

class SimDisk final : public io::Disk {
 public:
  SimDisk() : SimDisk(Image{}) {}
  explicit SimDisk(Image image);
  ~SimDisk() override;

  std::function<Trouble(const Operation&)> trouble;
  uint64_t capacity = ~0ull;  // in bytes

  Result<std::unique_ptr<io::DiskFile>> open(const std::string& path,
                                             io::DiskAccess access) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Status make_folder(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_folder(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& folder) override;
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override;

  // A write in flight: issued now, done (and seen by readers) when end_write() is called with what
  // this returns. A write that is `synced` is durable then.
  size_t begin_write(io::DiskFile& file, uint64_t offset, std::span<const std::byte> bytes,
                     bool synced);
  // The errno of it, 0: it went well.
  int end_write(size_t event);
  // The same for a write whose process died: readers see it, but only a sync makes it safe.
  void land_write(size_t event);
  // Into the journal: for the test's own reckoning.
  void mark(uint64_t value);
  // All locks are given up, as when the process dies.
  void forget_locks() { locked_.clear(); }

  const Image& base() const { return base_; }
  const std::vector<Event>& events() const { return events_; }
  uint64_t operations() const { return operations_; }
  // What a reader sees now.
  Image image() const;

 private:
  friend class SimFile;
  friend class SimLock;
  Event& record(EventKind kind) {
    events_.emplace_back().kind = kind;
    return events_.back();
  }
  Trouble next_trouble(EventKind kind, const std::string& path);
  Status check(EventKind kind, const std::string& path, const char* what);
  std::shared_ptr<Inode> make(const std::string& path);
  uint64_t used_bytes() const;
  void apply(const Event& write);

  Image base_;
  std::map<std::string, std::shared_ptr<Inode>> names_;
  std::vector<std::shared_ptr<Inode>> inodes_;
  std::set<std::string> folders_;
  std::set<std::string> locked_;
  std::vector<Event> events_;
  uint64_t operations_ = 0;
};

}  // namespace loopline::sim
