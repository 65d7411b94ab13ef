// Walk: reads what a ring hands out as its users would, to the last byte and header.
//
// Each check is one that foreign bytes must never break: what a reader gets lies where the reader
// was told, and a walk over memory that stands still ends within a lap.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "shm/base/check.h"
#include "shm/extension.h"
#include "shm/reader.h"

namespace loopline::fuzz {

inline bool lies_in(std::string_view text, std::span<const std::byte> body) {
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  return text.empty() || (from >= body.data() && from + text.size() <= body.data() + body.size());
}

// Every field of whatever extension `body` begins with.
inline void read_extension(std::span<const std::byte> body) {
  const auto view = shm::ExtensionView::parse(body);
  if (!view) return;
  LL_CHECK(view->size() <= body.size());
  LL_CHECK(lies_in(view->id(), body));
  LL_CHECK(lies_in(view->key(), body));
  for (uint32_t index = 0; index < view->header_count(); ++index) {
    const Header header = view->header(index);
    LL_CHECK(lies_in(header.name, body));
    LL_CHECK(lies_in(header.value, body));
  }
}

// Touches every byte, so that one outside of the mapping or the copy is noticed.
inline void read_frame(const shm::FrameView& view) {
  const std::vector<std::byte> body(view.body, view.body + view.body_size);
  if ((view.flags & shm::flag_extension) != 0) read_extension(body);
}

// How many frames one lap can hold.
inline uint64_t frames_max(const shm::Ring& ring) { return ring.capacity / shm::unit_size; }

inline bool lies_in_data(const shm::FrameView& view, const shm::Ring& ring) {
  return view.body >= ring.data && view.body + view.body_size <= ring.data + 2 * ring.capacity;
}

// By views, from any place.
inline void read_all(const shm::Ring& ring, Pair from) {
  shm::Reader reader(ring, from);
  shm::FrameView view;
  uint64_t count = 0;
  while (reader.next(view) == shm::ReadOutcome::frame) {
    LL_CHECK(lies_in_data(view, ring));
    read_frame(view);
    LL_CHECK(++count <= frames_max(ring));
  }
}

// By copies.
inline void copy_all(const shm::Ring& ring, Pair from) {
  shm::Reader reader(ring, from);
  shm::FrameView view;
  std::vector<std::byte> buffer(ring.capacity / 8 - shm::frame_header_size);
  for (uint64_t count = 0;; ++count) {
    LL_CHECK(count <= 2 * frames_max(ring));
    const auto outcome = reader.next_copy(view, buffer.data());
    if (outcome == shm::ReadOutcome::frame) {
      LL_CHECK(view.body == buffer.data() && view.body_size <= buffer.size());
      read_frame(view);
    } else if (outcome != shm::ReadOutcome::lapped) {
      return;
    }
    (void)reader.take_lost();
  }
}

}  // namespace loopline::fuzz
