// DemoBoard: one anonymous shared mapping; pages nobody writes cost nothing.
#include "demo_board.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "shm/base/bits.h"

namespace loopline::cli {
namespace {

constexpr size_t board_bytes = round_up(sizeof(DemoBoard), 4096);

}  // namespace

Result<DemoMemory> DemoMemory::make(uint64_t journal_entries_max) {
  DemoMemory memory;
  memory.entries_max_ = journal_entries_max;
  memory.size_ = board_bytes + demo_producer_count * journal_entries_max * sizeof(JournalEntry);
  memory.address_ = ::mmap(nullptr, memory.size_, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory.address_ == MAP_FAILED) {
    memory.address_ = nullptr;
    return fault_from_errno(
        errno, "cannot map " + std::to_string(memory.size_) + " bytes for the journals");
  }
  return memory;
}

DemoMemory::DemoMemory(DemoMemory&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      size_(other.size_),
      entries_max_(other.entries_max_) {}

DemoMemory::~DemoMemory() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

std::span<JournalEntry> DemoMemory::journal(uint32_t producer) const {
  auto* first = reinterpret_cast<JournalEntry*>(static_cast<std::byte*>(address_) + board_bytes);
  return {first + producer * entries_max_, entries_max_};
}

std::span<const JournalEntry> DemoMemory::written(uint32_t producer) const {
  const uint64_t count =
      board().producers[producer].count.load(std::memory_order_acquire);  // acquire [journal]
  return journal(producer).first(count);
}

}  // namespace loopline::cli
