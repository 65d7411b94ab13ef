// BusGuard: the handler, and what a thread remembers for it.
#include "bus_guard.h"

#include <sys/mman.h>

#include <cerrno>
#include <csignal>

#include "base/check.h"
#include "layout.h"

namespace loopline::shm {
namespace {

// Touched by the handler: nothing about it may have to be made first.
struct Guarded {
  uint32_t depth = 0;
  uint64_t hits = 0;
};
constinit thread_local Guarded guarded __attribute__((tls_model("initial-exec")));

struct sigaction before_us;

// An empty page in the place of the one that is gone; false: it cannot be had.
bool replace_page(void* address) {
  auto* const page = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) &
                                             ~static_cast<uintptr_t>(page_size - 1));
  const int error = errno;
  void* const put = ::mmap(page, page_size, PROT_READ | PROT_WRITE,
                           MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  errno = error;
  return put == page;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const bool is_ours = guarded.depth != 0 && info->si_code == BUS_ADRERR;
  if (is_ours && replace_page(info->si_addr)) {
    ++guarded.hits;
    return;
  }
  if ((before_us.sa_flags & SA_SIGINFO) != 0) return before_us.sa_sigaction(signal, info, context);
  if (before_us.sa_handler != SIG_DFL && before_us.sa_handler != SIG_IGN) {
    return before_us.sa_handler(signal);
  }
  // The access is tried again, and ends the process as it would have without us.
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  ::sigaction(signal, &plain, nullptr);
}

bool install() {
  struct sigaction ours {};
  ours.sa_sigaction = on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  LL_CHECK(::sigaction(SIGBUS, nullptr, &before_us) == 0);
  return ::sigaction(SIGBUS, &ours, nullptr) == 0;
}

}  // namespace

BusGuard::BusGuard() : hits_before_(guarded.hits) { guard_this_thread(); }

BusGuard::~BusGuard() { --guarded.depth; }

void guard_this_thread() {
  static const bool is_installed = install();
  LL_CHECK(is_installed);
  ++guarded.depth;
}

bool BusGuard::was_hit() const { return guarded.hits != hits_before_; }

}  // namespace loopline::shm
