// Text: numbers for tables, and tables whose columns line up.
#pragma once

#include <string>
#include <vector>

namespace loopline::perf {

// 1.304 -> "1.3", 47.23 -> "47.2", 391.7 -> "392".
std::string three_digits(double value);
// 47.2e6, "/s" -> "47.2M/s"; thousands, as rates are counted.
std::string format_rate(double per_s, const char* unit);

// Rows of equal length; the first is the heading. Columns named in `right` are set to the right.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<size_t>& right);

}  // namespace loopline::perf
