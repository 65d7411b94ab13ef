// Why findings: from two looks at a ring to what is slow on it; touches nothing but /proc.
#pragma once

#include <vector>

#include "finding.h"
#include "two_looks.h"
#include "why_log.h"

namespace loopline::cli {

// Never empty: when nothing is wrong, it says that.
std::vector<Finding> why_findings(const TwoLooks& looks, const BrokerWord& broker);
// The same of all partitions of a station: of several, those that have a word to say say where.
std::vector<Finding> why_findings(const std::vector<TwoLooks>& all, const BrokerWord& broker);

}  // namespace loopline::cli
