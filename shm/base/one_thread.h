// OneThread: notices, in checked builds, that two threads use one handle at once.
//
// A handle of ours belongs to one thread at a time and may be handed on; two that use it at once
// would spoil memory that others map, so the process is stopped. Without LL_CHECKED it is nothing.
#pragma once

#ifdef LL_CHECKED
#include <atomic>
#endif

#include "check.h"

namespace loopline {

class OneThread {
 public:
  OneThread() {}
  OneThread(OneThread&&) noexcept {}  // the handle moves, its use does not
  OneThread& operator=(OneThread&&) noexcept { return *this; }

#ifdef LL_CHECKED
  class Use {
   public:
    explicit Use(OneThread& handle) : handle_(handle) {
      // It orders nothing, so that it hides no race from TSan either.
      const bool one_thread_at_a_time_uses_a_handle =
          !handle_.in_use_.exchange(true, std::memory_order_relaxed);  // relaxed: as said
      LL_CHECK(one_thread_at_a_time_uses_a_handle);
    }
    ~Use() { handle_.in_use_.store(false, std::memory_order_relaxed); }  // relaxed: as above
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    OneThread& handle_;
  };

 private:
  std::atomic<bool> in_use_ = false;  // in our own memory, whatever the alias is
#else
  struct Use {
    explicit Use(OneThread&) {}
  };
#endif
};

}  // namespace loopline
