// System: the calls that change files, each of them a step too.
//
// These take the place of the C library's functions in this program, so that the making, naming and
// removing of rings can be killed between any two of them.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

#include "step.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace {

// Before the call, a step; then the kernel's answer as the C library gives it.
template <class... Arguments>
long call(long number, Arguments... arguments) {
  loopline::crash::step();
  return ::syscall(number, arguments...);
}

}  // namespace

extern "C" {

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return static_cast<int>(call(SYS_linkat, from_folder, from, to_folder, to, flags));
}
int unlink(const char* path) noexcept { return static_cast<int>(call(SYS_unlink, path)); }
int rmdir(const char* path) noexcept { return static_cast<int>(call(SYS_rmdir, path)); }
int mkdir(const char* path, mode_t mode) noexcept {
  return static_cast<int>(call(SYS_mkdir, path, mode));
}
int mkfifo(const char* path, mode_t mode) noexcept {
  return static_cast<int>(call(SYS_mknodat, AT_FDCWD, path, mode | S_IFIFO, 0));
}
int chmod(const char* path, mode_t mode) noexcept {
  return static_cast<int>(call(SYS_chmod, path, mode));
}
int fchmod(int fd, mode_t mode) noexcept { return static_cast<int>(call(SYS_fchmod, fd, mode)); }
int ftruncate(int fd, off_t size) noexcept {
  return static_cast<int>(call(SYS_ftruncate, fd, size));
}
int flock(int fd, int operation) noexcept {
  return static_cast<int>(call(SYS_flock, fd, operation));
}

// For the sleeps of shm/ alone: those inside the C library do not come through here.
long syscall(long number, ...) noexcept {
  using Function = long (*)(long, long, long, long, long, long, long);
  static const auto next = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "syscall"));
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const bool sleeps =
      number == SYS_futex_waitv || (number == SYS_futex && arguments[1] == FUTEX_WAIT);
  if (sleeps && loopline::crash::time_stands_still) arguments[3] = 0;
  return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

ssize_t write(int fd, const void* bytes, size_t size) { return call(SYS_write, fd, bytes, size); }
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return call(SYS_pwrite64, fd, bytes, size, offset);
}

}  // extern "C"
