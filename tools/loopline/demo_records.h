// Demo records: real records of this machine to publish: the package index, or a file of the
// user's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace loopline::cli {

struct DemoRecords {
  std::string source;                       // for people: which files
  std::shared_ptr<const std::string> text;  // what the views look into
  std::vector<std::string_view> records;
  uint64_t bytes() const;
};

// Paragraphs of the apt lists, else of dpkg's status file, else of `input` when it is named: what
// stands between blank lines; a file without blank lines is cut into lines. Faults: not_found,
// io_error, and invalid_argument for a file without records or with one over `size_max`.
Result<DemoRecords> load_demo_records(const std::string& input, uint64_t size_max);

// The package a record is about, which serves as its key; empty when it names none.
std::string_view package_of(std::string_view record);

}  // namespace loopline::cli
