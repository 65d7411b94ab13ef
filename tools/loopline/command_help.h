// Help: how commands are described, and what is said about a command line that makes no sense.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "shm/base/result.h"

namespace loopline::cli {

// Lines as wide as the terminal or COLUMNS says, 40 to 100 columns; else 80.
std::shared_ptr<CLI::FormatterBase> help_formatter();

// What is wrong with the command line, in our words.
Fault explain(CLI::App& app, const CLI::ParseError& error);

// A whole number, at least `least`; one of these words. They say so in our words, too.
CLI::Validator whole_number(uint64_t least);
CLI::Validator known_word(std::vector<std::string> words);

}  // namespace loopline::cli
