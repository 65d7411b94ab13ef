// LogReading: every message of a log, found by the format alone and held against what examine()
// says of it.
//
// `wrong` is empty when each place of [begin, end) is a whole message or within a gap, not both.
#pragma once

#include <string>
#include <vector>

#include "io/log/examine.h"
#include "log_maker.h"

namespace loopline::sim {

struct LogReading {
  io::LogFacts facts;
  std::vector<MessageBytes> messages;
  std::string wrong;
};

LogReading read_log(io::Disk& disk, const std::string& folder,
                    const io::ExamineOptions& options = {.everything = true, .progress = {}});

// What is wrong with `found`, of a log that held `expected`; empty: nothing. Messages may be
// missing where a gap says so, at the front, and from `end_min` on at the end.
std::string compare(const LogReading& found, const std::vector<MessageBytes>& expected,
                    io::LogPlace end_min);

std::string text_of(io::LogPlace place);

}  // namespace loopline::sim
