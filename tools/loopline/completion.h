// Completion: what a shell completes, from the very tree of commands that reads the command line.
#pragma once

#include <string>
#include <vector>

#include "output.h"
#include "shm/base/result.h"

namespace loopline::cli {

// What is put in a place: words of a list, names of what there is, or something free.
struct Completed {
  enum class Kind { free, words, stations, factories, files, folders };
  Kind kind = Kind::free;
  std::vector<std::string> words;
};

struct CommandOption {
  std::vector<std::string> names;  // "--follow", "-f"
  std::string description;
  bool takes_value = false;
  Completed value;
};

struct CommandNode {
  std::string name;
  std::string description;
  std::vector<CommandOption> options;
  std::vector<Completed> arguments;  // by place
  std::vector<CommandNode> commands;
};

// "block (default) or reject: what happens" -> {"block", "reject"}: how descriptions list the words
// of an option.
std::vector<std::string> listed_words(const std::string& description);

// The script for bash, zsh or fish. Faults: invalid_argument.
Result<std::string> completion_script(const CommandNode& root, const std::string& shell);

}  // namespace loopline::cli
