// Fiber: a stack of its own for a thread of a scenario, entered and left in a few nanoseconds.
//
// A fiber may be abandoned at any point and started again from the top: what lives on its stack is
// simply forgotten, no destructor runs. x86-64 only, as ucontext makes a system call per switch.
#pragma once

#include <cstddef>

namespace loopline::model {

using StackPointer = void*;

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next switch to the returned pointer calls `entry`, which must never return.
  StackPointer start(void (*entry)());

 private:
  char* memory_ = nullptr;
};

// Leaves the running stack, to be found in `from`, for `to`.
extern "C" void loopline_model_switch(StackPointer* from, StackPointer to);

}  // namespace loopline::model
