// Fiber: stacks with a guard page, and the switch between them.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

#if !defined(__x86_64__)
#error "tests/model switches stacks by hand, and knows only x86-64"
#endif

namespace loopline::model {

namespace {

constexpr size_t guard_bytes = 4096;
constexpr size_t stack_bytes = 256 << 10;

}  // namespace

Fiber::Fiber() {
  void* memory = ::mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  memory_ = static_cast<char*>(memory);
  ::mprotect(memory_, guard_bytes, PROT_NONE);
}

Fiber::~Fiber() { ::munmap(memory_, guard_bytes + stack_bytes); }

StackPointer Fiber::start(void (*entry)()) {
  // From the top: a null return address for entry, entry itself, six registers.
  auto* top = reinterpret_cast<uint64_t*>(memory_ + guard_bytes + stack_bytes);
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int index = 0; index < 6; ++index) *--top = 0;
  return top;
}

__asm__(R"(
.text
.globl loopline_model_switch
.hidden loopline_model_switch
.type loopline_model_switch, @function
loopline_model_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size loopline_model_switch, . - loopline_model_switch
)");

}  // namespace loopline::model
