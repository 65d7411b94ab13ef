// Output: how the command line speaks: text for people, JSON for programs, and what a fault
// becomes.
//
//   stdout   results: text, wide text or JSON
//   stderr   notes for people (unless --quiet), and errors, a line each: text, or with --json
//            objects, {"note": "..."} and {"error": {"code": "not_found", "message": "..."}}
//
// Colour only when stdout is a terminal and neither NO_COLOR nor --no-color forbids it. A reader
// that goes away (`| head`) is no error: is_closed() says so and whoever prints stops.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace loopline::cli {

constexpr const char* version = "0.1.0";

enum class Format { text, wide, json, prometheus };
enum class Color { none, bold, dim, red, green, yellow, cyan };

// What the global options say.
struct Globals {
  Format format = Format::text;
  bool quiet = false;
  bool no_color = false;
  std::string dir;
};

class Output {
 public:
  explicit Output(const Globals& globals);

  bool is_json() const { return globals_.format == Format::json; }
  bool is_wide() const { return globals_.format == Format::wide; }
  bool is_prometheus() const { return globals_.format == Format::prometheus; }
  bool is_quiet() const { return globals_.quiet; }
  // Someone watches: live lines, colour, questions.
  bool is_terminal() const { return is_terminal_; }
  bool notes_are_watched() const { return notes_are_watched_; }
  const std::string& dir() const { return globals_.dir; }

  // Small ones are gathered until flush(); large ones are on their way when it returns.
  void write(std::string_view bytes);
  void line(std::string_view text);
  // Everything so far is out, or the reader is gone.
  void flush();
  // Nobody takes any more: whoever prints stops.
  bool is_closed() const { return is_closed_; }
  // Flushes. Faults: what went wrong with stdout (a full disk); a reader that went away is none.
  Status finish();

  // To stderr, for people; nothing with --quiet.
  void note(std::string_view text);
  // The same as an object of its own, for who asked for JSON.
  void note_json(std::string_view object);
  // A note that the next one overwrites, on a terminal only: progress of long work.
  void progress(std::string_view text);
  // On stdout, on a terminal only: a line that the next one overwrites.
  void live(std::string_view text);
  void clear_screen();

  // The exit status of a verb that has its own, once all of it was written.
  void end_with(int status) { ending_ = status; }
  int ending() const { return ending_; }

  std::string paint(Color color, std::string_view text) const;
  // What is reported of a fault: a line of text or JSON.
  std::string error_line(const Fault& fault) const;
  // Reports a fault as described above; returns the exit status.
  int report(const Fault& fault);

 private:
  void note_line(std::string_view text);
  void write_through(std::string_view bytes);
  void write_out(std::string_view bytes);

  Globals globals_;
  std::string pending_;
  bool is_terminal_ = false;
  bool notes_are_watched_ = false;
  bool has_color_ = false;
  bool is_closed_ = false;
  int write_error_ = 0;  // of stdout, unless its reader went away
  int ending_ = 0;
  bool has_progress_ = false;
  bool has_live_ = false;
};

// Exit statuses: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 timed out.
int exit_status(FaultCode code);

struct Cell {
  std::string text;
  Color color = Color::none;
  Cell(std::string content, Color paint = Color::none) : text(std::move(content)), color(paint) {}
  Cell(const char* content) : text(content) {}
};

// Columns as wide as their widest cell, two blanks between; numbers to the right.
class Table {
 public:
  struct Column {
    const char* title;
    bool is_number = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);
  bool is_empty() const { return rows_.empty(); }
  // `indent` blanks before each line.
  void print(Output& out, size_t indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// "2024-05-01T12:34:56.123456789Z"; "-" for 0.
std::string utc_text(uint64_t utc_ns);
// "1 message", "2 messages", with thousands apart.
std::string counted(uint64_t count, const char* noun);
// "1,234,567/s"
std::string rate_text(double per_second);

}  // namespace loopline::cli
