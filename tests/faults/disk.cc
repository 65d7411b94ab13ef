// Disk: mounts in a namespace of our own, loop devices that go with their mount, a seccomp filter.
#include "disk.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "shm/file.h"
#include "tests/support/program.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

constexpr const char* make_ext4 = "/sbin/mkfs.ext4";
constexpr unsigned long shutdown_request = 0x8004587d;  // EXT4_IOC_SHUTDOWN
constexpr uint32_t shutdown_without_log = 2;            // not even the journal is written

void check(bool is_fine, const std::string& what) {
  if (!is_fine) throw std::runtime_error("cannot " + what + ": " + std::strerror(errno));
}

// The device that shows the image; it is freed when the last one lets go of it.
std::pair<shm::File, std::string> attach_loop(const std::string& image) {
  const shm::File control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  const shm::File file(::open(image.c_str(), O_RDWR | O_CLOEXEC));
  check(control.fd() >= 0 && file.fd() >= 0, "open a loop device for " + image);
  for (int tries = 0; tries < 16; ++tries) {
    const int number = ::ioctl(control.fd(), LOOP_CTL_GET_FREE);
    const std::string path = "/dev/loop" + std::to_string(number);
    shm::File device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.fd());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    const bool is_ours = device.fd() >= 0 && ::ioctl(device.fd(), LOOP_CONFIGURE, &config) == 0;
    if (is_ours) return {std::move(device), path};
    if (errno != EBUSY) break;  // else another test was first
  }
  throw std::runtime_error(std::string("no loop device is to be had: ") + std::strerror(errno));
}

}  // namespace

std::string why_no_mounts() {
  static const bool is_done = [] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  return is_done ? "" : "mounts of its own need root or user namespaces";
}

std::string why_no_loop_disks() {
  if (::geteuid() != 0) return "loop devices need root";
  if (auto why = why_no_mounts(); !why.empty()) return why;
  if (::access(make_ext4, X_OK) != 0) return "there is no mkfs.ext4 (package e2fsprogs)";
  const shm::File control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (control.fd() < 0) return "there are no loop devices";
  const int number = ::ioctl(control.fd(), LOOP_CTL_GET_FREE);
  const shm::File device(::open(("/dev/loop" + std::to_string(number)).c_str(), O_RDWR));
  return device.fd() >= 0 ? "" : "loop devices may not be used here";
}

TmpfsDisk::TmpfsDisk(std::string place, uint64_t bytes) : place_(std::move(place)) {
  const std::string size = "mode=0755,size=" + std::to_string(bytes);
  check(::mount("tmpfs", place_.c_str(), "tmpfs", 0, size.c_str()) == 0, "mount a tmpfs");
}
TmpfsDisk::~TmpfsDisk() { ::umount2(place_.c_str(), MNT_DETACH); }

void TmpfsDisk::resize(uint64_t bytes) const {
  const std::string size = "size=" + std::to_string(bytes);
  check(::mount("tmpfs", place_.c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0, "resize a tmpfs");
}

void TmpfsDisk::set_read_only(bool is_read_only) const {
  const unsigned long flags = MS_REMOUNT | (is_read_only ? MS_RDONLY : 0);
  check(::mount("tmpfs", place_.c_str(), "tmpfs", flags, nullptr) == 0, "remount a tmpfs");
}

LoopDisk::LoopDisk(std::string image, std::string place)
    : image_(std::move(image)), place_(std::move(place)) {}

LoopDisk::~LoopDisk() {
  if (is_mounted_) ::umount2(place_.c_str(), MNT_DETACH);
}

void LoopDisk::format(uint64_t bytes) const {
  const shm::File file(::open(image_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  check(::ftruncate(file.fd(), static_cast<off_t>(bytes)) == 0, "make " + image_);
  const Outcome made = run(
      {make_ext4, "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E", "nodiscard", image_});
  if (made.status != 0) throw std::runtime_error("mkfs.ext4: " + made.err);
}

void LoopDisk::mount() {
  const auto [device, path] = attach_loop(image_);
  check(::mount(path.c_str(), place_.c_str(), "ext4", 0, nullptr) == 0, "mount " + image_);
  is_mounted_ = true;
}

void LoopDisk::unmount() {
  // A killed process may hold it for a moment longer.
  const bool is_gone =
      wait_until([&] { return ::umount2(place_.c_str(), 0) == 0 || errno != EBUSY; });
  check(is_gone, "unmount " + place_);
  is_mounted_ = false;
}

void LoopDisk::cut_power() const {
  const shm::File root(::open(place_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  uint32_t how = shutdown_without_log;
  check(root.fd() >= 0 && ::ioctl(root.fd(), shutdown_request, &how) == 0, "cut the power");
}

void LoopDisk::freeze() const {
  const shm::File root(::open(place_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check(root.fd() >= 0 && ::ioctl(root.fd(), FIFREEZE, 0) == 0, "freeze " + place_);
}

void LoopDisk::thaw() const {
  const shm::File root(::open(place_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root.fd() >= 0) ::ioctl(root.fd(), FITHAW, 0);
}

std::string forbid_io_uring(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no_new_privs cannot be set";
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) return "";
  return std::string("seccomp filters cannot be had: ") + std::strerror(errno);
}

}  // namespace loopline::test
