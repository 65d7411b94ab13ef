// Hints: the fewest letters that turn one word into the other decide which was meant.
#include "hints.h"

#include <algorithm>
#include <utility>

namespace loopline {
namespace {

// Steps from one word to the other: letters put in, left out or changed.
size_t distance(const std::string& left, const std::string& right) {
  std::vector<size_t> row(right.size() + 1);
  for (size_t index = 0; index < row.size(); ++index) row[index] = index;
  for (size_t line = 1; line <= left.size(); ++line) {
    size_t corner = std::exchange(row[0], line);
    for (size_t column = 1; column < row.size(); ++column) {
      const size_t changed = corner + (left[line - 1] == right[column - 1] ? 0 : 1);
      corner = row[column];
      row[column] = std::min({changed, row[column] + 1, row[column - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string near_miss(const std::string& word, const std::vector<std::string>& known) {
  const size_t near = 1 + word.size() / 4;
  const std::string* best = nullptr;
  size_t least = near + 1;
  for (const std::string& candidate : known) {
    const size_t steps = distance(word, candidate);
    if (steps < least) {
      least = steps;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : "; did you mean " + *best + "?";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace loopline
