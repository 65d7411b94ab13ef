// Table: the rounds of all rows as one table for people, and each run as a line of JSON.
#pragma once

#include <string>

#include "perf/harness/json_object.h"
#include "rounds.h"

namespace loopline::perf {

// Medians over the rounds, with the least and the greatest beside the two that matter most; and
// under the table what each subject is, how it is set up, and what an acknowledgement of it means.
std::string format_durable_report(const AllRounds& all);

JsonObject json_of(const Row& row, const Round& round);

}  // namespace loopline::perf
