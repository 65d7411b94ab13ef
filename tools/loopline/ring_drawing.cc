// Ring drawing: positions to columns, and labels placed so that none covers another.
#include "ring_drawing.h"

#include <algorithm>
#include <map>

namespace loopline::cli {
namespace {

constexpr size_t bar_width = 78;  // between the brackets
constexpr size_t label_rows_max = 12;
constexpr size_t cursors_named_max = 6;

// The window in columns.
class Scale {
 public:
  explicit Scale(const shm::RingSnapshot& snapshot)
      : oldest_(snapshot.oldest.first), capacity_(snapshot.header.capacity) {}
  // The column in which `position` lies; a place outside of the window is at its edge.
  size_t column(uint64_t position) const {
    if (position <= oldest_) return 0;
    const double part = static_cast<double>(position - oldest_) / static_cast<double>(capacity_);
    return std::min(static_cast<size_t>(part * bar_width), bar_width - 1);
  }
  uint64_t position(size_t column) const {
    return oldest_ + static_cast<uint64_t>(static_cast<double>(capacity_) *
                                           static_cast<double>(column) / bar_width);
  }

 private:
  uint64_t oldest_;
  uint64_t capacity_;
};

// Where the slowest lossless consumer or the disk stands: before it, all may be overwritten.
uint64_t held_from(const shm::RingSnapshot& snapshot) {
  uint64_t held =
      snapshot.gate.first != shm::no_cursor.first ? snapshot.gate.first : snapshot.frontier.first;
  for (const auto& cursor : snapshot.cursors) {
    if (cursor.kind == shm::CursorKind::lossless) held = std::min(held, cursor.at.first);
  }
  return snapshot.log ? std::min(held, snapshot.log->durable.first) : held;
}

std::string bar_cells(const shm::RingSnapshot& snapshot, const Scale& scale) {
  std::string cells(bar_width, '.');
  const uint64_t held = held_from(snapshot);
  for (size_t column = 0; column < bar_width; ++column) {
    const uint64_t position = scale.position(column);
    if (position >= snapshot.frontier.first) break;
    cells[column] = position < held ? '-' : '=';
  }
  for (const auto& claim : snapshot.open_claims) {
    const size_t last = scale.column(claim.position + claim.bytes - 1);
    for (size_t column = scale.column(claim.position); column <= last; ++column) {
      const bool is_dead = claim.owner.life == shm::Life::dead;
      if (cells[column] != '!') cells[column] = is_dead ? '!' : '?';
    }
  }
  return cells;
}

std::string painted(const std::string& cells, const Output& out) {
  std::string text;
  for (size_t begin = 0; begin < cells.size();) {
    size_t end = begin;
    while (end < cells.size() && cells[end] == cells[begin]) ++end;
    const char kind = cells[begin];
    const Color color = kind == '='   ? Color::cyan
                        : kind == '!' ? Color::red
                        : kind == '?' ? Color::yellow
                                      : Color::dim;
    text += out.paint(color, cells.substr(begin, end - begin));
    begin = end;
  }
  return text;
}

using Marks = std::map<size_t, std::string>;  // column -> label

void mark(Marks& marks, size_t column, const std::string& label) {
  std::string& text = marks[column];
  text += text.empty() ? label : ", " + label;
}

Marks marks_of(const shm::RingSnapshot& snapshot, const Scale& scale) {
  Marks marks;
  mark(marks, 0, "oldest");
  size_t named = 0;
  for (const auto& cursor : snapshot.cursors) {
    if (++named > cursors_named_max) break;
    mark(marks, scale.column(cursor.at.first), "consumer " + std::to_string(cursor.slot));
  }
  if (snapshot.log) mark(marks, scale.column(snapshot.log->durable.first), "durable");
  if (snapshot.open_claim_count != 0) mark(marks, scale.column(snapshot.visible.first), "visible");
  mark(marks, scale.column(snapshot.frontier.first),
       snapshot.open_claim_count != 0 ? "frontier" : "visible, frontier");
  mark(marks, bar_width - 1, "limit");
  return marks;
}

// From the right, each label takes the first row in which it fits and its line reaches it.
std::vector<std::string> label_rows(const Marks& marks) {
  std::vector<std::string> rows(label_rows_max, std::string(bar_width, ' '));
  size_t used = 1;
  for (auto [column, text] : marks) rows[0][column] = '|';
  for (auto at = marks.rbegin(); at != marks.rend(); ++at) {
    const auto& [column, text] = *at;
    const size_t size = std::min(text.size(), bar_width);
    const size_t begin = column + size <= bar_width ? column : bar_width - size;
    for (size_t row = 1; row < label_rows_max; ++row) {
      const size_t from = begin == 0 ? 0 : begin - 1;
      const size_t to = std::min(begin + size + 1, bar_width);
      const bool fits =
          rows[row].substr(from, to - from).find_first_not_of(' ') == std::string::npos;
      if (fits) {
        rows[row].replace(begin, size, text.substr(0, size));
        used = std::max(used, row + 1);
        break;
      }
      if (rows[row][column] == ' ') rows[row][column] = '|';
    }
  }
  rows.resize(used);
  return rows;
}

}  // namespace

std::vector<std::string> draw_ring(const shm::RingSnapshot& snapshot, const Output& out) {
  const Scale scale(snapshot);
  const std::string cells = bar_cells(snapshot, scale);
  std::vector<std::string> lines = {"[" + painted(cells, out) + "]"};
  for (std::string row : label_rows(marks_of(snapshot, scale))) {
    row.erase(row.find_last_not_of(' ') + 1);
    lines.push_back(" " + row);
  }
  std::string legend = snapshot.log ? "- on disk   = held for the disk   . free"
                                    : "- read by all   = held for a consumer   . free";
  if (cells.find('?') != std::string::npos) legend += "   ? claimed, being filled";
  if (cells.find('!') != std::string::npos) legend += "   ! claimed by somebody dead";
  lines.push_back("");
  lines.push_back(out.paint(Color::dim, legend));
  return lines;
}

}  // namespace loopline::cli
