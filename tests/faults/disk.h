// Disk: file systems of a test's own, seen by it alone, that lose power, fill up or fail.
//
//   if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
//   LoopDisk disk(folder + "/image", instance.folder() + "/data");
//   disk.format(64 << 20);  disk.mount();
//   disk.cut_power();  ... kill who uses it ...  disk.unmount();  disk.mount();
//
// All of it is gone when the process ends, however it ends. What goes wrong is thrown.
#pragma once

#include <cstdint>
#include <string>

namespace loopline::test {

// Gives this process mounts that nobody else sees; empty: it has them, else what is missing.
std::string why_no_mounts();
// The same, and for loop devices and ext4 too.
std::string why_no_loop_disks();

// A file system in memory of a fixed size, gone with its object.
class TmpfsDisk {
 public:
  TmpfsDisk(std::string place, uint64_t bytes);
  TmpfsDisk(const TmpfsDisk&) = delete;
  TmpfsDisk& operator=(const TmpfsDisk&) = delete;
  ~TmpfsDisk();
  void resize(uint64_t bytes) const;
  void set_read_only(bool is_read_only) const;

 private:
  std::string place_;
};

// ext4 in an image file behind a loop device.
class LoopDisk {
 public:
  LoopDisk(std::string image, std::string place);
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;
  ~LoopDisk();

  void format(uint64_t bytes) const;
  // Replays the journal when power was lost.
  void mount();
  // Nobody may use it any more.
  void unmount();
  // From now on nothing reaches the disk, what was not synced is lost, and writes fail.
  void cut_power() const;
  // Writes hang until it is thawed, which must come before its end.
  void freeze() const;
  void thaw() const;

 private:
  std::string image_;
  std::string place_;
  bool is_mounted_ = false;
};

// Until its thread ends, and in all that it starts from now on, the kernel refuses io_uring with
// this error. Empty: so it is; else what is missing.
std::string forbid_io_uring(int error);

}  // namespace loopline::test
