// Finding: a line for what was found, and lines below it for what was done and what to do next.
#include "finding.h"

#include <fmt/format.h>

#include <algorithm>

namespace loopline::cli {
namespace {

Color color_of(Level level) {
  switch (level) {
    case Level::ok:
      return Color::green;
    case Level::warning:
      return Color::yellow;
    case Level::critical:
      break;
  }
  return Color::red;
}

}  // namespace

const char* text_of(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warning:
      return "warning";
    case Level::critical:
      break;
  }
  return "critical";
}

Level worst_of(const std::vector<Finding>& findings) {
  Level worst = Level::ok;
  for (const Finding& finding : findings) worst = std::max(worst, finding.level);
  return worst;
}

void print(Output& out, const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.code.size());
  const std::string blanks(8 + 2 + width + 2, ' ');
  for (const Finding& finding : findings) {
    out.line(fmt::format(
        "{}  {:<{}}  {}",
        out.paint(color_of(finding.level), fmt::format("{:<8}", text_of(finding.level))),
        finding.code, width, finding.text));
    if (!finding.done.empty()) {
      out.line(blanks + out.paint(Color::green, "done: ") + finding.done);
    }
    if (!finding.remedy.empty()) {
      out.line(blanks + out.paint(Color::bold, "next: ") + finding.remedy);
    }
  }
}

}  // namespace loopline::cli
