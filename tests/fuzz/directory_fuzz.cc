// Directory fuzz: an instance's folder full of files that others put there, and everybody who
// lists, opens, follows and removes.
//
// An input is  u8 flags: [0] stations are made there too  [1] and removed
//                 [7:2] mod 3: how rings are mapped,  u8 files, each one
//   u8 what    0 mod 8: a folder  1: a link to itself  2: a FIFO  3: any bytes  else: a ring
//   u8 name    0 mod 4: any, u8 size and bytes;  else a ring's: u8 station, partition, generation
//   of any bytes  u8 size, bytes
//   of a ring     u8 mood (hostile_ring.h), u8 station, partition, generation in its header,
//                 u8 life: [1:0] its seal  [2] unborn  [3] gated  [4] hash is wrong  [5] cut short,
//                 then u16 size
// and the rest is text that is read as a station's name.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/directory.h"
#include "temp_folder.h"
#include "visit.h"

namespace loopline::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t files_max = 6;
constexpr const char* stations[] = {"orders", "a.b_c-0", "0"};

struct Place {
  std::string station;
  uint32_t partition, generation;
};
Place take_place(Input& input) {
  const char* station = stations[input.below(3)];
  const uint32_t partition = input.below(2);
  return {station, partition, input.below(5)};
}

class HostileFolder {
 public:
  HostileFolder()
      : paths_{folder_.path() + "/instance", folder_.path() + "/shm/instance"},
        directory_(
            (fs::create_directories(paths_.folder), must(shm::Directory::open_or_create(paths_)))),
        roster_(must(directory_.roster())),
        ring_(roster_, false) {}

  const shm::Directory& directory() const { return directory_; }
  const std::shared_ptr<shm::Roster>& roster() const { return roster_; }
  const shm::InstancePaths& paths() const { return paths_; }

  void put(Input& input) {
    const uint8_t what = input.byte() % 8;
    const std::string path = paths_.shm + "/" + take_file_name(input);
    if (path.ends_with("/roster") || path.ends_with("/")) return;  // the roster stays ours
    if (what == 0) return (void)::mkdir(path.c_str(), 0700);
    if (what == 1) return (void)::symlink(path.c_str(), path.c_str());
    if (what == 2) return (void)::mkfifo(path.c_str(), 0600);
    if (what == 3) return write(path, input.bytes(input.byte()));
    const auto image = take_ring(input);
    write(path, image);
  }

  // All that is not the roster.
  void empty() const {
    for (const auto& entry : fs::directory_iterator(paths_.shm)) {
      if (entry.path().filename() != "roster") fs::remove_all(entry.path());
    }
  }

 private:
  static void write(const std::string& path, std::span<const std::byte> bytes) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return;  // a name too long, or given twice
    LL_CHECK(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    ::close(fd);
  }

  std::string take_file_name(Input& input) const {
    if (input.byte() % 4 == 0) {
      std::string name(input.text(input.byte()));
      std::replace(name.begin(), name.end(), '/', '_');
      std::replace(name.begin(), name.end(), '\0', '_');
      return name == "." || name == ".." ? "dots" : name;
    }
    const Place place = take_place(input);
    const std::string path =
        directory_.ring_path({"main", place.station}, place.partition, place.generation);
    return fs::path(path).filename().string();
  }

  std::vector<std::byte> take_ring(Input& input) {
    ring_.restore(input.byte());
    const Place place = take_place(input);
    const uint8_t life = input.byte();
    shm::ControlBlock& control = *ring_.ring().control;
    const uint64_t states[] = {shm::seal_open, shm::seal_removed, shm::seal_to(place.generation),
                               shm::seal_to(place.generation + 1)};
    const Pair start = ring_.ring().window_start();
    control.seal.state.store(states[life & 3], std::memory_order_relaxed);
    if ((life & 4) != 0) control.start.pair.store({0, 0}, std::memory_order_relaxed);
    if ((life & 8) != 0) control.gate.pair.store(start, std::memory_order_relaxed);
    std::vector<std::byte> image = ring_.image();
    shm::RingHeader header;
    std::memcpy(&header, image.data(), sizeof header);
    std::memset(header.station, 0, sizeof header.station);
    place.station.copy(header.station, sizeof header.station - 1);
    header.partition = place.partition;
    header.generation = place.generation;
    if ((life & 16) == 0) header.header_hash = shm::hash_of(header);
    std::memcpy(image.data(), &header, sizeof header);
    if ((life & 32) != 0) image.resize(input.take<uint16_t>() % image.size());
    return image;
  }

  TempFolder folder_;
  shm::InstancePaths paths_;
  shm::Directory directory_;
  std::shared_ptr<shm::Roster> roster_;
  HostileRing ring_;
};

void use(const HostileFolder& folder, Result<shm::Mapping> mapping) {
  if (!mapping) return;
  const auto attached =
      shm::Attached::make(std::move(*mapping), folder.roster(), folder.directory());
  read_over(attached->ring());
  Visit(attached).everything(false);
  (void)attached->successor();
}

void list(const shm::Directory& directory) {
  const auto listed = directory.list();
  LL_CHECK(static_cast<bool>(listed));
  const size_t strangers = directory.list_strangers().size();
  LL_CHECK(directory.list_stale_bells().size() <= 2 * files_max);
  LL_CHECK(listed->size() <= 2 * files_max && strangers <= 2 * files_max);
  for (const auto& ring : *listed) {
    LL_CHECK(shm::is_name(ring.name.factory) && shm::is_name(ring.name.station));
    LL_CHECK(ring.path == directory.ring_path(ring.name, ring.partition, ring.generation));
    (void)shm::inspect(ring.path, nullptr);
  }
}

void make_and_remove(const HostileFolder& folder, uint8_t flags) {
  const shm::Directory& directory = folder.directory();
  for (const char* station : stations) {
    shm::RingOptions options;
    options.station = station;
    options.capacity = shm::ring_capacity_min;
    options.producer_slots = options.cursor_slots = 2;
    if ((flags & 1) != 0) {
      use(folder, directory.open_or_create(options, {}, shm::Access::produce));
    }
    if ((flags & 2) != 0) (void)directory.unlink({"main", station}, 0);
  }
}

constexpr shm::Access accesses[] = {shm::Access::look, shm::Access::consume, shm::Access::produce};

void visit_folder(HostileFolder& folder, Input& input) {
  const uint8_t flags = input.byte();
  for (uint32_t left = input.below(files_max + 1); left > 0; --left) folder.put(input);
  const shm::Directory& directory = folder.directory();
  list(directory);
  for (const char* station : stations) {
    for (uint32_t partition = 0; partition < 2; ++partition) {
      const shm::StationName name{"main", station};
      const auto generations = directory.generations(name, partition);
      LL_CHECK(static_cast<bool>(generations));
      if (generations->empty()) continue;
      const auto oldest =
          directory.attach_generation(name, partition, generations->front(), shm::Access::look);
      if (oldest) read_over(ring_over(*oldest));
      const auto access = accesses[(flags >> 2) % std::size(accesses)];
      use(folder, directory.attach(name, partition, access));
    }
  }
  make_and_remove(folder, flags);
  const auto name = shm::parse_station_name(input.text(200));
  if (name) {
    LL_CHECK(shm::is_name(name->factory) && shm::is_name(name->station));
    (void)directory.attach(*name, 0, shm::Access::look);
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  static HostileFolder folder;
  Input input(data, size);
  visit_folder(folder, input);
  folder.empty();
  return 0;
}
