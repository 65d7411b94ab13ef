// Output: buffered stdout, notes on stderr, colours, tables.
#include "output.h"

#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "json.h"
#include "shm/base/units.h"

namespace loopline::cli {
namespace {

constexpr size_t pending_max = 64 << 10;
constexpr size_t direct_min = 16 << 10;  // from here a copy costs more than a system call
constexpr const char* erase_line = "\r\x1b[K";

const char* code_of(Color color) {
  switch (color) {
    case Color::none:
      return "";
    case Color::bold:
      return "\x1b[1m";
    case Color::dim:
      return "\x1b[2m";
    case Color::red:
      return "\x1b[31m";
    case Color::green:
      return "\x1b[32m";
    case Color::yellow:
      return "\x1b[33m";
    case Color::cyan:
      return "\x1b[36m";
  }
  return "";
}

// 0, or the errno of what failed; EPIPE: the reader is gone.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EFAULT) std::raise(SIGBUS);  // a mapped file was cut short
    if (wrote < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return 0;
}

// What a terminal shows of it: one column per character, UTF-8 known.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  }));
}

}  // namespace

Output::Output(const Globals& globals) : globals_(globals) {
  is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
  notes_are_watched_ = ::isatty(STDERR_FILENO) == 1;
  const char* no_color = std::getenv("NO_COLOR");
  const bool forbidden = globals_.no_color || (no_color != nullptr && *no_color != '\0');
  has_color_ = is_terminal_ && !forbidden && !is_json() && !is_prometheus();
}

void Output::write(std::string_view bytes) {
  if (has_progress_) {
    write_all(STDERR_FILENO, erase_line);
    has_progress_ = false;
  }
  if (has_live_) {
    pending_ += erase_line;
    has_live_ = false;
  }
  if (bytes.size() >= direct_min) return write_through(bytes);
  pending_ += bytes;
  if (pending_.size() >= pending_max) flush();
}

// What is pending and these, in one call if the reader takes them.
void Output::write_through(std::string_view bytes) {
  const iovec parts[] = {{pending_.data(), pending_.size()},
                         {const_cast<char*>(bytes.data()), bytes.size()}};
  const ssize_t wrote = is_closed_ ? 0 : ::writev(STDOUT_FILENO, parts, 2);
  const size_t done = wrote < 0 ? 0 : static_cast<size_t>(wrote);  // the rest is tried again below
  const size_t head = std::min(done, pending_.size());
  pending_.erase(0, head);
  flush();
  write_out(bytes.substr(done - head));
}

void Output::line(std::string_view text) {
  write(text);
  pending_ += '\n';
  if (is_terminal_) flush();
}

void Output::flush() {
  write_out(pending_);
  pending_.clear();
}

void Output::write_out(std::string_view bytes) {
  if (is_closed_) return;
  const int error = write_all(STDOUT_FILENO, bytes);
  is_closed_ = error != 0;
  if (error != EPIPE) write_error_ = error;
}

Status Output::finish() {
  flush();
  if (write_error_ == 0) return ok();
  return fault_from_errno(write_error_, "cannot write all of it to stdout");
}

void Output::note(std::string_view text) { note_line(is_json() ? json_of_note(text) : text); }

void Output::note_json(std::string_view object) { note_line(object); }

void Output::note_line(std::string_view text) {
  if (is_quiet()) return;
  flush();
  std::string all = has_progress_ ? erase_line : "";
  has_progress_ = false;
  all += text;
  all += '\n';
  write_all(STDERR_FILENO, all);
}

void Output::progress(std::string_view text) {
  if (is_quiet() || !notes_are_watched_) return;
  flush();
  write_all(STDERR_FILENO, erase_line + std::string(text));
  has_progress_ = true;
}

void Output::live(std::string_view text) {
  if (!is_terminal_ || is_quiet()) return;
  write(text);
  has_live_ = true;
  flush();
}

void Output::clear_screen() {
  if (is_terminal_ && !is_json()) write("\x1b[H\x1b[2J");
}

std::string Output::paint(Color color, std::string_view text) const {
  if (!has_color_ || color == Color::none) return std::string(text);
  return fmt::format("{}{}\x1b[0m", code_of(color), text);
}

std::string Output::error_line(const Fault& fault) const {
  return (is_json() ? json_of(fault) : "loopline: " + fault.message()) + "\n";
}

int Output::report(const Fault& fault) {
  flush();
  write_all(STDERR_FILENO, (has_progress_ ? erase_line : "") + error_line(fault));
  return exit_status(fault.code());
}

int exit_status(FaultCode code) {
  switch (code) {
    case FaultCode::invalid_argument:
      return 2;
    case FaultCode::not_found:
      return 3;
    case FaultCode::timed_out:
      return 4;
    default:
      return 1;
  }
}

void Table::add(std::vector<Cell> row) {
  LL_CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

void Table::print(Output& out, size_t indent) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (size_t index = 0; index < row.size(); ++index) {
      widths[index] = std::max(widths[index], width_of(row[index].text));
    }
  }
  const auto print_row = [&](const std::vector<Cell>& row) {
    std::string text(indent, ' ');
    for (size_t index = 0; index < row.size(); ++index) {
      const bool is_last = index + 1 == row.size();
      const std::string blanks(widths[index] - width_of(row[index].text), ' ');
      const std::string cell = out.paint(row[index].color, row[index].text);
      if (columns_[index].is_number) {
        text += blanks + cell;
      } else {
        text += cell + (is_last ? "" : blanks);
      }
      if (!is_last) text += "  ";
    }
    out.line(text);
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title, Color::dim);
  print_row(titles);
  for (const auto& row : rows_) print_row(row);
}

std::string utc_text(uint64_t utc_ns) {
  if (utc_ns == 0) return "-";
  const auto seconds = static_cast<time_t>(utc_ns / 1'000'000'000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     utc_ns % 1'000'000'000);
}

std::string counted(uint64_t count, const char* noun) {
  return format_count(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string rate_text(double per_second) {
  return format_count(static_cast<uint64_t>(std::llround(std::max(per_second, 0.0)))) + "/s";
}

}  // namespace loopline::cli
