// Script: the choices of one execution, and the depth-first walk through all of them.
//
// Each step remembers what else could have been chosen there. An execution replays the steps there
// are and adds new ones; backtrack() drops exhausted steps at the end and moves the last one on.
#pragma once

#include <string>
#include <vector>

#include "view.h"

namespace loopline::model {

struct Option {
  uint8_t thread = 0;
  uint8_t back = 0;  // which store is read, counted from the newest; or one of the below
};
constexpr uint8_t back_dies = 255;
constexpr uint8_t back_times_out = 254;

class Script {
 public:
  void clear() {
    steps_.clear();
    options_.clear();
    depth_ = 0;
  }
  void rewind() { depth_ = 0; }
  unsigned depth() const { return depth_; }
  bool is_replaying() const { return depth_ < steps_.size(); }

  bool is_alone() const { return steps_[depth_].alone; }
  Option peek() const { return options_[steps_[depth_].first + steps_[depth_].taken]; }
  Option next() {
    const Option option = peek();
    ++depth_;
    return option;
  }
  // Adds a step that takes the first of these; `alone`: a choice of one thread while it runs.
  Option push(const std::vector<Option>& options, bool alone) {
    steps_.push_back({static_cast<uint32_t>(options_.size()), static_cast<uint16_t>(options.size()),
                      0, 0, alone});
    options_.insert(options_.end(), options.begin(), options.end());
    ++depth_;
    return options.front();
  }
  // False when the step just taken is not what it was the last time: the scenario has a hidden
  // input.
  bool matches(unsigned signature) {
    Step& step = steps_[depth_ - 1];
    const auto marked = static_cast<uint16_t>(signature + 1);
    if (step.signature == 0) step.signature = marked;
    return step.signature == marked;
  }
  // False when everything was taken; else the next execution differs in the last step.
  bool backtrack() {
    while (!steps_.empty()) {
      Step& step = steps_.back();
      if (step.taken + 1 < step.count) {
        ++step.taken;
        step.signature = 0;
        depth_ = static_cast<unsigned>(steps_.size()) - 1;
        return true;
      }
      options_.resize(step.first);
      steps_.pop_back();
    }
    return false;
  }

 private:
  struct Step {
    uint32_t first;  // of its options
    uint16_t count;
    uint16_t taken;
    uint16_t signature;  // of the step taken; 0: not known yet
    bool alone;
  };
  std::vector<Step> steps_;
  std::vector<Option> options_;
  unsigned depth_ = 0;
};

// A whole execution in one line, such as "0x3.1.0+2.1!": thread 0 three times, thread 1, thread 0
// reading two stores behind the newest, thread 1 dies ('~' would be its time-out).
std::string to_seed(const std::vector<Option>& options);
std::vector<Option> from_seed(const std::string& seed);

}  // namespace loopline::model
