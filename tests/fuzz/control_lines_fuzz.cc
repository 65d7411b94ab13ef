// Control lines fuzz: foreign bytes in a ring's header, lines, cursors and slots; its roster.
//
// An input is read by visit_hostile (visit.h); a change is u8 kind, then
//   0, 1, 2   a pair, a slot, the seal that almost make sense: forge_pair, forge_slot, forge_seal
//   3         a field of the ring's header, u8 [0] whose hash is wrong: forge_header
//   4         bytes over the control lines: u16 place, u8 size, bytes
//   5         bytes over an entry of the roster: u8 entry, u8 place, u8 size, bytes
//   6         bytes over the roster's header: u8 [0] hash is wrong, u8 place, u8 size, bytes
//   7         a claim word: forge_side
//   8         who writes its log, and how that goes: forge_log
// One that begins with 7 (a mood that is none) means a file station's ring: the rest is the input.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "shm/base/hash.h"
#include "temp_folder.h"
#include "visit.h"

namespace loopline::fuzz {
namespace {

constexpr uint32_t entries_used = 16;

// A roster with a file, of which only a few entries can be sat in.
class HostileRoster {
 public:
  explicit HostileRoster(const std::string& path)
      : path_(path), roster_(must(shm::Roster::open_or_create(path, 0600))) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    constexpr size_t size = shm::page_size + shm::roster_entry_count * sizeof(shm::RosterEntry);
    void* const bytes = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    LL_CHECK(bytes != MAP_FAILED);
    header_ = static_cast<std::byte*>(bytes);
    entries_ = reinterpret_cast<shm::RosterEntry*>(header_ + shm::page_size);
    for (uint32_t index = entries_used; index < shm::roster_entry_count; ++index) {
      entries_[index].state.store(~0ull, std::memory_order_relaxed);  // no generation is left
    }
    std::memcpy(&fresh_header_, header_, sizeof fresh_header_);
    std::memcpy(fresh_.data(), &entries_[0], fresh_.size());
  }

  const std::shared_ptr<shm::Roster>& roster() const { return roster_; }

  // As it was, but for the entry that this thread sits in.
  void restore() const {
    std::memcpy(header_, &fresh_header_, sizeof fresh_header_);
    const auto mine = roster_->my_seat();
    for (uint32_t index = 0; index < entries_used; ++index) {
      if (mine && shm::seat_entry(*mine) == index) continue;
      std::memcpy(static_cast<void*>(&entries_[index]), fresh_.data(), fresh_.size());
    }
  }

  // Whoever may write there is trusted with one thing: the mutexes that we hold (shm/README.md).
  void scribble_entry(Input& input) const {
    const auto mine = roster_->my_seat();
    const uint32_t index = input.below(entries_used);
    const bool is_mine = !mine || shm::seat_entry(*mine) == index;
    const size_t from = is_mine ? sizeof(pthread_mutex_t) : 0;
    const size_t at = from + input.byte() % (sizeof(shm::RosterEntry) - from);
    const auto bytes = input.bytes(input.byte());
    std::memcpy(reinterpret_cast<std::byte*>(&entries_[index]) + at, bytes.data(),
                std::min(bytes.size(), sizeof(shm::RosterEntry) - at));
  }

  void scribble_header(Input& input) const {
    const bool hash_is_wrong = (input.byte() & 1) != 0;
    shm::RosterHeader header = fresh_header_;
    const size_t at = input.byte() % sizeof header;
    const auto bytes = input.bytes(input.byte());
    std::memcpy(reinterpret_cast<std::byte*>(&header) + at, bytes.data(),
                std::min(bytes.size(), sizeof header - at));
    if (!hash_is_wrong) {
      header.header_hash = 0;
      header.header_hash = hash64(&header, sizeof header);
    }
    std::memcpy(header_, &header, sizeof header);
  }

  // What tools do with it.
  void look() const {
    const auto roster = shm::Roster::open_to_look(path_);
    if (!roster) return;
    for (uint32_t index = 0; index <= entries_used; ++index) {
      const shm::SeatId seat = (*roster)->seat_of(index);
      const auto person = (*roster)->describe(seat);
      LL_CHECK(person.command.size() <= sizeof(shm::RosterEntry::command));
      LL_CHECK(person.alive == ((*roster)->futex_word(seat) != nullptr));
    }
  }

 private:
  std::string path_;
  std::shared_ptr<shm::Roster> roster_;
  std::byte* header_ = nullptr;
  shm::RosterEntry* entries_ = nullptr;
  shm::RosterHeader fresh_header_{};
  std::array<std::byte, sizeof(shm::RosterEntry)> fresh_{};  // an entry nobody ever sat in
};

void forge(Input& input, HostileRing& ring, const HostileRoster& roster) {
  switch (input.below(9)) {
    case 0:
      return ring.forge_pair(input);
    case 1:
      return ring.forge_slot(input);
    case 2:
      return ring.forge_seal(input);
    case 3:
      return ring.forge_header(input);
    case 4:
      return ring.scribble_control(input);
    case 5:
      return roster.scribble_entry(input);
    case 6:
      return roster.scribble_header(input);
    case 7:
      return ring.forge_side(input);
    default:
      return ring.forge_log(input);
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline;
  static const fuzz::TempFolder folder;
  static const fuzz::HostileRoster roster(folder.path() + "/roster");
  static fuzz::HostileRing plain(roster.roster(), false), exclusive(roster.roster(), true);
  static fuzz::HostileRing logged(roster.roster(), false, shm::Storage::file);
  const bool is_logged = size > 0 && (data[0] & 7) == 7;
  const bool is_exclusive = size > 0 && (data[0] & 8) != 0;
  fuzz::Input input(data, size);
  if (is_logged) (void)input.byte();
  roster.restore();
  fuzz::visit_hostile(
      input,
      is_logged      ? logged
      : is_exclusive ? exclusive
                     : plain,
      [](fuzz::Input& bytes, fuzz::HostileRing& ring) { fuzz::forge(bytes, ring, roster); });
  roster.look();
  roster.restore();
  return 0;
}
