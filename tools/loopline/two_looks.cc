// Two looks: taken without attaching to anything, and what a ring says of who holds it.
#include "two_looks.h"

#include <algorithm>
#include <cmath>

#include "io/log/paths.h"
#include "io/log/station_conf.h"
#include "output.h"
#include "shm/base/units.h"
#include "signals.h"

namespace loopline::cli {
namespace {

using shm::CursorFacts;
using shm::RingSnapshot;

constexpr uint64_t between_looks_ns = 200'000'000;
constexpr int fillers_max = 64;  // that carry no time

// The ring a successor took over from, as long as its gate says that it is needed.
std::optional<RingSnapshot> generation_before(const Viewer& viewer, const RingSnapshot& now) {
  if (now.gate.first == shm::no_cursor.first || now.header.generation < 2) return {};
  auto before = viewer.generation(now, now.header.generation - 1);
  if (!before) return {};
  return std::move(*before);
}

std::optional<RingSnapshot> disk_before_this(const Viewer& viewer, const RingSnapshot& now) {
  if (!now.log || now.gate.first == shm::no_cursor.first) return {};
  auto ring =
      viewer.on_its_way_to_disk({now.header.factory, now.header.station}, now.header.partition);
  if (!ring || !*ring || !(*ring)->log || (*ring)->path == now.path) return {};
  return std::move(**ring);
}

// When the message at a place was published; none: its station keeps no time, or it is not there.
std::optional<uint64_t> published_ns(const Viewer& viewer, const RingSnapshot& ring, Pair at) {
  if (at.first >= ring.visible.first || ring.header.timestamp == shm::TimestampKind::off) return {};
  shm::FramesOptions options;
  options.from = at;
  options.head_bytes_max = 0;
  std::optional<uint64_t> published;
  int count = 0;
  const auto end = viewer.frames(ring, options, [&](const shm::FrameFacts& frame) {
    const bool has_time = frame.type == shm::FrameType::message && frame.timestamp_ns != 0;
    if (!frame.is_open && has_time && frame.oddity.empty()) published = frame.timestamp_ns;
    return !published && !frame.is_open && ++count < fillers_max;
  });
  return end ? published : std::nullopt;
}

uint64_t flush_interval_of(const Viewer& viewer, const RingSnapshot& ring) {
  if (!ring.log) return 0;
  const auto conf = io::read_station_conf(io::data_folder_of(viewer.paths()),
                                          {ring.header.factory, ring.header.station});
  return conf && *conf ? (*conf)->flush_interval_ns : 0;
}

void note_ages(const Viewer& viewer, TwoLooks& looks) {
  const RingSnapshot& disk = looks.on_its_way();
  if (disk.log && !disk.log->is_done) {
    looks.not_durable_since_ns = published_ns(viewer, disk, disk.log->durable);
  }
  const CursorFacts* const slowest = slowest_of(looks.now);
  if (slowest == nullptr || slowest->is_joining) return;
  looks.unread_since_ns = published_ns(viewer, looks.now, slowest->at);
}

}  // namespace

Result<std::vector<TwoLooks>> look_twice(const Viewer& viewer, const std::string& station) {
  LL_TRY(before, viewer.partitions(station));
  std::vector<std::optional<RingSnapshot>> disks;
  for (const auto& ring : before) disks.push_back(disk_before_this(viewer, ring));
  pause_for(between_looks_ns);
  LL_TRY(now, viewer.partitions(station));
  std::vector<TwoLooks> all;
  for (auto& ring : now) {
    TwoLooks looks;
    const auto same = std::find_if(before.begin(), before.end(), [&](const auto& other) {
      return other.header.partition == ring.header.partition;
    });
    const bool was_there = same != before.end();
    if (was_there) looks.disk_before = disks[static_cast<size_t>(same - before.begin())];
    looks.before = was_there ? std::move(*same) : ring;  // else made between the looks
    looks.predecessor = generation_before(viewer, ring);
    looks.disk_now = disk_before_this(viewer, ring);
    looks.flush_interval_ns = flush_interval_of(viewer, ring);
    looks.now = std::move(ring);
    if (looks.now.damage.empty()) note_ages(viewer, looks);
    all.push_back(std::move(looks));
  }
  return all;
}

double TwoLooks::seconds() const {
  return now.taken_ns > before.taken_ns ? static_cast<double>(now.taken_ns - before.taken_ns) / 1e9
                                        : 1.0;
}

double TwoLooks::messages_per_s() const {
  const uint64_t first = before.frontier.second, last = now.frontier.second;
  return last > first ? static_cast<double>(last - first) / seconds() : 0;
}

const CursorFacts* slowest_of(const RingSnapshot& ring) {
  const CursorFacts* slowest = nullptr;
  for (const CursorFacts& cursor : ring.cursors) {
    if (cursor.kind == shm::CursorKind::lossy || cursor.is_evicted) continue;
    if (slowest == nullptr || cursor.at.first < slowest->at.first) slowest = &cursor;
  }
  return slowest;
}

const CursorFacts* same_in(const RingSnapshot& ring, const CursorFacts& cursor) {
  for (const CursorFacts& other : ring.cursors) {
    if (other.slot == cursor.slot && other.occupant.seat == cursor.occupant.seat) return &other;
  }
  return nullptr;
}

std::optional<uint64_t> log_needs_from(const RingSnapshot& ring) {
  if (!ring.log || ring.log->is_done) return {};
  return ring.log->durable.first;
}

uint64_t held_from(const RingSnapshot& ring) {
  uint64_t held = ring.visible.first;
  held = std::min(held, log_needs_from(ring).value_or(held));
  if (ring.gate.first != shm::no_cursor.first) held = std::min(held, ring.gate.first);
  const CursorFacts* slowest = slowest_of(ring);
  return slowest == nullptr ? held : std::min(held, slowest->at.first);
}

namespace {

uint64_t held_bytes(const RingSnapshot& ring) {
  return ring.frontier.first - std::min(held_from(ring), ring.frontier.first);
}

}  // namespace

bool is_full(const RingSnapshot& ring) {
  const uint64_t room = ring.header.capacity - std::min(held_bytes(ring), ring.header.capacity);
  return room < shm::frame_size(ring.header.message_max);
}

double fill_of(const RingSnapshot& snapshot) {
  return std::min(1.0, static_cast<double>(held_bytes(snapshot)) /
                           static_cast<double>(snapshot.header.capacity));
}

std::string percent_text(double part) { return std::to_string(std::lround(part * 100)) + "%"; }

std::string behind_text(uint64_t messages, uint64_t bytes) {
  return counted(messages, "message") + " (" + format_size_rounded(static_cast<double>(bytes)) +
         ")";
}

std::string station_word(const RingSnapshot& ring) { return " " + name_of(ring); }

}  // namespace loopline::cli
