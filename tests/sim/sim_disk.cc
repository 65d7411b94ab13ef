// SimDisk: names, files and the journal of what happened to them.
#include "sim_disk.h"

#include <algorithm>
#include <cerrno>

#include "shm/base/check.h"

namespace loopline::sim {
namespace {

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

// An open file: the file itself, whatever became of its name.
class SimFile final : public io::DiskFile {
 public:
  SimFile(SimDisk& disk, std::shared_ptr<Inode> inode, std::string path, bool writable)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Result<size_t> read(uint64_t offset, std::span<std::byte> into) override {
    check_aligned(offset, into);
    const uint64_t size = inode_->content->size;
    const uint64_t there = size - std::min(size, offset);
    const size_t part = std::min<uint64_t>(there, into.size());
    inode_->content->read(offset, into.first(part));
    return part;
  }
  Status write(uint64_t offset, std::span<const std::byte> bytes) override {
    const size_t event = disk_.begin_write(*this, offset, bytes, false);
    const int error = disk_.end_write(event);
    return error == 0 ? ok() : Status(fault_from_errno(error, "cannot write " + path_));
  }
  Status sync() override {
    LL_TRY_STATUS(disk_.check(EventKind::sync, path_, "cannot sync "));
    disk_.record(EventKind::sync).file = inode_->id;
    return ok();
  }
  Result<uint64_t> size() override { return inode_->content->size; }
  Status allocate(uint64_t size) override {
    LL_CHECK(writable_);
    LL_TRY_STATUS(disk_.check(EventKind::allocate, path_, "cannot make room for "));
    const uint64_t more = size - std::min(size, inode_->content->size);
    if (more > disk_.capacity - std::min(disk_.capacity, disk_.used_bytes())) {
      return fault_from_errno(ENOSPC, "cannot make room for " + path_);
    }
    own(inode_->content).grow(size);
    Event& event = disk_.record(EventKind::allocate);
    event.file = inode_->id;
    event.size = size;
    return ok();
  }
  void punch(uint64_t offset, uint64_t size) override {
    LL_CHECK(writable_ && offset % page_bytes == 0 && size % page_bytes == 0);
    Content& content = own(inode_->content);
    const uint64_t end = std::min((offset + size) / page_bytes, content.pages.size());
    for (uint64_t page = offset / page_bytes; page < end; ++page) content.pages[page] = nullptr;
    Event& event = disk_.record(EventKind::punch);
    event.file = inode_->id;
    event.offset = offset;
    event.size = size;
  }
  int fd() const override { return -1; }
  const std::string& path() const override { return path_; }

  uint32_t id() const { return inode_->id; }
  bool is_writable() const { return writable_; }
  static void check_aligned(uint64_t offset, std::span<const std::byte> bytes) {
    LL_CHECK(offset % page_bytes == 0);
    LL_CHECK(bytes.size() % page_bytes == 0);
    LL_CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % page_bytes == 0);
  }

 private:
  SimDisk& disk_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  bool writable_;
};

class SimLock final : public io::Disk::Lock {
 public:
  SimLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~SimLock() override { disk_.locked_.erase(path_); }

 private:
  SimDisk& disk_;
  std::string path_;
};

SimDisk::SimDisk(Image image) : base_(std::move(image)), folders_(base_.folders) {
  for (const auto& [path, content] : base_.files) {
    auto inode = std::make_shared<Inode>(Inode{static_cast<uint32_t>(inodes_.size()), content});
    inodes_.push_back(inode);
    names_.emplace_hint(names_.end(), path, std::move(inode));
  }
}

SimDisk::~SimDisk() = default;

Trouble SimDisk::next_trouble(EventKind kind, const std::string& path) {
  ++operations_;
  return trouble ? trouble({kind, operations_, path}) : Trouble{};
}

Status SimDisk::check(EventKind kind, const std::string& path, const char* what) {
  const Trouble now = next_trouble(kind, path);
  if (now.kind == Trouble::none) return ok();
  return fault_from_errno(now.error, what + path);
}

std::shared_ptr<Inode> SimDisk::make(const std::string& path) {
  const auto id = static_cast<uint32_t>(inodes_.size());
  auto inode = std::make_shared<Inode>(Inode{id, std::make_shared<Content>()});
  inodes_.push_back(inode);
  names_[path] = inode;
  Event& event = record(EventKind::create);
  event.file = id;
  event.path = path;
  return inode;
}

uint64_t SimDisk::used_bytes() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->content->size;
  return used;
}

Result<std::unique_ptr<io::DiskFile>> SimDisk::open(const std::string& path,
                                                    io::DiskAccess access) {
  auto found = names_.find(path);
  std::shared_ptr<Inode> inode = found == names_.end() ? nullptr : found->second;
  if (access == io::DiskAccess::create) {
    if (inode) return Fault(FaultCode::already_exists, path + " is there already");
    if (folders_.count(folder_of(path)) == 0) {
      return fault_from_errno(ENOENT, "cannot open " + path);
    }
    LL_TRY_STATUS(check(EventKind::create, path, "cannot open "));
    inode = make(path);
  }
  if (!inode) return fault_from_errno(ENOENT, "cannot open " + path);
  const bool writable = access != io::DiskAccess::read;
  return std::unique_ptr<io::DiskFile>(new SimFile(*this, std::move(inode), path, writable));
}

Result<std::vector<std::string>> SimDisk::list(const std::string& folder) {
  if (folders_.count(folder) == 0) return fault_from_errno(ENOENT, "cannot list folder " + folder);
  const std::string prefix = folder + "/";
  std::vector<std::string> found;
  const auto add = [&](const std::string& path) {
    if (path.find('/', prefix.size()) == std::string::npos)
      found.push_back(path.substr(prefix.size()));
  };
  for (auto at = names_.lower_bound(prefix); at != names_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    add(at->first);
  }
  for (auto at = folders_.lower_bound(prefix); at != folders_.end(); ++at) {
    if (!at->starts_with(prefix)) break;
    add(*at);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Status SimDisk::make_folder(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (folders_.count(part) == 0) {
      LL_TRY_STATUS(check(EventKind::make_folder, part, "cannot make folder "));
      folders_.insert(part);
      record(EventKind::make_folder).path = part;
      record(EventKind::sync_folder).path = folder_of(part);
    }
    if (at == std::string::npos) return ok();
  }
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  const auto found = names_.find(from);
  if (found == names_.end() || folders_.count(folder_of(to)) == 0) {
    return fault_from_errno(ENOENT, "cannot rename " + from + " to " + to);
  }
  LL_TRY_STATUS(check(EventKind::rename, from, "cannot rename "));
  const auto inode = found->second;
  const bool has_replaced = names_.count(to) != 0;
  names_.erase(found);
  names_[to] = inode;
  Event& event = record(EventKind::rename);
  event.has_replaced = has_replaced;
  event.file = inode->id;
  event.path = from;
  event.to = to;
  return ok();
}

Status SimDisk::remove(const std::string& path) {
  const auto found = names_.find(path);
  if (found == names_.end()) return fault_from_errno(ENOENT, "cannot remove " + path);
  LL_TRY_STATUS(check(EventKind::remove, path, "cannot remove "));
  Event& event = record(EventKind::remove);
  event.file = found->second->id;
  event.path = path;
  names_.erase(found);
  return ok();
}

Status SimDisk::remove_folder(const std::string& path) {
  LL_TRY(inside, list(path));
  if (!inside.empty()) return fault_from_errno(ENOTEMPTY, "cannot remove folder " + path);
  LL_TRY_STATUS(check(EventKind::remove_folder, path, "cannot remove folder "));
  folders_.erase(path);
  record(EventKind::remove_folder).path = path;
  return ok();
}

Status SimDisk::sync_folder(const std::string& path) {
  if (folders_.count(path) == 0) return fault_from_errno(ENOENT, "cannot open folder " + path);
  LL_TRY_STATUS(check(EventKind::sync_folder, path, "cannot sync folder "));
  record(EventKind::sync_folder).path = path;
  return ok();
}

Result<uint64_t> SimDisk::free_bytes(const std::string&) {
  return capacity - std::min(capacity, used_bytes());
}

Result<std::unique_ptr<io::Disk::Lock>> SimDisk::lock(const std::string& path) {
  if (folders_.count(folder_of(path)) == 0) return fault_from_errno(ENOENT, "cannot open " + path);
  if (!locked_.insert(path).second) {
    return Fault(FaultCode::already_exists, path + " is locked by another process");
  }
  if (names_.count(path) == 0) make(path);
  return std::unique_ptr<Lock>(new SimLock(*this, path));
}

size_t SimDisk::begin_write(io::DiskFile& file, uint64_t offset, std::span<const std::byte> bytes,
                            bool synced) {
  const auto& sim = static_cast<SimFile&>(file);
  LL_CHECK(sim.is_writable());
  SimFile::check_aligned(offset, bytes);
  Event& event = record(EventKind::write);
  event.is_synced = synced;
  event.file = sim.id();
  event.offset = offset;
  event.size = bytes.size();
  event.path = sim.path();
  event.pages = pages_of(bytes);
  return events_.size() - 1;
}

void SimDisk::apply(const Event& write) {
  if (write.pages.empty()) return;
  Content& content = own(inodes_[write.file]->content);
  content.grow(write.offset + write.size);
  for (size_t index = 0; index < write.pages.size(); ++index) {
    content.put(write.offset / page_bytes + index, write.pages[index], every_sector);
  }
}

int SimDisk::end_write(size_t index) {
  const Trouble now = next_trouble(EventKind::write, events_[index].path);
  // What goes wrong shows in the journal too: a power cut later must leave what is really there.
  Event& write = events_[index];
  if (now.kind == Trouble::fail || now.kind == Trouble::lost) write.pages.clear();
  if (now.kind == Trouble::partly) write.pages.resize(write.pages.size() / 2);
  if (now.kind == Trouble::misdirected) write.offset += page_bytes;
  write.size = write.pages.size() * page_bytes;
  apply(write);
  Event& done = record(EventKind::write_done);
  done.write = index;
  const bool failed = now.kind == Trouble::fail || now.kind == Trouble::partly;
  return failed ? now.error : 0;
}

void SimDisk::land_write(size_t index) {
  events_[index].is_synced = false;
  (void)end_write(index);
}

void SimDisk::mark(uint64_t value) { record(EventKind::mark).offset = value; }

Image SimDisk::image() const {
  Image now;
  now.folders = folders_;
  for (const auto& [path, inode] : names_) {
    now.files.emplace_hint(now.files.end(), path, inode->content);
  }
  return now;
}

}  // namespace loopline::sim
