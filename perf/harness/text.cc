// Text: rounding, and padding to the widest cell of each column.
#include "text.h"

#include <algorithm>
#include <cstdio>

namespace loopline::perf {

std::string three_digits(double value) {
  char text[64];
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  const int length = std::snprintf(text, sizeof text, "%.*f", decimals, value);
  std::string digits(text, static_cast<size_t>(length));
  if (decimals > 0) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
  }
  return digits;
}

std::string format_rate(double per_s, const char* unit) {
  constexpr const char* prefixes[] = {"", "k", "M", "G"};
  size_t index = 0;
  while (per_s >= 999.5 && index + 1 < std::size(prefixes)) {
    per_s /= 1000;
    ++index;
  }
  return three_digits(per_s) + prefixes[index] + unit;
}

std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<size_t>& right) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t column = 0; column < row.size(); ++column) {
      const std::string padding(widths[column] - row[column].size(), ' ');
      const bool to_the_right = std::find(right.begin(), right.end(), column) != right.end();
      line += to_the_right ? padding + row[column] : row[column] + padding;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace loopline::perf
