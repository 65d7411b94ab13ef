// Trace: the steps of one execution in words, and the names of the places they touch.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "script.h"
#include "shm/base/atomic.h"

namespace loopline::model {

class Trace {
 public:
  void name(uintptr_t address, std::string name) { names_[address] = std::move(name); }
  std::string name_of(uintptr_t address) const;

  void start() {
    text_.clear();
    options_.clear();
  }
  // A step: for the text and for the seed.
  void add(Option option, const std::string& line);
  // A line for the text alone.
  void remark(unsigned thread, const std::string& line);
  std::string describe(const Operation& operation, uintptr_t address) const;
  const std::string& text() const { return text_; }
  std::string seed() const { return to_seed(options_); }

 private:
  std::map<uintptr_t, std::string> names_;
  std::string text_;
  std::vector<Option> options_;
};

}  // namespace loopline::model
