// Hints: what to say about a word that nobody knows.
#pragma once

#include <string>
#include <vector>

namespace loopline {

// "; did you mean --ring?" when one of the known words is near, else nothing.
std::string near_miss(const std::string& word, const std::vector<std::string>& known);
// "add, ls, info"
std::string joined(const std::vector<std::string>& words);

}  // namespace loopline
